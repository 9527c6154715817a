"""`skimage.transform.downscale_local_mean`: means of blocks of pixels."""

from __future__ import annotations

import numpy as np

from napari_tilewise.grid import Region, clip, within
from napari_tilewise.operations.shared.common import CVAL
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.deviation import ADDED_IN_ORDER
from napari_tilewise.operations.spec.operation import (
    IN_MEMORY,
    Accuracy,
    Adapter,
    AtOnce,
    Block,
    Call,
    Cost,
    Kind,
    Neighbourhood,
    Operation,
    ResultSpec,
    Tiles,
)
from napari_tilewise.operations.spec.parameters import Flag, Number
from napari_tilewise.operations.spec.pixel_positions import in_blocks


def _blocks(call: Call) -> tuple[int, ...]:
    return tuple(int(n) for n in call.per_axis(call["factors"]))


def _reduced_shape(call: Call) -> tuple[int, ...]:
    return tuple(-(-n // block) for n, block in zip(call.shape, _blocks(call), strict=True))


def _wider_tile(call: Call, tile: Region) -> Region:
    """Return a tile of the result with one more pixel on each side.

    NumPy adds up an image of a single block in a different order than the same block among others.
    """
    return clip(tuple(slice(t.start - 1, t.stop + 1) for t in tile), _reduced_shape(call))


def _mean_source(call: Call, tile: Region) -> Region:
    return tuple(
        slice(t.start * block, t.stop * block)
        for t, block in zip(_wider_tile(call, tile), _blocks(call), strict=True)
    )


def _local_mean(call: Call) -> Tiles:
    def compute(block: Block) -> np.ndarray:
        wider_tile = _wider_tile(call, block.tile)
        means = call.function(block.data)
        return np.ascontiguousarray(means[within(block.tile, wider_tile)])

    return Tiles(compute, source=lambda tile: _mean_source(call, tile))


def _mean_dtype(call: Call) -> np.dtype[np.generic]:
    return call.dtype if call.dtype.kind == "f" else np.dtype(float)


OPERATIONS = (
    Operation(
        name="transform.downscale_local_mean",
        title="Downscale by local mean",
        family=families.SIZES,
        kind=Kind.GEOMETRY,
        accuracy=Accuracy(deviations=(ADDED_IN_ORDER,)),
        specs={
            "factors": Number(minimum=1, integer=True, per_axis=True, length=True, usual=(1, 5)),
            "cval": CVAL,
            "clip": Flag(advanced=True),
        },
        result=ResultSpec(
            dtype=_mean_dtype,
            shape=_reduced_shape,
        ),
        neighbourhood=Neighbourhood(
            sampling=lambda call, shape: in_blocks(call.per_axis(call["factors"]))
        ),
        plan_of=_local_mean,
        adapter=Adapter(kernels=("skimage.transform.downscale_local_mean",)),
        cost=Cost(memory=4.0, at_once=AtOnce(function=IN_MEMORY, kernel=2**26, copies=2)),
    ),
)
