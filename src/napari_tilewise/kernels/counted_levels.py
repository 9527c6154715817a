"""What follows from how often each grey level occurs: Otsu's threshold, equal histograms."""

from __future__ import annotations

from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_tilewise.kernels.arrays import as_grey, contiguous, type_code
from napari_tilewise.kernels.equal_bins import HISTOGRAM, INTERP
from napari_tilewise.kernels.footprint_windows import is_moderate
from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.library import call
from napari_tilewise.kernels.smoothing.separable import float_dtype
from napari_tilewise.kernels.threads import in_bands, run_parts
from napari_tilewise.kernels.whole_number_sums import take

if TYPE_CHECKING:
    from collections.abc import Callable

_BYTES = (np.dtype("u1"), np.dtype("u2"))
_SIGNED = (np.dtype("i1"), np.dtype("i2"))
_FLOATS = (np.dtype("f4"), np.dtype("f8"))
_MOST_COLOURS = 4
_MOST_LEVELS = 2**16
_PART = 2**22
"""Pixels that are worth a thread, and a table of counts, of their own."""
_LARGEST = 1e30
"""Numbers below which sums and products of a few do not overflow, as for `is_moderate`."""
_PIECE = 2**16
"""Pixels that are compared before the next ones are read."""


class _Histogram(NamedTuple):
    """Bins that may be empty in between, but not at the ends; of integers none is."""

    counts: np.ndarray
    centers: np.ndarray


def _ends(pixels: np.ndarray) -> tuple[Any, Any]:
    """Return the smallest and the largest pixel, NaN where there is one."""

    def ends(begin: int, end: int) -> tuple[Any, Any]:
        part = pixels[begin:end]
        return part.min(), part.max()

    parts = in_bands(ends, pixels.size, pixels.size)
    return np.min([low for low, _ in parts]), np.max([high for _, high in parts])


def is_constant(image: np.ndarray) -> bool:
    """Return whether all pixels of an image are equal, and finite.

    Parameters
    ----------
    image
        Of numbers or booleans, not empty.
    """
    pixels = contiguous(image).ravel()
    return isfinite(pixels.item(0)) and _is_constant(pixels)


