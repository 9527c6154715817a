"""A part of a TensorStore whose positions begin at 0, as NumPy's do, wherever its own begin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from napari_tilewise.types import Array


class ViewFromZero:
    """An array with a domain, whose first position along each axis is called 0.

    Parameters
    ----------
    array
        The array; its `domain.origin` is its first position.
    """

    def __init__(self, array: Any) -> None:
        self.array = array
        """The array, with its own positions."""
        self.origin = tuple(int(n) for n in array.domain.origin)
        """Its first position along each axis."""
        self.shape = tuple(int(n) for n in array.shape)
        self.dtype = array.dtype

    def __getitem__(self, region: tuple[slice, ...]) -> Array:
        bounds = (span.indices(n) for span, n in zip(region, self.shape, strict=True))
        moved = (
            slice(start + first, stop + first)
            for (start, stop, _), first in zip(bounds, self.origin, strict=True)
        )
        return np.asarray(self.array[tuple(moved)])


def from_zero(array: Any) -> Any:
    """Return an array whose positions begin at 0.

    Parameters
    ----------
    array
        Any array; one without a domain, or with one that begins at 0, is returned as it is.
    """
    origin = getattr(getattr(array, "domain", None), "origin", ())
    return ViewFromZero(array) if any(origin) else array
