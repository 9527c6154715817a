"""Tiles are visited in bands, so that what neighbours share is still decoded when it is needed.

Row after row over the whole width, a wide image would push every chunk out of the cache before the
next row of tiles asks for it again. A band is as wide as the cache can hold.
"""

from __future__ import annotations

from functools import partial
from math import prod
from typing import TYPE_CHECKING

from napari_tilewise.grid import LazySequence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise.grid import Grid, Position

WIDEST = 16
"""Tiles: a band that is wider hardly saves another chunk from being decoded twice."""


def banded(grid: Grid, width: int) -> Sequence[Position]:
    """Return all positions of a grid: the first axis fastest but one, the others in blocks.

    Within a band of `width` tiles along each trailing axis the order is raster order. Positions
    are made as they are visited, so that their number does not matter.
    """
    if len(grid.counts) < 2:
        return LazySequence(len(grid), grid.position)
    return LazySequence(len(grid), partial(_banded_position, grid.counts, width))


def _banded_position(counts: Sequence[int], width: int, number: int) -> Position:
    """Return the position of a number in banded order."""
    leading, *trailing = counts
    starts, lengths = [], [leading]
    rest = prod(trailing)
    for count in trailing:
        rest //= count
        band = prod(lengths) * rest  # tiles of a band that is one tile wide
        start = number // (band * width) * width
        number -= start * band
        starts.append(start)
        lengths.append(min(width, count - start))
    within = []
    for length in reversed(lengths):
        number, offset = divmod(number, length)
        within.append(offset)
    return tuple(a + b for a, b in zip((0, *starts), reversed(within), strict=True))


def band_width(tile: Sequence[int], itemsize: int, capacity: int) -> int:
    """Return how many tiles wide a band may be for a cache to hold three rows of its tiles."""
    bytes_per_tile = prod(tile) * itemsize
    trailing = max(1, len(tile) - 1)
    width = WIDEST
    while width > 1 and 3 * (width + 2) ** trailing * bytes_per_tile > capacity:
        width -= 1
    return width
