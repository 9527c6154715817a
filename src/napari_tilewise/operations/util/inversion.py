"""`skimage.util`: operations on single pixels, of one image or of two."""

from __future__ import annotations

from typing import Any

import numpy as np
from skimage.util import img_as_float

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    Block,
    Call,
    Cost,
    Kind,
    Limits,
    Operation,
    ResultSpec,
    Tiles,
    tiled,
)
from napari_tilewise.operations.spec.parameters import (
    AlignedImage,
    Array,
    ChoiceSpec,
    Flag,
    Number,
    Numbers,
)
from napari_tilewise.operations.util.dtypes import kept_float

# -- compare_images --------------------------------------------------------------------------------


def _compared_dtype(call: Call) -> Any:
    first = kept_float(call.dtype)
    if call["method"] == "checkerboard":
        return first
    return np.result_type(first, kept_float(call["image1"].dtype))


def _check_compared(call: Call) -> None:
    if call["method"] != "checkerboard":
        return
    if call.ndim != 2:
        raise InvalidImage(
            f"{call.operation.name}: a checkerboard needs images of 2 axes; the image of shape "
            f"{call.shape} has {call.ndim}. Name two with spatial= (such as spatial='yx')."
        )
    tiles = call["n_tiles"]
    if not isinstance(tiles, tuple) or len(tiles) < 2:
        raise InvalidParameter(
            f"{call.operation.name}: n_tiles={tiles!r}: expected two integers of at least 1."
        )


def _compare(call: Call) -> Tiles:
    if call["method"] == "checkerboard":
        return Tiles(lambda block: _checkerboard(call, block))
    return tiled(call)


def _checkerboard(call: Call, block: Block) -> np.ndarray:
    """Return a block of both images in turns, the fields laid out over the whole image."""
    (rows, in_rows), (columns, in_columns) = (
        _fields(region.start, region.stop, n // count, count)
        for region, n, count in zip(block.region, call.shape, call["n_tiles"], strict=False)
    )
    even = (rows[:, np.newaxis] + columns) % 2 == 0
    first = img_as_float(block.data)
    mixed = np.where(
        even & in_rows[:, np.newaxis] & in_columns, first, img_as_float(block.images["image1"])
    )
    return np.asarray(mixed.astype(first.dtype, copy=False))


def _fields(start: int, stop: int, length: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return each position's field along an axis, and whether it lies in one at all."""
    number = np.arange(start, stop) // length if length else np.full(stop - start, count)
    return number, number < count


# -- map_array -------------------------------------------------------------------------------------


def _check_mapping(call: Call) -> None:
    keys, values = call["input_vals"], call["output_vals"]
    if len(keys) != len(values):
        raise InvalidParameter(
            f"{call.operation.name}: input_vals holds {len(keys)} values and output_vals "
            f"{len(values)}: expected as many of the one as of the other."
        )


OPERATIONS = (
    Operation(
        name="util.invert",
        family=families.PIXEL_TYPES,
        kind=Kind.POINTWISE,
        specs={"signed_float": Flag()},
        cost=Cost(memory=3.0),
    ),
    Operation(
        name="util.compare_images",
        family=families.PIXEL_TYPES,
        kind=Kind.POINTWISE,
        specs={
            "image1": AlignedImage(role="image", like=True, optional=False),
            "method": ChoiceSpec(choices=("diff", "blend", "checkerboard")),
            "n_tiles": Numbers(
                item=Number(integer=True, minimum=1, usual=(1, 9)), least=2, advanced=True
            ),
        },
        result=ResultSpec(dtype=_compared_dtype),
        plan_of=_compare,
        limits=Limits(check=_check_compared),
        cost=Cost(memory=6.0),
    ),
    Operation(
        name="util.map_array",
        family=families.PIXEL_TYPES,
        kind=Kind.POINTWISE,
        specs={
            # of different lengths scikit-image reads beyond the shorter one: tests draw one item
            "input_vals": Array(ndim=1, integer=True, usual=(0, 9), longest=1),
            "output_vals": Array(ndim=1, usual=(0, 9), longest=1),
        },
        result=ResultSpec(dtype=lambda call: call["output_vals"].dtype),
        limits=Limits(check=_check_mapping, dtypes="ui"),
        cost=Cost(memory=3.0),
    ),
)
