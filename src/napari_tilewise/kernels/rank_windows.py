"""Medians and means over windows: exchange networks, sliding histograms, sums of runs."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi

from napari_tilewise.kernels.arrays import (
    GREY,
    MODES,
    as_grey,
    contiguous,
    delivered,
    from_grey,
    result_array,
    type_code,
)
from napari_tilewise.kernels.footprint_windows import (
    FootprintWindow,
    filter_bands,
    has_nan,
    holds,
    size_or_footprint,
    volume_sizes,
    window_suits,
)
from napari_tilewise.kernels.grey_morphology import extreme_filter
from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.library import call
from napari_tilewise.kernels.threads import in_pieces

if TYPE_CHECKING:
    from collections.abc import Callable

_LARGEST_NETWORK = 130
"""Pixels of a footprint, for floating-point images."""
_COUNTED = tuple(np.dtype(name) for name in ("u1", "u2", "i1", "i2", "?"))
"""Data types whose levels a histogram has bins for."""
_LARGEST_SMALL = 50
"""Pixels of a footprint from which a histogram is faster than the network."""


@lru_cache(maxsize=64)
def exchanges(count: int, rank: int) -> np.ndarray:
    """Return the exchanges that bring the value of a rank among others to its place.

    Batcher's merge exchange sort [1]_, without the exchanges that nothing of this rank depends on.

    Parameters
    ----------
    count
        Number of values.
    rank
        Of the value, from 0.

    Returns
    -------
    numpy.ndarray
        Pairs of places, shape (n, 2).

    References
    ----------
    .. [1] D. E. Knuth, The Art of Computer Programming, volume 3, 5.2.2, algorithm M.
    """
    pairs = []
    top = 1 << max(0, (count - 1).bit_length() - 1)
    p = top
    while p > 0:
        q, r, d = top, 0, p
        while True:
            pairs += [(i, i + d) for i in range(count - d) if i & p == r]
            if q == p:
                break
            d, q, r = q - p, q >> 1, p
        p >>= 1
    needed, steps = {rank}, []
    for low, high in reversed(pairs):
        if low in needed or high in needed:
            needed |= {low, high}
            steps.append((low, high))
    return np.array(steps[::-1], np.int64).reshape(-1, 2)


def rank_filter(
    image: np.ndarray,
    window: FootprintWindow,
    rank: int,
    *,
    mode: str,
    cval: float = 0.0,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Return the value of a rank in every window.

    Parameters
    ----------
    image
        uint8, uint16, float32 or float64, without NaN.
    window
        The window.
    rank
        From 0.
    mode
        Border mode in ndimage's spelling.
    cval
        Beyond the border, for ``mode="constant"``.
    out
        Where to write the result.
    """
    image = contiguous(image)
    target = result_array(image.shape, image.dtype, out)
    if np.may_share_memory(target, image):
        target = np.empty_like(image)
    code, sizes, border = type_code(image.dtype), volume_sizes(image), (MODES[mode], float(cval))
    count = len(window.offsets)
    steps: tuple[Any, ...]
    if count <= _LARGEST_SMALL or image.dtype.kind == "f":
        pairs = exchanges(count, rank)
        name, steps = "network", (window.offsets, count, pairs, len(pairs), rank)
    else:
        name, steps = "rank", (window.runs, len(window.runs), rank)
    pixels = (image, None, target) if name == "rank" else (image, target)

    def filter_band(band: np.ndarray) -> None:
        call(name, *pixels, code, sizes, window.reach, *steps, *border, band)

    filter_bands(filter_band, image)
    return delivered(target, out)


# -- filters.median --------------------------------------------------------------------------------


def _median_footprint(image: np.ndarray, footprint: Any) -> np.ndarray:
    if footprint is None:
        return np.ones((3,) * image.ndim, bool)
    return np.asarray(footprint)


def _writable(image: np.ndarray, out: np.ndarray | None) -> bool:
    return out is None or (out.dtype == image.dtype and out.shape == image.shape)


def _exact_for_median(
    image: np.ndarray,
    footprint: Any = None,
    out: np.ndarray | None = None,
    mode: str = "nearest",
    cval: float = 0.0,
    behavior: str = "ndimage",
) -> bool:
    footprint = _median_footprint(image, footprint)
    return behavior == "ndimage" and _exact_for_window(image, footprint, out, mode, cval)


