"""What is made of Gaussians: unsharp masks, differences of Gaussians, local thresholds.

Local thresholds may be means or medians too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_tilewise.kernels.arrays import contiguous
from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.ranks.rank_windows import MEDIAN
from napari_tilewise.kernels.smoothing.running_means import knows_means, running_means
from napari_tilewise.kernels.smoothing.separable import (
    GAUSSIAN,
    BorderMode,
    as_floats,
    correlate_axes,
    float_dtype,
    gaussian_weights,
    is_number,
)
from napari_tilewise.kernels.threads import in_bands, in_pieces

_FLOATS = (np.dtype("f4"), np.dtype("f8"))


# -- unsharp_mask ----------------------------------------------------------------------------------


def _exact_for_unsharp(image: np.ndarray, radius: Any, amount: float, vrange: Any) -> bool:
    return (
        image.dtype in _FLOATS
        and type(amount) in (int, float)
        and GAUSSIAN.exact_for(image, sigma=radius, mode="reflect")
    )


def unsharp_mask_single_channel(
    image: np.ndarray, radius: Any, amount: float, vrange: Any
) -> np.ndarray:
    """Sharpen one channel, as the function behind `skimage.filters.unsharp_mask` does.

    Parameters
    ----------
    image
        float32 or float64.
    radius
        Of the Gaussian, in pixels.
    amount
        Of the difference from the blurred image that is added.
    vrange
        Lowest and highest value of the result, or None.
    """
    image = contiguous(image)
    result: np.ndarray = GAUSSIAN.run(image, sigma=radius, mode="reflect")
    pixels, sharpened = image.ravel(), result.ravel()

    def sharpen(piece: slice) -> None:
        part = sharpened[piece]
        np.subtract(pixels[piece], part, out=part)
        part *= amount
        np.add(pixels[piece], part, out=part)
        if vrange is not None:
            np.clip(part, vrange[0], vrange[1], out=part)

    in_pieces(sharpen, image.size)
    return result


UNSHARP_MASK = Kernel(
    "skimage.filters._unsharp_mask._unsharp_mask_single_channel",
    _exact_for_unsharp,
    unsharp_mask_single_channel,
)


def _exact_for_sharpening(
    image: np.ndarray,
    radius: Any = 1.0,
    amount: float = 1.0,
    preserve_range: bool = False,
    *,
    channel_axis: int | None = None,
) -> bool:
    return (
        is_number(image.dtype)
        and channel_axis is None
        and type(amount) in (int, float)
        and GAUSSIAN.exact_for(image, sigma=radius, mode="reflect")
    )


def unsharp_mask(
    image: np.ndarray,
    radius: Any = 1.0,
    amount: float = 1.0,
    preserve_range: bool = False,
    *,
    channel_axis: int | None = None,
) -> np.ndarray:
    """Sharpen an image, as `skimage.filters.unsharp_mask` does.

    Parameters
    ----------
    image, radius, amount, preserve_range, channel_axis
        As there.
    """
    image = as_floats(image, preserve_range, _FLOATS)
    if preserve_range:
        return unsharp_mask_single_channel(image, radius, amount, None)
    is_low = in_bands(lambda *rows: bool((image[slice(*rows)] < 0).any()), len(image), image.size)
    vrange = [-1.0 if any(is_low) else 0.0, 1.0]
    return unsharp_mask_single_channel(image, radius, amount, vrange)


SHARPEN = Kernel("skimage.filters.unsharp_mask", _exact_for_sharpening, unsharp_mask)


# -- difference_of_gaussians -----------------------------------------------------------------------


def _sigmas(low_sigma: Any, high_sigma: Any, axes: int) -> tuple[Any, Any] | None:
    low = np.atleast_1d(np.asarray(low_sigma, float))
    high = low * 1.6 if high_sigma is None else np.atleast_1d(np.asarray(high_sigma, float))
    if {len(low), len(high)} - {1, axes}:
        return None
    low, high = low * np.ones(axes), high * np.ones(axes)
    return None if np.any(high < low) else (low, high)


def _exact_for_difference(
    image: np.ndarray,
    low_sigma: Any,
    high_sigma: Any = None,
    *,
    mode: str = "nearest",
    cval: float = 0,
    channel_axis: int | None = None,
    truncate: float = 4.0,
) -> bool:
    sigmas = _sigmas(low_sigma, high_sigma, image.ndim - (channel_axis is not None))
    params = {"mode": mode, "cval": cval, "channel_axis": channel_axis, "truncate": truncate}
    return sigmas is not None and all(GAUSSIAN.exact_for(image, s, **params) for s in sigmas)


def difference_of_gaussians(
    image: np.ndarray,
    low_sigma: Any,
    high_sigma: Any = None,
    *,
    mode: str = "nearest",
    cval: float = 0,
    channel_axis: int | None = None,
    truncate: float = 4.0,
) -> np.ndarray:
    """Find structures between two sizes, as `skimage.filters.difference_of_gaussians` does.

    Parameters
    ----------
    image, low_sigma, high_sigma, mode, cval, channel_axis, truncate
        As there.
    """
    sigmas = _sigmas(low_sigma, high_sigma, image.ndim - (channel_axis is not None))
    if sigmas is None:
        raise ValueError(f"low_sigma={low_sigma!r} and high_sigma={high_sigma!r} do not suit.")
    params = {"mode": mode, "cval": cval, "channel_axis": channel_axis, "truncate": truncate}
    low, high = (GAUSSIAN.run(image, s, **params) for s in sigmas)
    return np.asarray(np.subtract(low, high, out=low))


DIFFERENCE_OF_GAUSSIANS = Kernel(
    "skimage.filters.difference_of_gaussians", _exact_for_difference, difference_of_gaussians
)


# -- threshold_local -------------------------------------------------------------------------------


def _block(block_size: Any, ndim: int) -> tuple[int, ...] | None:
    sizes: tuple[Any, ...] = (block_size,) * ndim if np.isscalar(block_size) else tuple(block_size)
    fine = len(sizes) == ndim and all(isinstance(b, int | np.integer) and b % 2 for b in sizes)
    return sizes if fine else None


def _box(sizes: tuple[int, ...]) -> np.ndarray:
    """Return the footprint of a window."""
    return np.ones(sizes, bool)


def _threshold_sigma(block_size: Any, param: Any, ndim: int) -> Any:
    sizes = _block(block_size, ndim)
    if sizes is None or param is not None:
        return param if sizes is not None else None
    return tuple((size - 1) / 6.0 for size in sizes)


def _exact_for_threshold(
    image: np.ndarray,
    block_size: Any = 3,
    method: str = "gaussian",
    offset: float = 0,
    mode: str = "reflect",
    param: Any = None,
    cval: float = 0,
) -> bool:
    if not is_number(image.dtype) or type(offset) not in (int, float):
        return False
    if method == "median":
        sizes = _block(block_size, image.ndim)
        return sizes is not None and MEDIAN.exact_for(image, _box(sizes), mode=mode, cval=cval)
    if method == "mean":
        sizes = _block(block_size, image.ndim)
        return sizes is not None and bool(np.isreal(cval)) and knows_means(image, sizes, mode)
    if method != "gaussian":
        return False
    sigma = _threshold_sigma(block_size, param, image.ndim)
    return sigma is not None and GAUSSIAN.exact_for(image, sigma, mode=mode, cval=cval)


def threshold_local(
    image: np.ndarray,
    block_size: Any = 3,
    method: str = "gaussian",
    offset: float = 0,
    mode: str = "reflect",
    param: Any = None,
    cval: float = 0,
) -> np.ndarray:
    """Return thresholds by a Gaussian, means or medians, as `skimage.filters.threshold_local` does.

    Parameters
    ----------
    image, block_size, method, offset, mode, param, cval
        As there.
    """
    sizes = _block(block_size, image.ndim)
    if method == "median" and sizes is not None:
        medians = MEDIAN.run(image, _box(sizes), mode=mode, cval=cval)
        result: np.ndarray = medians.astype(float_dtype(image.dtype), copy=False)
        return _lowered(result, offset)
    if method == "mean" and sizes is not None:
        return _lowered(running_means(image, sizes, mode, cval), offset)
    sigma = _threshold_sigma(block_size, param, image.ndim)
    sigmas = np.broadcast_to(np.asarray(sigma, float), image.ndim).tolist()
    weights = [gaussian_weights(s, 0, 4.0) if s > 1e-15 else None for s in sigmas]
    # Integers are taken as they are: no scale to [0, 1].
    image = as_floats(image, preserve_range=True)
    result = correlate_axes(image, weights, float_dtype(image.dtype), BorderMode(mode, cval))
    return _lowered(result, offset)


def _lowered(thresholds: np.ndarray, offset: float) -> np.ndarray:
    """Return thresholds less a number, in their own memory."""
    if offset:
        thresholds -= offset
    return thresholds


THRESHOLD_LOCAL = Kernel("skimage.filters.threshold_local", _exact_for_threshold, threshold_local)
