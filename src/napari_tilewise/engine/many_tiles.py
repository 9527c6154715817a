"""Collections of a million tiles: a count and a rule, or a byte for each, instead of objects."""

from __future__ import annotations

from array import array
from collections.abc import Set
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.grid import LazySequence, Position

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


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
