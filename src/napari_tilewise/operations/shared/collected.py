"""Arrays that tiles contribute and that are joined once: the collection knows what it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


class Collected:
    """One tuple of arrays per tile, all tuples alike.

    Parameters
    ----------
    arrays
        The first tile's.
    overhead
        Bytes that each row of the first array will take beyond the arrays while it is made use of.
    """

    def __init__(self, *arrays: np.ndarray, overhead: int = 0) -> None:
        self._parts = [arrays]
        self.nbytes = sum(array.nbytes for array in arrays) + overhead * len(arrays[0])
        """What the engine compares with the memory set aside for gathered numbers."""

    def extend(self, other: Collected) -> Collected:
        """Take in what another tile contributed, and return itself: a gather's merge."""
        self._parts.extend(other._parts)
        self.nbytes += other.nbytes
        return self

    def clear(self, *empty: np.ndarray) -> None:
        """Forget all rows.

        Parameters
        ----------
        empty
            Arrays like the others, without rows.
        """
        self._parts, self.nbytes = [empty], 0

    def joined(self) -> Sequence[Any]:
        """Return the arrays of all tiles joined along their first axis, and forget the parts."""
        columns = list(zip(*self._parts, strict=True))
        self._parts = []
        return [np.concatenate(columns.pop(0)) for _ in range(len(columns))]
