"""Grey reconstruction, and the maxima and minima of a height that follow from it.

Where the footprint is its own mirror image, the seed ends at one state however it grows: the sweeps
of the library reach the one that scikit-image finds in order of the values.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from skimage import morphology

from napari_tilewise.kernels.arrays import TYPES, contiguous, integers, type_code
from napari_tilewise.kernels.footprint_windows import has_nan, is_moderate, volume_sizes
from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.library import call

_MOST_PIXELS = 2**31 - 2
_MOST_STEPS = 1000
"""Neighbours of a pixel: each is looked at for every pixel."""


def _float_type(dtype: np.dtype) -> np.dtype:
    """Return the data type that scikit-image reconstructs a mask in."""
    return np.dtype(np.float32 if dtype == np.float32 else np.float64)


def _window(footprint: Any, ndim: int) -> np.ndarray:
    if footprint is None:
        return np.ones((3,) * ndim, bool)
    return np.asarray(footprint).astype(bool)


def _is_mirrored(footprint: Any, ndim: int) -> bool:
    """Return whether a footprint has a centre, and the same neighbours on opposite sides of it."""
    if footprint is None or isinstance(footprint, tuple | list):
        return footprint is None
    window = _window(footprint, ndim)
    return (
        window.ndim == ndim
        and all(n % 2 for n in window.shape)
        and np.array_equal(window, np.flip(window))
        and window.size <= _MOST_STEPS
    )


def _is_image(image: np.ndarray) -> bool:
    dtype = image.dtype.newbyteorder("=")
    is_known = dtype in TYPES or dtype == np.bool_
    return is_known and image.ndim in (1, 2, 3) and 0 < image.size <= _MOST_PIXELS


def _grown(seed: np.ndarray, mask: np.ndarray, method: str, footprint: Any) -> np.ndarray:
    dtype, window = _float_type(mask.dtype), _window(footprint, mask.ndim)
    centre = [n // 2 for n in window.shape]
    steps = np.argwhere(window) - centre
    steps = steps[steps.any(axis=1)]
    wide = np.zeros((len(steps), 3), np.int64)
    wide[:, 3 - mask.ndim :] = steps
    result = np.empty(mask.shape, dtype)
    call(
        "reconstruct",
        contiguous(seed.astype(dtype, copy=False)),
        contiguous(mask.astype(dtype, copy=False)),
        result,
        type_code(dtype),
        volume_sizes(mask),
        integers([*(0,) * (3 - mask.ndim), *centre]),
        wide,
        len(wide),
        1.0 if method == "dilation" else -1.0,
    )
    return result


# -- reconstruction --------------------------------------------------------------------------------


def _exact(
    seed: np.ndarray, mask: Any, method: str = "dilation", footprint: Any = None, offset: Any = None
) -> bool:
    return (
        method in ("dilation", "erosion")
        and offset is None
        and isinstance(mask, np.ndarray)
        and _is_image(seed)
        and _is_image(mask)
        and seed.shape == mask.shape
        and _is_mirrored(footprint, seed.ndim)
        and not has_nan(seed)
        and not has_nan(mask)
    )


def reconstruction(
    seed: np.ndarray,
    mask: np.ndarray,
    method: str = "dilation",
    footprint: Any = None,
    offset: Any = None,
) -> np.ndarray:
    """Reconstruct a mask from a seed, as `skimage.morphology` does.

    Parameters
    ----------
    seed, mask, method, footprint, offset
        As in `skimage.morphology.reconstruction`.
    """
    is_beyond = seed > mask if method == "dilation" else seed < mask
    if is_beyond.any():  # which the function refuses
        return np.asarray(morphology.reconstruction(seed, mask, method, footprint, offset))
    return _grown(seed, mask, method, footprint)


RECONSTRUCTION = Kernel("skimage.morphology.reconstruction", _exact, reconstruction)


# -- maxima and minima of a height -----------------------------------------------------------------


def _exact_for_height(image: np.ndarray, h: Any, footprint: Any = None) -> bool:
    is_number = isinstance(h, int | float | np.number) and not isinstance(h, bool)
    return (
        is_number
        and bool(h > 0)
        and image.dtype.kind in "uif"
        and _is_image(image)
        and (image.dtype.kind == "f" or h % 1 == 0)
        and _is_mirrored(footprint, image.ndim)
        and is_moderate(image, np.inf)
    )


def _lowered(image: np.ndarray, h: Any) -> np.ndarray:
    if image.dtype.kind == "f":
        return np.asarray(image - h - 2 * np.finfo(image.dtype).resolution * np.abs(image))
    least = int(np.iinfo(image.dtype).min)
    result = np.where(image < int(h) + least, image.dtype.type(least), image - image.dtype.type(h))
    return np.asarray(result)


def _raised(image: np.ndarray, h: Any) -> np.ndarray:
    if image.dtype.kind == "f":
        return np.asarray(image + h + 2 * np.finfo(image.dtype).resolution * np.abs(image))
    most = int(np.iinfo(image.dtype).max)
    result = np.where(image > most - int(h), image.dtype.type(most), image + image.dtype.type(h))
    return np.asarray(result)


def h_maxima(image: np.ndarray, h: Any, footprint: Any = None) -> np.ndarray:
    """Mark the maxima that rise by a height, as `skimage.morphology` does.

    Parameters
    ----------
    image, h, footprint
        As in `skimage.morphology.h_maxima`.
    """
    if h > np.ptp(image):
        return np.zeros(image.shape, np.uint8)
    lowered = _lowered(image, h)
    residue = image - _grown(lowered, image, "dilation", footprint)
    return np.asarray(residue >= h).astype(np.uint8)


def h_minima(image: np.ndarray, h: Any, footprint: Any = None) -> np.ndarray:
    """Mark the minima that are a height deep, as `skimage.morphology` does.

    Parameters
    ----------
    image, h, footprint
        As in `skimage.morphology.h_minima`.
    """
    if h > np.ptp(image):
        return np.zeros(image.shape, np.uint8)
    raised = _raised(image, h)
    residue = _grown(raised, image, "erosion", footprint) - image
    return np.asarray(residue >= h).astype(np.uint8)


HEIGHTS = (
    Kernel("skimage.morphology.h_maxima", _exact_for_height, h_maxima),
    Kernel("skimage.morphology.h_minima", _exact_for_height, h_minima),
)
