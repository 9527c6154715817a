"""`skimage.filters`: smoothing, edges, ridges."""

from __future__ import annotations

import numpy as np

from napari_tilewise.operations.common import BORDER, CHANNEL, CVAL, as_float, gaussian_radius
from napari_tilewise.operations.model import Call, Kind, Operation
from napari_tilewise.operations.parameters import Flag, Number

SIGMA = Number(minimum=0, per_axis=True, length=True, usual=(0, 8))


def _gaussian_halo(call: Call) -> tuple[int, ...]:
    return tuple(gaussian_radius(s, call["truncate"]) for s in call.per_axis(call["sigma"]))


OPERATIONS = (
    Operation(
        name="filters.gaussian",
        kind=Kind.NEIGHBOURHOOD,
        specs={
            "sigma": SIGMA,
            "mode": BORDER,
            "cval": CVAL,
            "preserve_range": Flag(advanced=True),
            "truncate": Number(minimum=0, usual=(1, 5), advanced=True),
            "channel_axis": CHANNEL,
        },
        halo_of=_gaussian_halo,
        dtype_of=as_float,
        border="mode",
        working=3.5,
    ),
)
_ = np
