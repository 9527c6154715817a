"""Writing results that are not images: tables, points and contours as CSV, scalars as JSON.

Numbers keep their full precision, and a file appears complete or not at all. The record is in the
JSON itself; for a CSV it is in a file beside it, so that any program can read the table.
"""

from __future__ import annotations

import csv
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any, TextIO
from uuid import uuid4

import numpy as np

from napari_tilewise.engine.system.disk import writing
from napari_tilewise.engine.system.file_names import remove, replace
from napari_tilewise.errors import (
    DestinationExists,
    DestinationUnwritable,
    SourceUnreadable,
    option,
)
from napari_tilewise.io.csv_cells import to_cell
from napari_tilewise.io.image import KEY
from napari_tilewise.io.plain_data import to_plain
from napari_tilewise.io.writers.staging import local_path

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import ArrayLike

    from napari_tilewise.io.plain_data import Metadata, MetadataDict
    from napari_tilewise.operations.shared.stored_columns import Column
    from napari_tilewise.operations.spec.kinds import Output
    from napari_tilewise.types import Array

SUFFIXES = (".csv", ".json")
"""The suffixes of files of values."""
SIDECAR = ".provenance.json"
"""Suffix of the file with the record, after the name of the CSV or .npy."""
ROWS = ("scalar", "points", "contours", "table")
"""The kinds of results that a ``.csv`` holds, by value: the declarations take a second to import.
A ``.json`` holds any."""

_Write = Callable[[TextIO], object]
CONVERTED = 2**14
"""Rows of a table that are converted at a time."""
_Rows = tuple[list[str], Iterable[Sequence[object]]]


def write_value(
    path: str | os.PathLike[str],
    value: Any,
    overwrite: bool = False,
    *,
    provenance: Metadata | None = None,
    along: Sequence[str] | None = None,
) -> Path:
    """Write a table, points, contours or a scalar, and return the file's path.

    Parameters
    ----------
    path
        ``.csv`` for a table (a dict of columns), points (a row each, columns ``axis-0``, ...),
        contours (a list of points; a first column numbers them) and scalars (a row each, column
        ``value``). ``.json`` for anything: an object with the value under ``"value"``.
    value
        The result.
    overwrite
        Whether an old file may be replaced.
    provenance
        The record of how it was made; for ``.csv`` in a second file, ``NAME.csv.provenance.json``.
    along
        Names of the axes for whose positions the value holds a scalar each, such as those of a
        stack; in a ``.csv`` each is a column. None: the value is one result.
    """
    destination = local_path(path)
    check_file(destination, overwrite=overwrite)
    suffix = destination.suffix.lower()
    if suffix == ".csv":
        columns = None if along is None else _tidy(value, along)
        header, rows = _table(value, destination) if columns is None else _columns(columns)
        record = None if provenance is None else _json({KEY: to_plain(provenance)})
        _replace(
            {
                destination: lambda file: _write_rows(file, header, rows),
                _sidecar(destination): record,
            }
        )
    elif suffix == ".json":
        content: MetadataDict = {"value": value}
        if provenance is not None:
            content[KEY] = to_plain(provenance)
        _replace({destination: _json(content)})
    else:
        raise _no_suffix(destination)
    return destination


def check_value(path: str | os.PathLike[str], output: Output, *, overwrite: bool) -> None:
    """Refuse a destination that cannot hold a result, before the result is computed.

    Parameters
    ----------
    path
        The final name.
    output
        The kind of result.
    overwrite
        Whether an old file may be replaced.

    Raises
    ------
    DestinationUnwritable
        When the format cannot hold it.
    DestinationExists
        When a file exists that may not be replaced.
    """
    destination = local_path(path)
    suffix = destination.suffix.lower()
    if suffix not in SUFFIXES:
        raise _no_suffix(destination)
    if suffix == ".csv" and output not in ROWS:
        raise _no_rows(destination, f"the result of the recipe ({output})")
    check_file(destination, overwrite=overwrite)


def _no_suffix(path: Path) -> DestinationUnwritable:
    return DestinationUnwritable(
        f"{str(path)!r} has no suffix of a format for values; expected {' or '.join(SUFFIXES)}: "
        "change the name."
    )


