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
        and image.dtype != np.bool_
        and 1 <= image.ndim <= 3
        and image.size > 0
        and footprint is None
        and (connectivity is None or connectivity in range(1, image.ndim + 1))
        and (allow_borders or min(image.shape) >= 3)
        and not has_nan(image)
    )


def _smallest(image: np.ndarray) -> float:
    pixels = image.ravel()
    return float(min(in_bands(lambda begin, end: pixels[begin:end].min(), image.size, image.size)))


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
    image = as_grey(contiguous(image))
    result = np.empty(image.shape, bool)
    neighbours = ndi.generate_binary_structure(image.ndim, connectivity or image.ndim)
    neighbours[(1,) * image.ndim] = False
    window = FootprintWindow.of(neighbours)
    code, sizes = type_code(image.dtype), volume_sizes(image)
    steps = window.offsets, len(window.offsets), _smallest(image)

    def judge_band(band: np.ndarray) -> None:
        call("peaks", image, code, result, sizes, window.reach, *steps, int(allow_borders), band)

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
        inverted, connectivity=connectivity, indices=indices, allow_borders=allow_borders
    )


LOCAL_MAXIMA = Kernel("skimage.morphology.local_maxima", _exact_for_maxima, local_maxima)
LOCAL_MINIMA = Kernel("skimage.morphology.local_minima", _exact_for_maxima, local_minima)
