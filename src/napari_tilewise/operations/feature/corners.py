"""`skimage.feature`, corners as images: how much a corner each pixel is, from its neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_tilewise.operations.feature.tensors import SIGMA, tensor_halo
from napari_tilewise.operations.shared.common import BORDER, CVAL, as_float
from napari_tilewise.operations.spec.operation import (
    Call,
    HaloLike,
    Kind,
    Operation,
    Tiles,
    first_axis,
)
from napari_tilewise.operations.spec.parameters import ChoiceSpec, Number


def _moravec_halo(call: Call) -> HaloLike:
    # Where windows reach beyond the image the response is zero, as where they reach beyond a block.
    return 2 * int(call["window_size"])


def _foerstner(call: Call) -> Tiles:
    return Tiles(lambda block: np.stack(call.function(block.data)), halo=tensor_halo(call))


def _of_tensor(name: str, specs: dict[str, Any], **fields: Any) -> Operation:
    """Return a measure made of the structure tensor, whose smoothing has a border of zeros."""
    return Operation(
        name=f"feature.corner_{name}",
        kind=Kind.NEIGHBOURHOOD,
        specs={**specs, "sigma": SIGMA},
        halo_of=tensor_halo,
        dtype_of=as_float,
        ndim=(2, 2),
        shortest=2,
        working=10.0,
        **fields,
    )


OPERATIONS = (
    _of_tensor(
        "harris",
        {
            "method": ChoiceSpec(choices=("k", "eps")),
            "k": Number(usual=(0, 0.2)),
            "eps": Number(minimum=0, usual=(0, 1e-3), advanced=True),
        },
    ),
    _of_tensor("shi_tomasi", {}),
    _of_tensor(
        "foerstner",
        {},
        split=tuple,
        channel_of=first_axis,
        shape_of=lambda call: (2, *call.shape),
        plan_of=_foerstner,
    ),
    Operation(
        name="feature.corner_kitchen_rosenfeld",
        kind=Kind.NEIGHBOURHOOD,
        specs={"mode": BORDER, "cval": CVAL},
        halo_of=lambda call: 2,
        dtype_of=as_float,
        border="mode",
        ndim=(2, 2),
        working=16.0,
    ),
    Operation(
        name="feature.corner_moravec",
        kind=Kind.NEIGHBOURHOOD,
        specs={"window_size": Number(integer=True, minimum=0, length=True, usual=(1, 3))},
        halo_of=_moravec_halo,
        dtype_of=as_float,
        ndim=(2, 2),
        working=5.0,
    ),
    Operation(
        name="feature.corner_fast",
        kind=Kind.NEIGHBOURHOOD,
        specs={
            "n": Number(integer=True, minimum=1, maximum=16, usual=(6, 14)),
            "threshold": Number(usual=(0, 0.5)),
        },
        halo_of=lambda call: 3,
        dtype_of=as_float,
        ndim=(2, 2),
        shortest=2,
        working=5.0,
    ),
)
