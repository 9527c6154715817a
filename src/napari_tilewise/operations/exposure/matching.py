"""`exposure.match_histograms`: values are mapped through two cumulative histograms.

Every distinct value of both images is counted, floats too, as scikit-image does. Memory grows with
the number of distinct values: few in integer images, up to one per pixel in noisy float images.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from skimage import exposure

from napari_tilewise.errors import InvalidImage
from napari_tilewise.operations.shared.common import CHANNEL, as_float
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    PER_PIXEL,
    Adapter,
    AtOnce,
    Block,
    Call,
    Cost,
    Kind,
    Limits,
    Operation,
    Plan,
    Reduce,
    ResultSpec,
    Tiles,
)
from napari_tilewise.operations.spec.parameters import OtherImage

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import DTypeLike

MOST_VALUES = 2**26
"""Largest number of distinct values: half a gigabyte of values, and as much of counts."""


@dataclass(frozen=True)
class Tally:
    """Distinct values in ascending order, and how often each occurs."""

    values: np.ndarray
    counts: np.ndarray

    def merged(self, other: Tally) -> Tally:
        """Return the sum of both tallies."""
        values, inverse = np.unique(
            np.concatenate([self.values, other.values]), return_inverse=True
        )
        counts = np.zeros(len(values), np.int64)
        np.add.at(counts, inverse, np.concatenate([self.counts, other.counts]))
        return Tally(values, counts)

    @property
    def shares(self) -> np.ndarray:
        """The share of pixels up to each value."""
        shares: np.ndarray = np.cumsum(self.counts) / int(self.counts.sum())
        return shares


def tally(values: np.ndarray) -> Tally:
    """Count the distinct values of an array."""
    if values.dtype.kind == "u" and values.dtype.itemsize <= 2:
        counts = np.bincount(values.ravel())
        present = np.flatnonzero(counts)
        return Tally(present.astype(values.dtype), counts[present])
    return Tally(*np.unique(values, return_counts=True))


def reduce_tallies(
    call: Call, arrays_of: Callable[[Block], list[np.ndarray]], image: str | None = None
) -> Reduce:
    """Return the reduction that counts the distinct values of each array of a block."""

    def merge(
        runs: list[list[Tally]] | tuple[list[Tally]], tile_run: tuple[list[Tally]]
    ) -> list[list[Tally]]:
        # Merging runs of similar size avoids sorting every value again for every tile.
        merged_runs = [*runs, *tile_run]
        while len(merged_runs) > 1 and _size(merged_runs[-1]) * 2 > _size(merged_runs[-2]):
            last_run = merged_runs.pop()
            merged_runs[-1] = [a.merged(b) for a, b in zip(merged_runs[-1], last_run, strict=True)]
        _check_size(call, sum(map(_size, merged_runs)))
        return merged_runs

    def finish(runs: list[list[Tally]] | tuple[list[Tally]]) -> list[Tally]:
        total, *runs_before = reversed(runs)
        for run in runs_before:
            total = [a.merged(b) for a, b in zip(total, run, strict=True)]
        return total

    return Reduce(
        lambda block: ([tally(values) for values in arrays_of(block)],),
        merge,
        image=image,
        finish=finish,
        description="distinct values",
    )


def _size(run: list[Tally]) -> int:
    return sum(len(tally_.values) for tally_ in run)


def _check_size(call: Call, size: int) -> None:
    if size > MOST_VALUES:
        raise InvalidImage(
            f"{call.operation.name}: the images have more than {MOST_VALUES} distinct values, "
            "which is too many to count. Convert the images to an integer type first, for example "
            "with skimage.util.img_as_uint."
        )


# -- match_histograms ------------------------------------------------------------------------------


def match_histograms(
    image: np.ndarray, reference: np.ndarray, *, channel_axis: int | None = None
) -> np.ndarray:
    """Call scikit-image's function with the reference as a positional argument.

    Only then does it move the channel axis of the reference too.
    """
    matched: np.ndarray = exposure.match_histograms(image, reference, channel_axis=channel_axis)
    return matched


match_histograms.__doc__ = exposure.match_histograms.__doc__


def _channels(call: Call, block: Block) -> list[np.ndarray]:
    """Return a block's pixels: one array per channel, or one without a channel axis."""
    if call.channel_axis is None:
        return [block.data]
    return list(np.moveaxis(block.data, call.channel_axis, 0))


