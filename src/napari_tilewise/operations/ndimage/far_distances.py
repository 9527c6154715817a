"""Nearest background pixels that lie far away, from rows of pixels instead of growing squares.

Of all background in a line along the first axis only the nearest on either side counts. Tables say
where that is in the rows of tiles above and below, so that a tile reads no other row than its own.
Along each further axis the nearest of these candidates is the lower envelope of parabolas, which is
found exactly, and the first of several that are equally near, as SciPy takes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.operations.spec.operation import Block, Reduce

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise.grid import Grid, Region

NONE_ABOVE, NONE_BELOW = -(2**30), 2**30
"""Rows that stand for no background at all."""
CHUNK = 2**20
"""Number of pixels whose envelopes are found together."""


class _Columns:
    """The first and last background rows of the tiles seen so far."""

    def __init__(self, block: Block) -> None:
        background = block.data[block.core] == 0
        rows = np.arange(block.tile[0].start, block.tile[0].stop, dtype=np.int32)
        rows = rows.reshape(-1, *(1,) * (background.ndim - 1))
        first = np.where(background, rows, NONE_BELOW).min(0)
        last = np.where(background, rows, NONE_ABOVE).max(0)
        self.grid = block.grid
        self.tiles = {block.position: (first.astype(np.int32), last.astype(np.int32))}
        self.nbytes = 2 * (first.nbytes + last.nbytes)

    def add(self, other: _Columns) -> _Columns:
        """Take in other tiles, and return this object."""
        self.tiles |= other.tiles
        self.nbytes += other.nbytes
        return self

    def nearest(self) -> ColumnTables:
        """Return the nearest background rows above and below every row of tiles."""
        grid = self.grid
        shape = (grid.counts[0], *grid.shape[1:])
        first = np.full(shape, NONE_BELOW, np.int32)
        last = np.full(shape, NONE_ABOVE, np.int32)
        for position, (tile_first, tile_last) in self.tiles.items():
            box: Any = (position[0], *grid.region(position)[1:])
            first[box], last[box] = tile_first, tile_last
        self.tiles = {}
        above, below = np.full_like(last, NONE_ABOVE), np.full_like(first, NONE_BELOW)
        np.maximum.accumulate(last[:-1], 0, out=above[1:])
        np.minimum.accumulate(first[:0:-1], 0, out=below[-2::-1])
        return ColumnTables(grid, above, below)


def gather_columns() -> Reduce:
    """Return the pass that finds each tile's first and last background rows."""
    return Reduce(
        _Columns,
        _Columns.add,
        finish=_Columns.nearest,
        in_groups=True,
        description="background above and below",
    )


