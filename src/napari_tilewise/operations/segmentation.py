"""`skimage.segmentation`: borders and boundaries of labelled objects."""

from __future__ import annotations

from typing import Any

import numpy as np
from skimage.measure import label

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.operations.components import Components, Pieces, gather_components
from napari_tilewise.operations.model import (
    Block,
    Call,
    HaloLike,
    Kind,
    Operation,
    Output,
    Plan,
    Tiles,
)
from napari_tilewise.operations.parameters import AlignedImage, Choice, Number

# -- clear_border ----------------------------------------------------------------------------------


def _check_buffer(call: Call) -> None:
    if call["mask"] is None and call["buffer_size"] >= min(call.shape):
        raise InvalidParameter(
            f"{call.operation.name}: buffer_size={call['buffer_size']} does not fit an image of "
            f"shape {call.shape}: expected less than its shortest side."
        )
    if call["mask"] is not None and call["mask"].dtype != bool:
        raise InvalidImage(
            f"{call.operation.name}: the mask is of type {call['mask'].dtype}: expected bool."
        )


def _border(call: Call, block: Block) -> np.ndarray:
    """Return the pixels of the tile that count as the image's border."""
    if "mask" in block.images:
        return ~block.images["mask"][block.core]
    strip = np.zeros([s.stop - s.start for s in block.tile], bool)
    width = call["buffer_size"] + 1
    for axis, (span, length) in enumerate(zip(block.tile, call.shape, strict=True)):
        places = np.arange(span.start, span.stop)
        near = (places < width) | (places >= length - width)
        strip |= near.reshape([-1 if i == axis else 1 for i in range(strip.ndim)])
    return strip


def _clear_border(call: Call) -> Plan:
    def pieces(block: Block) -> Pieces:
        values = block.data[block.core]
        labels, count = label(values, background=0, return_num=True, connectivity=call.ndim)
        touches = np.zeros(count + 1, bool)
        touches[labels[_border(call, block)]] = True
        return Pieces(labels, count, values, {"touches": touches})

    components: Components = yield gather_components(
        pieces, call.ndim, ufuncs={"touches": np.logical_or}
    )
    touching = components.measures["touches"]

    def compute(block: Block) -> np.ndarray:
        out = block.data[block.core].copy()
        out[components.look_up(touching, block.position, pieces(block))] = call["bgval"]
        return out

    return Tiles(compute, on_grid=True)


# -- boundaries and growth -------------------------------------------------------------------------


def _check_outer(call: Call) -> None:
    if call["mode"] == "outer" and call.dtype.kind == "f":
        raise InvalidImage(
            f"{call.operation.name}: mode='outer' takes integer labels, not {call.dtype}."
        )


def _expand_halo(call: Call) -> HaloLike:
    return tuple(int(call["distance"] / s) for s in call.per_axis(call["spacing"]))


def _expand(call: Call) -> Plan | Tiles:
    def compute(block: Block) -> np.ndarray:
        # Without any label scipy's distance transform measures to a phantom pixel at (-1, 0).
        if not block.data.any():
            return np.zeros_like(block.data)
        return np.asarray(call.function(block.data))

    return Tiles(compute, halo=_expand_halo(call))


def _bool(call: Call) -> Any:
    return np.bool_


OPERATIONS = (
    Operation(
        name="segmentation.clear_border",
        kind=Kind.CONNECTED,
        specs={
            "buffer_size": Number(integer=True, minimum=0, length=True, usual=(0, 4)),
            "bgval": Number(usual=(0, 3), integer=True, advanced=True),
            "mask": AlignedImage(),
        },
        output=Output.LABELS,
        dtypes="bui",
        ndim=(1, 3),
        check=_check_buffer,
        plan_of=_clear_border,
        working=6.0,
    ),
    Operation(
        name="segmentation.find_boundaries",
        kind=Kind.NEIGHBOURHOOD,
        specs={
            "connectivity": Number(integer=True, minimum=1, usual=(1, 2)),
            "mode": Choice(choices=("thick", "inner", "outer")),
            "background": Number(integer=True, usual=(0, 3), advanced=True),
        },
        output=Output.MASK,
        halo_of=lambda call: 1,
        dtype_of=_bool,
        check=_check_outer,
        working=3.0,
        note="mode='subpixel' (an image of another size) is not among the choices yet.",
    ),
    Operation(
        name="segmentation.expand_labels",
        kind=Kind.NEIGHBOURHOOD,
        specs={
            "distance": Number(minimum=0, length=True, usual=(0, 6)),
            "spacing": Number(minimum=0, exclusive=True, per_axis=True, usual=(1, 3)),
        },
        output=Output.LABELS,
        halo_of=_expand_halo,
        dtypes="buif",
        plan_of=_expand,
        working=8.0,
    ),
)
