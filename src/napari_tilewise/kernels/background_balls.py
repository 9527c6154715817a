"""The rolling ball over any image of up to three axes."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from skimage.restoration import ball_kernel

from napari_tilewise.kernels.arrays import GREY, contiguous, type_code
from napari_tilewise.kernels.footprint_windows import FootprintWindow, has_nan, volume_sizes
from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.library import call
from napari_tilewise.kernels.smoothing.separable import as_floats, is_number

_LEVELS = (np.dtype("u1"), np.dtype("u2"))
_LARGEST_FRACTION = 1 - 2.0**-30
"""Below it a height's fraction never lifts a grey level of 16 bits to the next one."""


@lru_cache(maxsize=16)
def _ball(radius: float, ndim: int, double: bool) -> tuple[FootprintWindow, np.ndarray]:
    """Return the ball's points and how far each lies below the top, in the image's precision."""
    kernel = ball_kernel(radius, ndim).astype(np.float64 if double else np.float32)
    window = FootprintWindow.of(np.isfinite(kernel))
    top = kernel[tuple(n // 2 for n in kernel.shape)]
    return window, (top - kernel[np.isfinite(kernel)]).astype(np.float64)


def _exact(
    image: np.ndarray,
    *,
    radius: float = 100,
    kernel: Any = None,
    nansafe: bool = False,
    num_threads: int | None = None,
    workers: int | None = None,
) -> bool:
    if not is_number(image.dtype) or not 1 <= image.ndim <= 3 or not image.size:
        return False
    if kernel is not None or np.ndim(radius) != 0 or not 0 < radius < 1000:
        return False
    if image.dtype in _LEVELS:
        heights = _ball(radius, image.ndim, True)[1]
        return bool(np.all(heights - np.floor(heights) <= _LARGEST_FRACTION))
    return not has_nan(image)


def rolling_ball(
    image: np.ndarray,
    *,
    radius: float = 100,
    kernel: Any = None,
    nansafe: bool = False,
    num_threads: int | None = None,
    workers: int | None = None,
) -> np.ndarray:
    """Estimate the background, as `skimage.restoration.rolling_ball` does.

    Parameters
    ----------
    image, radius, kernel, nansafe, num_threads, workers
        As there.
    """
    if image.dtype not in GREY:
        numbers = as_floats(image, preserve_range=True)
        return np.asarray(rolling_ball(numbers, radius=radius).astype(image.dtype))
    image = contiguous(image)
    window, heights = _ball(radius, image.ndim, image.dtype != np.float32)
    outside: float = np.inf
    if image.dtype.kind == "u":
        outside = int(np.iinfo(image.dtype).max)
        heights = np.minimum(np.floor(heights), outside)
    result = np.empty_like(image)
    points = window.offsets, heights, len(heights)
    sizes = volume_sizes(image), window.reach
    call("roll", image, result, type_code(image.dtype), *sizes, *points, float(outside))
    return result


ROLLING_BALL = Kernel("skimage.restoration.rolling_ball", _exact, rolling_ball)
