"""Filters of scikit-image's rank package: medians and means of windows, and what extremes tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi

from napari_tilewise.kernels.arrays import (
    MODES,
    contiguous,
    delivered,
    result_array,
    type_code,
)
from napari_tilewise.kernels.footprint_windows import (
    FootprintWindow,
    filter_bands,
    volume_sizes,
    window_suits,
)
from napari_tilewise.kernels.grey_morphology import extreme_filter
from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.library import call
from napari_tilewise.kernels.ranks.rank_windows import is_writable
from napari_tilewise.kernels.threads import in_pieces

if TYPE_CHECKING:
    from collections.abc import Callable


def _rank_footprint(ndim: int, footprint: Any, shifts: tuple[int, int, int]) -> np.ndarray | None:
    """Return a footprint around the centre that shifts move; None where one moves it outside.

    The centre is the pixel at half the size: lines without pixels on one side move it.
    """
    if footprint is None:
        footprint = ndi.generate_binary_structure(ndim, ndim)
    pixels = np.asarray(footprint) > 0
    if not any(shifts):
        return pixels
    if pixels.ndim != ndim or not all(isinstance(shift, int | np.integer) for shift in shifts):
        return None
    x, y, z = map(int, shifts)
    along = (y, x) if ndim == 2 else (x, y, z)  # scikit-image's order
    if not all(0 <= n // 2 + s < n for n, s in zip(pixels.shape, along, strict=True)):
        return None
    return np.pad(pixels, [(2 * max(0, -s), 2 * max(0, s)) for s in along])


def _exact_for_rank(
    image: np.ndarray,
    footprint: Any = None,
    out: np.ndarray | None = None,
    mask: Any = None,
    shift_x: int = 0,
    shift_y: int = 0,
    shift_z: int = 0,
) -> bool:
    if isinstance(footprint, tuple) or image.ndim not in (2, 3):
        return False
    pixels = _rank_footprint(image.ndim, footprint, (shift_x, shift_y, shift_z))
    return (
        pixels is not None
        and image.dtype in (np.dtype("u1"), np.dtype("u2"))
        and window_suits(image, pixels, "")
        and pixels.size < 2**16
        and _suits_mask(image, mask)
        and is_writable(image, out)
        and (out is None or not np.may_share_memory(image, out))
    )


def _suits_mask(image: np.ndarray, mask: Any) -> bool:
    """Return whether a mask says by bytes or booleans which pixels count."""
    if mask is None:
        return True
    if not isinstance(mask, np.ndarray) or mask.shape != image.shape:
        return False
    return mask.dtype in (np.dtype("u1"), np.dtype(bool))


def rank_median(
    image: np.ndarray,
    footprint: Any = None,
    out: np.ndarray | None = None,
    mask: Any = None,
    shift_x: int = 0,
    shift_y: int = 0,
    shift_z: int = 0,
) -> np.ndarray:
    """Return the local median of the pixels inside the image, as `skimage.filters.rank` does.

    Parameters
    ----------
    image, footprint, out, mask, shift_x, shift_y, shift_z
        As in `skimage.filters.rank.median`.
    """
    end = -1, MODES["constant"], 0.0
    return _ranked("rank", image, (footprint, (shift_x, shift_y, shift_z)), mask, out, end)


def rank_mean(
    image: np.ndarray,
    footprint: Any,
    out: np.ndarray | None = None,
    mask: Any = None,
    shift_x: int = 0,
    shift_y: int = 0,
    shift_z: int = 0,
) -> np.ndarray:
    """Return the local mean of the pixels inside the image, as `skimage.filters.rank` does.

    Parameters
    ----------
    image, footprint, out, mask, shift_x, shift_y, shift_z
        As in `skimage.filters.rank.mean`.
    """
    return _ranked("mean", image, (footprint, (shift_x, shift_y, shift_z)), mask, out, ())


def _ranked(
    name: str,
    image: np.ndarray,
    footprint: tuple[Any, tuple[int, int, int]],
    mask: Any,
    out: np.ndarray | None,
    end: tuple[Any, ...],
) -> np.ndarray:
    """Return what a function of the library makes of the windows; `end`: its last parameters."""
    image = contiguous(image)
    inside = None if mask is None else contiguous(mask)
    window = FootprintWindow.of(_rank_footprint(image.ndim, *footprint))
    target = result_array(image.shape, image.dtype, out)
    steps = window.reach, window.runs, len(window.runs), *end
    code, sizes = type_code(image.dtype), volume_sizes(image)
    filter_bands(lambda band: call(name, image, inside, target, code, sizes, *steps, band), image)
    return delivered(target, out)


RANK_MEDIAN = Kernel("skimage.filters.rank.median", _exact_for_rank, rank_median)
RANK_MEAN = Kernel("skimage.filters.rank.mean", _exact_for_rank, rank_mean)


# -- what follows from extremes and means ----------------------------------------------------------


def _exact_around(
    image: np.ndarray,
    footprint: Any,
    out: np.ndarray | None = None,
    mask: Any = None,
    shift_x: int = 0,
    shift_y: int = 0,
    shift_z: int = 0,
) -> bool:
    """Return whether every window holds at least its own pixel."""
    if out is not None or mask is not None or any((shift_x, shift_y, shift_z)):
        return False
    if not _exact_for_rank(image, footprint):
        return False
    pixels = np.asarray(footprint) > 0
    return bool(pixels[tuple(n // 2 for n in pixels.shape)])


def _extreme(image: np.ndarray, footprint: Any, *, largest: bool) -> np.ndarray:
    """Return the extreme of the pixels of each window that lie inside the image."""
    beyond = 0.0 if largest else float(np.iinfo(image.dtype).max)
    window = FootprintWindow.of(np.asarray(footprint) > 0)
    return extreme_filter(image, window, largest=largest, mode="constant", cval=beyond)


def _minimum(image: np.ndarray, footprint: Any) -> np.ndarray:
    return _extreme(image, footprint, largest=False)


def _maximum(image: np.ndarray, footprint: Any) -> np.ndarray:
    return _extreme(image, footprint, largest=True)


def _gradient(image: np.ndarray, footprint: Any) -> np.ndarray:
    high = _maximum(image, footprint)
    high -= _minimum(image, footprint)
    return high


def _enhanced(image: np.ndarray, footprint: Any) -> np.ndarray:
    """Return which of the extremes is nearer; of two equally near the lower."""
    low, high = _minimum(image, footprint), _maximum(image, footprint)
    pixels, lows, highs = image.reshape(-1), low.reshape(-1), high.reshape(-1)

    def choose(piece: slice) -> None:
        is_high = highs[piece] - pixels[piece] < pixels[piece] - lows[piece]
        np.copyto(lows[piece], highs[piece], where=is_high)

    in_pieces(choose, image.size)
    return low


def _above_mean(image: np.ndarray, footprint: Any) -> np.ndarray:
    return np.asarray(image > rank_mean(image, footprint)).astype(image.dtype)


def _population(image: np.ndarray, footprint: Any) -> np.ndarray:
    """Return how many pixels of each window lie inside: the same but near the border."""
    pixels = np.asarray(footprint) > 0
    lengths = [min(n, 2 * k) for n, k in zip(image.shape, pixels.shape, strict=True)]
    few = ndi.correlate(np.ones(lengths, np.int64), pixels, mode="constant").astype(image.dtype)
    places = [
        np.r_[: m // 2, np.full(n - m, m // 2), m // 2 : m]
        for n, m in zip(image.shape, lengths, strict=True)
    ]
    return np.asarray(few[np.ix_(*places)])


def _around(name: str, filtered: Callable[[np.ndarray, Any], np.ndarray]) -> Kernel:
    def run(
        image: np.ndarray,
        footprint: Any,
        out: np.ndarray | None = None,
        mask: Any = None,
        shift_x: int = 0,
        shift_y: int = 0,
        shift_z: int = 0,
    ) -> np.ndarray:
        """Return what the filter makes of each window."""
        return filtered(contiguous(image), footprint)

    return Kernel(f"skimage.filters.rank.{name}", _exact_around, run)


RANKS_AROUND = (
    _around("minimum", _minimum),
    _around("maximum", _maximum),
    _around("gradient", _gradient),
    _around("enhance_contrast", _enhanced),
    _around("threshold", _above_mean),
    _around("pop", _population),
)
