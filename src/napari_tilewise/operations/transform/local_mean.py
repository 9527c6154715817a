"""`skimage.transform.resize_local_mean`: every pixel the mean of the area it comes from.

scikit-image multiplies each axis with a matrix of weights, almost all of them zero. A tile needs a
few of its rows and, of those, the columns that are not zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.grid import Region, extent
from napari_tilewise.operations.shared.common import CHANNEL, as_float, require_finite
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    Accuracy,
    Adapter,
    Block,
    Call,
    Cost,
    Kind,
    Limits,
    Operation,
    ResultSpec,
    Tiles,
)
from napari_tilewise.operations.spec.parameters import Flag
from napari_tilewise.operations.transform.resize import LENGTH, Lengths

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, eq=False)
class _Axis:
    """The areas of an axis's pixels before and after."""

    before: int
    after: int
    old: np.ndarray
    """Where the old pixels begin, and the last one ends."""
    new: np.ndarray

    @classmethod
    def of(cls, before: int, after: int, grid_mode: bool, dtype: Any) -> _Axis:
        """Return the areas as scikit-image computes them."""
        if grid_mode:
            old = np.linspace(0, before, num=before + 1, dtype=dtype)
            new = np.linspace(0, before, num=after + 1, dtype=dtype)
            return cls(before, after, old, new)
        last, count = before - 1, after - 1
        half = np.inf if count == 0 else 0.5 * last / count
        inner = np.linspace(0.5, last - 0.5, last, dtype=dtype)
        made = np.linspace(half, last - half, count, dtype=dtype)
        ends = np.array([0, last], dtype)
        old, new = (np.concatenate([ends[:1], middle, ends[1:]]) for middle in (inner, made))
        return cls(before, after, old, new)

    def needs(self, part: slice) -> slice:
        """Return the old pixels that new ones share area with."""
        if self.before == self.after:
            return part
        low, high = self.new[part.start], self.new[part.stop]
        first = int(np.searchsorted(self.old, low, side="right")) - 1
        stop = int(np.searchsorted(self.old, high, side="left"))
        first = min(max(first, 0), self.before - 1)
        return slice(first, min(max(stop, first + 1), self.before))

    def weights(self, part: slice, held: slice) -> np.ndarray:
        """Return a part of the matrix: rows for new pixels, columns for old ones."""
        new, old = self.new[part.start : part.stop + 1], self.old[held.start : held.stop + 1]
        upper = np.minimum(new[1:, np.newaxis], old[np.newaxis, 1:])
        lower = np.maximum(new[:-1, np.newaxis], old[np.newaxis, :-1])
        shared: np.ndarray = np.maximum(upper - lower, 0)
        shared /= shared.sum(axis=1, keepdims=True)
        return shared


def _targets(call: Call) -> tuple[int, ...]:
    """Return the lengths after, the channels last as scikit-image moves them."""
    shape: tuple[int, ...] = call["output_shape"]
    if call.channel_axis is not None:
        # With the channels' length among them, scikit-image takes the lengths as they stand.
        named = len(shape) == len(call.shape)
        return shape if named else (*shape, call.shape[call.channel_axis])
    if len(shape) == call.ndim - 1:
        return (*shape, call.shape[-1])
    return shape[: call.ndim]


def _result_shape(call: Call) -> tuple[int, ...]:
    targets = _targets(call)
    if call.channel_axis is not None:
        return call.with_channel(targets[:-1], targets[-1])
    return (*targets, *(1,) * (len(call["output_shape"]) - call.ndim))


def _channel(call: Call) -> int | None:
    if call.channel_axis is not None:
        return call.channel_axis
    return call.ndim if len(call["output_shape"]) > call.ndim else None


def _check(call: Call) -> None:
    shape, name = call["output_shape"], call.operation.name
    least, most = call.ndim, call.ndim + 1
    if call.channel_axis is None:
        least -= 1
    elif len(shape) == most and shape[call.channel_axis] != call.shape[call.channel_axis]:
        raise InvalidParameter(
            f"{name}: output_shape={shape} changes the number of channels (axis "
            f"{call.channel_axis} of {call.shape}): expected {call.shape[call.channel_axis]} there."
        )
    if not least <= len(shape) <= most:
        raise InvalidParameter(
            f"{name}: output_shape={shape} for an image of shape {call.shape}: expected {least} "
            f"or {most} lengths."
        )


def _plan(call: Call) -> Tiles:
    targets = _targets(call)
    dtype = np.dtype(as_float(call))
    moved = call.shape
    if call.channel_axis is not None:
        moved = (*call.spatial_shape, call.shape[call.channel_axis])
    axes = [_Axis.of(n, m, call["grid_mode"], dtype) for n, m in zip(moved, targets, strict=True)]
    behind = () if call.channel_axis is None else (slice(0, targets[-1]),)

    def source(tile: Region) -> Region:
        return tuple(axis.needs(part) for axis, part in zip(axes, tile, strict=False))

    def compute(block: Block) -> np.ndarray:
        data = np.asarray(
            reach("_shared.utils", "convert_to_float")(block.data, call["preserve_range"])
        )
        require_finite(call, data, "a product of matrices spreads over all of it")
        if call.channel_axis is not None:
            data = np.moveaxis(data, call.channel_axis, -1)
        held = (*block.region, *(slice(0, n) for n in moved[call.ndim :]))
        for number, (axis, part, have) in enumerate(
            zip(axes, (*block.tile, *behind), held, strict=True)
        ):
            if axis.before != axis.after:
                product = np.tensordot(data, axis.weights(part, have), ([number], [-1]))
                data = np.moveaxis(product, -1, number)
        if call.channel_axis is not None:
            data = np.moveaxis(data, -1, call.channel_axis)
        elif _channel(call) is not None:
            data = data.reshape((*extent(block.tile), 1))
        return np.ascontiguousarray(data)

    return Tiles(compute, source=source)


def _with_tuple(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return scikit-image's function, which takes a tuple as shape, for any sequence."""

    @wraps(function)
    def resize(image: np.ndarray, output_shape: Sequence[int], **params: Any) -> Any:
        return function(image, tuple(output_shape), **params)

    return resize


OPERATIONS = (
    Operation(
        name="transform.resize_local_mean",
        family=families.SIZES,
        kind=Kind.GEOMETRY,
        # A matrix product adds up in blocks that depend on where the matrix begins: one rounding
        # or two per axis, in the precision of the image.
        accuracy=Accuracy(tolerance=1e-14, single=2.0**-21),
        specs={
            "output_shape": Lengths(item=LENGTH),
            "grid_mode": Flag(),
            "preserve_range": Flag(advanced=True),
            "channel_axis": CHANNEL,
        },
        result=ResultSpec(dtype=as_float, shape=_result_shape, channel=_channel),
        plan_of=_plan,
        limits=Limits(check=_check),
        cost=Cost(memory=6.0),
        adapter=Adapter(wrap=_with_tuple),
    ),
)
