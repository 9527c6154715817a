"""Every n-th pixel of an array, read as the view is sliced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise.grid import Region
    from napari_tilewise.types import Array


class StridedView:
    """Every n-th pixel of an array, along each axis.

    Parameters
    ----------
    array
        Anything with shape, dtype and slicing.
    steps
        The step from one pixel to the next, along each axis.
    """

    def __init__(self, array: Any, steps: Sequence[int]) -> None:
        self._array, self._steps = array, tuple(steps)
        self.dtype = np.dtype(array.dtype)
        lengths = zip(np.shape(array), self._steps, strict=True)
        self.shape = tuple(-(-length // step) for length, step in lengths)
        self.ndim = len(self.shape)

    def view(self) -> Any:
        """Return the pixels of an array in memory, without a copy."""
        return self._array[tuple(slice(None, None, step) for step in self._steps)]

    def __getitem__(self, region: Region) -> Array:
        """Return a box."""
        spans = zip(region, self._steps, strict=True)
        box = tuple(slice(s.start * step, (s.stop - 1) * step + 1) for s, step in spans)
        pixels = np.asarray(self._array[box])
        return pixels[tuple(slice(None, None, step) for step in self._steps)]
