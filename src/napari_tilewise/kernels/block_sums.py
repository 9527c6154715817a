"""Sums and means of blocks: NumPy's order of summation, without a view of blocks.

Of a view of blocks NumPy adds up the pixels of a block's row in its pairwise order, and one such
row after the other. An image of one block from left to right is an exception: there the rows of
the block may be one.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from napari_tilewise.kernels.arrays import GREY, contiguous, integers, type_code
from napari_tilewise.kernels.footprint_windows import volume_sizes
from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.library import call
from napari_tilewise.kernels.threads import in_bands

_LONGEST_ROW = 128
"""Pixels of a row beyond which NumPy halves it."""
_MOST_ROWS = 257
"""Rows of a block whose 8-bit pixels add up to 16 bits."""


def _lengths(image: np.ndarray, block_size: Any) -> tuple[int, ...]:
    """Return the block's length along each axis; none where it is not clear."""
    sizes = block_size if isinstance(block_size, tuple) else (block_size,) * image.ndim
    if len(sizes) != image.ndim or not all(isinstance(n, (int, np.integer)) for n in sizes):
        return ()
    return tuple(map(int, sizes))


def _is_padded_alike(image: np.ndarray, lengths: tuple[int, ...], cval: Any) -> bool:
    """Return whether the value beyond the image is clear, where there is anything beyond it."""
    if not any(n % length for n, length in zip(image.shape, lengths, strict=True)):
        return True
    if image.dtype.kind == "f":
        return type(cval) in (int, float)
    if image.dtype.kind == "b":
        return cval is False or cval is True or (type(cval) is int and cval in (0, 1))
    limits = np.iinfo(image.dtype)
    is_whole = type(cval) is int or (type(cval) is float and cval.is_integer())
    return is_whole and limits.min <= cval <= limits.max


def _is_in_raster_order(image: np.ndarray) -> bool:
    """Return whether NumPy goes through the pixels of an image in raster order."""
    steps = zip(image.strides, image.shape, strict=True)
    spans = [(step, step * length) for step, length in steps]
    return image.flags.aligned and (
        image.flags.c_contiguous
        or (spans[-1][0] > 0 and all(step >= span for (step, _), (_, span) in pairwise(spans)))
    )


def _exact_for_blocks(image: np.ndarray, block_size: Any, cval: Any) -> bool:
    lengths = _lengths(image, block_size)
    if not (
        2 <= image.ndim <= 3
        and image.size > 0
        and (image.dtype in GREY or (image.dtype.kind in "bui" and image.dtype.itemsize <= 4))
        and image.dtype.isnative
        and len(lengths) == image.ndim
        and min(lengths) >= 1
        and lengths[-1] <= _LONGEST_ROW
        and prod(lengths[:-1]) <= _MOST_ROWS
    ):
        return False
    in_order = image.dtype.kind != "f" or (
        image.shape[-1] > lengths[-1] and _is_in_raster_order(image)
    )
    return in_order and _is_padded_alike(image, lengths, cval)


def _block_sums(image: np.ndarray, block_size: Any, cval: Any, *, mean: bool) -> np.ndarray:
    lengths = _lengths(image, block_size)
    pixels = contiguous(image)
    padded = any(n % length for n, length in zip(image.shape, lengths, strict=True))
    outside = np.array([cval if padded else 0]).astype(image.dtype)
    shape = tuple(-(-n // length) for n, length in zip(image.shape, lengths, strict=True))
    whole = np.uint64 if image.dtype.kind == "u" else np.int64
    dtype = image.dtype if image.dtype.kind == "f" else np.dtype(float if mean else whole)
    result = np.empty(shape, dtype)
    blocks = integers((1,) * (3 - image.ndim) + lengths)
    arguments = pixels, type_code(pixels.dtype), volume_sizes(pixels), blocks, outside, int(mean)

    def add(begin: int, end: int) -> None:
        call("block_sums", *arguments, begin, end, result)

    in_bands(add, prod(shape[:-1]), image.size)
    return result


# -- the functions ---------------------------------------------------------------------------------


def _exact_for_means(image: np.ndarray, factors: Any, cval: Any = 0, clip: Any = True) -> bool:
    return _exact_for_blocks(image, factors, cval)


def downscale_local_mean(
    image: np.ndarray, factors: Any, cval: Any = 0, clip: Any = True
) -> np.ndarray:
    """Return means of blocks, as `skimage.transform` does.

    Parameters
    ----------
    image, factors, cval, clip
        As in `skimage.transform.downscale_local_mean`.
    """
    return _block_sums(image, factors, cval, mean=True)


DOWNSCALE_LOCAL_MEAN = Kernel(
    "skimage.transform.downscale_local_mean", _exact_for_means, downscale_local_mean
)

_FUNCTIONS = {np.sum: partial(_block_sums, mean=False), np.mean: partial(_block_sums, mean=True)}
"""Those of the blocks that NumPy adds up."""


def _exact_for_reduction(
    image: np.ndarray,
    block_size: Any = 2,
    func: Any = np.sum,
    cval: Any = 0,
    func_kwargs: Any = None,
) -> bool:
    return (
        (func is np.sum or func is np.mean)
        and not func_kwargs
        and _exact_for_blocks(image, block_size, cval)
    )


def block_reduce(
    image: np.ndarray,
    block_size: Any = 2,
    func: Any = np.sum,
    cval: Any = 0,
    func_kwargs: Any = None,
) -> np.ndarray:
    """Return sums or means of blocks, as `skimage.measure` does.

    Parameters
    ----------
    image, block_size, func, cval, func_kwargs
        As in `skimage.measure.block_reduce`.
    """
    return _FUNCTIONS[func](image, block_size, cval)


BLOCK_REDUCE = Kernel("skimage.measure.block_reduce", _exact_for_reduction, block_reduce)