def _no_rows(path: Path, result: str) -> DestinationUnwritable:
    return DestinationUnwritable(
        f"{str(path)!r} cannot hold {result}; a .csv holds scalars, points, contours and tables: "
        f"write {path.stem + '.json'!r}."
    )


def read_json(path: Path) -> Metadata:
    """Return the content of a ``.json`` of `write_value`: ``"value"`` and, under `KEY`, its record.

    Parameters
    ----------
    path
        An existing file.

    Raises
    ------
    SourceUnreadable
        When it is not a JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SourceUnreadable(
            f"{str(path)!r} cannot be read as JSON ({error}); restore it, or run the recipe again."
        ) from error
    if not isinstance(content, dict):
        raise SourceUnreadable(
            f"{str(path)!r} holds a {type(content).__name__}; expected the object that "
            "napari-tilewise writes."
        )
    return content


def read_value_record(path: Path) -> Metadata | None:
    """Return the record of how a file of values was made; None where there is none.

    Parameters
    ----------
    path
        An existing file.

    Raises
    ------
    SourceUnreadable
        When the file that should hold the record is not JSON.
    """
    suffix = path.suffix.lower()
    holder = {".json": path, ".csv": _sidecar(path), ".npy": _sidecar(path)}.get(suffix)
    if holder is None or not holder.is_file():
        return None
    record = read_json(holder).get(KEY)
    return record if isinstance(record, dict) else None


def publish_with_record(complete: Path, path: Path, record: Metadata) -> None:
    """Give a complete file its final name, and write its record beside it.

    Parameters
    ----------
    complete
        The file, on the same disk as its final name.
    path
        Its final name; the file cannot hold the record itself.
    record
        How the content was made, as plain data.
    """
    # Written before either has its name: on a full disk there is neither.
    written = complete.with_name(f"{complete.name}{SIDECAR}")
    with written.open("w", encoding="utf-8") as file:
        _json({KEY: to_plain(record)})(file)
    if _is_record(_sidecar(path)):  # for a moment there is no record, never another image's
        remove(_sidecar(path))
    replace(complete, path)
    replace(written, _sidecar(path))


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name + SIDECAR)


def check_file(path: Path, *, overwrite: bool) -> None:
    """Refuse a destination that exists, unless it is a file that may be overwritten.

    The record beside a CSV is replaced with the table; without the table it does not count.

    Parameters
    ----------
    path
        The final name.
    overwrite
        Whether an old file may be replaced.
    """
    sidecar = _sidecar(path)
    if path.suffix.lower() == ".csv" and os.path.lexists(sidecar) and not _is_record(sidecar):
        _check(sidecar, overwrite)
    if os.path.lexists(path):
        _check(path, overwrite)


def _is_record(path: Path) -> bool:
    try:
        return KEY in read_json(path)
    except SourceUnreadable:
        return False


def _check(path: Path, overwrite: bool) -> None:
    if path.is_dir():
        raise DestinationUnwritable(
            f"{str(path)!r} is a folder; expected a file or nothing: give another destination."
        )
    if not overwrite:
        raise DestinationExists(
            f"{str(path)!r} exists; give another destination, or "
            f"{option('overwrite', True)} to replace it."
        )


def _json(content: Metadata) -> _Write:
    """Return a function that writes data as JSON."""
    from napari_tilewise.io.writers.json_pieces import json_pieces

    return lambda file: file.writelines(itertools.chain(json_pieces(content), "\n"))


def _replace(files: Mapping[Path, _Write | None]) -> None:
    """Write files that belong together, then give them their names; remove those without content.

    For a moment the later files are missing, so that a record is never beside another table.
    """
    first, *others = files
    growing = {path: path.parent / f".{path.name}.partial-{uuid4().hex[:12]}" for path in files}
    with writing(first):
        first.parent.mkdir(parents=True, exist_ok=True)
        try:
            for path, write in files.items():
                if write is not None:
                    with growing[path].open("w", encoding="utf-8", newline="") as file:
                        write(file)
            for path in others:
                remove(path)
            for path, write in files.items():
                if write is not None:
                    replace(growing[path], path)
        except BaseException:
            for temporary in growing.values():
                temporary.unlink(missing_ok=True)
            raise


def _write_rows(file: TextIO, header: list[str], rows: Iterable[Sequence[object]]) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(map(to_cell, header))
    writer.writerows(rows)  # str of a Python float is its repr: all its digits


def _table(value: Any, path: Path) -> _Rows:
    """Return the header and the rows for a value, by its type and shape."""
    if isinstance(value, Mapping):
        return _columns(_equally_long(value, path))
    if (stored := _stored(value)) is not None:
        return stored
    shape = _shape(value)
    if shape == ():
        return _columns(_tidy(value, ()))
    if isinstance(value, np.ndarray) and value.ndim == 2:
        return _point_names(value.shape[1]), _rows_of(list(value.T))
    if isinstance(value, (list, tuple)) and all(len(_shape(item) or ()) == 2 for item in value):
        ndim = np.shape(value[0])[1] if value else 0
        rows = (
            [number, *point]
            for number, contour in enumerate(map(np.asarray, value))
            for start in range(0, len(contour), CONVERTED)
            for point in contour[start : start + CONVERTED].tolist()
        )
        return ["contour", *_point_names(ndim)], rows
    form = "of unequal parts" if shape is None else f"of shape {shape}"
    raise _no_rows(path, f"a {type(value).__name__} {form}")


def _stored(value: Any) -> _Rows | None:
    """Return the header and the rows of points and contours in files; None for other values."""
    from napari_tilewise.operations.shared.stored_columns import StoredColumn, row_groups
    from napari_tilewise.operations.shared.stored_contours import StoredContours

    if isinstance(value, StoredColumn) and value.ndim == 2:
        points = (
            point for rows in row_groups(len(value), CONVERTED) for point in value[rows].tolist()
        )
        return _point_names(value.shape[1]), points
    if isinstance(value, StoredContours):
        lines = (
            [number, *point]
            for numbers, points in value.rows(CONVERTED)
            for number, point in zip(numbers.tolist(), points.tolist(), strict=True)
        )
        return ["contour", *_point_names(value.points.shape[1])], lines
    return None


def _shape(value: ArrayLike) -> tuple[int, ...] | None:
    """Return a value's shape; None if its parts have different shapes."""
    try:
        return tuple(np.shape(value))
    except ValueError:
        return None


