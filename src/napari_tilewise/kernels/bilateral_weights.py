"""The bilateral filter of grey images; constant ones stay as they are."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.util import img_as_float

from napari_tilewise.kernels.arrays import contiguous, integers, type_code
from napari_tilewise.kernels.counted_levels import is_constant
from napari_tilewise.kernels.footprint_windows import is_moderate
from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.library import call, rounds_alike
from napari_tilewise.kernels.threads import in_bands

if TYPE_CHECKING:
    from collections.abc import Callable

_FLOATS = (np.dtype("f4"), np.dtype("f8"))
_KNOWN = (*_FLOATS, *map(np.dtype, ("u1", "u2", "u4", "i1", "i2", "i4")))
_MOST = {np.dtype("f4"): 1e3, np.dtype("f8"): 1e10}
"""Levels whose differences have bins that their integers hold; shifted integers are large."""
_MODES = {"constant": 4, "edge": 0, "symmetric": 2, "reflect": 3, "wrap": 1}


def is_bilateral(image: np.ndarray, size: int, bins: int, mode: str, cval: float) -> bool:
    """Return whether `bilateral_filtered` has the function's bits.

    Parameters
    ----------
    image, bins, mode, cval
        As in `skimage.restoration.denoise_bilateral`.
    size
        Length of the window.
    """
    return (
        image.dtype in _FLOATS
        and image.ndim == 2
        and _is_known(image.shape, size, bins, mode, cval)
        and is_moderate(image, _MOST[image.dtype])
    )


def _is_known(shape: tuple[int, ...], size: int, bins: int, mode: str, cval: float) -> bool:
    """Return whether all but the pixels allows the function's bits."""
    return (
        min(shape) > 1  # one row or column comes back without its axis
        and mode in _MODES
        and (mode in ("constant", "edge") or min(shape) > size // 2 + 1)
        and abs(cval) < 1e3
        and 0 < bins < 2**24
        and rounds_alike()
        and size % 2 == 1
    )


def _has_known_levels(dtype: np.dtype, lowest: Any, highest: Any) -> bool:
    """Return whether weights are defined for a range, and exact: not for NaN and infinity."""
    if dtype.kind == "i":  # the function subtracts in the data type
        return int(highest) - int(lowest) <= np.iinfo(dtype).max
    return dtype.kind == "u" or bool(-_MOST[dtype] < lowest and highest < _MOST[dtype])


def _size(win_size: int | None, sigma_spatial: float) -> int:
    return max(5, 2 * ceil(3 * sigma_spatial) + 1) if win_size is None else int(win_size)


def _weights(values: np.ndarray, sigma: Any, dtype: Any) -> np.ndarray:
    weights: np.ndarray = np.exp(-0.5 * (values**2 / sigma**2), dtype=dtype)
    return weights


def _look(
    image: np.ndarray,
    win_size: int | None = None,
    sigma_color: float | None = None,
    sigma_spatial: float = 1,
    bins: int = 10000,
    mode: str = "constant",
    cval: float = 0,
    *,
    channel_axis: int | None = None,
) -> Callable[[], np.ndarray] | None:
    """Return what denoises an image as `skimage.restoration.denoise_bilateral` does."""
    if channel_axis is not None or image.ndim != 2 or min(image.shape) < 2:
        return None
    if image.dtype.kind in "buif" and is_constant(image):
        return image.copy
    size = _size(win_size, sigma_spatial)
    if image.dtype not in _KNOWN or not _is_known(image.shape, size, bins, mode, cval):
        return None
    lowest, highest = image.min(), image.max()
    if not _has_known_levels(image.dtype, lowest, highest):
        return None
    sigmas, border = (sigma_color, sigma_spatial), (mode, cval)
    return lambda: _denoised(image, (lowest, highest), size, sigmas, bins, border)


def _denoised(
    image: np.ndarray,
    ends: tuple[Any, Any],
    size: int,
    sigmas: tuple[float | None, float],
    bins: int,
    border: tuple[str, float],
) -> np.ndarray:
    """Return the result for an image whose smallest and largest pixel are known."""
    (lowest, highest), (sigma_color, sigma_spatial) = ends, sigmas
    image = contiguous(img_as_float(image))
    levels = np.linspace(0, highest, bins, endpoint=False)
    colours = _weights(levels, sigma_color or image.std(), image.dtype)
    steps = np.arange(-size // 2, size // 2 + 1)
    places = _weights(
        np.hypot(*np.meshgrid(steps, steps, indexing="ij")), sigma_spatial, image.dtype
    )
    if lowest < 0:
        image = image - lowest
        highest -= lowest
    result = bilateral_filtered(image, size, (colours, places), highest, border)
    if lowest < 0:
        result += lowest
    return result


def bilateral_filtered(
    image: np.ndarray,
    size: int,
    weights: tuple[np.ndarray, np.ndarray],
    highest: Any,
    border: tuple[str, float],
) -> np.ndarray:
    """Return the weighted means of a part of an image, as the function's own loop computes them.

    Parameters
    ----------
    image
        No pixel below 0, as `is_bilateral` accepts it.
    size
        Length of the window.
    weights
        By difference in level, one a bin, and by distance, both in the image's data type.
    highest
        The whole image's largest pixel.
    border
        `mode` and `cval` of `skimage.restoration.denoise_bilateral`.
    """
    image, (colours, places), (mode, cval) = contiguous(image), weights, border
    result, bins = np.empty_like(image), len(colours)
    # The function's window has one row and column more in its table, which it reads by its size.
    tables = size, contiguous(colours), bins, contiguous(places.ravel()), bins / 1 / float(highest)
    form = type_code(image.dtype), *image.shape

    def band(*rows: int) -> None:
        call("bilateral", image, result, *form, *tables, _MODES[mode], float(cval), integers(rows))

    in_bands(band, len(image), image.size)
    return result


DENOISE_BILATERAL = Kernel.looking("skimage.restoration.denoise_bilateral", _look)
