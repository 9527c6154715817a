"""Lines of points that outgrow their share of memory are files: all points, and where lines end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.operations.shared.stored_columns import (
    GROUP,
    ColumnStore,
    ColumnWriter,
    StoredColumn,
    row_groups,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


LINES = 256
"""Lines that are read together, where they are short."""


class StoredContours(Sequence[np.ndarray]):
    """Lines of points, of which each is read when it is used.

    Parameters
    ----------
    points
        The points of all lines, one line after the other.
    ends
        The number of points up to the end of each line.
    """

    def __init__(self, points: StoredColumn, ends: StoredColumn) -> None:
        self.points, self.ends = points, ends

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return [self[number] for number in range(len(self))[key]]
        number = range(len(self))[key]
        start = int(self.ends[number - 1 : number][0]) if number else 0
        return self.points[start : int(self.ends[number : number + 1][0])]

    def __iter__(self) -> Iterator[np.ndarray]:
        start = 0
        for rows in row_groups(len(self), LINES):
            ends = self.ends[rows]
            first, last = start, int(ends[-1])
            block = self.points[first:last] if last - first <= GROUP else None
            for end in ends.tolist():
                yield (
                    self.points[start:end] if block is None else block[start - first : end - first]
                )
                start = end

    def __repr__(self) -> str:
        return f"<{len(self)} lines of {len(self.points)} points>"

    def rows(self, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the points of all lines, and the number of each point's line.

        Parameters
        ----------
        count
            How many points at a time.
        """
        first, ends = 0, np.empty(0, np.int64)
        for points in row_groups(len(self.points), count):
            while not len(ends) or ends[-1] < points.stop:
                more = self.ends[first + len(ends) : first + len(ends) + count]
                ends = np.concatenate([ends, more])
            numbers = np.searchsorted(ends, np.arange(points.start, points.stop), "right")
            yield first + numbers, self.points[points]
            done = int(np.searchsorted(ends, points.stop, "right"))
            first, ends = first + done, ends[done:]

    def in_memory(self) -> list[np.ndarray]:
        """Return all lines as scikit-image does."""
        ends = np.asarray(self.ends)
        return np.split(np.asarray(self.points), ends[:-1]) if len(ends) else []

    def temporary(self) -> StoredContours:
        """Return the lines in files that are removed with them."""
        return StoredContours(self.points.temporary(), self.ends.temporary())


class ContourWriter:
    """Writes lines of points, one after the other.

    Parameters
    ----------
    store
        Where they go.
    ndim
        Coordinates of a point.
    """

    def __init__(self, store: ColumnStore | None, ndim: int = 2) -> None:
        self._points, self._ends = ColumnWriter(store), ColumnWriter(store)
        self._parts: list[np.ndarray] = [np.empty((0, ndim))]
        self._lengths: list[int] = []
        self._waiting = self._count = self._total = 0

    def append(self, parts: Iterable[np.ndarray]) -> None:
        """Add a line.

        Parameters
        ----------
        parts
            Its points, in parts of any length.
        """
        before = self._count
        for part in parts:
            self._parts.append(part)
            self._waiting += len(part)
            self._count += len(part)
            if self._waiting >= GROUP:
                self._write_points()
        self._lengths.append(self._count - before)
        if len(self._lengths) >= GROUP:
            self._write_ends()

    def _write_points(self) -> None:
        self._points.append({"points": np.concatenate(self._parts)})
        self._parts, self._waiting = [self._parts[0][:0]], 0

    def _write_ends(self) -> None:
        lengths = np.array(self._lengths, np.int64)
        self._ends.append({"ends": self._total + np.cumsum(lengths)})
        self._total += int(lengths.sum())
        self._lengths = []

    def contours(self) -> StoredContours:
        """Return all lines."""
        self._write_points()
        self._write_ends()
        return StoredContours(self._points.columns()["points"], self._ends.columns()["ends"])
