"""`exposure.match_histograms`: two cumulative histograms make one map of values.

Every distinct value of both images is counted, floats too, as scikit-image does. The memory is
bounded by how many distinct values there are: few in integers, as many as pixels in noisy floats.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage import exposure

from napari_tilewise.errors import InvalidImage
from napari_tilewise.operations.shared.common import CHANNEL, as_float
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    Adapter,
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

MOST_VALUES = 2**26
"""Images of more distinct values are refused: half a gigabyte of values, as much of counts."""


@dataclass(frozen=True)
class Tally:
    """Distinct values, in order, and how often each occurs."""

    values: np.ndarray
    counts: np.ndarray

    def and_(self, other: Tally) -> Tally:
        """Return the tally of both."""
        values, where = np.unique(np.concatenate([self.values, other.values]), return_inverse=True)
        counts = np.zeros(len(values), np.int64)
        np.add.at(counts, where, np.concatenate([self.counts, other.counts]))
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


def gather_tallies(
    call: Call, of: Callable[[Block], list[np.ndarray]], image: str | None = None
) -> Reduce:
    """Return the pass that counts the distinct values of some arrays over the image."""

    def merge(
        runs: list[list[Tally]] | tuple[list[Tally]], more: tuple[list[Tally]]
    ) -> list[list[Tally]]:
        # Runs of like size are joined, so that a value is not sorted anew for every tile.
        joined = [*runs, *more]
        while len(joined) > 1 and _size(joined[-1]) * 2 > _size(joined[-2]):
            last = joined.pop()
            joined[-1] = [a.and_(b) for a, b in zip(joined[-1], last, strict=True)]
        _check_size(call, sum(map(_size, joined)))
        return joined

    def finish(runs: list[list[Tally]] | tuple[list[Tally]]) -> list[Tally]:
        total, *others = reversed(runs)
        for run in others:
            total = [a.and_(b) for a, b in zip(total, run, strict=True)]
        return total

    return Reduce(
        lambda block: ([tally(values) for values in of(block)],),
        merge,
        image=image,
        finish=finish,
        description="distinct values",
    )


def _size(run: list[Tally]) -> int:
    return sum(len(one.values) for one in run)


def _check_size(call: Call, size: int) -> None:
    if size > MOST_VALUES:
        raise InvalidImage(
            f"{call.operation.name}: more than {MOST_VALUES} distinct values are there to count, "
            "which is too many. Convert the images to an integer type first, for example with "
            "skimage.util.img_as_uint."
        )


# -- match_histograms ------------------------------------------------------------------------------


def match_histograms(
    image: np.ndarray, reference: np.ndarray, *, channel_axis: int | None = None
) -> np.ndarray:
    """Call scikit-image's function, which finds the channels of a reference by its position."""
    matched: np.ndarray = exposure.match_histograms(image, reference, channel_axis=channel_axis)
    return matched


match_histograms.__doc__ = exposure.match_histograms.__doc__


def _channels(call: Call, block: Block) -> list[np.ndarray]:
    """Return a block's pixels: one array per channel, or one where there are none."""
    if call.channel_axis is None:
        return [block.data]
    return list(np.moveaxis(block.data, call.channel_axis, 0))


def _plan(call: Call) -> Plan:
    channels = partial(_channels, call)
    source: list[Tally] = yield gather_tallies(call, channels)
    reference: list[Tally] = yield gather_tallies(call, channels, image="reference")
    if call.dtype.kind == "u":
        _check_counted(call, reference)
    matched = [
        np.interp(one.shares, other.shares, other.values)
        for one, other in zip(source, reference, strict=True)
    ]
    # with channels the values pass through the image's own type, which may be half precision
    between = np.float64 if call.channel_axis is None else call.dtype

    def compute(block: Block) -> np.ndarray:
        out = np.empty(block.data.shape, between)
        into = [out] if call.channel_axis is None else np.moveaxis(out, call.channel_axis, 0)
        for one, values, new, target in zip(source, channels(block), matched, into, strict=True):
            target[...] = new[np.searchsorted(one.values, values)]
        return out.astype(_dtype(call), copy=False)

    return Tiles(compute)


def _dtype(call: Call) -> Any:
    """Return the dtype: without channels floats, with channels the image's own."""
    if call.channel_axis is None or call.dtype.kind == "f":
        return as_float(call)
    return call.dtype


def _check(call: Call) -> None:
    reference = call["reference"]
    shape = tuple(reference.shape)
    if len(shape) != len(call.shape):
        raise InvalidImage(
            f"{call.operation.name}: the image has {len(call.shape)} axes and reference, of shape "
            f"{shape}, {len(shape)}: expected as many."
        )
    axis = call.channel_axis
    if axis is not None and shape[axis] != call.shape[axis]:
        raise InvalidImage(
            f"{call.operation.name}: the image has {call.shape[axis]} channels and reference, of "
            f"shape {shape}, {shape[axis]}: expected as many."
        )
    dtype = np.dtype(reference.dtype)
    if call.dtype.kind == "u" and dtype.kind not in "bui":
        raise InvalidImage(
            f"{call.operation.name}: reference is of type {dtype}, which NumPy does not count "
            f"for an image of type {call.dtype}: expected integers. Convert both images to float "
            "first."
        )


def _check_counted(call: Call, reference: list[Tally]) -> None:
    """Raise `InvalidImage` for what NumPy cannot count beside unsigned integers."""
    if any(one.values[0] < 0 for one in reference):
        raise InvalidImage(
            f"{call.operation.name}: reference has values below 0, which cannot be matched by an "
            f"image of type {call.dtype}. Convert both images to float first."
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
        cost=Cost(memory=10.0),
        note=(
            "All distinct values of both images are held in memory, 16 bytes each; more than "
            f"{MOST_VALUES} are refused."
        ),
    ),
)
