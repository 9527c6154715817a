"""`exposure.histogram` and `cumulative_distribution`: counts of tiles add up to the image's.

Integers are counted from the smallest to the largest value of a tile; joined, the spans of the
tiles are the image's own. Floats are counted between edges that the whole image's range gives.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from napari_tilewise.errors import InvalidImage
from napari_tilewise.operations.shared.common import as_float_type
from napari_tilewise.operations.shared.histograms import (
    MOST_BINS,
    Histogram,
    gather_histogram,
    gather_range,
)
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    Block,
    Call,
    Cost,
    Kind,
    Limits,
    Operation,
    Output,
    Plan,
    Reduce,
    ResultSpec,
    Value,
)
from napari_tilewise.operations.spec.parameters import ChannelAxis, ChoiceSpec, Flag, Number

if TYPE_CHECKING:
    from collections.abc import Generator

Counts: TypeAlias = tuple[int, np.ndarray]
"""The value counted first, and how often it and those after it occur."""


def cumulative(histogram: Histogram, dtype: Any) -> np.ndarray:
    """Return the share of pixels up to each bin, as `cumulative_distribution` does."""
    counts = histogram.counts.cumsum()
    shares: np.ndarray = (counts / float(counts[-1])).astype(as_float_type(dtype), copy=False)
    return shares


def _cumulative_plan(call: Call) -> Plan:
    histogram = yield from gather_histogram(call, call["nbins"])
    return Value((cumulative(histogram, call.dtype), histogram.centers))


# -- histogram -------------------------------------------------------------------------------------


def _histogram_plan(call: Call) -> Plan:
    if len(call.shape) == 3 and call.shape[-1] < 4 and call.channel_axis is None:
        warnings.warn(
            "This might be a color image. The histogram will be computed on the flattened image. "
            "You can instead apply this function to each color channel, or set channel_axis.",
            stacklevel=2,
        )
    counted = _integers(call) if call.dtype.kind in "ui" else _floats(call)
    counts, centers = yield from counted
    if call["normalize"]:
        counts = counts / np.sum(counts, axis=-1, keepdims=True)
    return Value((counts if call.channel_axis is not None else counts[0], centers))


def _channels(call: Call, block: Block) -> list[np.ndarray]:
    """Return a block's pixels, flat: one array per channel, or one where there are none."""
    if call.channel_axis is None:
        return [block.data.ravel()]
    return [channel.ravel() for channel in np.moveaxis(block.data, call.channel_axis, 0)]


def _integers(call: Call) -> Generator[Reduce, Any, tuple[np.ndarray, np.ndarray]]:
    if call["source_range"] == "dtype":
        limits = np.iinfo(call.dtype)
        _check_length(call, limits.min, limits.max)

    def of(block: Block) -> list[Counts]:
        return [_count(call, values) for values in _channels(call, block)]

    def merge(a: list[Counts], b: list[Counts]) -> list[Counts]:
        return [_joined(call, one, other) for one, other in zip(a, b, strict=True)]

    found: list[Counts] = yield Reduce(of, merge, description="histogram")
    if call["source_range"] == "dtype":
        low, high = int(limits.min), int(limits.max)
    else:
        low = min(first for first, _ in found)
        high = max(first + len(counts) - 1 for first, counts in found)
        _check_length(call, low, high)
    return np.stack([_within(counts, low, high) for counts in found]), np.arange(low, high + 1)


def _check_length(call: Call, low: int, high: int) -> None:
    if high - low >= MOST_BINS:
        raise InvalidImage(
            f"{call.operation.name}: a histogram from {low} to {high} has {high - low + 1} bins, "
            "which is too long. Convert the image to float first."
        )


def _count(call: Call, values: np.ndarray) -> Counts:
    low, high = int(values.min()), int(values.max())
    _check_length(call, low, high)
    return low, np.bincount(values.astype(np.int64) - low)


def _joined(call: Call, one: Counts, other: Counts) -> Counts:
    low = min(one[0], other[0])
    high = max(first + len(counts) - 1 for first, counts in (one, other))
    _check_length(call, low, high)
    total = _within(one, low, high)
    first, counts = other
    total[first - low : first - low + len(counts)] += counts
    return low, total


def _within(found: Counts, low: int, high: int) -> np.ndarray:
    """Return counts from one value to another, which hold all that was counted."""
    first, counts = found
    if len(counts) == high - low + 1:
        return counts
    total = np.zeros(high - low + 1, counts.dtype)
    total[first - low : first - low + len(counts)] = counts
    return total


def _floats(call: Call) -> Generator[Reduce, Any, tuple[np.ndarray, np.ndarray]]:
    limits: tuple[Any, Any] | None = (-1, 1) if call.dtype.kind == "f" else (False, True)
    ends = np.empty(0, call.dtype)
    if call["source_range"] == "image":
        limits, ends = None, (yield from _ends(call))
    # an image of two pixels, its smallest and its largest, has the edges of the whole
    if call.channel_axis is not None:
        edges = reach("exposure.exposure", "_get_bin_edges")(ends, call["nbins"], limits)
        return (yield from _counted(call, edges, edges, None))
    ends = _countable(ends)
    edges = np.histogram_bin_edges(ends, call["nbins"], limits)
    span = limits or (ends[0], ends[1])
    return (yield from _counted(call, edges, call["nbins"], span))


def _ends(call: Call) -> Generator[Reduce, Any, np.ndarray]:
    """Compute the smallest and the largest pixel of all channels."""
    found = yield from gather_range(call, lambda block: block.data.ravel())
    if found is None or not np.isfinite(found).all():
        raise InvalidImage(
            f"{call.operation.name}: the image holds NaN or infinite values, of which no histogram "
            "can be made. Replace them first, for example with numpy.nan_to_num."
        )
    return np.array(found, call.dtype)


def _countable(values: np.ndarray) -> np.ndarray:
    """Return bool as 0 and 1, as `numpy.histogram` counts them."""
    return values.astype(np.uint8) if values.dtype.kind == "b" else values


def _counted(
    call: Call, edges: np.ndarray, bins: Any, span: tuple[Any, Any] | None
) -> Generator[Reduce, Any, tuple[np.ndarray, np.ndarray]]:
    """Compute the counts in so many bins of one width, or between the edges given as `bins`."""

    def of(block: Block) -> np.ndarray:
        return np.stack(
            [
                np.histogram(_countable(values), bins=bins, range=span)[0]
                for values in _channels(call, block)
            ]
        )

    counts = yield Reduce(of, np.add, description="histogram")
    return counts, (edges[:-1] + edges[1:]) / 2.0


BINS = Number(integer=True, minimum=1, usual=(2, 300))

OPERATIONS = (
    Operation(
        name="exposure.histogram",
        family=families.INTENSITY,
        kind=Kind.STATISTIC,
        result=ResultSpec(output=Output.VALUES, shape=lambda call: None),
        specs={
            "nbins": BINS,
            "source_range": ChoiceSpec(choices=("image", "dtype"), advanced=True),
            "normalize": Flag(),
            "channel_axis": ChannelAxis(advanced=True),
        },
        plan_of=_histogram_plan,
        cost=Cost(memory=6.0),
        note=f"Integer histograms of {MOST_BINS} bins and more are refused.",
    ),
    Operation(
        name="exposure.cumulative_distribution",
        family=families.INTENSITY,
        kind=Kind.STATISTIC,
        result=ResultSpec(output=Output.VALUES, shape=lambda call: None),
        specs={"nbins": BINS},
        plan_of=_cumulative_plan,
        limits=Limits(finite=True),
        cost=Cost(memory=6.0),
    ),
)
