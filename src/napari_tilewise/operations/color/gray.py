"""`color.rgb2gray`: a weighted sum of the channels of each pixel.

The difficulty is the matrix product: BLAS processes a row of pixels in blocks and treats the last
few pixels, and a row of one pixel, differently. Rows cut at whole blocks give the whole image's
bits as long as BLAS chooses the same kernel for both row lengths.
"""

from __future__ import annotations

import numpy as np

from napari_tilewise.operations.color.color_spaces import Channels, check_channels, spatial
from napari_tilewise.operations.shared.common import as_float
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.deviation import Deviation
from napari_tilewise.operations.spec.operation import (
    Accuracy,
    AtOnce,
    Block,
    Call,
    Cost,
    Kind,
    Limits,
    Operation,
    ResultSpec,
    Tiles,
    no_channel,
)

MULTIPLIED_IN_ORDER = Deviation(
    calls="an image that does not lie in memory in C's order (Fortran's, or a view of every other "
    "pixel)",
    library="BLAS multiplies other blocks of pixels: other last bits than for a copy of the image",
    ours="that of a copy in C's order",
    versions="0.26 with NumPy 2",
    applies=lambda image, params: not image.flags.c_contiguous,
)
"""Rounding depends on how pixels lie in memory."""

BLAS_BLOCK = 64
"""A multiple of the blocks in which BLAS kernels process the pixels of a row (16 would do)."""


def _rgb2gray(call: Call) -> Tiles:
    blocks = (*(1,) * (call.ndim - 1), BLAS_BLOCK)

    def compute(block: Block) -> np.ndarray:
        return np.asarray(call.function(block.data))

    # With one more pixel before the tile no row has a single pixel.
    halo = (*((0, 0),) * (call.ndim - 1), (1, 0))
    return Tiles(compute, halo=halo, align=blocks)


OPERATIONS = (
    Operation(
        name="color.rgb2gray",
        family=families.COLOUR,
        kind=Kind.POINTWISE,
        # BLAS chooses its kernel, fused or not, by the processor and the length of the whole row.
        # As measured, single precision differs in the last bit for images wider than about ten
        # thousand pixels, other dtypes not at all. Three products and their sum round by at most
        # 4 eps.
        accuracy=Accuracy(
            tolerance=4 * 2.0**-52, single=4 * 2.0**-23, deviations=(MULTIPLIED_IN_ORDER,)
        ),
        specs={"channel_axis": Channels(description="red, green and blue")},
        result=ResultSpec(dtype=as_float, shape=spatial, channel=no_channel),
        plan_of=_rgb2gray,
        limits=Limits(check=check_channels),
        cost=Cost(memory=4.0, at_once=AtOnce(function=2**20, rows=True)),
    ),
)
