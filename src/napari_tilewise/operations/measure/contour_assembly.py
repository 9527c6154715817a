"""Contours of more segments than memory holds are assembled as the segments come, row by row.

scikit-image joins segments, in the whole image's order, by their end points. The same is done here,
with the points of unfinished contours on disk but for both ends: a contour holds its first point,
a reference to a stretch of a file, and its last point. Nothing that comes later touches contours
whose ends lie above the row: these are on disk, and forgotten.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_tilewise.operations.shared.sorted_rows import SortedRows
from napari_tilewise.operations.shared.stored_columns import (
    ColumnStore,
    ColumnWriter,
    StoredColumn,
    remove,
    row_groups,
)
from napari_tilewise.operations.shared.stored_contours import ContourWriter, StoredContours

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ASSEMBLY = 300
"""Bytes per segment in scikit-image's assembly."""
PART = 2**16
"""Segments that are converted at once, and points that are read."""
BLOCK = 4096
"""Points among which references are looked for at a time."""

Point = tuple[float, float]
"""A point; or a reference, of which the first number is the negated length of a stretch."""
_NONE = (None, -1)


class Segments(SortedRows):
    """The segments of tiles, by the raster index of their square."""

    overhead = ASSEMBLY


class _Places(SortedRows):
    """Where finished contours are, by their number."""


class _Stretch(NamedTuple):
    """Points of a file."""

    start: int
    length: int
    is_plain: bool = False
    """Whether there is no reference among them."""


class ContourAssembly:
    """Assembles segments that come in the whole image's order.

    Parameters
    ----------
    store
        Where points go.
    """

    def __init__(self, store: ColumnStore | None) -> None:
        self._store = store
        self._stretches = _PointFile(store)
        self._starts: dict[Point, tuple[deque[Point], int]] = {}
        self._ends: dict[Point, tuple[deque[Point], int]] = {}
        self._contours: dict[int, deque[Point]] = {}
        self._count = 0
        empty = np.empty(0, np.int64)
        self._places = _Places(empty, empty, empty)
        self._places.store = store

    def add(self, begin: Point, end: Point) -> None:
        """Add a segment, as scikit-image does: contours with its ends are joined.

        Parameters
        ----------
        begin, end
            Where it begins and ends.
        """
        if begin == end:
            return
        tail, tail_number = self._starts.pop(end, _NONE)
        head, head_number = self._ends.pop(begin, _NONE)
        if tail is not None and head is not None:
            self._join(head, head_number, tail, tail_number, end)
        elif head is not None:
            head.append(end)
            self._ends[end] = head, head_number
        elif tail is not None:
            tail.appendleft(begin)
            self._starts[begin] = tail, tail_number
        else:
            contour = deque((begin, end))
            self._contours[self._count] = contour
            self._starts[begin] = self._ends[end] = contour, self._count
            self._count += 1

    def _join(
        self, head: deque[Point], head_number: int, tail: deque[Point], tail_number: int, end: Point
    ) -> None:
        if tail is head:
            head.append(end)
        elif tail_number > head_number:
            head.extend(tail)
            self._contours.pop(tail_number, None)
            self._starts[head[0]] = self._ends[head[-1]] = head, head_number
        else:
            tail.extendleft(reversed(head))
            self._starts.pop(head[0], None)
            self._contours.pop(head_number, None)
            self._starts[tail[0]] = self._ends[tail[-1]] = tail, tail_number

    def store(self, row: float) -> None:
        """Move to disk what no segment of a row or of those below touches.

        Parameters
        ----------
        row
            The next segments' row; infinity after the last.
        """
        for ends in (self._starts, self._ends):
            for point in [point for point in ends if not point[0] >= row]:
                del ends[point]
        unfinished = {id(c) for ends in (self._starts, self._ends) for c, _ in ends.values()}
        rows = []
        for number, contour in list(self._contours.items()):
            if id(contour) in unfinished:
                if len(contour) > 3:
                    first, *between, last = contour
                    contour.clear()
                    contour.extend((first, self._stretches.append(between), last))
            else:
                length, start = self._stretches.append(self._contours.pop(number))
                rows.append((number, int(start), -int(length)))
        self._stretches.write()
        if rows:
            self._places.extend(_Places(*np.array(rows, np.int64).T))
        if self._places.nbytes > _share(self._store):
            self._places.spill()

    def finish(self, *, reverse: bool) -> StoredContours:
        """Return all contours.

        Parameters
        ----------
        reverse
            Whether the points of each are in the opposite order.
        """
        self.store(np.inf)
        writer, points = ContourWriter(self._store), _Window(self._stretches.column())
        for _, starts, lengths in self._places.groups():
            for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
                writer.append(_expanded(points, _Stretch(start, length), reverse=reverse))
        self._places.remove_runs()
        contours = writer.contours()
        remove([points.column])
        return contours


