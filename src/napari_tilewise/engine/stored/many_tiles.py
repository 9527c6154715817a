"""Collections of a million tiles: a count and a rule, or a byte for each, instead of objects."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Set
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.grid import LazySequence, Position

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_MOST_AXES = 32
"""Axes of a grid; NumPy's arrays have 64 at most."""


class PositionSet(Set[Position]):
    """Positions of one grid, in a byte each; it grows with the largest of them.

    Parameters
    ----------
    positions
        Positions to begin with.
    """

    def __init__(self, positions: Iterable[Position] = ()) -> None:
        self._flags: np.ndarray | None = None
        self._count = 0
        for position in positions:
            self.add(position)

    def add(self, position: Position) -> None:
        """Add a position.

        Parameters
        ----------
        position
            Its number along each axis.
        """
        flags = self._flags
        try:
            is_there = flags is not None and len(position) == flags.ndim and flags[position]
        except IndexError:  # it is beyond the largest
            is_there = False
        if not is_there:
            self._room_for(position)[position] = True
            self._count += 1

    def bytes_with(self, position: Position) -> int | None:
        """Return the bytes that it takes with a position; None for one of another grid.

        Parameters
        ----------
        position
            Its number along each axis.
        """
        shape = (0,) * len(position) if self._flags is None else self._flags.shape
        is_of_grid = len(shape) == len(position) <= _MOST_AXES
        if not is_of_grid or min(position, default=0) < 0:
            return None
        return prod(_lengths(shape, position))

    def clear(self) -> None:
        """Remove all positions."""
        self._flags, self._count = None, 0

    def __contains__(self, position: object) -> bool:
        flags = self._flags
        if flags is None or not isinstance(position, tuple) or len(position) != flags.ndim:
            return False
        inside = all(p < n for p, n in zip(position, flags.shape, strict=True))
        return inside and bool(flags[position])

    def __iter__(self) -> Iterator[Position]:
        done = () if self._flags is None else zip(*np.nonzero(self._flags), strict=True)
        return (tuple(map(int, position)) for position in done)

    def __len__(self) -> int:
        return self._count

    def _room_for(self, position: Position) -> np.ndarray:
        flags = self._flags
        if flags is None:
            flags = self._flags = np.zeros([p + 1 for p in position], bool)
        if any(p >= n for p, n in zip(position, flags.shape, strict=True)):
            larger = np.zeros(_lengths(flags.shape, position), bool)
            larger[tuple(map(slice, flags.shape))] = flags
            flags = self._flags = larger
        return flags


def _lengths(shape: tuple[int, ...], position: Position) -> list[int]:
    """Return the lengths to which flags of a shape grow for a position."""
    return [n if p < n else max(p + 1, 2 * n) for p, n in zip(position, shape, strict=True)]


class TileVersions(Mapping[Position, int]):
    """A number for some tiles of a grid, in four bytes each.

    Parameters
    ----------
    counts
        Number of tiles along each axis.
    """

    def __init__(self, counts: Sequence[int]) -> None:
        # Zeros take no memory before something else is written beside them.
        self.array = np.zeros(tuple(counts), np.int32)
        """The numbers, each larger by one; 0: none."""

    def __getitem__(self, position: Position) -> int:
        number = int(self.array[position])
        if not number:
            raise KeyError(position)
        return number - 1

    def __setitem__(self, position: Position, number: int) -> None:
        self.array[position] = number + 1

    def __iter__(self) -> Iterator[Position]:
        return map(as_position, np.argwhere(self.array))

    def __len__(self) -> int:
        return int(np.count_nonzero(self.array))

    def update(self, numbers: Mapping[Position, int] | np.ndarray) -> None:
        """Take numbers of tiles.

        Parameters
        ----------
        numbers
            By position, or those of all tiles as `array` has them.
        """
        if isinstance(numbers, np.ndarray):
            np.copyto(self.array, numbers, where=numbers > 0)
            return
        for position, number in numbers.items():
            self[position] = number

    def clear(self) -> None:
        """Remove all numbers."""
        self.array = np.zeros_like(self.array)


def as_position(row: Iterable[int]) -> Position:
    """Return a row of an array of positions.

    Parameters
    ----------
    row
        A number along each axis.
    """
    return tuple(map(int, row))


def positions_of(rows: Sequence[Iterable[int]] | np.ndarray) -> Sequence[Position]:
    """Return the positions in the rows of an array, each made when it is asked for.

    Parameters
    ----------
    rows
        A number along each axis, in each row.
    """
    return LazySequence(len(rows), lambda number: as_position(rows[number]))


def not_done(items: Sequence[Position], done: Set[Position]) -> Sequence[Position]:
    """Return the items that are not done, in order: eight bytes for each that is.

    Parameters
    ----------
    items
        Positions, each once. They are looked at up to the last that is done.
    done
        The positions that are done.
    """
    numbers = array("q")
    for number, item in enumerate(items):
        if len(numbers) == len(done):
            break
        if item in done:
            numbers.append(number)
    if not numbers:
        return items
    before = np.asarray(numbers) - np.arange(len(numbers))  # how many are not done before each

    def item_of(number: int) -> Position:
        return items[number + int(np.searchsorted(before, number, side="right"))]

    return LazySequence(len(items) - len(numbers), item_of)
