"""`skimage.filters`, edges: small kernels of first and second differences.

A mask is eroded by one pixel, as if it were False outside the image, whatever the border mode.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.grid import clip, within
from napari_tilewise.operations.shared.common import BORDER, CVAL, as_float
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    IN_ONE_CALL,
    WIDENED_IN_BANDS,
    Adapter,
    AtOnce,
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
from napari_tilewise.operations.spec.parameters import AlignedImage, Number, Numbers

AXIS = Numbers(item=Number(integer=True, usual=(0, 1)), optional=True, advanced=True)


def _check_axes(call: Call) -> None:
    axes = call["axis"]
    for axis in () if axes is None else np.atleast_1d(axes):
        if not -call.ndim <= axis < call.ndim:
            raise InvalidParameter(
                f"{call.operation.name}: axis={axes!r} does not exist in an image with {call.ndim} "
                f"spatial axes: expected numbers from {-call.ndim} to {call.ndim - 1}, or None."
            )


def _plan(call: Call) -> Tiles:
    def compute(block: Block) -> np.ndarray:
        images = {name: _inside(mask, block, call) for name, mask in block.images.items()}
        return np.asarray(call.function(block.data, **images))

    return Tiles(compute, halo=call.operation.neighbourhood.halo(call))


def _inside(mask: np.ndarray, block: Block, call: Call) -> np.ndarray:
    """Return the mask, False where a wrapping border read pixels of the image's other side."""
    inside = clip(block.region, call.spatial_shape)
    if inside == block.region:
        return mask
    box = within(inside, block.region)
    result = np.zeros_like(mask)
    result[box] = mask[box]
    return result


def _edge(name: str, radius: int = 1) -> Operation:
    return Operation(
        name=f"filters.{name}",
        family=families.EDGES,
        kind=Kind.NEIGHBOURHOOD,
        specs={"mask": AlignedImage(advanced=True), "axis": AXIS, "mode": BORDER, "cval": CVAL},
        neighbourhood=Neighbourhood(halo=lambda call: radius, border="mode"),
        result=ResultSpec(dtype=as_float),
        plan_of=_plan,
        limits=Limits(check=_check_axes),
        adapter=Adapter(kernels=(f"skimage.filters.{name}",)),
        cost=Cost(memory=6.0, at_once=WIDENED_IN_BANDS._replace(function=IN_ONE_CALL)),
    )


def _directed(name: str, radius: int = 1) -> Operation:
    """Declare a 2D edge filter with a mask, whose border mode is always reflection."""
    return Operation(
        name=f"filters.{name}",
        family=families.EDGES,
        kind=Kind.NEIGHBOURHOOD,
        specs={"mask": AlignedImage(advanced=True)},
        neighbourhood=Neighbourhood(halo=lambda call: radius),
        result=ResultSpec(dtype=as_float),
        limits=Limits(ndim=(2, 2)),
        adapter=Adapter(kernels=(f"skimage.filters.{name}",)),
        cost=Cost(memory=6.0, at_once=WIDENED_IN_BANDS),
    )


def _along_axes(name: str, radius: int = 1) -> tuple[Operation, Operation]:
    """Declare the filters of the horizontal and of the vertical edges."""
    horizontal, vertical = (_directed(n, radius) for n in (f"{name}_h", f"{name}_v"))
    return horizontal, vertical


def _laplace(call: Call) -> Tiles:
    """Apply the filter, whose kernel is 3 pixels wide for every `ksize`.

    For another one scikit-image makes an image of that length along each axis, and drops it.
    """
    return Tiles(
        lambda block: np.asarray(call.function(block.data, **block.images, ksize=3)), halo=1
    )


OPERATIONS = (
    _edge("sobel"),
    *_along_axes("sobel"),
    _edge("scharr"),
    *_along_axes("scharr"),
    _edge("prewitt"),
    *_along_axes("prewitt"),
    _edge("farid", radius=2),
    *_along_axes("farid", radius=2),
    _directed("roberts"),
    replace(_directed("roberts_pos_diag"), title="Roberts, positive diagonal"),
    replace(_directed("roberts_neg_diag"), title="Roberts, negative diagonal"),
    Operation(
        name="filters.laplace",
        family=families.EDGES,
        kind=Kind.NEIGHBOURHOOD,
        specs={
            # scikit-image rejects smaller values
            "ksize": Number(integer=True, minimum=3, usual=(3, 9), advanced=True),
            "mask": AlignedImage(advanced=True),
        },
        plan_of=_laplace,
        neighbourhood=Neighbourhood(halo=lambda call: 1),
        result=ResultSpec(dtype=as_float),
        adapter=Adapter(kernels=("skimage.filters.laplace",)),
        cost=Cost(
            memory=4.0,
            at_once=AtOnce(
                function=IN_ONE_CALL, kernel=2**26, when=lambda call: call["ksize"] == 3
            ),
        ),
    ),
)
