"""The bilateral filter of grey images in floating point, and of constant ones, which stay."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np

from napari_tilewise.kernels.arrays import contiguous, integers, type_code
from napari_tilewise.kernels.counted_levels import is_constant
from napari_tilewise.kernels.footprint_windows import is_moderate
from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.library import call, rounds_alike
from napari_tilewise.kernels.threads import in_bands

_FLOATS = (np.dtype("f4"), np.dtype("f8"))
_MOST = {np.dtype("f4"): 1e3, np.dtype("f8"): 1e10}
"""Levels whose differences have bins that their integers hold; shifted integers are large."""
_MODES = {"constant": 4, "edge": 0, "symmetric": 2, "reflect": 3, "wrap": 1}


def _exact(
    image: np.ndarray,
    win_size: int | None = None,
    sigma_color: float | None = None,
    sigma_spatial: float = 1,
    bins: int = 10000,
    mode: str = "constant",
    cval: float = 0,
    *,
    channel_axis: int | None = None,
) -> bool:
    if channel_axis is not None or image.ndim != 2 or min(image.shape, default=0) < 2:
        return False
    size = _size(win_size, sigma_spatial)
    return is_constant(image) or is_bilateral(image, size, bins, mode, cval)


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
        and min(image.shape) > 1  # one row or column comes back without its axis
        and mode in _MODES
        and (mode in ("constant", "edge") or min(image.shape) > size // 2 + 1)
        and abs(cval) < 1e3
        and 0 < bins < 2**24
        and is_moderate(image, _MOST[image.dtype])
        and rounds_alike()
        and size % 2 == 1
    )


def _size(win_size: int | None, sigma_spatial: float) -> int:
    return max(5, 2 * ceil(3 * sigma_spatial) + 1) if win_size is None else int(win_size)


def _weights(values: np.ndarray, sigma: Any, dtype: Any) -> np.ndarray:
    weights: np.ndarray = np.exp(-0.5 * (values**2 / sigma**2), dtype=dtype)
    return weights


def denoise_bilateral(
    image: np.ndarray,
    win_size: int | None = None,
    sigma_color: float | None = None,
    sigma_spatial: float = 1,
    bins: int = 10000,
    mode: str = "constant",
    cval: float = 0,
    *,
    channel_axis: int | None = None,
) -> np.ndarray:
    """Denoise by weights of place and grey level, as `skimage.restoration` does.

    Parameters
    ----------
    image, win_size, sigma_color, sigma_spatial, bins, mode, cval, channel_axis
        As in `skimage.restoration.denoise_bilateral`.
    """
    if is_constant(image):
        return image
    lowest, highest = image.min(), image.max()
    image = contiguous(image)
    size = _size(win_size, sigma_spatial)
    levels = np.linspace(0, highest, bins, endpoint=False)
    colours = _weights(levels, sigma_color or image.std(), image.dtype)
    steps = np.arange(-size // 2, size // 2 + 1)
    places = _weights(
        np.hypot(*np.meshgrid(steps, steps, indexing="ij")), sigma_spatial, image.dtype
    )
    if lowest < 0:
        image = image - lowest
        highest -= lowest
    result = bilateral_filtered(image, size, (colours, places), highest, (mode, cval))
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


DENOISE_BILATERAL = Kernel("skimage.restoration.denoise_bilateral", _exact, denoise_bilateral)
