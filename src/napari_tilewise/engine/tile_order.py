"""Tiles are visited in bands, so that what neighbours share is still decoded when it is needed.

Row after row over the whole width, a wide image would push every chunk out of the cache before the
next row of tiles asks for it again. A band is as wide as the cache can hold.
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise.grid import Grid

WIDEST = 16
"""Tiles: a band that is wider hardly saves another chunk from being decoded twice."""


def banded(grid: Grid, width: int) -> list[tuple[int, ...]]:
    """Return all positions of a grid: the first axis fastest but one, the others in blocks.

    Within a band of `width` tiles along each trailing axis the order is raster order.
    """
    if len(grid.counts) < 2:
        return list(grid.positions())
    leading, *trailing = grid.counts
    order = []
    for starts in product(*(range(0, n, width) for n in trailing)):
        spans = [range(s, min(s + width, n)) for s, n in zip(starts, trailing, strict=True)]
        order += list(product(range(leading), *spans))
    return order


def band_width(tile: Sequence[int], itemsize: int, capacity: int) -> int:
    """Return how many tiles wide a band may be for a cache to hold three rows of its tiles."""
    bytes_per_tile = prod(tile) * itemsize
    trailing = max(1, len(tile) - 1)
    width = WIDEST
    while width > 1 and 3 * (width + 2) ** trailing * bytes_per_tile > capacity:
        width -= 1
    return width
