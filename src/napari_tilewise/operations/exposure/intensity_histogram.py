"""`exposure.histogram` and `cumulative_distribution`: counts of tiles add up to the image's.

Integers are counted from the smallest to the largest value of a tile; merged, the tiles' spans give
the image's. Floats are counted in bins whose edges follow from the whole image's range.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from napari_tilewise.errors import InvalidImage
from napari_tilewise.operations.shared.common import as_float_type
from napari_tilewise.operations.shared.finite_results import centers_are_finite
from napari_tilewise.operations.shared.histograms import (
    BINNING,
    COUNTING,
    MOST_BINS,
    Histogram,
    bins_of,
    counted_levels,
    gather_histogram,
    gather_range,
)
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    IN_MEMORY,
    IN_ONE_CALL,
    Adapter,
    AtOnce,
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
    from napari_tilewise.operations.spec.passes import Passes

Counts: TypeAlias = tuple[int, np.ndarray]
"""The smallest value, and how often it and each following integer occur."""


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
    reduction = _integer_histogram(call) if call.dtype.kind in "ui" else _float_histogram(call)
    counts, centers = yield from reduction
    if call["normalize"]:
        counts = counts / np.sum(counts, axis=-1, keepdims=True)
    return Value((counts if call.channel_axis is not None else counts[0], centers))


def _channels(call: Call, block: Block) -> list[np.ndarray]:
    """Return a block's pixels, flat: one array per channel, or one without a channel axis."""
    if call.channel_axis is None:
        return [block.data.ravel()]
    return [channel.ravel() for channel in np.moveaxis(block.data, call.channel_axis, 0)]


def _integer_histogram(call: Call) -> Passes[tuple[np.ndarray, np.ndarray]]:
    if call["source_range"] == "dtype":
        limits = np.iinfo(call.dtype)
        _check_length(call, limits.min, limits.max)

    def channel_counts(block: Block) -> list[Counts]:
        return [_count(call, values) for values in _channels(call, block)]

    def merge(a: list[Counts], b: list[Counts]) -> list[Counts]:
        return [
            _merge_counts(call, counts_a, counts_b) for counts_a, counts_b in zip(a, b, strict=True)
        ]

    channels: list[Counts] = yield Reduce(channel_counts, merge, description="histogram")
    if call["source_range"] == "dtype":
        low, high = int(limits.min), int(limits.max)
    else:
        low = min(first for first, _ in channels)
        high = max(first + len(counts) - 1 for first, counts in channels)
        _check_length(call, low, high)
    return np.stack([_pad_counts(counts, low, high) for counts in channels]), np.arange(
        low, high + 1
    )


def _check_length(call: Call, low: int, high: int) -> None:
    if high - low >= MOST_BINS:
        raise InvalidImage(
            f"{call.operation.name}: a histogram from {low} to {high} has {high - low + 1} bins, "
            "which is too many. Convert the image to float first."
        )


def _count(call: Call, values: np.ndarray) -> Counts:
    low, high = int(values.min()), int(values.max())
    _check_length(call, low, high)
    return low, np.bincount(values.astype(np.int64) - low)


def _merge_counts(call: Call, counts_a: Counts, counts_b: Counts) -> Counts:
    low = min(counts_a[0], counts_b[0])
    high = max(first + len(counts) - 1 for first, counts in (counts_a, counts_b))
    _check_length(call, low, high)
    total = _pad_counts(counts_a, low, high)
    first, counts = counts_b
    total[first - low : first - low + len(counts)] += counts
    return low, total


def _pad_counts(counted: Counts, low: int, high: int) -> np.ndarray:
    """Return the counts of all values from `low` to `high`, which contain the counted ones."""
    first, counts = counted
    if len(counts) == high - low + 1:
        return counts
    total = np.zeros(high - low + 1, counts.dtype)
    total[first - low : first - low + len(counts)] = counts
    return total


def _float_histogram(call: Call) -> Passes[tuple[np.ndarray, np.ndarray]]:
    limits: tuple[Any, Any] | None = (-1, 1) if call.dtype.kind == "f" else (False, True)
    ends = np.empty(0, call.dtype)
    if call["source_range"] == "image":
        limits, ends = None, (yield from _reduce_extremes(call))
    # the smallest and the largest pixel alone give the bin edges of the whole image
    if call.channel_axis is not None:
        edges = reach("exposure.exposure", "_get_bin_edges")(ends, call["nbins"], limits)
        return (yield from _reduce_counts(call, edges, edges, None))
    ends = _bool_to_uint8(ends)
    edges = np.histogram_bin_edges(ends, call["nbins"], limits)
    span = limits or (ends[0], ends[1])
    return (yield from _reduce_counts(call, edges, call["nbins"], span))


def _reduce_extremes(call: Call) -> Passes[np.ndarray]:
    """Return the smallest and the largest pixel of all channels."""
    extremes = yield from gather_range(call, lambda block: block.data.ravel())
    if extremes is None or not np.isfinite(extremes).all():
        raise InvalidImage(
            f"{call.operation.name}: the image contains NaN or infinite values, which a histogram "
            "cannot count. Replace them first, for example with numpy.nan_to_num."
        )
    return np.array(extremes, call.dtype)


def _bool_to_uint8(values: np.ndarray) -> np.ndarray:
    """Return bool values as 0 and 1, as `numpy.histogram` counts them."""
    return values.astype(np.uint8) if values.dtype.kind == "b" else values


def _reduce_counts(
    call: Call, edges: np.ndarray, bins: Any, span: tuple[Any, Any] | None
) -> Passes[tuple[np.ndarray, np.ndarray]]:
    """Return the counts in `bins` bins of equal width, or between the edges in `bins`."""

    def channel_counts(block: Block) -> np.ndarray:
        return np.stack(
            [
                np.histogram(_bool_to_uint8(values), bins=bins, range=span)[0]
                for values in _channels(call, block)
            ]
        )

    counts = yield Reduce(channel_counts, np.add, description="histogram")
    return counts, (edges[:-1] + edges[1:]) / 2.0


def _is_of_image(call: Call) -> bool:
    return bool(call["source_range"] == "image")


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
        cost=Cost(
            memory=6.0,
            numbers=counted_levels,
            largest_region=bins_of,
            at_once=AtOnce(
                function=IN_MEMORY,
                finite=True,
                counted=True,
                when=_is_of_image,
                shown=centers_are_finite,
            ),
        ),
        note=f"Integer histograms of {MOST_BINS} or more bins are rejected.",
    ),
    Operation(
        name="exposure.cumulative_distribution",
        family=families.INTENSITY,
        kind=Kind.STATISTIC,
        result=ResultSpec(output=Output.VALUES, shape=lambda call: None),
        specs={"nbins": BINS},
        plan_of=_cumulative_plan,
        adapter=Adapter(kernels=(BINNING, COUNTING)),
        limits=Limits(finite=True),
        cost=Cost(
            memory=6.0,
            numbers=counted_levels,
            largest_region=bins_of,
            at_once=AtOnce(function=IN_ONE_CALL, counted=True, shown=centers_are_finite),
        ),
    ),
)