def _equally_long(table: Mapping[Any, Any], path: Path) -> dict[str, Column]:
    """Return the columns of a table as arrays; refuse columns of different lengths."""
    from napari_tilewise.operations.shared.stored_columns import StoredColumn

    for name, column in table.items():
        if _shape(column) is None:
            raise _no_rows(path, f"the column {name!r}, a {type(column).__name__} of unequal parts")
    columns: dict[str, Column] = {
        str(name): column if isinstance(column, StoredColumn) else np.atleast_1d(column)
        for name, column in table.items()
    }
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise DestinationUnwritable(
            f"The columns for {str(path)!r} have the lengths {lengths}; "
            "expected one length: give a value for every row."
        )
    return columns


def _tidy(scalars: ArrayLike, along: Sequence[str]) -> dict[str, Array]:
    """Return scalars as columns: their positions along some axes, then the values.

    If each position has several numbers, there is a column for each.
    """
    array = np.asarray(scalars)
    lengths, value_shape = array.shape[: len(along)], array.shape[len(along) :]
    positions = zip(along, np.indices(lengths), strict=True)
    columns = {name: position.ravel() for name, position in positions}
    values = array.reshape(prod(lengths), prod(value_shape))
    for number, index in enumerate(np.ndindex(value_shape)):
        columns["-".join(map(str, ("value", *index)))] = values[:, number]
    return columns


def _columns(columns: Mapping[str, Column]) -> _Rows:
    """Return the header and the rows of columns of one length."""
    return list(columns), _rows_of(list(columns.values()))


def _rows_of(columns: Sequence[Column]) -> Iterator[Sequence[object]]:
    """Yield the rows of columns, of which only some are Python objects at a time."""
    length = len(columns[0]) if columns else 0
    for start in range(0, length, CONVERTED):
        parts = (_cells(column[start : start + CONVERTED]) for column in columns)
        yield from zip(*parts, strict=True)


def _cells(column: Array) -> list[object]:
    values: list[object] = column.tolist()
    return [to_cell(value) for value in values] if column.dtype.kind in "OU" else values


def _point_names(ndim: int) -> list[str]:
    return [f"axis-{axis}" for axis in range(ndim)]
