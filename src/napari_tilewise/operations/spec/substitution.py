"""A compiled kernel runs in a function's place wherever it gives the same bits.

An operation names in `Adapter.kernels` the functions that kernels stand for: its own, or those that
its passes call. The room of kernels is imported at the first such call, and says itself where its
library is missing or switched off; the function then runs.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from napari_tilewise.kernels import Kernel
    from napari_tilewise.types import AnyFunction

FEW_PIXELS = 2**16
"""Which NumPy looks at before a kernel would begin."""


class _Bits(NamedTuple):
    """How the numbers of a data type read as integers: all that are not finite are above."""

    unsigned: str
    signed: str
    infinity: int
    minus_infinity: int


_BITS = {
    np.dtype(np.float16): _Bits("u2", "i2", 0x7C00, 0xFC00),
    np.dtype(np.float32): _Bits("u4", "i4", 0x7F800000, 0xFF800000),
    np.dtype(np.float64): _Bits("u8", "i8", 0x7FF0000000000000, 0xFFF0000000000000),
}


@cache
def kernel_for(path: str) -> Kernel:
    """Return the kernel that stands for a function.

    Parameters
    ----------
    path
        The function's dotted path, such as ``skimage.filters.gaussian``.

    Raises
    ------
    KeyError
        Where there is none.
    """
    from napari_tilewise.kernels import KERNELS

    return KERNELS[path]


def instruction_set() -> str | None:
    """Return the instruction set that kernels use, None where none runs."""
    from napari_tilewise.kernels import level

    return level()


def accepts(path: str, *args: Any, **params: Any) -> bool:
    """Return whether the kernel that stands for a function is exact for a call of it.

    Parameters
    ----------
    path
        The function's dotted path.
    *args, **params
        Its arguments, the pixels first.
    """
    return kernel_for(path).accepts(*args, **params)


def is_finite(image: np.ndarray) -> bool:
    """Return whether an image holds neither NaN nor infinity.

    Parameters
    ----------
    image
        Of any data type.
    """
    if image.dtype.kind != "f":
        return True
    is_many = image.size > FEW_PIXELS and image.dtype.itemsize in (4, 8)
    if is_many and instruction_set() is not None:
        from napari_tilewise.kernels.footprint_windows import is_moderate

        return is_moderate(image, math.inf)
    floats = _BITS.get(image.dtype)
    if floats is None or not image.size:
        return bool(np.isfinite(image).all())
    # Of bits read as integers one maximum says it, or two where numbers are negative.
    largest = int(image.view(floats.unsigned).max())
    if largest < floats.infinity:
        return True
    return (
        largest < floats.minus_infinity and int(image.view(floats.signed).max()) < floats.infinity
    )


def run_fastest(path: str, function: AnyFunction, *args: Any, **params: Any) -> Any:
    """Run the kernel that stands for a function where it is exact, otherwise the function.

    Parameters
    ----------
    path
        The function's dotted path.
    function
        The function.
    *args, **params
        Its arguments, the pixels first.
    """
    if accepts(path, *args, **params):
        return kernel_for(path).run(*args, **params)
    return function(*args, **params)
