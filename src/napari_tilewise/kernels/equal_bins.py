"""Histograms of floating-point pixels over bins of equal width, and lines between their centres."""

from __future__ import annotations

from functools import cache
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


# -- straight lines between points -----------------------------------------------------------------


@cache
def _draws_alike() -> bool:
    """Return whether NumPy rounds the product before it adds it, as the kernel does."""
    tiny = 2.0**-30
    drawn = np.interp(np.full(4, 1 + tiny), [0.0, 2.0], [-(1 + 2 * tiny), 1.0])
    return bool((drawn == 0).all())


def _slopes(xp: np.ndarray, fp: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return np.diff(fp) / np.diff(xp)


def _exact_for_interp(x: np.ndarray, xp: Any, fp: Any) -> bool:
    if x.dtype not in _FLOATS:
        return False
    places, values = np.asarray(xp), np.asarray(fp)
    if any(points.dtype.kind not in "uif" or points.ndim != 1 for points in (places, values)):
        return False
    if places.shape != values.shape or not 2 <= len(places) <= _MOST_BINS:
        return False
    places, values = places.astype(float), values.astype(float)
    ends = float(places[-1]) - float(places[0])
    return bool(
        (np.diff(places) > 0).all()
        and 0 < ends < np.inf
        and len(places) / ends < np.inf
        and np.isfinite(values).all()
        and np.isfinite(_slopes(places, values)).all()
        and _draws_alike()
    )


def interp(x: np.ndarray, xp: Any, fp: Any) -> np.ndarray:
    """Return what lies on the straight lines between points, as `numpy.interp` does.

    Parameters
    ----------
    x
        float32 or float64, of any shape.
    xp, fp
        Coordinates of the points: fastest where the first are equally far apart.
    """
    pixels = contiguous(x)
    places, values = (np.ascontiguousarray(points, np.float64) for points in (xp, fp))
    slopes, result = _slopes(places, values), np.empty(pixels.shape)
    code = type_code(pixels.dtype)
    call("interpolate", pixels, code, pixels.size, places, values, slopes, len(places), result)
    return result


INTERP = Kernel("numpy.interp", _exact_for_interp, interp)