@dataclass(frozen=True, eq=False)
class ColumnTables:
    """The nearest background rows above and below every row of tiles."""

    grid: Grid
    above: np.ndarray
    """Shape (rows of tiles, lengths of the other axes)."""
    below: np.ndarray

    def rows_of_tiles(self, box: Region) -> slice:
        """Return the rows of a box, continued to whole tiles."""
        length = self.grid.tile[0]
        start = box[0].start // length * length
        return slice(start, min(self.grid.shape[0], -(-box[0].stop // length) * length))

    def nearest_rows(self, block: Block) -> np.ndarray:
        """Return the nearest background row along the first axis of a tile's rows.

        Parameters
        ----------
        block
            A block whose region holds whole tiles along the first axis.
        """
        rows, tile_rows = block.region[0], block.tile[0]
        number = rows.start // self.grid.tile[0]
        last = (rows.stop - 1) // self.grid.tile[0]
        inside = slice(tile_rows.start - rows.start, tile_rows.stop - rows.start)
        shape = (tile_rows.stop - tile_rows.start, *block.data.shape[1:])
        result = np.empty(shape, np.int32)
        step = max(1, CHUNK // max(1, block.data[:, :1].size))
        for begin in range(0, block.data.shape[1], step):
            part = slice(begin, begin + step)
            columns = tuple(block.region[1:])
            offset = columns[0].start
            span = slice(offset + begin, min(columns[0].stop, offset + begin + step))
            index = (span, *columns[1:])
            result[:, part] = _nearest_of(
                block.data[:, part] == 0,
                self.above[number][index],
                self.below[last][index],
                rows.start,
            )[inside]
        return result


def _nearest_of(
    background: np.ndarray, above: np.ndarray, below: np.ndarray, start: int
) -> np.ndarray:
    """Return the nearest background row of every pixel, NONE_BELOW where there is none."""
    rows = np.arange(start, start + len(background), dtype=np.int32)
    rows = rows.reshape(-1, *(1,) * (background.ndim - 1))
    before = np.where(background, rows, NONE_ABOVE)
    before[0] = np.maximum(before[0], above)
    np.maximum.accumulate(before, 0, out=before)
    behind = np.where(background, rows, NONE_BELOW)
    behind[-1] = np.minimum(behind[-1], below)
    behind[::-1] = np.minimum.accumulate(behind[::-1], 0)
    nearest = np.where(rows - before <= behind - rows, before, behind)
    nearest[(before == NONE_ABOVE) & (behind == NONE_BELOW)] = NONE_BELOW
    return nearest


def far_features(nearest: np.ndarray, block: Block, sampling: Sequence[float]) -> np.ndarray:
    """Return the coordinates of the nearest background of a tile's pixels, shape (axes, *tile).

    Parameters
    ----------
    nearest
        The nearest background row of the pixels in the tile's rows, from `ColumnTables`.
    block
        The block, whose region spans all that counts along the other axes.
    sampling
        Length of a pixel along each axis.
    """
    tile = [s.stop - s.start for s in block.tile]
    features = np.empty((len(tile), *tile), np.int32)
    step = max(1, CHUNK // max(1, prod(nearest.shape[1:])))
    for begin in range(0, len(nearest), step):
        part = nearest[begin : begin + step]
        rows = np.arange(begin, begin + len(part)) + block.tile[0].start
        rows = rows.reshape(-1, *(1,) * (part.ndim - 1))
        heights = np.where(part == NONE_BELOW, np.inf, ((part - rows) * sampling[0]) ** 2)
        features[:, begin : begin + step] = _descend(part, heights, block, sampling)
    return features


def _descend(
    rows: np.ndarray, heights: np.ndarray, block: Block, sampling: Sequence[float]
) -> np.ndarray:
    """Return the features of some rows, found along one further axis after the other."""
    coordinates = [rows]
    for axis in range(1, rows.ndim):
        span, whole = block.tile[axis], block.region[axis]
        wanted_span = slice(span.start - whole.start, span.stop - whole.start)
        chosen = lowest(np.moveaxis(heights, axis, -1), sampling[axis])[..., wanted_span]
        chosen = np.moveaxis(chosen, -1, axis)
        position = np.arange(span.start, span.stop).reshape(
            [-1 if i == axis else 1 for i in range(rows.ndim)]
        )
        index = np.maximum(chosen, 0)
        offsets = (index + whole.start - position) * sampling[axis]
        heights = np.take_along_axis(heights, index, axis) + offsets**2
        heights[chosen < 0] = np.inf
        coordinates = [np.take_along_axis(c, index, axis) for c in coordinates]
        coordinates.append(index + whole.start)
    return np.stack(coordinates)


def lowest(heights: np.ndarray, spacing: float) -> np.ndarray:
    """Return which parabola is the lowest at each position of every line; -1 where there is none.

    Parameters
    ----------
    heights
        The parabolas' heights at their own positions along the last axis; infinite: no parabola.
    spacing
        The distance between positions.
    """
    shape, count = heights.shape, heights.shape[-1]
    lines = heights.reshape(-1, count) / spacing**2
    members = np.zeros((len(lines), count), np.int32)
    starts = np.zeros((len(lines), count))
    tops = np.full(len(lines), -1)
    for position in range(count):
        pending = np.flatnonzero(np.isfinite(lines[:, position]))
        while len(pending):
            top = tops[pending]
            begins = np.full(len(pending), -np.inf)
            stacked = np.flatnonzero(top >= 0)
            rivals = members[pending[stacked], top[stacked]]
            begins[stacked] = _first_below(lines, pending[stacked], rivals, position)
            beaten = np.zeros(len(pending), bool)
            beaten[stacked] = begins[stacked] <= starts[pending[stacked], top[stacked]]
            ready = pending[~beaten]
            tops[ready] += 1
            members[ready, tops[ready]] = position
            starts[ready, tops[ready]] = begins[~beaten]
            pending = pending[beaten]
            tops[pending] -= 1
    return _spread(members, starts, tops).reshape(shape)


def _first_below(
    lines: np.ndarray, numbers: np.ndarray, rivals: np.ndarray, position: int
) -> np.ndarray:
    """Return the first position at which a parabola lies below those before it."""
    difference = lines[numbers, position] - lines[numbers, rivals]
    before = rivals.astype(np.float64)
    crossing = (difference + (position**2 - before**2)) / (2 * (position - before))
    return np.asarray(np.floor(crossing) + 1)


def _spread(members: np.ndarray, starts: np.ndarray, tops: np.ndarray) -> np.ndarray:
    """Return the member of every line that is in force at each position."""
    count = members.shape[1]
    order = np.arange(count)
    line, number = np.nonzero(order <= tops[:, None])
    begins = np.clip(starts[line, number], 0, count).astype(np.intp)
    in_force = np.zeros((len(members), count + 1), np.int32)
    np.add.at(in_force, (line, begins), 1)
    np.cumsum(in_force, axis=1, out=in_force)
    latest = in_force[:, :count] - 1
    chosen = np.take_along_axis(members, np.maximum(latest, 0), 1)
    return np.where(latest < 0, -1, chosen)
