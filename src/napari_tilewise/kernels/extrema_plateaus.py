"""Local maxima and minima with their plateaus."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage as ndi

from napari_tilewise.kernels.arrays import ORDERED, as_grey, contiguous, type_code
from napari_tilewise.kernels.footprint_windows import (
    FootprintWindow,
    filter_bands,
    has_nan,
    volume_sizes,
)
from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.library import call
from napari_tilewise.kernels.threads import in_bands


def _connectivity_of(footprint: Any, connectivity: int | None, ndim: int) -> int | None:
    """Return the connectivity that a footprint stands for, or that is given; None: another."""
    if footprint is None:
        fine = connectivity is None or connectivity in range(1, ndim + 1)
        return (connectivity or ndim) if fine else None
    footprint = np.asarray(footprint).astype(bool)
    for number in range(1, ndim + 1):
        if np.array_equal(footprint, ndi.generate_binary_structure(ndim, number)):
            return number
    return None


def _exact_for_maxima(
    image: np.ndarray,
    *,
    footprint: Any = None,
    connectivity: int | None = None,
    indices: bool = False,
    allow_borders: bool = True,
) -> bool:
    return (
        image.dtype in ORDERED
        and 1 <= image.ndim <= 3
        and image.size > 0
        and _connectivity_of(footprint, connectivity, image.ndim) is not None
        and (allow_borders or min(image.shape) >= 3)
        and not has_nan(image)
    )


def _ends(image: np.ndarray) -> np.ndarray:
    """Return the smallest and the largest pixel."""
    pixels = image.ravel()

    def ends(begin: int, end: int) -> np.ndarray:
        part = pixels[begin:end]
        return np.array([part.min(), part.max()], image.dtype)

    parts = np.array(in_bands(ends, image.size, image.size))
    return np.array([parts.min(), parts.max()], image.dtype)


def local_maxima(
    image: np.ndarray,
    *,
    footprint: Any = None,
    connectivity: int | None = None,
    indices: bool = False,
    allow_borders: bool = True,
) -> Any:
    """Find local maxima, as `skimage.morphology.local_maxima` does.

    Parameters
    ----------
    image, footprint, connectivity, indices, allow_borders
        As there.
    """
    image = contiguous(image)
    ends = _ends(image)
    if ends[0] == ends[1]:  # nothing is higher than its neighbours
        result = np.zeros(image.shape, bool)
        return np.nonzero(result) if indices else result
    image, (low, high) = as_grey(image), map(float, as_grey(ends))
    result = np.empty(image.shape, bool)
    number = _connectivity_of(footprint, connectivity, image.ndim) or image.ndim
    neighbours = ndi.generate_binary_structure(image.ndim, number)
    neighbours[(1,) * image.ndim] = False
    window = FootprintWindow.of(neighbours)
    code, sizes = type_code(image.dtype), volume_sizes(image)
    steps = window.offsets, len(window.offsets), low

    def judge_band(band: np.ndarray) -> None:
        ends = *steps, high, int(allow_borders), band
        call("peaks", image, code, result, sizes, window.reach, *ends)

    filter_bands(judge_band, image)
    call("plateaus", image, code, result, sizes, *steps)
    return np.nonzero(result) if indices else result


def local_minima(
    image: np.ndarray,
    *,
    footprint: Any = None,
    connectivity: int | None = None,
    indices: bool = False,
    allow_borders: bool = True,
) -> Any:
    """Find local minima, as `skimage.morphology.local_minima` does.

    Parameters
    ----------
    image, footprint, connectivity, indices, allow_borders
        As there.
    """
    inverted = -image if image.dtype.kind == "f" else ~image
    return local_maxima(
        inverted,
        footprint=footprint,
        connectivity=connectivity,
        indices=indices,
        allow_borders=allow_borders,
    )


LOCAL_MAXIMA = Kernel("skimage.morphology.local_maxima", _exact_for_maxima, local_maxima)
LOCAL_MINIMA = Kernel("skimage.morphology.local_minima", _exact_for_maxima, local_minima)
