"""Histograms of floating-point pixels over bins of equal width."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.kernels.arrays import contiguous, type_code
from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.library import call

if TYPE_CHECKING:
    from collections.abc import Sequence

_FLOATS = (np.dtype("f4"), np.dtype("f8"))
_MOST_BINS = 2**20
"""Bins of which four tables still are in the processor's cache, or near it."""


def _exact_for_histogram(a: np.ndarray, bins: Any = 10, range: Sequence[Any] | None = None) -> bool:
    if a.dtype not in _FLOATS or range is None or type(bins) is not int:
        return False
    ends = [np.asarray(end) for end in range]
    if any(end.ndim or end.dtype != a.dtype or not np.isfinite(end) for end in ends):
        return False
    with np.errstate(over="ignore"):
        width = ends[1] - ends[0]
    return 0 < bins <= _MOST_BINS and bool(0 < width < np.inf)


def histogram(
    a: np.ndarray, bins: int = 10, range: Sequence[Any] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Count pixels in bins of equal width, as `numpy.histogram` does.

    Parameters
    ----------
    a
        float32 or float64, of any shape.
    bins, range
        As there; a range is given, and its ends are of the image's data type.
    """
    if range is None:
        raise ValueError("This kernel needs a range: ask Kernel.accepts before calling one.")
    low, high = range
    edges = contiguous(np.histogram_bin_edges(np.empty(0, a.dtype), bins, (low, high)))
    counts = np.zeros(bins, np.int64)
    pixels = contiguous(a)
    call("histogram", pixels, type_code(a.dtype), a.size, edges, bins, float(high - low), counts)
    return counts, edges


HISTOGRAM = Kernel("numpy.histogram", _exact_for_histogram, histogram)