def _exact_for_window(
    image: np.ndarray, footprint: Any, out: np.ndarray | None, mode: Any, cval: float
) -> bool:
    """Return whether the values of a rank in windows are known, whichever rank."""
    if not isinstance(mode, str) or mode not in MODES:
        return False
    if not window_suits(image, footprint, mode):
        return False
    if image.ndim == 1:  # SciPy's filter along a line knows no holes
        return False
    taps = int(np.count_nonzero(footprint))
    if image.dtype not in _COUNTED and taps > _LARGEST_NETWORK:
        return False
    if mode == "constant" and not _holds(image.dtype, cval):
        return False
    return _writable(image, out) and not has_nan(image)


def _holds(dtype: np.dtype, value: float) -> bool:
    """Return whether a data type holds a value; booleans hold two."""
    return value in (0, 1) if dtype == np.bool_ else holds(dtype, value)


def median(
    image: np.ndarray,
    footprint: Any = None,
    out: np.ndarray | None = None,
    mode: str = "nearest",
    cval: float = 0.0,
    behavior: str = "ndimage",
) -> np.ndarray:
    """Return the local median, as `skimage.filters.median` does.

    Parameters
    ----------
    image, footprint, out, mode, cval, behavior
        As there.
    """
    window = FootprintWindow.of(_median_footprint(image, footprint))
    return _ordered(image, window, len(window.offsets) // 2, (mode, cval), out)


def _ordered(
    image: np.ndarray,
    window: FootprintWindow,
    rank: int,
    border: tuple[str, float],
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Return the value of a rank in every window, of images of any ordered data type."""
    (mode, cval), dtype = border, image.dtype
    if dtype in GREY:
        return rank_filter(image, window, rank, mode=mode, cval=cval, out=out)
    level = float(as_grey(np.array([cval], dtype))[0]) if mode == "constant" else 0.0
    levels = rank_filter(as_grey(image), window, rank, mode=mode, cval=level)
    return delivered(from_grey(levels, dtype), out)


MEDIAN = Kernel("skimage.filters.median", _exact_for_median, median)


# -- ndimage's filters -----------------------------------------------------------------------------


def _exact_for_windows(
    input: np.ndarray,
    size: Any = None,
    footprint: Any = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> bool:
    if output is not None or axes is not None or np.any(origin):
        return False
    pixels = size_or_footprint(input, size, footprint)
    return pixels is not None and _exact_for_window(input, pixels, None, mode, cval)


def _exact_for_rank_filter(
    input: np.ndarray,
    rank: Any,
    size: Any = None,
    footprint: Any = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> bool:
    window = size, footprint
    if not _exact_for_windows(input, *window, output, mode, cval, origin, axes=axes):
        return False
    count = _count(input, *window)
    return isinstance(rank, int | np.integer) and bool(-count <= rank < count)


def _exact_for_percentile(
    input: np.ndarray,
    percentile: Any,
    size: Any = None,
    footprint: Any = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> bool:
    window = size, footprint, output, mode, cval, origin
    return -100 <= percentile <= 100 and _exact_for_windows(input, *window, axes=axes)


def _count(input: np.ndarray, size: Any, footprint: Any) -> int:
    """Return the number of a window's pixels."""
    return int(np.count_nonzero(size_or_footprint(input, size, footprint)))


def _ranked_windows(
    input: np.ndarray,
    rank: int,
    size: Any = None,
    footprint: Any = None,
    output: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> np.ndarray:
    """Return the value of a rank in every window, as `scipy.ndimage.rank_filter` does."""
    window = FootprintWindow.of(np.asarray(size_or_footprint(input, size, footprint)))
    return _ordered(input, window, rank % len(window.offsets), (mode, cval))


def _median_filter(
    input: np.ndarray,
    size: Any = None,
    footprint: Any = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> np.ndarray:
    """Return the local median, as `scipy.ndimage.median_filter` does."""
    rank = _count(input, size, footprint) // 2
    return _ranked_windows(input, rank, size, footprint, None, mode, cval)


def _percentile_filter(
    input: np.ndarray,
    percentile: float,
    size: Any = None,
    footprint: Any = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> np.ndarray:
    """Return a local percentile: the value below which so many of the window's pixels lie."""
    count = _count(input, size, footprint)
    share = percentile + 100.0 if percentile < 0 else percentile
    rank = count - 1 if share == 100 else int(float(count) * share / 100.0)
    return _ranked_windows(input, rank, size, footprint, None, mode, cval)


MEDIAN_FILTER = Kernel("scipy.ndimage.median_filter", _exact_for_windows, _median_filter)
RANK_FILTER = Kernel("scipy.ndimage.rank_filter", _exact_for_rank_filter, _ranked_windows)
PERCENTILE_FILTER = Kernel(
    "scipy.ndimage.percentile_filter", _exact_for_percentile, _percentile_filter
)


# -- filters.rank ----------------------------------------------------------------------------------


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
        and _writable(image, out)
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
