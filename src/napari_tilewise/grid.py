"""A tile grid owns its cuts: equal tiles from the origin, a ragged last one, nothing rechunked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod
from typing import TYPE_CHECKING, TypeAlias, TypeVar, overload

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

Region: TypeAlias = tuple[slice, ...]
"""A box of pixels: one ``slice(start, stop)`` per axis, absolute image coordinates."""

Position: TypeAlias = tuple[int, ...]
"""Where a tile is in a grid: its number along each axis."""

Halo: TypeAlias = tuple[tuple[int, int], ...]
"""Pixels of true neighbours needed before and after, per axis."""


@dataclass(frozen=True)
class Grid:
    """The tiles of an image: `tile` pixels long along each axis, cut at the image's end."""

    shape: tuple[int, ...]
    tile: tuple[int, ...]

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """Number of tiles along each axis."""
        return tuple(-(-n // t) for n, t in zip(self.shape, self.tile, strict=True))

    def __len__(self) -> int:
        """Return the number of tiles."""
        return prod(self.counts)

    def chunks(self) -> tuple[tuple[int, ...], ...]:
        """Return the tile lengths per axis, as dask spells a grid."""
        return tuple(
            (t,) * (n // t) + ((n % t,) if n % t or not n else ())
            for n, t in zip(self.shape, self.tile, strict=True)
        )

    def region(self, position: tuple[int, ...]) -> Region:
        """Return the box of the tile at a position of the grid."""
        # Of a list: a generator would take half as long again, which every tile pays several times.
        lengths = zip(position, self.tile, self.shape, strict=True)
        return tuple(
            [slice(p * t, stop if (stop := (p + 1) * t) < n else n) for p, t, n in lengths]
        )

    def position_of(self, region: Region) -> Position | None:
        """Return the position of the tile that is a box; None where a box is no tile, or empty.

        Parameters
        ----------
        region
            The box.
        """
        position = []
        for span, t, n in zip(region, self.tile, self.shape, strict=True):
            p, offset = divmod(span.start, t)
            stop = span.start + t
            if offset or span.start >= n or span.stop != (stop if stop < n else n):
                return None
            position.append(p)
        return tuple(position)

    def index(self, position: tuple[int, ...]) -> int:
        """Return the raster number of a position."""
        number = 0
        for p, n in zip(position, self.counts, strict=True):
            number = number * n + p
        return number

    def position(self, number: int) -> tuple[int, ...]:
        """Return the position of a raster number."""
        position = []
        for n in reversed(self.counts):
            number, p = divmod(number, n)
            position.append(p)
        return tuple(reversed(position))

    def positions(self) -> Iterator[tuple[int, ...]]:
        """Yield every position in raster order."""
        return product(*map(range, self.counts))

    def regions(self) -> Sequence[Region]:
        """Return the box of every tile in raster order, each made when it is asked for."""
        return LazySequence(len(self), lambda number: self.region(self.position(number)))

    def covering(self, region: Region) -> Iterator[tuple[int, ...]]:
        """Yield, in raster order, the positions whose tiles meet a (non-empty) region."""
        return product(
            *[
                range(s.start // t, (s.stop - 1) // t + 1)
                for s, t in zip(region, self.tile, strict=True)
            ]
        )


def whole(shape: tuple[int, ...]) -> Region:
    """Return the region that is the whole image."""
    return tuple(slice(0, n) for n in shape)


def extent(region: Region) -> tuple[int, ...]:
    """Return a region's shape."""
    return tuple([s.stop - s.start for s in region])


def size(region: Region) -> int:
    """Return a region's number of pixels."""
    return prod(extent(region))


def grow(region: Region, halo: Halo) -> Region:
    """Return a region with a halo around it, not clipped."""
    return tuple(slice(s.start - lo, s.stop + hi) for s, (lo, hi) in zip(region, halo, strict=True))


def clip(region: Region, shape: tuple[int, ...]) -> Region:
    """Return the part of a region that lies inside the image."""
    return tuple(slice(max(s.start, 0), min(s.stop, n)) for s, n in zip(region, shape, strict=True))


def align(region: Region, multiple: tuple[int, ...]) -> Region:
    """Return a region grown outward to multiples of a length anchored at the image's origin."""
    return tuple(
        slice(s.start // m * m, -(-s.stop // m) * m) for s, m in zip(region, multiple, strict=True)
    )


def within(region: Region, outer: Region) -> Region:
    """Return a region in the coordinates of a region that holds it."""
    pairs = zip(region, outer, strict=True)
    return tuple([slice(s.start - o.start, s.stop - o.start) for s, o in pairs])


def intersect(a: Region, b: Region) -> Region:
    """Return the box common to two regions (empty slices where there is none)."""
    return tuple(
        slice(max(p.start, q.start), max(max(p.start, q.start), min(p.stop, q.stop)))
        for p, q in zip(a, b, strict=True)
    )


def wrapped(region: Region, shape: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """Return, per axis, the indices of a region folded periodically into the image."""
    return tuple(np.arange(s.start, s.stop) % n for s, n in zip(region, shape, strict=True))


def format_region(region: Region) -> str:
    """Return a box as ``[0:512, 512:1024]``."""
    return "[" + ", ".join(f"{s.start}:{s.stop}" for s in region) + "]"


class LazySequence(Sequence[T]):
    """Items that are made when they are asked for.

    Parameters
    ----------
    count
        Number of items.
    item
        Returns the item of a number, from 0.
    first
        The number of the first item.
    """

    def __init__(self, count: int, item: Callable[[int], T], first: int = 0) -> None:
        self._count = count
        self._item = item
        self._first = first

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[T]:
        return map(self._item, range(self._first, self._first + self._count))

    @overload
    def __getitem__(self, number: int) -> T: ...

    @overload
    def __getitem__(self, number: slice) -> Sequence[T]: ...

    def __getitem__(self, number: int | slice) -> T | Sequence[T]:
        """Return an item, or those from a start to a stop."""
        numbers = range(self._count)[number]
        if isinstance(numbers, int):
            return self._item(self._first + numbers)
        if numbers.step == 1:
            return LazySequence(len(numbers), self._item, self._first + numbers.start)
        return [self._item(self._first + n) for n in numbers]
