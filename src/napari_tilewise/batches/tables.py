"""The rows and tables of many items in one table: a column per name, the item in each row."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from napari_tilewise.engine.system.disk import writing
from napari_tilewise.engine.system.file_names import replace
from napari_tilewise.errors import DestinationExists, InvalidParameter, MissingExtra, option
from napari_tilewise.io.csv_cells import from_cell, to_cell
from napari_tilewise.io.tables.data_frame import to_data_frame
from napari_tilewise.io.writers.staging import local_path

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from napari_tilewise.batches.rows import CsvRow, TableRow
    from napari_tilewise.types import Array, Value

_ROWS_PER_CHUNK = 65536
"""Number of rows of a Parquet file that are in memory at a time."""


@dataclass(frozen=True, eq=False)
class Table:
    """Rows that are read again at each iteration, so that they need not fit into memory."""

    rows: Callable[[], Iterable[TableRow]]
    origins: Collection[str] = ()
    """Names of the columns that say where a row is from, beside those of axes and labels."""
    find_units: Callable[[], Mapping[str, str]] = dict
    """Returns the units of the columns."""

    def __iter__(self) -> Iterator[TableRow]:
        return iter(self.rows())

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in the order of their first rows."""
        names: dict[str, None] = {}
        for row in self:
            names.update(dict.fromkeys(row))
        return tuple(names)

    @property
    def units(self) -> Mapping[str, str]:
        """The unit of each column that has the same one in all items, such as ``micrometer^2``."""
        return dict(self.find_units())

    def keys(self) -> tuple[str, ...]:
        """Return the names of the columns: ``dict(table)`` has the columns as arrays."""
        return self.columns

    def __getitem__(self, name: str) -> Array:
        """Return a column as an array; a row without a value has None."""
        if name not in self.columns:
            raise KeyError(name)
        return np.array([_plain(row.get(name)) for row in self])

    def to_csv(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the table to a CSV.

        Parameters
        ----------
        path
            Its name, with the suffix of the format.
        overwrite
            Whether an existing file is replaced.
        """
        columns = self.columns

        def write(part: Path) -> None:
            with part.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(map(to_cell, columns))
                for row in self:
                    writer.writerow([to_cell(_text(row.get(name))) for name in columns])

        return replaced_file(path, ".csv", overwrite, write)

    def to_parquet(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the table to a Parquet file, with the units in the columns' metadata.

        Parameters
        ----------
        path
            Its name, with the suffix of the format.
        overwrite
            Whether an existing file is replaced.

        Raises
        ------
        MissingExtra
            When pyarrow is not installed.
        """
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError as error:
            raise MissingExtra(
                "Parquet needs the package pyarrow: pip install 'napari-tilewise[parquet]'."
            ) from error
        units, kinds = self.units, {n: _arrow(kind) for n, kind in self._kinds().items()}
        schema = pyarrow.schema(
            pyarrow.field(
                _encodable(name),
                pyarrow.type_for_alias(kind),
                metadata={"unit": units[name]} if name in units else None,
            )
            for name, kind in kinds.items()
        )

        def write(part: Path) -> None:
            with parquet.ParquetWriter(part, schema) as writer:
                for rows in _chunks(self):
                    plain = [_fitted(row, schema) for row in rows]
                    writer.write_table(pyarrow.Table.from_pylist(plain, schema))

        return replaced_file(path, ".parquet", overwrite, write)

    def to_pandas(self) -> Any:
        """Return the table as a pandas DataFrame, in memory, with the units in its `attrs`.

        Raises
        ------
        MissingExtra
            When pandas is not installed.
        """
        frame = to_data_frame(list(self), list(self.columns))
        frame.attrs["units"] = dict(self.units)
        return frame

    def to_anndata(self) -> Any:
        """Return the table as an AnnData, in memory.

        Measurements are the matrix ``X``, named in ``var``, with their units. ``obs`` has what says
        where a row is from (``item``, ``well``, ``field``, ``t``, ``c``, ``label``, ...), and
        texts.

        Raises
        ------
        MissingExtra
            When anndata is not installed.
        """
        try:
            from anndata import AnnData
        except ImportError as error:
            raise MissingExtra("An AnnData needs anndata: pip install anndata.") from error
        frame, units = self.to_pandas(), self.units
        frame.index = frame.index.astype(str)
        measured = [
            name
            for name in frame
            if not (name in self.origins or name == "label" or _is_axis(name))
            and frame[name].dtype.kind in "buif"
        ]
        variables = to_data_frame({"unit": [units.get(name, "") for name in measured]})
        return AnnData(
            X=frame[measured].to_numpy(float),
            obs=frame.drop(columns=measured),
            var=variables.set_axis(measured),
        )

    def _kinds(self) -> dict[str, set[type]]:
        """Return the types of the values in each column."""
        kinds: dict[str, set[type]] = {}
        for row in self:
            for name, value in row.items():
                kinds.setdefault(name, set()).add(type(_plain(value)))
        return kinds


def _is_axis(name: str) -> bool:
    """Return whether a column has the positions along an axis, such as ``t``."""
    return len(name) == 1 and name.isalpha()


def _arrow(kinds: set[type]) -> str:
    """Return the name of the Arrow type that holds values of some types."""
    kinds = kinds - {type(None)}
    if kinds == {bool}:
        return "bool"
    if kinds == {int}:
        return "int64"
    return "double" if kinds and kinds <= {int, float} else "string"


def _fitted(row: TableRow, schema: Iterable[Any]) -> TableRow:
    texts = {field.name for field in schema if str(field.type) == "string"}
    return {
        _encodable(name): _encodable(_text(value))
        if name in texts and value is not None
        else _plain(value)
        for name, value in row.items()
    }


def _encodable(value: Any) -> Any:
    """Return a value whose text UTF-8 can encode; a name on a disk may have other bytes."""
    is_text = isinstance(value, str)
    return value.encode("utf-8", "backslashreplace").decode() if is_text else value


def _chunks(rows: Iterable[TableRow]) -> Iterator[list[TableRow]]:
    chunk: list[TableRow] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == _ROWS_PER_CHUNK:
            yield chunk
            chunk = []
    yield chunk


def _plain(value: object) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _text(value: object) -> Any:
    """Return a value as a cell of text: lists as JSON."""
    value = _plain(value)
    return json.dumps(value) if isinstance(value, list | tuple | dict) else value


def replaced_file(
    path: str | os.PathLike[str], suffix: str, overwrite: bool, write: Callable[[Path], None]
) -> Path:
    """Write a file under another name first, so that it appears complete or not at all.

    Parameters
    ----------
    path
        The file.
    suffix
        The end that its name must have.
    overwrite
        Whether an existing file is replaced.
    write
        Writes the file under the name it is passed.
    """
    file = local_path(path)
    if file.suffix.lower() != suffix:
        raise InvalidParameter(f"{str(file)!r}: expected a name that ends in {suffix!r}.")
    if os.path.lexists(file) and not overwrite:
        raise DestinationExists(
            f"{str(file)!r} exists; give another name, or {option('overwrite', True)} to "
            "replace it."
        )
    part = file.with_name(f".{file.name}.{uuid4().hex[:12]}.partial")
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(part)
            replace(part, file)
        finally:
            part.unlink(missing_ok=True)
    return file


def read_csv(path: Path) -> Iterator[CsvRow]:
    """Yield the rows of a CSV that a run wrote, numbers as numbers.

    Parameters
    ----------
    path
        The file.
    """
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield {from_cell(name): _number(text) for name, text in row.items()}


def _number(text: str) -> str | int | float | bool:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"True": True, "False": False}.get(text, from_cell(text))


def rows_of(value: Value) -> Iterator[TableRow]:
    """Yield the rows of a table, of points, or of contours in memory.

    Parameters
    ----------
    value
        A dict of columns, an array with a row per point, or a list of these.
    """
    if isinstance(value, dict):
        columns = {name: np.asarray(column) for name, column in value.items()}
        count = max((len(column) for column in columns.values()), default=0)
        for number in range(count):
            yield {name: column[number].tolist() for name, column in columns.items()}
    elif isinstance(value, np.ndarray):
        for point in value.tolist():
            yield {f"axis-{axis}": coordinate for axis, coordinate in enumerate(point)}
    else:
        for number, points in enumerate(value):
            yield from ({"contour": number, **row} for row in rows_of(points))
