"""`skimage.feature`, corners as images: a corner measure for each pixel, from its neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.operations.feature.tensors import DROPPED_FIRST, SIGMA, tensor_halo
from napari_tilewise.operations.shared.common import (
    BORDER,
    CVAL,
    as_float,
    check_differences,
    kernel_length,
)
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    SMALL_WHOLE,
    Call,
    Cost,
    HaloLike,
    Kind,
    Limits,
    Neighbourhood,
    Operation,
    ResultSpec,
    Tiles,
    first_axis,
    tiled,
)
from napari_tilewise.operations.spec.parameters import ChoiceSpec, Number

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_tilewise.operations.spec.parameters import Spec


def _moravec_halo(call: Call) -> HaloLike:
    # The response is zero if a window extends beyond the array, be it the image or a block.
    return 2 * int(call["window_size"])


def _foerstner(call: Call) -> Tiles:
    return Tiles(lambda block: np.stack(call.function(block.data)), halo=tensor_halo(call))


def _tensor_measure(
    name: str,
    title: str,
    specs: dict[str, Spec] | None = None,
    *,
    result: ResultSpec | None = None,
    plan_of: Callable[[Call], Tiles] = tiled,
    limits: Limits | None = None,
) -> Operation:
    """Return a measure of the structure tensor, whose smoothing has a border of zeros."""
    return Operation(
        name=f"feature.corner_{name}",
        title=title,
        family=families.CORNERS,
        kind=Kind.NEIGHBOURHOOD,
        specs={**(specs or {}), "sigma": SIGMA},
        neighbourhood=Neighbourhood(halo=tensor_halo),
        result=result or ResultSpec(dtype=as_float),
        plan_of=plan_of,
        limits=limits or Limits(ndim=(2, 2), single=DROPPED_FIRST),
        cost=Cost(memory=10.0, largest_region=kernel_length, at_once=SMALL_WHOLE),
    )


OPERATIONS = (
    _tensor_measure(
        "harris",
        "Harris corners",
        {
            "method": ChoiceSpec(choices=("k", "eps")),
            "k": Number(usual=(0, 0.2)),
            "eps": Number(minimum=0, usual=(0, 1e-3), advanced=True),
        },
    ),
    _tensor_measure("shi_tomasi", "Shi-Tomasi corners"),
    _tensor_measure(
        "foerstner",
        "Foerstner corners",
        result=ResultSpec(
            dtype=as_float, split=tuple, channel=first_axis, shape=lambda call: (2, *call.shape)
        ),
        plan_of=_foerstner,
        limits=Limits(ndim=(2, 2), check=check_differences),
    ),
    Operation(
        name="feature.corner_kitchen_rosenfeld",
        title="Kitchen-Rosenfeld corners",
        family=families.CORNERS,
        kind=Kind.NEIGHBOURHOOD,
        specs={"mode": BORDER, "cval": CVAL},
        neighbourhood=Neighbourhood(halo=lambda call: 2, border="mode"),
        result=ResultSpec(dtype=as_float),
        limits=Limits(ndim=(2, 2)),
        cost=Cost(memory=16.0),
    ),
    Operation(
        name="feature.corner_moravec",
        title="Moravec corners",
        family=families.CORNERS,
        kind=Kind.NEIGHBOURHOOD,
        specs={"window_size": Number(integer=True, minimum=0, length=True, usual=(1, 3))},
        neighbourhood=Neighbourhood(halo=_moravec_halo),
        result=ResultSpec(dtype=as_float),
        limits=Limits(ndim=(2, 2)),
        cost=Cost(memory=5.0),
    ),
    Operation(
        name="feature.corner_fast",
        title="FAST corners",
        family=families.CORNERS,
        kind=Kind.NEIGHBOURHOOD,
        specs={
            "n": Number(integer=True, minimum=1, maximum=16, usual=(6, 14)),
            "threshold": Number(usual=(0, 0.5)),
        },
        neighbourhood=Neighbourhood(halo=lambda call: 3),
        result=ResultSpec(dtype=as_float),
        limits=Limits(ndim=(2, 2), single=DROPPED_FIRST),
        cost=Cost(memory=5.0),
    ),
)