def _is_constant(pixels: np.ndarray) -> bool:
    """Return whether all pixels of a flat image are equal."""
    first = pixels.item(0)
    if not first == pixels.item(-1) == pixels.item(len(pixels) // 2):
        return False
    # Words of 8 bytes take less time than small numbers; only equal zeros may differ in their bits.
    if pixels.nbytes % 8 == 0 and pixels.itemsize <= 8:
        head, size = pixels[: 8 // pixels.itemsize].tobytes(), pixels.itemsize
        if head == head[:size] * (8 // size) and not _differs(pixels.view(np.uint64)):
            return bool(first == first)
        if pixels.dtype.kind != "f" or first != 0:
            return False
    return not _differs(pixels)


def _differs(pixels: np.ndarray) -> bool:
    """Return whether a pixel differs from the first one; NaN differs from itself."""
    if pixels.size <= _PIECE:
        return not (pixels == pixels[0]).all()

    def differs(begin: int, end: int) -> bool:
        pieces = range(begin, end, _PIECE)
        return any((pixels[k : min(k + _PIECE, end)] != pixels[0]).any() for k in pieces)

    return any(in_bands(differs, pixels.size, pixels.size))


def _is_grey(image: np.ndarray) -> bool:
    # Of what looks like a colour image the functions warn.
    return image.size > 0 and not (image.ndim > 2 and image.shape[-1] <= _MOST_COLOURS)


def _has_bins(dtype: np.dtype, nbins: Any) -> bool:
    """Return whether pixels of a data type other than integers are counted in so many bins."""
    is_known = dtype == np.bool_ or dtype in _FLOATS
    return is_known and type(nbins) is int and 0 < nbins <= _MOST_LEVELS


def _are_few_levels(ends: tuple[Any, Any]) -> bool:
    low, high = map(int, ends)
    return high - low < _MOST_LEVELS and high <= np.iinfo(np.int64).max


def _is_counted(image: np.ndarray, nbins: Any) -> bool:
    if not _is_grey(image):
        return False
    if image.dtype in (*_BYTES, *_SIGNED):
        return True
    if image.dtype.kind not in "ui":
        # The range of what is moderate is a number too.
        return _has_bins(image.dtype, nbins) and (is_constant(image) or is_moderate(image))
    pixels = contiguous(image).ravel()
    is_signed = image.dtype.kind == "i"
    return (is_signed and _is_constant(pixels)) or _are_few_levels(_ends(pixels))


# -- histograms ------------------------------------------------------------------------------------


def _as_levels(pixels: np.ndarray, low: Any = None) -> tuple[np.ndarray, int]:
    """Return integers as levels from 0, and what the first level stands for.

    `low` is the smallest pixel, where it is known.
    """
    if pixels.dtype in _BYTES:
        return pixels, 0
    if pixels.dtype in _SIGNED:
        return as_grey(pixels), int(np.iinfo(pixels.dtype).min)
    low = _ends(pixels)[0] if low is None else low
    levels = np.empty(pixels.shape, np.uint16)

    def convert(begin: int, end: int) -> None:
        np.subtract(pixels[begin:end], low, out=levels[begin:end], casting="unsafe")

    in_bands(convert, pixels.size, pixels.size)
    return levels, int(low)


def _counts(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the levels that occur, and how often each does."""

    def counted(part: np.ndarray) -> np.ndarray:
        counts = np.zeros(2 ** (8 * part.itemsize), np.int64)
        call("count", part, type_code(part.dtype), part.size, counts)
        return counts

    parts = np.array_split(pixels, max(1, pixels.size // _PART))
    tables = run_parts([partial(counted, part) for part in parts])
    counts = tables[0] if len(tables) == 1 else np.sum(tables, axis=0)
    levels = np.flatnonzero(counts > 0)  # of booleans it takes a third of the time
    return levels, counts[levels]


def _histogram(pixels: np.ndarray, nbins: int, limits: tuple[Any, Any] | None = None) -> _Histogram:
    """Return the histogram of floating-point numbers or booleans over bins of equal width.

    `limits` are the smallest and the largest number, where they are known.
    """
    if pixels.dtype == np.bool_:
        ones = int(np.count_nonzero(pixels))
        ends = np.array([ones == pixels.size, ones > 0], np.uint8)
        of_ends = len(pixels) - ones, ones
    else:
        ends, of_ends = np.array(limits or _ends(pixels), pixels.dtype), (0, pixels.size)
    counts, edges = np.histogram(ends, nbins)
    used = np.flatnonzero(counts)
    counts = np.zeros(nbins, np.int64)
    if pixels.dtype == np.bool_ or ends[0] == ends[1]:
        counts[used[0]] += of_ends[0]
        counts[used[-1]] += of_ends[1]
    else:
        bins = {"bins": nbins, "range": (ends[0], ends[1])}
        size = pixels.size
        parts = in_bands(lambda *part: HISTOGRAM.run(pixels[slice(*part)], **bins)[0], size, size)
        counts = np.sum(parts, axis=0)
    return _Histogram(counts, (edges[:-1] + edges[1:]) / 2.0)


# -- threshold_otsu --------------------------------------------------------------------------------


def _look_for_otsu(
    image: Any = None, nbins: int = 256, *, hist: Any = None
) -> Callable[[], Any] | None:
    """Return what computes the threshold as `skimage.filters.threshold_otsu` does."""
    # A single bin has no other side.
    if image is None or hist is not None or nbins == 1 or not _is_grey(image):
        return None
    pixels = contiguous(image).ravel()
    if image.dtype in (*_BYTES, *_SIGNED):
        return lambda: pixels[0] if _is_constant(pixels) else _between_levels(pixels)
    if image.dtype.kind in "ui":
        if image.dtype.kind == "i" and _is_constant(pixels):
            return lambda: pixels[0]
        ends = _ends(pixels)
        if not _are_few_levels(ends):
            return None
        return lambda: pixels[0] if ends[0] == ends[1] else _between_levels(pixels, ends[0])
    if not _has_bins(image.dtype, nbins):
        return None
    if isfinite(pixels.item(0)) and _is_constant(pixels):
        return lambda: pixels[0]
    if image.dtype == np.bool_:
        return lambda: _between_classes(_histogram(pixels, nbins))
    ends = _ends(pixels)
    if not (-_LARGEST < ends[0] and ends[1] < _LARGEST):  # NaN is neither
        return None
    return lambda: _between_classes(_histogram(pixels, nbins, ends))


def _between_levels(pixels: np.ndarray, low: Any = None) -> Any:
    # An empty level parts the same classes as the level before it, which comes first.
    unsigned, first = _as_levels(pixels, low)
    levels, counts = _counts(unsigned)
    return np.int64(_between_classes(_Histogram(counts, levels + first)))


def _between_classes(histogram: _Histogram) -> Any:
    """Return the center of the bin that parts the classes with the most variance between them.

    Numbers of pixels, and their product, are rounded to float32 as the function's are; sums of
    levels are not.
    """
    counts = histogram.counts.astype(np.float32)
    weighted = counts * histogram.centers
    below, above = np.cumsum(counts), np.cumsum(counts[::-1])[::-1]
    mean_below = np.cumsum(weighted) / below
    mean_above = (np.cumsum(weighted[::-1]) / above[::-1])[::-1]
    between = below[:-1] * above[1:] * (mean_below[:-1] - mean_above[1:]) ** 2
    return histogram.centers[np.argmax(between)]


THRESHOLD_OTSU = Kernel.looking("skimage.filters.threshold_otsu", _look_for_otsu)


# -- equalize_hist ---------------------------------------------------------------------------------


def _exact_for_equalizing(image: np.ndarray, nbins: int = 256, mask: Any = None) -> bool:
    if mask is not None:
        is_mask = isinstance(mask, np.ndarray) and mask.dtype == np.bool_
        if not is_mask or mask.shape != image.shape or not mask.any():
            return False
    return _is_counted(image, nbins)


def equalize_hist(image: np.ndarray, nbins: int = 256, mask: Any = None) -> np.ndarray:
    """Spread the levels evenly, as `skimage.exposure.equalize_hist` does.

    Parameters
    ----------
    image
        Finite where it is of floating-point numbers.
    nbins, mask
        As there.
    """
    image = contiguous(image)
    pixels, counted = image.ravel(), (image if mask is None else image[mask]).ravel()
    result = np.empty(pixels.shape, float_dtype(image.dtype))
    if image.dtype.kind in "ui" and _is_constant(pixels):
        result.fill(1)
    elif image.dtype.kind == "f":
        _draw(pixels, _histogram(counted, nbins), result)
    elif image.dtype == np.bool_:
        table = _drawn(np.arange(2.0), _histogram(counted, nbins))
        _look_up(np.resize(table, 256), pixels.view(np.uint8), result)
    else:
        levels, _ = _as_levels(pixels)
        used, counts = _counts(levels if mask is None else levels.reshape(image.shape)[mask])
        table = np.zeros(2 ** (8 * levels.itemsize))
        if mask is None:
            table[used] = _shares(_Histogram(counts, used))
        else:  # beyond the mask there may be other levels
            low, high = int(levels.min()), int(levels.max()) + 1
            table[low:high] = _drawn(np.arange(low, high), _of_all_levels(used, counts))
        _look_up(table, levels, result)
    return result.reshape(image.shape)


def _of_all_levels(levels: np.ndarray, counts: np.ndarray) -> _Histogram:
    """Return the histogram with the empty levels in between."""
    centers = np.arange(levels[0], levels[-1] + 1)
    full = np.zeros(len(centers), np.int64)
    full[levels - levels[0]] = counts
    return _Histogram(full, centers)


def _shares(histogram: _Histogram) -> np.ndarray:
    """Return the share of pixels up to each bin, as `cumulative_distribution` rounds it."""
    counts = histogram.counts.cumsum()
    return np.asarray(counts / float(counts[-1]))


def _drawn(values: np.ndarray, histogram: _Histogram) -> np.ndarray:
    return np.asarray(np.interp(values, histogram.centers, _shares(histogram)))


def _draw(pixels: np.ndarray, histogram: _Histogram, result: np.ndarray) -> None:
    """Write the shares on the lines between the bins' centers."""
    line = histogram.centers, _shares(histogram).astype(result.dtype, copy=False)
    interp = INTERP.run if INTERP.exact_for(pixels, *line) else np.interp

    def draw(begin: int, end: int) -> None:
        result[begin:end] = interp(pixels[begin:end], *line)

    in_bands(draw, pixels.size, pixels.size)


def _look_up(table: np.ndarray, levels: np.ndarray, result: np.ndarray) -> None:
    def look_up(begin: int, end: int) -> None:
        take(table, levels[begin:end], out=result[begin:end])

    in_bands(look_up, levels.size, levels.size)


EQUALIZE_HIST = Kernel("skimage.exposure.equalize_hist", _exact_for_equalizing, equalize_hist)
