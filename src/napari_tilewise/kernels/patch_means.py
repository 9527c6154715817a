"""Fast non-local means of a grey plane or volume."""

from __future__ import annotations

import numpy as np

from napari_tilewise.kernels.arrays import contiguous, integers
from napari_tilewise.kernels.footprint_windows import is_moderate
from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.library import call, rounds_alike
from napari_tilewise.kernels.smoothing.separable import as_floats, is_number

_FLOATS = (np.dtype("f4"), np.dtype("f8"))

_WIDEST = 8
"""Most numbers in a vector."""


def _exact(
    image: np.ndarray,
    patch_size: int = 7,
    patch_distance: int = 11,
    h: float = 0.1,
    fast_mode: bool = True,
    sigma: float = 0.0,
    *,
    preserve_range: bool = False,
    channel_axis: int | None = None,
) -> bool:
    return (
        is_number(image.dtype)
        and (image.dtype.kind == "f" or image.dtype.itemsize <= 2 or not preserve_range)
        and image.ndim in (2, 3)
        and min(image.shape) > 1
        and 1 <= patch_size < 100
        and 0 <= patch_distance < 100
        and fast_mode
        and 1e-3 < h < 1e6
        and 0 <= sigma < 1e6
        and channel_axis is None
        and is_moderate(image, 1e6)
        and rounds_alike()
    )


def denoise_nl_means(
    image: np.ndarray,
    patch_size: int = 7,
    patch_distance: int = 11,
    h: float = 0.1,
    fast_mode: bool = True,
    sigma: float = 0.0,
    *,
    preserve_range: bool = False,
    channel_axis: int | None = None,
) -> np.ndarray:
    """Denoise by the means of similar patches, as `skimage.restoration.denoise_nl_means` does.

    Parameters
    ----------
    image, patch_size, patch_distance, h, fast_mode, sigma, preserve_range, channel_axis
        As there.
    """
    image = as_floats(image, preserve_range, _FLOATS)
    reach, size = int(patch_distance), int(patch_size) // 2 * 2 + 1
    pad = size // 2 + reach + 1
    padded = np.pad(image, pad, mode="reflect").astype(np.float64)
    behind = [(0, 0)] * (image.ndim - 1) + [(0, reach + _WIDEST)]
    pixels = contiguous(np.pad(padded, behind))
    weights, sums = np.zeros((2, *image.shape))
    area, variance = float(h) * h, float(sigma * sigma) * 2
    for _ in range(image.ndim):  # in the function's order: rounded after every factor
        area *= size
    sizes = [*padded.shape, pixels.shape[-1], pad, reach, size // 2]
    if image.ndim == 2:
        call("patch_means", pixels, *sizes, area, variance, weights, sums)
    else:
        call("volume_means", pixels, integers(sizes), area, variance, weights, sums)
    sums /= weights
    return np.asarray(sums, image.dtype)


DENOISE_NL_MEANS = Kernel("skimage.restoration.denoise_nl_means", _exact, denoise_nl_means)
