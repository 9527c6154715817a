"""Collections of a million tiles: a count and a rule, or a byte for each, instead of objects."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import TYPE_CHECKING, TypeVar, overload

import numpy as np

from napari_tilewise.grid import Position

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")


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
        flags = self._room_for(position)
        self._count += not flags[position]
        flags[position] = True

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
            lengths = [
                n if p < n else max(p + 1, 2 * n)
                for p, n in zip(position, flags.shape, strict=True)
            ]
            larger = np.zeros(lengths, bool)
            larger[tuple(map(slice, flags.shape))] = flags
            flags = self._flags = larger
        return flags
