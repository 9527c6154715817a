"""Pyramids: every level is half the one below in y and x, made from the pixels just written.

Images are averaged over the pixels that exist, exactly, and rounded once (half to even). Labels and
masks are never averaged, because the mean of two label ids is a third object: they keep the top
left pixel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from napari_tilewise.types import Array

SMALL = 1024
"""A level this long or shorter in y and x is the last."""


def level_shapes(shape: tuple[int, ...], axes: tuple[str, ...]) -> list[tuple[int, ...]]:
    """Return the shape of every level, the finest first.

    Parameters
    ----------
    shape
        Shape of the image.
    axes
        One letter per axis.
    """
    shapes = [shape]
    plane = [i for i, axis in enumerate(axes) if axis in "yx"]
    while any(shapes[-1][i] > SMALL for i in plane):
        shapes.append(tuple(-(-n // 2) if i in plane else n for i, n in enumerate(shapes[-1])))
    return shapes


def halve(block: Array, halved: tuple[bool, ...], *, average: bool) -> Array:
    """Return a block at half its length along some axes (an odd length is rounded up).

    Parameters
    ----------
    block
        Pixels of one level, starting at an even position along every halved axis.
    halved
        Which axes are halved.
    average
        Whether values may be averaged; otherwise every second value is taken.
    """
    if not average or block.dtype.kind not in "iufc":
        return np.ascontiguousarray(block[tuple(slice(None, None, 2 if h else 1) for h in halved)])
    # Repeating the last of an odd number makes its average the average of what exists.
    odd = [(0, n % 2 if h else 0) for n, h in zip(block.shape, halved, strict=True)]
    if any(after for _, after in odd):
        block = np.pad(block, odd, mode="edge")
    folded = [i for i, h in enumerate(halved) if h]
    if block.dtype.kind in "fc":
        wide = np.complex128 if block.dtype.kind == "c" else np.float64
        total = _pair_sums(block.astype(np.promote_types(wide, block.dtype), copy=False), folded)
        return np.asarray(total / 2 ** len(folded)).astype(block.dtype)
    if block.dtype.itemsize == 8:
        return _halve_widest(block, folded)
    sums = np.int32 if block.dtype.itemsize < 4 else np.int64
    return _rounded(_pair_sums(block, folded, sums), len(folded)).astype(block.dtype)


def _pair_sums(block: Array, axes: list[int], dtype: DTypeLike | None = None) -> Array:
    for axis in axes:
        even, odd = (
            block[tuple(slice(o, None, 2) if i == axis else slice(None) for i in range(block.ndim))]
            for o in (0, 1)
        )
        block = np.add(even, odd, dtype=dtype)
    return block


def _rounded(total: Array, bits: int) -> Array:
    """Divide sums by a power of two, half to even."""
    quotient, remainder = total >> bits, total & (2**bits - 1)
    half = 2 ** (bits - 1) if bits else 1
    up = (remainder > half) | ((remainder == half) & (quotient & 1 == 1))
    return np.asarray(quotient + up)


def _halve_widest(block: Array, axes: list[int]) -> Array:
    """Average 64-bit integers, whose sum would not fit: quotients and remainders apart."""
    bits = len(axes)
    quotients = _pair_sums(block >> bits, axes)
    remainders = _pair_sums(block & np.array(2**bits - 1, block.dtype), axes)
    whole, remainder = remainders >> bits, remainders & np.array(2**bits - 1, block.dtype)
    quotient = quotients + whole
    half = 2 ** (bits - 1) if bits else 1
    up = (remainder > half) | ((remainder == half) & (quotient & np.array(1, block.dtype) == 1))
    return np.asarray(quotient + up.astype(block.dtype))
