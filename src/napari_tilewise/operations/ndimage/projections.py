"""NumPy's reductions along one axis, and one position: a tile holds that axis whole, like channels.

The axis is given by number, the first one unless said otherwise, and is gone from the result.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.operations.ndimage.nd_parameters import untiled
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.accuracy import IDENTICAL
from napari_tilewise.operations.spec.operation import (
    LIGHT,
    Accuracy,
    Adapter,
    Block,
    Call,
    Constraint,
    Cost,
    Kind,
    Limits,
    Neighbourhood,
    Operation,
    ResultSpec,
    Tiles,
    no_channel,
)
from napari_tilewise.operations.spec.parameters import ChannelAxis, Number
from napari_tilewise.operations.spec.value_specs import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_tilewise.operations.spec.parameters import Spec
    from napari_tilewise.types import Parameters

LEAVE_OUT = "Leave it out."
SUMS = Accuracy(tolerance=1e-12, single=1e-5)
ROUNDING = (
    "Exact for integers; floats are added up in another order where a tile is one pixel wide."
)


def _plan(call: Call) -> Tiles:
    def compute(block: Block) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.asarray(call.function(block.data, axis=call.channel_axis))

    return Tiles(compute)


def _type(function: Callable[..., Any]) -> Callable[[Call], Any]:
    return lambda call: np.asarray(function(np.ones((1, 1), call.dtype), axis=0)).dtype


def _projection(
    function: Callable[..., Any], accuracy: Accuracy = IDENTICAL, **further: Spec
) -> Operation:
    names = ("dtype", "keepdims", "initial", "where", "mean", "correction", "overwrite_input")
    return Operation(
        name=f"numpy.{function.__name__}",
        family=families.PROJECTIONS,
        kind=Kind.POINTWISE,
        specs={"axis": ChannelAxis(optional=False), **further},
        plan_of=_plan,
        result=ResultSpec(
            dtype=_type(function), shape=lambda call: call.spatial_shape, channel=no_channel
        ),
        accuracy=accuracy,
        adapter=Adapter(
            overrides={"axis": 0}, modernize=untiled(**dict.fromkeys(names, LEAVE_OUT))
        ),
        cost=Cost(memory=6.0, at_once=LIGHT),
        note="Along the first axis unless axis= names another; a number of the whole image is what "
        "ndimage.sum, ndimage.mean and others give."
        + (f" {ROUNDING}" if accuracy is not IDENTICAL else ""),
    )


# -- one position ----------------------------------------------------------------------------------


def _take(call: Call) -> Tiles:
    """Return the pass that drops the axis: blocks hold the one position."""
    return Tiles(lambda block: np.take(block.data, 0, axis=call.channel_axis), only_reads=True)


def _position(call: Call) -> slice:
    first = call["indices"] % call.shape[call.channel_axis or 0]
    return slice(first, first + 1)


def _check_position(call: Call) -> None:
    length = call.shape[call.channel_axis or 0]
    if not -length <= call["indices"] < length:
        raise InvalidParameter(
            f"{call.operation.name}: indices={call['indices']}: expected a position from {-length} "
            f"to {length - 1} along an axis of length {length}."
        )


def _existing_position(params: Parameters, image: np.ndarray, solution: int) -> Parameters:
    """Return a position along the axis, or along any if none is named; a constraint's solution."""
    length = image.shape[params["axis"]] if "axis" in params else min(image.shape)
    return {"indices": solution % (2 * length) - length}


def _modern_take(params: dict[str, Any]) -> dict[str, Any]:
    mode = params.pop("mode", "raise")
    if mode != "raise":
        raise InvalidParameter(
            f"{shown('mode', mode)}: expected 'raise'. Give a position that the axis has."
        )
    return untiled(out=LEAVE_OUT)(params)


DDOF = Number(integer=True, minimum=0, usual=(0, 1), advanced=True)

OPERATIONS = (
    replace(_projection(np.max), title="Maximum value (NumPy)"),
    replace(_projection(np.min), title="Minimum value (NumPy)"),
    _projection(np.mean, SUMS),
    _projection(np.sum, SUMS),
    _projection(np.median, SUMS),
    replace(_projection(np.std, SUMS, ddof=DDOF), title="Standard deviation (NumPy)"),
    Operation(
        name="numpy.take",
        title="Take along an axis (NumPy)",
        family=families.PROJECTIONS,
        kind=Kind.POINTWISE,
        specs={
            "indices": Number(integer=True, usual=(0, 3)),
            "axis": ChannelAxis(optional=False),
        },
        plan_of=_take,
        result=ResultSpec(
            dtype=lambda call: call.dtype, shape=lambda call: call.spatial_shape, channel=no_channel
        ),
        neighbourhood=Neighbourhood(channels=_position),
        limits=Limits(check=_check_position, takes_alpha=True),
        constraints=(Constraint(names=("indices", "axis"), satisfy=_existing_position),),
        adapter=Adapter(overrides={"axis": 0}, modernize=_modern_take),
        cost=Cost(memory=6.0, at_once=LIGHT),
        note="One position along an axis, such as a channel: the axis named c where there is one, "
        "else the first, unless axis= names another.",
    ),
)
