"""Shared gathers: range, histogram and sums of a whole image, to the same bits as on one array.

Integer histograms add up exactly. A float histogram over a range known beforehand adds up too:
`numpy.histogram` puts a pixel into a bin by its value alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from napari_tilewise.errors import InvalidImage
from napari_tilewise.operations.shared.global_numbers import sums
from napari_tilewise.operations.spec.operation import PER_PIXEL, Block, Call, Reduce
from napari_tilewise.operations.spec.substitution import run_fastest

if TYPE_CHECKING:
    from napari_tilewise.operations.spec.passes import Passes

Pixels: TypeAlias = Callable[[Block], np.ndarray]
"""Which pixels of a block count, as a flat array."""

COUNTING, BINNING, DRAWING = "numpy.bincount", "numpy.histogram", "numpy.interp"
"""The functions that count the levels of 8- and 16-bit images, and the pixels of others in bins."""
NO_PIXEL = "the mask leaves no pixel to count."
MOST_BINS = 2**27
"""Integer histograms longer than this (a gigabyte) are refused."""


def counted_levels(call: Call) -> int:
    """Return the bytes per pixel that counts of an image's values take at most.

    Parameters
    ----------
    call
        What is computed.

    Returns
    -------
    :
        0, for few counts in all, unless integers have more than 2**16 values: each pixel may have
        a value of its own. Floating-point images are counted in bins.
    """
    return PER_PIXEL if call.dtype.kind in "ui" and call.dtype.itemsize > 2 else 0


def bins_of(call: Call) -> int:
    """Return what the bins of `nbins` take however small the image is, in pixels of it.

    Counts, edges and centers take 24 bytes, and thresholds compute up to six sums of them.

    Parameters
    ----------
    call
        What is computed. Integers are counted by value.
    """
    return 0 if call.dtype.kind in "ui" else 3 * int(call["nbins"])


def pixels_of(block: Block) -> np.ndarray:
    """Return a block's own pixels, flat; bool as 0 and 1, as `numpy.histogram` counts them."""
    pixels = block.data[block.core].ravel()
    return pixels.astype(np.uint8) if pixels.dtype.kind == "b" else pixels


@dataclass(frozen=True)
class Histogram:
    """What `skimage.exposure.histogram` returns for a whole image."""

    counts: np.ndarray
    centers: np.ndarray
    low: Any
    """The smallest pixel, in the image's type."""
    high: Any

    @property
    def constant(self) -> bool:
        """Whether all pixels are equal."""
        return bool(self.low == self.high)


def gather_range(call: Call, pixels: Pixels = pixels_of) -> Passes[tuple[Any, Any] | None]:
    """Return the smallest and largest pixel; NaN where there is one; None without any pixel."""

    def of(block: Block) -> tuple[Any, Any] | None:
        values = pixels(block)
        return (values.min(), values.max()) if values.size else None

    limits: tuple[Any, Any] | None = yield Reduce(
        of=of,
        merge=join_ranges,
        in_groups=True,
        only_reads=True,
        description="range of the image",
        share="range" if pixels is pixels_of and call.channel_axis is None else None,
    )
    return limits


def join_ranges(a: tuple[Any, Any] | None, b: tuple[Any, Any] | None) -> tuple[Any, Any] | None:
    """Return the range that holds both, NaN where either has one (as `min` and `max` do)."""
    if a is None or b is None:
        return b if a is None else a
    return np.minimum(a[0], b[0]), np.maximum(a[1], b[1])


def gather_histogram(call: Call, bins: int, pixels: Pixels = pixels_of) -> Passes[Histogram]:
    """Return the histogram that `skimage.exposure.histogram` makes of the whole image.

    Raises
    ------
    InvalidImage
        When there is NaN or infinity among the pixels, or no integer to count.
    """
    name = call.operation.name
    if call.dtype in (np.uint8, np.uint16):
        return (yield from _gather_levels(call, pixels))
    limits = yield from gather_range(call, pixels)
    if limits is None:
        if call.dtype.kind in "ui":
            raise InvalidImage(f"{name}: {NO_PIXEL}")
        limits = (0.0, 1.0)  # as `numpy.histogram` does of nothing
    low, high = limits
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InvalidImage(
            f"{name}: the image holds NaN or infinite values, of which no histogram can be made. "
            "Replace them first, for example with numpy.nan_to_num."
        )
    if call.dtype.kind in "ui":
        if int(high) > np.iinfo(np.int64).max:
            raise InvalidImage(
                f"{name}: the image's largest value is {high}, which as int64 would be below 0: "
                "expected less than 2**63. Convert the image to float first."
            )
        counts = yield from _gather_integers(call, low, high, pixels)
        return Histogram(counts, np.arange(int(low), int(high) + 1), low, high)
    counts = yield Reduce(
        of=lambda block: np.asarray(
            run_fastest(BINNING, np.histogram, pixels(block), bins=bins, range=(low, high))[0]
        ),
        merge=np.add,
        in_groups=True,
        only_reads=True,
        description="histogram",
        share=("histogram", bins, low, high) if pixels is pixels_of else None,
    )
    edges = np.histogram_bin_edges(np.empty(0, np.asarray(low).dtype), bins, (low, high))
    return Histogram(counts, (edges[:-1] + edges[1:]) / 2.0, low, high)


