"""Arrays that tiles contribute and that are joined once: the collection knows what it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_tilewise.operations.shared.gathered_rows import GatheredRows

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np


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
        self._rows = GatheredRows(*arrays)
        self.nbytes = sum(array.nbytes for array in arrays) + overhead * len(arrays[0])
        """What the engine compares with the memory set aside for gathered numbers."""

    def extend(self, other: Collected) -> Collected:
        """Take in what another tile contributed, and return itself: a gather's merge."""
        self._rows.extend(other._rows)
        self.nbytes += other.nbytes
        return self

    def clear(self, *empty: np.ndarray) -> None:
        """Forget all rows.

        Parameters
        ----------
        empty
            Arrays like the others, without rows.
        """
        self._rows, self.nbytes = GatheredRows(*empty), 0

    def joined(self) -> Sequence[Any]:
        """Return the arrays of all tiles joined along their first axis, and forget the parts."""
        return self._rows.columns()
