"""Medians and means over windows: exchange networks, sliding histograms, sums of runs."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from napari_tilewise.kernels.arrays import (
    GREY,
    MODES,
    as_grey,
    contiguous,
    delivered,
    from_grey,
    result_array,
    type_code,
)
from napari_tilewise.kernels.footprint_windows import (
    FootprintWindow,
    filter_bands,
    has_nan,
    holds,
    volume_sizes,
    window_suits,
)
from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.library import call

_LARGEST_NETWORK = 130
"""Pixels of a footprint, for floating-point images."""
_COUNTED = tuple(np.dtype(name) for name in ("u1", "u2", "i1", "i2", "?"))
"""Data types whose levels a histogram has bins for."""
_LARGEST_SMALL = 50
"""Pixels of a footprint from which a histogram is faster than the network."""


@lru_cache(maxsize=64)
def exchanges(count: int, rank: int) -> np.ndarray:
    """Return the exchanges that bring the value of a rank among others to its place.

    Batcher's merge exchange sort [1]_, without the exchanges that nothing of this rank depends on.

    Parameters
    ----------
    count
        Number of values.
    rank
        Of the value, from 0.

    Returns
    -------
    numpy.ndarray
        Pairs of places, shape (n, 2).

    References
    ----------
    .. [1] D. E. Knuth, The Art of Computer Programming, volume 3, 5.2.2, algorithm M.
    """
    pairs = []
    top = 1 << max(0, (count - 1).bit_length() - 1)
    p = top
    while p > 0:
        q, r, d = top, 0, p
        while True:
            pairs += [(i, i + d) for i in range(count - d) if i & p == r]
            if q == p:
                break
            d, q, r = q - p, q >> 1, p
        p >>= 1
    needed, steps = {rank}, []
    for low, high in reversed(pairs):
        if low in needed or high in needed:
            needed |= {low, high}
            steps.append((low, high))
    return np.array(steps[::-1], np.int64).reshape(-1, 2)


def rank_filter(
    image: np.ndarray,
    window: FootprintWindow,
    rank: int,
    *,
    mode: str,
    cval: float = 0.0,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Return the value of a rank in every window.

    Parameters
    ----------
    image
        uint8, uint16, float32 or float64, without NaN.
    window
        The window.
    rank
        From 0.
    mode
        Border mode in ndimage's spelling.
    cval
        Beyond the border, for ``mode="constant"``.
    out
        Where to write the result.
    """
    image = contiguous(image)
    target = result_array(image.shape, image.dtype, out)
    if np.may_share_memory(target, image):
        target = np.empty_like(image)
    code, sizes, border = type_code(image.dtype), volume_sizes(image), (MODES[mode], float(cval))
    count = len(window.offsets)
    steps: tuple[Any, ...]
    if count <= _LARGEST_SMALL or image.dtype.kind == "f":
        pairs = exchanges(count, rank)
        name, steps = "network", (window.offsets, count, pairs, len(pairs), rank)
    else:
        name, steps = "rank", (window.runs, len(window.runs), rank)
    pixels = (image, None, target) if name == "rank" else (image, target)

    def filter_band(band: np.ndarray) -> None:
        call(name, *pixels, code, sizes, window.reach, *steps, *border, band)

    filter_bands(filter_band, image)
    return delivered(target, out)


# -- filters.median --------------------------------------------------------------------------------


def _median_footprint(image: np.ndarray, footprint: Any) -> np.ndarray:
    if footprint is None:
        return np.ones((3,) * image.ndim, bool)
    return np.asarray(footprint)


def is_writable(image: np.ndarray, out: np.ndarray | None) -> bool:
    """Return whether the pixels of a result may be written into an array, if there is one.

    Parameters
    ----------
    image
        The image, which the result is like.
    out
        The array.
    """
    return out is None or (out.dtype == image.dtype and out.shape == image.shape)


def _exact_for_median(
    image: np.ndarray,
    footprint: Any = None,
    out: np.ndarray | None = None,
    mode: str = "nearest",
    cval: float = 0.0,
    behavior: str = "ndimage",
) -> bool:
    footprint = _median_footprint(image, footprint)
    return behavior == "ndimage" and has_ranks(image, footprint, out, mode, cval)


def has_ranks(
    image: np.ndarray, footprint: Any, out: np.ndarray | None, mode: Any, cval: float
) -> bool:
    """Return whether a value of any rank in windows is what the kernels return.

    Parameters
    ----------
    image
        The image; its NaN are looked for.
    footprint
        The window.
    out
        Where the result is written, if it is given.
    mode, cval
        What lies beyond the image, by SciPy's names.
    """
    if not isinstance(mode, str) or mode not in MODES:
        return False
    if not window_suits(image, footprint, mode):
        return False
    if image.ndim == 1:  # SciPy's filter along a line knows no holes
        return False
    taps = int(np.count_nonzero(footprint))
    if image.dtype not in _COUNTED and taps > _LARGEST_NETWORK:
        return False
    if mode == "constant" and not _holds(image.dtype, cval):
        return False
    return is_writable(image, out) and not has_nan(image)


def _holds(dtype: np.dtype, value: float) -> bool:
    """Return whether a data type holds a value; booleans hold two."""
    return value in (0, 1) if dtype == np.bool_ else holds(dtype, value)


def median(
    image: np.ndarray,
    footprint: Any = None,
    out: np.ndarray | None = None,
    mode: str = "nearest",
    cval: float = 0.0,
    behavior: str = "ndimage",
) -> np.ndarray:
    """Return the local median, as `skimage.filters.median` does.

    Parameters
    ----------
    image, footprint, out, mode, cval, behavior
        As there.
    """
    window = FootprintWindow.of(_median_footprint(image, footprint))
    return ranked(image, window, len(window.offsets) // 2, (mode, cval), out)


def ranked(
    image: np.ndarray,
    window: FootprintWindow,
    rank: int,
    border: tuple[str, float],
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Return the value of a rank in every window, of images of any ordered data type.

    Parameters
    ----------
    image
        The image.
    window
        The footprint.
    rank
        The rank among the pixels of a window, from 0.
    border
        What lies beyond the image: the mode by SciPy's name, and the value of a constant.
    out
        Where the result is written, if it is given.
    """
    (mode, cval), dtype = border, image.dtype
    if dtype in GREY:
        return rank_filter(image, window, rank, mode=mode, cval=cval, out=out)
    level = float(as_grey(np.array([cval], dtype))[0]) if mode == "constant" else 0.0
    levels = rank_filter(as_grey(image), window, rank, mode=mode, cval=level)
    return delivered(from_grey(levels, dtype), out)


MEDIAN = Kernel("skimage.filters.median", _exact_for_median, median)
