"""`skimage.color`: channels are mixed pixel by pixel, so a tile needs no neighbours.

The one trap is the matrix product: BLAS takes a row of pixels in blocks and treats the last few
pixels, and a row of one pixel, otherwise. Rows cut at whole blocks give the whole image's bits as
long as BLAS takes the same kernel for rows of both lengths.
"""

from __future__ import annotations

import numpy as np

from napari_tilewise.errors import InvalidImage
from napari_tilewise.operations.common import as_float
from napari_tilewise.operations.model import Block, Call, Exactness, Kind, Operation, Tiles, no_channel
from napari_tilewise.operations.parameters import ChannelAxis

BLAS_BLOCK = 64
"""A multiple of the blocks in which BLAS kernels take the pixels of a row (16 suffices here)."""


def _check_rgb(call: Call) -> None:
    axis = call.channel_axis
    if axis is None:
        raise InvalidImage(
            f"{call.operation.name}: channel_axis=None: expected the axis that holds red, green "
            "and blue."
        )
    if (channels := call.shape[axis]) != 3:
        remedy = (
            "Leave the alpha channel out (image[..., :3]) or blend it first "
            "(skimage.color.rgba2rgb)."
            if channels == 4
            else "Name the right axis with channel_axis=."
        )
        raise InvalidImage(
            f"{call.operation.name}: axis {axis} of an image of shape {call.shape} holds "
            f"{channels} channels: expected 3 (red, green, blue). {remedy}"
        )


def _rgb2gray(call: Call) -> Tiles:
    blocks = (*(1,) * (call.ndim - 1), BLAS_BLOCK)

    def compute(block: Block) -> np.ndarray:
        return np.asarray(call.function(block.data))

    # One pixel before the tile keeps its rows longer than one pixel.
    halo = (*((0, 0),) * (call.ndim - 1), (1, 0))
    return Tiles(compute, halo=halo, align=blocks)


OPERATIONS = (
    Operation(
        name="color.rgb2gray",
        kind=Kind.POINTWISE,
        # BLAS chooses its kernel, fused or not, by the processor and the length of the whole row:
        # here single precision differs by a last bit in images wider than some ten thousand
        # pixels, all else not at all. Three products and their sum round by at most 4 eps.
        exactness=Exactness.CLOSE,
        tolerance=4 * 2.0**-52,
        tolerance32=4 * 2.0**-23,
        specs={"channel_axis": ChannelAxis(optional=False, advanced=True)},
        dtype_of=as_float,
        shape_of=lambda call: call.spatial_shape,
        channel_of=no_channel,
        plan_of=_rgb2gray,
        check=_check_rgb,
        working=4.0,
    ),
)
