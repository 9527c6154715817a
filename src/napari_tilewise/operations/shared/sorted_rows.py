"""Rows that tiles contribute, in the order of their first columns.

Those that outgrow their share of memory are sorted runs on disk, merged some rows at a time.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.operations.shared.collected import Collected
from napari_tilewise.operations.shared.stored_columns import (
    GROUP,
    ColumnStore,
    ColumnWriter,
    remove,
    row_groups,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class SortedRows(Collected):
    """Arrays of all tiles, the rows in the order of the first ones.

    Parameters
    ----------
    arrays
        The first tile's.
    """

    keys = 1
    """Number of arrays by which rows are sorted, the first one first."""
    overhead = 0
    """Bytes that each row takes beyond the arrays while it is made use of."""
    spills = True
    """Whether the engine may have rows stored."""
    store: ColumnStore | None = None
    """Where runs go."""

    def __init__(self, *arrays: np.ndarray) -> None:
        super().__init__(*arrays, overhead=self.overhead)
        self.runs: list[list[Any]] = []
        """Columns of rows in order."""

    def in_order(self, columns: Sequence[np.ndarray]) -> list[Any]:
        """Return rows in order.

        Parameters
        ----------
        columns
            The rows, in any order; a subclass may join some to one.
        """
        order = np.lexsort(tuple(columns[: self.keys])[::-1])
        return [column[order] for column in columns]

    def spill(self) -> None:
        """Store what is in memory."""
        writer = ColumnWriter(self.store)
        columns = self.in_order(self.joined())
        for rows in row_groups(len(columns[0])):
            writer.append({str(n): column[rows] for n, column in enumerate(columns)})
        if len(columns[0]):
            self.runs.append(list(writer.columns().values()))
        self.clear(*(column[:0] for column in columns))

    def groups(self) -> Iterator[list[Any]]:
        """Yield all rows in order: those in memory at once, those on disk some at a time."""
        if not self.runs:
            yield self.in_order(self.joined())
            return
        self.spill()
        for part in key_ranges(self.runs, self._rows_in_memory(), self.keys):
            yield self.in_order([np.concatenate(column) for column in zip(*part, strict=True)])

    def remove_runs(self) -> None:
        """Remove what is on disk."""
        for run in self.runs:
            remove(run)

    def _rows_in_memory(self) -> int:
        """Return how many rows can be put in order at a time."""
        limit = 0 if self.store is None else self.store.limit
        row: int = sum(column.dtype.itemsize * prod(column.shape[1:]) for column in self.runs[0])
        return max(GROUP, limit // (2 * (row + self.overhead)))


def key_ranges(
    runs: Sequence[Sequence[Any]], rows: int, keys: int = 1
) -> Iterator[list[list[np.ndarray]]]:
    """Yield the rows of all runs, those of some keys at a time, in the order of keys.

    Parameters
    ----------
    runs
        Columns of rows in order.
    rows
        About how many rows at a time; those with the same keys stay together.
    keys
        How many of the first columns the order is of.
    """
    step = max(1, rows // (2 * len(runs)))
    # Between two of these a run has at most `step` rows.
    lasts = [
        [column[group.stop - 1 : group.stop] for column in run[:keys]]
        for run in runs
        for group in row_groups(len(run[0]), step)
    ]
    samples = [np.concatenate(column) for column in zip(*lasts, strict=True)]
    order = np.lexsort(tuple(samples)[::-1])[len(runs) - 1 :: len(runs)]
    ends = zip(*(column[order] for column in samples), strict=True)
    starts = [0] * len(runs)
    for end in (*ends, None):
        part = []
        for number, run in enumerate(runs):
            start = starts[number]
            stop = len(run[0]) if end is None else _first_above(run, end, start)
            part.append([column[start:stop] for column in run])
            starts[number] = stop
        if any(len(columns[0]) for columns in part):
            yield part


def _first_above(run: Sequence[Any], end: Sequence[Any], start: int) -> int:
    """Return the number of the first row from a start on whose keys are above others.

    Parameters
    ----------
    run
        Columns of rows in order.
    end
        The keys, one for each of the first columns.
    start
        The number of a row.
    """
    length = len(run[0])
    while start < length:
        group = slice(start, min(start + GROUP, length))
        low, high = 0, group.stop - group.start
        for column, key in zip(run, end, strict=False):
            values = column[group][low:high]
            low, high = (
                low + int(np.searchsorted(values, key, "left")),
                low + int(np.searchsorted(values, key, "right")),
            )
        start += high
        if start < group.stop:
            break
    return start
