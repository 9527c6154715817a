"""A compiled kernel runs in a function's place wherever it gives the same bits.

An operation names in `Adapter.kernels` the functions that kernels stand for: its own, or those that
its passes call. The room of kernels is imported at the first such call, and says itself where its
library is missing or switched off; the function then runs.
"""

from __future__ import annotations

import math
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_tilewise.kernels import Kernel
    from napari_tilewise.types import AnyFunction

FEW_PIXELS = 2**18
"""Which NumPy looks at in less time than a kernel: 300 x 300 of float32 in 21 microseconds, not 47,
and 512 x 512 in 44, not 69, after a function that filled the processor's caches."""


class _Bits(NamedTuple):
    """How the numbers of a data type read as integers: all that are not finite are above."""

    unsigned: np.dtype
    signed: np.dtype
    infinity: int
    minus_infinity: int


def _bits(floats: type[np.floating]) -> _Bits:
    size = np.dtype(floats).itemsize
    unsigned, signed = np.dtype(f"u{size}"), np.dtype(f"i{size}")
    infinity, minus_infinity = np.array([np.inf, -np.inf], floats).view(unsigned).tolist()
    return _Bits(unsigned, signed, infinity, minus_infinity)


_BITS = {np.dtype(floats): _bits(floats) for floats in (np.float16, np.float32, np.float64)}


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
    return _has_finite_bits(image, floats)


def finite_check(image: np.ndarray) -> Callable[[np.ndarray], bool]:
    """Return `is_finite` for images of one shape and data type, with the fewest steps for each.

    Parameters
    ----------
    image
        One of them.
    """
    floats = _BITS.get(image.dtype)
    if floats is None or not 0 < image.size <= FEW_PIXELS:
        return is_finite
    return partial(_has_finite_bits, floats=floats)


def _has_finite_bits(image: np.ndarray, floats: _Bits) -> bool:
    # Of bits read as integers one maximum says it, or two where numbers are negative.
    largest = int(np.maximum.reduce(image.view(floats.unsigned), axis=None))
    if largest < floats.infinity:
        return True
    return (
        largest < floats.minus_infinity
        and int(np.maximum.reduce(image.view(floats.signed), axis=None)) < floats.infinity
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
    compute = kernel_for(path).computation(*args, **params)
    return function(*args, **params) if compute is None else compute()