def _plan(call: Call) -> Plan:
    channels = partial(_channels, call)
    source: list[Tally] = yield reduce_tallies(call, channels)
    reference: list[Tally] = yield reduce_tallies(call, channels, image="reference")
    if call.dtype.kind == "u":
        _check_counted(call, reference)
    matched = [
        np.interp(source_tally.shares, reference_tally.shares, reference_tally.values)
        for source_tally, reference_tally in zip(source, reference, strict=True)
    ]
    # with channels the values are stored in the image's own dtype, which may be half precision
    mapped_dtype = np.float64 if call.channel_axis is None else call.dtype

    maps = [_mapping(*pair) for pair in zip(source, matched, strict=True)]

    def compute(block: Block) -> np.ndarray:
        out = np.empty(block.data.shape, mapped_dtype)
        targets = [out] if call.channel_axis is None else np.moveaxis(out, call.channel_axis, 0)
        for values, mapped, target in zip(channels(block), maps, targets, strict=True):
            target[...] = mapped(values)
        return out.astype(_dtype(call), copy=False)

    return Tiles(compute)


def _mapping(source: Tally, matched: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return what maps pixels that were counted: a table where all values of their type fit."""
    values = source.values
    if values.dtype.kind != "u" or values.dtype.itemsize > 2:
        return lambda pixels: np.asarray(matched[np.searchsorted(values, pixels)])
    table = np.zeros(int(values[-1]) + 1, matched.dtype)
    table[values] = matched
    return lambda pixels: np.asarray(np.take(table, pixels))


def _dtype(call: Call) -> DTypeLike:
    """Return the result's dtype: a float type without channels, the image's own with channels."""
    if call.channel_axis is None or call.dtype.kind == "f":
        return as_float(call)
    return call.dtype


def _check(call: Call) -> None:
    reference = call["reference"]
    shape = tuple(reference.shape)
    if len(shape) != len(call.shape):
        raise InvalidImage(
            f"{call.operation.name}: the image has {len(call.shape)} axes, but reference, of shape "
            f"{shape}, has {len(shape)}: expected the same number of axes."
        )
    axis = call.channel_axis
    if axis is not None and shape[axis] != call.shape[axis]:
        raise InvalidImage(
            f"{call.operation.name}: the image has {call.shape[axis]} channels, but reference, of "
            f"shape {shape}, has {shape[axis]}: expected the same number of channels."
        )
    dtype = np.dtype(reference.dtype)
    if call.dtype.kind == "u" and dtype.kind not in "bui":
        raise InvalidImage(
            f"{call.operation.name}: reference has dtype {dtype}, which cannot be matched by an "
            f"image of dtype {call.dtype}: expected integers. Convert both images to float first."
        )


def _check_counted(call: Call, reference: list[Tally]) -> None:
    """Raise `InvalidImage` if the reference of an unsigned image has negative values."""
    if any(counted.values[0] < 0 for counted in reference):
        raise InvalidImage(
            f"{call.operation.name}: reference has values below 0, which cannot be matched by an "
            f"image of dtype {call.dtype}. Convert both images to float first."
        )


OPERATIONS = (
    Operation(
        name="exposure.match_histograms",
        family=families.INTENSITY,
        adapter=Adapter(function=match_histograms),
        kind=Kind.STATISTIC,
        specs={"reference": OtherImage(role="image", optional=False), "channel_axis": CHANNEL},
        result=ResultSpec(dtype=_dtype),
        plan_of=_plan,
        limits=Limits(check=_check),
        cost=Cost(
            numbers=PER_PIXEL,
            memory=10.0,
            at_once=AtOnce(function=2**22, finite=True, counted=True),
        ),
        note=(
            "All distinct values of both images are held in memory, 16 bytes each; more than "
            f"{MOST_VALUES} are rejected."
        ),
    ),
)
