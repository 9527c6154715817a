"""`skimage.transform.resize_local_mean`: every pixel is the mean of an area of the image.

scikit-image multiplies each axis by a matrix of weights, almost all of which are zero. A tile needs
only some of its rows, and of these the columns that are not zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.grid import Region, extent
from napari_tilewise.operations.shared.common import CHANNEL, as_float, require_finite
from napari_tilewise.operations.shared.finite_results import all_are_finite
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    SMALL_WHOLE,
    Accuracy,
    Adapter,
    Block,
    Call,
    Cost,
    Kind,
    Limits,
    Neighbourhood,
    Operation,
    ResultSpec,
    Tiles,
)
from napari_tilewise.operations.spec.parameters import Flag
from napari_tilewise.operations.spec.pixel_positions import between_ends, resampled
from napari_tilewise.operations.transform.resize import LENGTH, Lengths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise.operations.spec.pixel_positions import Samplings
    from napari_tilewise.types import AnyFunction


@dataclass(frozen=True, eq=False)
class _Axis:
    """The edges of the pixels along an axis of the input and of the output."""

    input_length: int
    output_length: int
    input_edges: np.ndarray
    """Where the input's pixels start, and the last one ends."""
    output_edges: np.ndarray

    @classmethod
    def create(cls, input_length: int, output_length: int, grid_mode: bool, dtype: Any) -> _Axis:
        """Return the edges as scikit-image computes them."""
        if grid_mode:
            input_edges = np.linspace(0, input_length, num=input_length + 1, dtype=dtype)
            output_edges = np.linspace(0, input_length, num=output_length + 1, dtype=dtype)
            return cls(input_length, output_length, input_edges, output_edges)
        span, count = input_length - 1, output_length - 1
        half = np.inf if count == 0 else 0.5 * span / count
        inner_input = np.linspace(0.5, span - 0.5, span, dtype=dtype)
        positions = np.linspace(half, span - half, count, dtype=dtype)
        ends = np.array([0, span], dtype)
        input_edges, output_edges = (
            np.concatenate([ends[:1], edges, ends[1:]]) for edges in (inner_input, positions)
        )
        return cls(input_length, output_length, input_edges, output_edges)

    def needs(self, part: slice) -> slice:
        """Return the span of input pixels that overlap a span of output pixels."""
        if self.input_length == self.output_length:
            return part
        low, high = self.output_edges[part.start], self.output_edges[part.stop]
        start = int(np.searchsorted(self.input_edges, low, side="right")) - 1
        stop = int(np.searchsorted(self.input_edges, high, side="left"))
        start = min(max(start, 0), self.input_length - 1)
        return slice(start, min(max(stop, start + 1), self.input_length))

    def weights(self, part: slice, columns: slice) -> np.ndarray:
        """Return a part of the matrix: rows for output pixels, columns for input pixels."""
        output_edges, input_edges = (
            self.output_edges[part.start : part.stop + 1],
            self.input_edges[columns.start : columns.stop + 1],
        )
        upper = np.minimum(output_edges[1:, np.newaxis], input_edges[np.newaxis, 1:])
        lower = np.maximum(output_edges[:-1, np.newaxis], input_edges[np.newaxis, :-1])
        shared: np.ndarray = np.maximum(upper - lower, 0)
        shared /= shared.sum(axis=1, keepdims=True)
        return shared


def _targets(call: Call) -> tuple[int, ...]:
    """Return the output's shape with the channels last, as scikit-image moves them."""
    shape: tuple[int, ...] = call["output_shape"]
    if call.channel_axis is not None:
        # If it includes the channels' length, scikit-image uses output_shape without reordering.
        includes_channels = len(shape) == len(call.shape)
        return shape if includes_channels else (*shape, call.shape[call.channel_axis])
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
    fewest, largest = call.ndim, call.ndim + 1
    if call.channel_axis is None:
        fewest -= 1
    elif len(shape) == largest and shape[call.channel_axis] != call.shape[call.channel_axis]:
        raise InvalidParameter(
            f"{name}: output_shape={shape} changes the number of channels (axis "
            f"{call.channel_axis} of {call.shape}): expected {call.shape[call.channel_axis]}."
        )
    if not fewest <= len(shape) <= largest:
        raise InvalidParameter(
            f"{name}: output_shape={shape} for an image of shape {call.shape}: expected {fewest} "
            f"or {largest} lengths."
        )


def _plan(call: Call) -> Tiles:
    targets = _targets(call)
    dtype = np.dtype(as_float(call))
    shape = call.shape
    if call.channel_axis is not None:
        shape = (*call.spatial_shape, call.shape[call.channel_axis])
    axes = [
        _Axis.create(n, m, call["grid_mode"], dtype) for n, m in zip(shape, targets, strict=True)
    ]
    channel_spans = () if call.channel_axis is None else (slice(0, targets[-1]),)

    def source(tile: Region) -> Region:
        return tuple(axis.needs(part) for axis, part in zip(axes, tile, strict=False))

    def compute(block: Block) -> np.ndarray:
        data = np.asarray(
            reach("_shared.utils", "convert_to_float")(block.data, call["preserve_range"])
        )
        require_finite(call, data, "a matrix product spreads over the whole image")
        if call.channel_axis is not None:
            data = np.moveaxis(data, call.channel_axis, -1)
        regions = (*block.region, *(slice(0, n) for n in shape[call.ndim :]))
        for index, (axis, part, region) in enumerate(
            zip(axes, (*block.tile, *channel_spans), regions, strict=True)
        ):
            if axis.input_length != axis.output_length:
                product = np.tensordot(data, axis.weights(part, region), ([index], [-1]))
                data = np.moveaxis(product, -1, index)
        if call.channel_axis is not None:
            data = np.moveaxis(data, -1, call.channel_axis)
        elif _channel(call) is not None:
            data = data.reshape((*extent(block.tile), 1))
        return np.ascontiguousarray(data)

    return Tiles(compute, source=source)


def _sampling(call: Call, shape: tuple[int, ...]) -> Samplings:
    return resampled(call, shape) if call["grid_mode"] else between_ends(call, shape)


def _with_tuple(function: AnyFunction) -> AnyFunction:
    """Return scikit-image's function, which takes a tuple as shape, for any sequence."""

    @wraps(function)
    def resize(image: np.ndarray, output_shape: Sequence[int], **params: Any) -> Any:
        return function(image, tuple(output_shape), **params)

    return resize


OPERATIONS = (
    Operation(
        name="transform.resize_local_mean",
        title="Resize by local mean",
        family=families.SIZES,
        kind=Kind.GEOMETRY,
        # A matrix product adds up in blocks that depend on where the matrix starts: one or two
        # rounding errors per axis, in the image's precision.
        accuracy=Accuracy(tolerance=1e-14, single=2.0**-21),
        specs={
            "output_shape": Lengths(item=LENGTH),
            "grid_mode": Flag(),
            "preserve_range": Flag(advanced=True),
            "channel_axis": CHANNEL,
        },
        result=ResultSpec(dtype=as_float, shape=_result_shape, channel=_channel),
        neighbourhood=Neighbourhood(sampling=_sampling),
        plan_of=_plan,
        limits=Limits(check=_check),
        cost=Cost(memory=6.0, at_once=SMALL_WHOLE._replace(shown=all_are_finite)),
        adapter=Adapter(wrap=_with_tuple),
    ),
)
