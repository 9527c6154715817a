"""What follows from how often each grey level occurs: Otsu's threshold, equal histograms."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from napari_tilewise.kernels.arrays import contiguous, type_code
from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.library import call
from napari_tilewise.kernels.threads import run_parts
from napari_tilewise.kernels.whole_number_sums import take

_BYTES = (np.dtype("u1"), np.dtype("u2"))
_MOST_COLOURS = 4
_PART = 2**22
"""Pixels that are worth a thread, and a table of counts, of their own."""


def _is_counted(image: np.ndarray) -> bool:
    # Of what looks like a colour image the functions warn.
    is_colour = image.ndim > 2 and image.shape[-1] <= _MOST_COLOURS
    return image.dtype in _BYTES and image.size > 0 and not is_colour


def _counts(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the levels that occur, and how often each does."""

    def counted(part: np.ndarray) -> np.ndarray:
        counts = np.zeros(2 ** (8 * part.itemsize), np.int64)
        call("count", part, type_code(part.dtype), part.size, counts)
        return counts

    parts = np.array_split(pixels, max(1, pixels.size // _PART))
    counts = np.sum(run_parts([partial(counted, part) for part in parts]), axis=0)
    levels = np.flatnonzero(counts)
    return levels, counts[levels]


# -- threshold_otsu --------------------------------------------------------------------------------


def _exact_for_otsu(image: Any = None, nbins: int = 256, *, hist: Any = None) -> bool:
    return image is not None and hist is None and _is_counted(image)


def threshold_otsu(image: Any = None, nbins: int = 256, *, hist: Any = None) -> Any:
    """Return the threshold between two classes, as `skimage.filters.threshold_otsu` does.

    Parameters
    ----------
    image
        uint8 or uint16; `nbins` is ignored for these.
    nbins, hist
        As there.
    """
    pixels = contiguous(image).ravel()
    levels, counts = _counts(pixels)
    if len(levels) == 1:
        return pixels[0]
    # An empty level parts the same classes as the level before it, which comes first. Numbers of
    # pixels, and their product, are rounded to float32 as the function's are; sums are not.
    single = counts.astype(np.float32)
    weighted = single * levels
    below, above = np.cumsum(single), np.cumsum(single[::-1])[::-1]
    mean_below = np.cumsum(weighted) / below
    mean_above = np.cumsum(weighted[::-1])[::-1] / above
    between = below[:-1] * above[1:] * (mean_below[:-1] - mean_above[1:]) ** 2
    return np.int64(levels[np.argmax(between)])


THRESHOLD_OTSU = Kernel("skimage.filters.threshold_otsu", _exact_for_otsu, threshold_otsu)


# -- equalize_hist ---------------------------------------------------------------------------------


def _exact_for_equalizing(image: np.ndarray, nbins: int = 256, mask: Any = None) -> bool:
    return mask is None and _is_counted(image)


def equalize_hist(image: np.ndarray, nbins: int = 256, mask: Any = None) -> np.ndarray:
    """Spread the levels evenly, as `skimage.exposure.equalize_hist` does.

    Parameters
    ----------
    image
        uint8 or uint16; `nbins` is ignored for these.
    nbins, mask
        As there.
    """
    image = contiguous(image)
    levels, counts = _counts(image.ravel())
    shares = np.cumsum(counts)
    table = np.zeros(2 ** (8 * image.itemsize))
    table[levels] = shares / float(shares[-1])
    return take(table, image)


EQUALIZE_HIST = Kernel("skimage.exposure.equalize_hist", _exact_for_equalizing, equalize_hist)