class _PointFile:
    """Points of contours in a file, one after the other."""

    def __init__(self, store: ColumnStore | None) -> None:
        self._writer = ColumnWriter(store)
        self._parts: list[np.ndarray] = [np.empty((0, 2))]
        self._count = 0

    def append(self, points: Iterable[Point]) -> Point:
        """Add points, and return a reference to them."""
        part = np.array(list(points))
        self._parts.append(part)
        self._count += len(part)
        return float(-len(part)), float(self._count - len(part))

    def write(self) -> None:
        """Write what was added."""
        self._writer.append({"points": np.concatenate(self._parts)})
        self._parts = [np.empty((0, 2))]

    def column(self) -> StoredColumn:
        """Return all points."""
        column: StoredColumn = self._writer.columns()["points"]
        return column


class _Window:
    """Reads a column, whose neighbouring rows are often read one after the other."""

    def __init__(self, column: StoredColumn) -> None:
        self.column = column
        self._start, self._rows = 0, column[:0]

    def read(self, start: int, length: int) -> np.ndarray:
        """Return some rows."""
        if not self._start <= start <= start + length <= self._start + len(self._rows):
            self._start, self._rows = start, self.column[start : start + max(PART, length)]
        rows: np.ndarray = self._rows[start - self._start :][:length]
        return rows


def _expanded(points: _Window, stretch: _Stretch, *, reverse: bool) -> Iterator[np.ndarray]:
    """Yield the points of a stretch, and of those it refers to, in order."""
    stack = [stretch]
    while stack:
        start, length, is_plain = stack.pop()
        block = min(length, BLOCK)
        begin = start + length - block if reverse else start
        rows = points.read(begin, block)
        references = [] if is_plain else np.flatnonzero(rows[:, 0] < 0).tolist()
        rest = _Stretch(start if reverse else start + block, length - block, is_plain)
        pieces = [rest] if rest.length else []
        if not references:
            yield rows[::-1] if reverse else rows
            stack += pieces
            continue
        parts, before = [], 0
        for index in references:
            parts.append(_Stretch(begin + before, index - before, is_plain=True))
            parts.append(_Stretch(int(rows[index, 1]), -int(rows[index, 0])))
            before = index + 1
        parts.append(_Stretch(begin + before, block - before, is_plain=True))
        ordered = parts if reverse else parts[::-1]
        stack += [*pieces, *(part for part in ordered if part.length)]


def assembled(segments: Segments, width: int, *, reverse: bool) -> StoredContours:
    """Return the contours that segments on disk make.

    Parameters
    ----------
    segments
        Raster indices of squares, and the segments' ends.
    width
        The number of squares of a row.
    reverse
        Whether the points of each contour are in the opposite order.
    """
    assembly, added = ContourAssembly(segments.store), 0
    at_once = max(PART, _share(segments.store) // ASSEMBLY)
    for squares, ends in segments.groups():
        for rows in row_groups(len(squares), PART):
            if added >= at_once:
                assembly.store(int(squares[rows.start]) // width)
                added = 0
            for begin, end in ends[rows].tolist():
                assembly.add(tuple(begin), tuple(end))
            added += rows.stop - rows.start
    contours = assembly.finish(reverse=reverse)
    segments.remove_runs()
    return contours


def _share(store: ColumnStore | None) -> int:
    """Return how many bytes contours may take: others sort segments meanwhile."""
    return 0 if store is None else store.limit // 4
