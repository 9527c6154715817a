"""What needs the whole image at once is given the whole image: read, computed, handed out by tiles.

The engine knows from `Kind.WHOLE` to refuse, with the number, what does not fit in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.operations.shared.global_numbers import refuse_unless_finite
from napari_tilewise.operations.spec.operation import (
    Block,
    Call,
    Kind,
    Neighbourhood,
    Part,
    Parts,
    Plan,
    Reduce,
    Tiles,
    Value,
)

if TYPE_CHECKING:
    from napari_tilewise.grid import Region
    from napari_tilewise.operations.spec.passes import HaloLike


def whole_halo(call: Call) -> HaloLike:
    """Return a halo that reaches the whole image from every tile."""
    return call.spatial_shape


def whole(call: Call) -> Plan:
    """Call scikit-image's function once, on the whole image, and hand out what it returns."""

    def compute(block: Block) -> Any:
        if call.operation.limits.finite and block.data.size:
            refuse_unless_finite(call, block.data.min(), block.data.max())
        return call.function(block.data, **block.images)

    result = yield gather_whole(call, compute)
    return handed_out(call, result)


def whole_without_nan(call: Call) -> Plan:
    """Call the function on the whole image at once; NaN is for the operation's own passes."""

    def compute(block: Block) -> Any:
        if block.data.dtype.kind == "f" and np.isnan(block.data).any():
            return None
        return call.function(block.data, **block.images)

    result = yield gather_whole(call, compute)
    if result is None:
        return (yield from call.operation.plan(call))
    return handed_out(call, result)


WHOLE: dict[str, Any] = {
    "kind": Kind.WHOLE,
    "neighbourhood": Neighbourhood(halo=whole_halo),
    "plan_of": whole,
}
"""What every declaration says that calls scikit-image's function on the whole image."""


def gather_whole(call: Call, compute: Any, description: str = "the whole image") -> Reduce:
    """Return the pass whose only block is the whole image."""
    everything = tuple(slice(0, n) for n in call.spatial_shape)
    # Of other kinds there is a plan in tiles too, whose results a resumed run may have.
    form = "" if call.operation.kind is Kind.WHOLE else "whole"
    return Reduce(compute, _never_merged, regions=[everything], description=description, form=form)


def _never_merged(total: Any, part: Any) -> Any:
    raise AssertionError("the whole image is one block")


def handed_out(call: Call, result: Any) -> Tiles | Value | Parts:
    """Return the last pass for a result that is in memory already."""
    operation = call.operation
    parts = operation.parts(call)
    if parts is not None:
        return Parts(tuple(from_memory(p, item) for p, item in zip(parts, result, strict=True)))
    if operation.result.split is not None:
        result = np.stack(result)
    return from_memory(operation.whole_part(call), result)


def from_memory(part: Part, result: Any) -> Tiles | Value:
    """Return the last pass for one of the results, in memory already."""
    if not part.output.is_image:
        return Value(result)

    def compute(block: Block) -> np.ndarray:
        box = list(block.tile)
        if part.channel is not None:
            box.insert(part.channel, slice(None))
        return np.asarray(result[tuple(box)])

    return Tiles(compute, dtype=result.dtype, source=_no_pixels)


def _no_pixels(region: Region) -> None:
    """Ask for no pixel of the image: the result is in memory already."""
