"""A table of columns as text, as CSV and as Parquet."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.batches.tables import replaced_file
from napari_tilewise.errors import Cancelled, InvalidParameter, MissingExtra
from napari_tilewise.io.csv_cells import to_cell

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_tilewise._napari.layers.columns import TableColumn
    from napari_tilewise.engine.events import Listener

ROWS_PER_CHUNK = 65536
"""Number of rows that are converted at a time."""
SUFFIXES = (".csv", ".parquet")
FORMATS = "CSV (*.csv);;Parquet (*.parquet)"


def text(columns: Sequence[TableColumn], rows: NDArray[np.int64]) -> str:
    """Return rows as text that spreadsheets take: tabs between the cells.

    Parameters
    ----------
    columns
        The table.
    rows
        The rows to return, in order.
    """
    file = io.StringIO()
    writer = csv.writer(file, delimiter="\t", lineterminator="\n")
    writer.writerow([to_cell(column.title) for column in columns])
    for chunk in _chunks(columns, rows):
        writer.writerows(chunk)
    return file.getvalue()


@dataclass(frozen=True, eq=False)
class TableExport:
    """Writes rows of a table to a file; called in a worker thread."""

    columns: Sequence[TableColumn]
    rows: NDArray[np.int64]
    path: Path

    def __call__(self, listener: Listener, cancel: threading.Event) -> Path:
        """Write the file, and return its path."""
        suffix = self.path.suffix.lower()
        is_parquet = suffix == ".parquet"
        if suffix not in SUFFIXES:
            raise InvalidParameter(
                f"{str(self.path)!r}: expected a name that ends in {' or '.join(SUFFIXES)}."
            )

        def write(part: Path) -> None:
            if is_parquet:
                self._write_parquet(part)
            else:
                self._write_csv(part, cancel)

        return replaced_file(self.path, suffix, True, write)

    def _write_csv(self, part: Path, cancel: threading.Event) -> None:
        with part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow([to_cell(column.title) for column in self.columns])
            for chunk in _chunks(self.columns, self.rows):
                if cancel.is_set():
                    raise Cancelled(f"Cancelled: {self.path.name!r} was not written.")
                writer.writerows(chunk)

    def _write_parquet(self, part: Path) -> None:
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError as error:
            raise MissingExtra(
                "Parquet needs the package pyarrow: pip install 'napari-tilewise[parquet]'."
            ) from error
        arrays = {column.title: _arrow_values(column, self.rows) for column in self.columns}
        parquet.write_table(pyarrow.table(arrays), part)

    def __str__(self) -> str:
        """Return what is written as a title."""
        return f"Writing {self.path.name!r}"


def _chunks(columns: Sequence[TableColumn], rows: NDArray[np.int64]) -> Iterator[list[Any]]:
    """Yield lists of rows, each a tuple of cells."""
    for start in range(0, len(rows), ROWS_PER_CHUNK):
        part = rows[start : start + ROWS_PER_CHUNK]
        yield list(zip(*(_cells(column, part) for column in columns), strict=True))


def _cells(column: TableColumn, rows: NDArray[np.int64]) -> list[Any]:
    values = column.values[rows]
    if column.is_number:
        return list(values.tolist())
    return [to_cell(str(value)) for value in values]


def _arrow_values(column: TableColumn, rows: NDArray[np.int64]) -> Any:
    values = column.values[rows]
    return values if column.is_number else [str(value) for value in values]
