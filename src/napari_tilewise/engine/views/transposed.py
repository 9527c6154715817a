"""An array with its axes in another order, which is transposed as it is sliced."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.types import native_dtype

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise.types import Array, ArrayLike


class TransposedView:
    """An array with its axes in another order, which is transposed as it is sliced.

    Parameters
    ----------
    array
        The array.
    order
        The array's axis that becomes each axis, as for `numpy.transpose`.
    """

    def __init__(self, array: ArrayLike, order: Sequence[int]) -> None:
        self._array, self.order = array, tuple(order)
        self.shape = tuple(array.shape[i] for i in self.order)
        self.dtype = native_dtype(array.dtype)
        chunks = getattr(array, "chunks", None)
        self.chunks = None if chunks is None else tuple(chunks[i] for i in self.order)
        self.ndim = len(self.order)

    @property
    def waits(self) -> bool | None:
        """Whether reading waits; None: unknown."""
        return getattr(self._array, "waits", None)

    def __getitem__(self, region: tuple[slice, ...]) -> Array:
        source_region = tuple(region[self.order.index(axis)] for axis in range(len(self.order)))
        return np.asarray(self._array[source_region]).transpose(self.order)
