"""Rows that tiles contribute, joined some hundreds of parts at a time: empty ones take nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.grid import Position

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PARTS = 256
"""Parts that are joined into one: an array takes a hundred bytes beside its numbers."""
LARGE = 2**16
"""Bytes from which on a part is left as it is."""
FEW = 1024
"""Numbers of tiles that are held one by one; more are an array."""


class GatheredRows:
    """Arrays that grow by rows.

    Parameters
    ----------
    arrays
        The first rows.
    """

    def __init__(self, *arrays: np.ndarray) -> None:
        self._parts: list[tuple[np.ndarray, ...]] = [arrays]
        self._is_joined = 1
        """Number of parts at the beginning that are large, or joined already."""

    def append(self, *arrays: np.ndarray) -> None:
        """Add rows.

        Parameters
        ----------
        arrays
            As many as the first rows have.
        """
        if not any(map(len, arrays)) and _dtypes(arrays) == _dtypes(self._parts[0]):
            return
        self._parts.append(arrays)
        if len(self._parts) - self._is_joined >= PARTS:
            self._join()

    def extend(self, other: GatheredRows) -> None:
        """Add the rows of another.

        Parameters
        ----------
        other
            Not to be used any more.
        """
        for arrays in other._parts:
            self.append(*arrays)

    def columns(self) -> list[np.ndarray]:
        """Return the arrays, joined one after the other, and forget the parts."""
        columns: list[Any] = list(zip(*self._parts, strict=True))
        self._parts = []
        return [np.concatenate(columns.pop(0)) for _ in range(len(columns))]

    def _join(self) -> None:
        """Join the small ones among the last parts with their neighbours."""
        begin = self._is_joined
        recent, self._parts[begin:] = self._parts[begin:], []
        small: list[tuple[np.ndarray, ...]] = []
        for arrays in recent:
            if sum(array.nbytes for array in arrays) >= LARGE:
                self._parts += [*_joined(small), arrays]
                small = []
            else:
                small.append(arrays)
        self._parts += _joined(small)
        self._is_joined = len(self._parts)


def _dtypes(arrays: Sequence[np.ndarray]) -> list[np.dtype[Any]]:
    return [array.dtype for array in arrays]


def _joined(parts: Sequence[tuple[np.ndarray, ...]]) -> list[tuple[np.ndarray, ...]]:
    return [tuple(map(np.concatenate, zip(*parts, strict=True)))] if parts else []


class TileNumbers(Mapping[Position, int]):
    """A number for each of some tiles of a grid: eight bytes each, where they are many.

    Parameters
    ----------
    counts
        Number of tiles along each axis.
    """

    def __init__(self, counts: Sequence[int]) -> None:
        self._counts = tuple(counts)
        self._few: dict[Position, int] = {}
        self._array: np.ndarray | None = None
        """The numbers, each larger by one; 0: none."""
        self._length = 0

    def __getitem__(self, position: Position) -> int:
        if self._array is None:
            return self._few[position]
        number = int(self._array[position])
        if not number:
            raise KeyError(position)
        return number - 1

    def __setitem__(self, position: Position, number: int) -> None:
        self._length += position not in self
        if self._array is not None:
            self._array[position] = number + 1
            return
        self._few[position] = number
        if len(self._few) > FEW:
            # Zeros take no memory before something else is written beside them.
            self._array = np.zeros(self._counts, np.int64)
            for tile, tile_number in self._few.items():
                self._array[tile] = tile_number + 1
            self._few = {}

    def __contains__(self, position: object) -> bool:
        if self._array is None:
            return position in self._few
        return isinstance(position, tuple) and bool(self._array[position])

    def __iter__(self) -> Iterator[Position]:
        if self._array is None:
            return iter(self._few)
        return (tuple(map(int, row)) for row in np.argwhere(self._array))

    def __len__(self) -> int:
        return self._length
