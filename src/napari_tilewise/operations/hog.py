"""`skimage.feature.hog`: its image, one star of line segments per cell of a grid.

The grid of cells begins at the image's origin, so regions are grown to whole cells. Where a segment
ends is a rounded coordinate, and rounding depends a little on how far the origin is: in the first
few cells of an array segments may end a pixel off. Those cells stay within the halo.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.operations.common import CHANNEL, as_float
from napari_tilewise.operations.grid import extent
from napari_tilewise.operations.model import Block, Call, HaloLike, Kind, Operation, Tiles, no_channel
from napari_tilewise.operations.parameters import Choice, Flag, Number, Numbers

CELLS_BEFORE = 4
"""From the fourth cell on, segments end where they end anywhere else (the third suffices for cells
of 2 to 64 pixels and 1 to 36 orientations)."""


@dataclass(frozen=True, kw_only=True)
class _Visualize(Choice):
    """True: what is tiled is the image of the descriptors, not the descriptors."""

    def _check(self, name: str, value: Any, ndim: int | None) -> Any:
        if value is not True and value in (False, 0):
            raise InvalidParameter(
                f"{name}={value!r}: tiled processing makes the image of the descriptors: expected "
                "True. For the descriptors themselves call skimage.feature.hog on a window."
            )
        return super()._check(name, value, ndim)


def _cells(call: Call) -> tuple[int, int]:
    rows, columns = call["pixels_per_cell"]
    return int(rows), int(columns)


def _check(call: Call) -> None:
    for name in ("pixels_per_cell", "cells_per_block"):
        if np.shape(call[name]) != (2,):
            raise InvalidParameter(
                f"{call.operation.name}: {name}={call[name]!r}: expected two integers, one per "
                "spatial axis."
            )
    for n, cell, block in zip(
        call.spatial_shape, _cells(call), call["cells_per_block"], strict=True
    ):
        if n // cell < block:
            raise InvalidImage(
                f"{call.operation.name}: an image of {call.spatial_shape} pixels is too small for "
                f"pixels_per_cell={call['pixels_per_cell']} and cells_per_block="
                f"{call['cells_per_block']}: expected at least their products."
            )


def _halo(call: Call) -> HaloLike:
    return [(CELLS_BEFORE * cell, cell) for cell in _cells(call)]


def _plan(call: Call) -> Tiles:
    cells = _cells(call)

    def compute(block: Block) -> np.ndarray:
        # The image does not depend on the blocks: one block of all cells is the fastest.
        held = [n // cell for n, cell in zip(extent(block.region), cells, strict=True)]
        return np.asarray(call.function(block.data, cells_per_block=held, block_norm="L1"))

    return Tiles(compute, halo=_halo(call), align=cells)


OPERATION = Operation(
    name="feature.hog",
    kind=Kind.NEIGHBOURHOOD,
    specs={
        "orientations": Number(minimum=1, integer=True, usual=(4, 12)),
        # Segments of cells one pixel wide leave their cell, and fail at the border of an image.
        "pixels_per_cell": Numbers(
            item=Number(minimum=2, integer=True, length=True, usual=(2, 16)), least=2
        ),
        "cells_per_block": Numbers(
            item=Number(minimum=1, integer=True, usual=(1, 4)), least=2, advanced=True
        ),
        "block_norm": Choice(choices=("L1", "L1-sqrt", "L2", "L2-Hys"), advanced=True),
        "visualize": _Visualize(choices=(True,), advanced=True),
        "transform_sqrt": Flag(),
        "channel_axis": CHANNEL,
    },
    overrides={"visualize": True},
    pick=1,
    halo_of=_halo,
    dtype_of=as_float,
    shape_of=lambda call: call.spatial_shape,
    channel_of=no_channel,
    plan_of=_plan,
    ndim=(2, 2),
    check=_check,
    working=10.0,
    note="Returns the image of the descriptors alone (visualize=True), without the descriptors.",
)
