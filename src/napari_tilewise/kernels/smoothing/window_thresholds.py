"""Thresholds from the mean and the deviation of the window around every pixel.

scikit-image takes both out of cumulative sums over the whole image. The compiled function adds in
the same order, so that its sums are rounded alike, and keeps as many lines of them as a window has.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_tilewise.kernels.arrays import TYPES, contiguous, integers, type_code
from napari_tilewise.kernels.footprint_windows import volume_shape, volume_sizes
from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.library import call
from napari_tilewise.kernels.threads import in_bands


def _window_sizes(window_size: Any, ndim: int) -> tuple[int, ...] | None:
    sizes: tuple[Any, ...] = (
        (window_size,) * ndim if np.ndim(window_size) == 0 else tuple(window_size)
    )
    fine = all(isinstance(size, int | np.integer) and size % 2 == 1 and size > 0 for size in sizes)
    return sizes if fine and len(sizes) == ndim else None


def _exact_for_thresholds(image: np.ndarray, window_size: Any = 15, **weights: Any) -> bool:
    is_known = image.dtype in TYPES or image.dtype == np.bool_
    if not is_known or image.ndim not in (2, 3) or not image.size:
        return False
    if _window_sizes(window_size, image.ndim) is None or weights.get("r") == 0:
        return False
    # Other scalars than Python's have a data type, which the result may take on.
    return all(type(value) in (int, float) for value in weights.values() if value is not None)


def _thresholds(image: np.ndarray, window_size: Any, k: float, r: float) -> np.ndarray:
    sizes = _window_sizes(window_size, image.ndim)
    if sizes is None:
        raise ValueError(f"window_size={window_size!r}: expected odd numbers, one per axis.")
    image = contiguous(image)
    result = np.empty(image.shape, np.float32 if image.dtype == np.float32 else np.float64)
    window = integers(volume_shape(sizes))
    form = type_code(image.dtype), result, volume_sizes(image), window, image.ndim == 3
    weights = float(k), float(r)

    def band(begin: int, end: int) -> None:
        call("thresholds", image, *form, *weights, integers((begin, end)))

    in_bands(band, len(image), image.size)
    return result


def _exact_for_sauvola(
    image: np.ndarray, window_size: Any = 15, k: float = 0.2, r: float | None = None
) -> bool:
    return _exact_for_thresholds(image, window_size, k=k, r=r)


def threshold_sauvola(
    image: np.ndarray, window_size: Any = 15, k: float = 0.2, r: float | None = None
) -> np.ndarray:
    """Return local thresholds, as `skimage.filters.threshold_sauvola` does.

    Parameters
    ----------
    image, window_size, k, r
        As there.
    """
    return _thresholds(image, window_size, k, _half_range(image.dtype) if r is None else r)


def _half_range(dtype: np.dtype) -> float:
    """Return half the range of a data type: of floating-point numbers, from -1 to 1."""
    if dtype.kind not in "iu":
        return 0.5 if dtype.kind == "b" else 1.0
    limits = np.iinfo(dtype)
    return 0.5 * (int(limits.max) - int(limits.min))


def _exact_for_niblack(image: np.ndarray, window_size: Any = 15, k: float = 0.2) -> bool:
    return _exact_for_thresholds(image, window_size, k=k)


def threshold_niblack(image: np.ndarray, window_size: Any = 15, k: float = 0.2) -> np.ndarray:
    """Return local thresholds, as `skimage.filters.threshold_niblack` does.

    Parameters
    ----------
    image, window_size, k
        As there.
    """
    return _thresholds(image, window_size, k, 0.0)


THRESHOLD_SAUVOLA = Kernel(
    "skimage.filters.threshold_sauvola", _exact_for_sauvola, threshold_sauvola
)
THRESHOLD_NIBLACK = Kernel(
    "skimage.filters.threshold_niblack", _exact_for_niblack, threshold_niblack
)
