"""SciPy's median, rank and percentile filters, by the values of a rank in windows."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_tilewise.kernels.footprint_windows import (
    FootprintWindow,
    size_or_footprint,
)
from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.ranks.rank_windows import has_ranks, ranked


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
    return pixels is not None and has_ranks(input, pixels, None, mode, cval)


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
    return ranked(input, window, rank % len(window.offsets), (mode, cval))


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
