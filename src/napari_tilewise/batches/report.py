"""The report of a batch: a row per item, and one table of all measurements."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import numpy as np

from napari_tilewise.batches.tables import Table, read_csv, rows_of
from napari_tilewise.batches.tasks import CANCELLED, DONE, FAILED, SKIPPED
from napari_tilewise.errors import InvalidImage
from napari_tilewise.io.writers.values import read_value_record
from napari_tilewise.operations.notebook import html_table
from napari_tilewise.operations.spec.operation import Output
from napari_tilewise.sizes import plural

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence, Set
    from pathlib import Path

    from napari_tilewise.batches.rows import ItemRow, TableRow
    from napari_tilewise.io.plain_data import Metadata, Plain
    from napari_tilewise.types import Array, Value

_TABLES = (Output.TABLE, Output.POINTS, Output.CONTOURS)
_COLUMNS = ("item", "input", "output", "status", "seconds", "error", "peak_memory", "objects")
"""The report's own columns: no measurement replaces them."""

SHOWN = 20
"""Number of items that a notebook shows."""


@dataclass(frozen=True, eq=False)
class Report:
    """The outcomes of a batch."""

    items: Sequence[ItemRow]
    """A row per item as in the journal."""
    folder: Path | None = None
    """The folder of the outputs; None if the batch had no destination."""
    results: Sequence[Value] = field(default_factory=tuple, repr=False)
    """Without a destination, the result of each item; None for an item that failed."""
    left_out: str = ""
    """A line that says which files of the source were no items; empty if all were."""

    def __repr__(self) -> str:
        return f"<Report: {self}>"

    def _repr_html_(self) -> str:
        """Return the first rows, failures before the others, as a table for a notebook."""
        items = sorted(self.items, key=lambda item: item["status"] != FAILED)
        rows = [
            (item["item"], item["status"], f"{item['seconds']:.2f}", item["error"] or "")
            for item in items[:SHOWN]
        ]
        more = len(items) - len(rows)
        notes = [f"and {plural(more, 'more item')}"] if more else []
        note = "; ".join([*notes, *([self.left_out] if self.left_out else [])])
        return html_table(f"Batch: {self}", rows, ("item", "status", "seconds", "error"), note)

    @property
    def rows(self) -> list[TableRow]:
        """One row per item: input, output, status, seconds, error, objects, and all its scalars.

        Objects are counted where the result is labels, a table or points.

        A scalar that has the name of another column is in the column ``NAME (result)``.
        """
        columns = self._fields.union(_COLUMNS)
        return [self._row(item, columns) for item in self.items]

    def _row(self, item: ItemRow, columns: Set[str]) -> TableRow:
        row = cast("TableRow", {name: item.get(name) for name in _COLUMNS})
        output = item.get("output")
        if self.folder is not None and output is not None:
            row["output"] = str(self.folder / output)
        fields = _renamed(set(_COLUMNS), item.get("fields", {}), "known")
        return {**row, **fields, **_renamed(columns, item.get("values") or {})}

    @property
    def _fields(self) -> set[str]:
        """Names of the fields of any item: a column has the same meaning in all rows."""
        return {name for item in self.items for name in item.get("fields", {})}

    def _count(self, status: str) -> int:
        return sum(item["status"] == status for item in self.items)

    @property
    def done(self) -> int:
        """Number of items that are done."""
        return self._count(DONE)

    @property
    def failed(self) -> int:
        """Number of items that failed."""
        return self._count(FAILED)

    @property
    def skipped(self) -> int:
        """Number of items that were skipped, as nothing changed or an output exists."""
        return self._count(SKIPPED)

    @property
    def cancelled(self) -> int:
        """Number of items that were not started, as the batch was cancelled."""
        return self._count(CANCELLED)

    def __str__(self) -> str:
        """Return the counts as text."""
        text = f"{self.done} done, {self.failed} failed, {self.skipped} skipped"
        return f"{text}, {self.cancelled} not started" if self.cancelled else text

    @property
    def table(self) -> Table:
        """The tables and points of all items in one table, with the item's name in each row."""
        return Table(self._measured, self._fields | {"item"}, self._units)

    def _units(self) -> dict[str, str]:
        """Return the units of columns, as far as the records of all items agree."""
        records = [self._record(item) for _, item in self._tables()]
        units = [record.get("units") or {} for record in records]
        first = units[0] if units else {}
        return {
            name: unit for name, unit in first.items() if all(u.get(name) == unit for u in units)
        }

    def _record(self, item: ItemRow) -> Metadata:
        """Return the record of an item's table; of one in memory, what its row says."""
        output = item.get("output")
        if self.folder is None or output is None:
            return {"units": item.get("units")}
        return read_value_record(self.folder / output) or {}

    def _tables(self) -> Iterator[tuple[int, ItemRow]]:
        """Yield the items that gave a table or points, with their numbers."""
        for number, item in enumerate(self.items):
            if item.get("kind") in _TABLES and item["status"] in (DONE, SKIPPED):
                yield number, item

    def _measured(self) -> Iterator[TableRow]:
        columns = self._fields | {"item"}
        for number, item in self._tables():
            first = {"item": item["item"], **_renamed({"item"}, item.get("fields", {}), "known")}
            output = item.get("output")
            rows: Iterator[Mapping[str, Plain]]
            if self.folder is not None and output is not None:
                rows = read_csv(self.folder / output)
            else:
                rows = rows_of(self.results[number])
            for row in rows:
                yield {**first, **_renamed(columns, row)}

    @property
    def stack(self) -> Array:
        """The resulting images in one array, with the items along its first axis.

        Raises
        ------
        InvalidImage
            When an item failed or its result is not an image, or the shapes differ.
        """
        shapes = [
            np.shape(result) if isinstance(result, np.ndarray) else None for result in self.results
        ]
        if not shapes:
            raise InvalidImage(
                "There are no results to stack: a batch returns them with destination=None."
            )
        for item, shape in zip(self.items, shapes, strict=True):
            if shape is None or shape != shapes[0]:
                problem = "is not an image" if shape is None else f"has the shape {shape}"
                raise InvalidImage(
                    f"The results cannot be stacked: that of {item['item']!r} {problem}; expected "
                    "images of one shape."
                )
        return np.stack(list(self.results))

    def to_csv(self, path: str | os.PathLike[str], *, overwrite: bool = True) -> Path:
        """Write the rows to a CSV.

        Parameters
        ----------
        path
            A name that ends in ``.csv``.
        overwrite
            Whether an existing file is replaced.
        """
        return Table(lambda: self.rows).to_csv(path, overwrite=overwrite)

    def to_parquet(self, path: str | os.PathLike[str], *, overwrite: bool = True) -> Path:
        """Write the rows to a Parquet file; needs the extra ``parquet``.

        Parameters
        ----------
        path
            A name that ends in ``.parquet``.
        overwrite
            Whether an existing file is replaced.
        """
        return Table(lambda: self.rows).to_parquet(path, overwrite=overwrite)


def _renamed(columns: Set[str], values: Mapping[str, Plain], suffix: str = "result") -> TableRow:
    """Return values under names that no column has: ``status`` becomes ``status (result)``."""
    renamed = {}
    for name, value in values.items():
        unique = name
        while unique in columns or (unique != name and unique in values):
            unique = f"{unique} ({suffix})"
        renamed[unique] = value
    return renamed