def _gather_levels(call: Call, pixels: Pixels) -> Passes[Histogram]:
    """Count every level that the data type holds in one pass, and cut off the empty ends."""
    length = np.iinfo(call.dtype).max + 1

    def of(block: Block) -> np.ndarray:
        return np.asarray(run_fastest(COUNTING, np.bincount, pixels(block), minlength=length))

    counts = yield Reduce(
        of=of,
        merge=lambda a, b: np.add(a, b, out=a),
        in_groups=True,
        only_reads=True,
        description="histogram",
        share="levels" if pixels is pixels_of else None,
        form="levels",
    )
    levels = np.flatnonzero(counts)
    if not levels.size:
        raise InvalidImage(f"{call.operation.name}: {NO_PIXEL}")
    low, high = int(levels[0]), int(levels[-1])
    ends = call.dtype.type(low), call.dtype.type(high)
    return Histogram(counts[low : high + 1], np.arange(low, high + 1), *ends)


def _gather_integers(call: Call, low: Any, high: Any, pixels: Pixels) -> Passes[np.ndarray]:
    first, length = int(low), int(high) - int(low) + 1
    if length > MOST_BINS:
        raise InvalidImage(
            f"{call.operation.name}: the image's values range from {low} to {high}; an integer "
            f"histogram of {length} bins is too long. Convert the image to float first."
        )

    def of(block: Block) -> tuple[int, np.ndarray]:
        """Return the counts of the block's own range of values, and where it begins."""
        values = pixels(block)
        if not values.size:
            return 0, np.zeros(0, np.int64)
        start = int(values.min())
        shifted = np.subtract(values, start, dtype=np.int64, casting="unsafe")
        return start - first, np.bincount(shifted)

    def merge(a: tuple[int, np.ndarray], b: tuple[int, np.ndarray]) -> tuple[int, np.ndarray]:
        total = _full(a, length)
        start, counts = b
        total[start : start + len(counts)] += counts
        return 0, total

    return _full(
        (
            yield Reduce(
                of=of, merge=merge, in_groups=True, only_reads=True, description="histogram"
            )
        ),
        length,
    )


def _full(part: tuple[int, np.ndarray], length: int) -> np.ndarray:
    start, counts = part
    if len(counts) == length:
        return counts
    total = np.zeros(length, np.int64)
    total[start : start + len(counts)] = counts
    return total


def gather_sum(call: Call) -> Passes[int]:
    """Return the exact sum of all pixels of an integer image."""
    total: int = yield Reduce(
        of=lambda block: _exact_sum(block.data[block.core]),
        merge=lambda a, b: a + b,
        in_groups=True,
        only_reads=True,
        description="sum",
    )
    return total


def _exact_sum(pixels: np.ndarray) -> int:
    """Return the sum of integers, which 64 bits need not hold."""
    wide = np.uint64 if pixels.dtype.kind == "u" else np.int64
    if pixels.dtype.itemsize < np.dtype(wide).itemsize:
        return int(pixels.sum(dtype=wide))
    low = wide(0xFFFFFFFF)
    return (int((pixels >> wide(32)).sum()) << 32) + int((pixels & low).sum())


def gather_pairwise(call: Call, values: Callable[[np.ndarray], np.ndarray]) -> Passes[Any]:
    """Return ``values(image).sum()`` of a float image, to NumPy's own bits."""
    # NumPy's means of float16 are sums of float32
    wide = np.float32 if call.dtype == np.float16 else call.dtype

    def of(block: Block) -> Iterator[np.ndarray]:
        yield np.ascontiguousarray(values(block.data[block.core]), dtype=wide)

    (total,) = yield from sums(call, of, description="mean")
    return total
