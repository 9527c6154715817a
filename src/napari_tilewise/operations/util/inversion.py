"""`skimage.util`: pointwise operations on one image or two."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from skimage.util import img_as_float

from napari_tilewise.errors import InvalidImage, InvalidParameter, option
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    LIGHT,
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
from napari_tilewise.operations.util.dtypes import float_dtype

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

# -- compare_images --------------------------------------------------------------------------------


def _compared_dtype(call: Call) -> DTypeLike:
    image_dtype = float_dtype(call.dtype)
    if call["method"] == "checkerboard":
        return image_dtype
    return np.result_type(image_dtype, float_dtype(call.image_dtype("image1")))


def _check_compared(call: Call) -> None:
    if call["method"] != "checkerboard":
        return
    if call.ndim != 2:
        raise InvalidImage(
            f"{call.operation.name}: a checkerboard needs images with 2 axes; the image of shape "
            f"{call.shape} has {call.ndim}. Choose two, such as {option('spatial', 'yx')}."
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
    """Return a block of the checkerboard of both images, whose fields divide the whole image."""
    (rows, in_rows), (columns, in_columns) = (
        _fields(region.start, region.stop, n // count, count)
        for region, n, count in zip(block.region, call.shape, call["n_tiles"], strict=False)
    )
    is_even = (rows[:, np.newaxis] + columns) % 2 == 0
    image = img_as_float(block.data)
    mixed = np.where(
        is_even & in_rows[:, np.newaxis] & in_columns, image, img_as_float(block.images["image1"])
    )
    return np.asarray(mixed.astype(image.dtype, copy=False))


def _fields(start: int, stop: int, length: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return each position's field along an axis, and whether it is inside any field."""
    number = np.arange(start, stop) // length if length else np.full(stop - start, count)
    return number, number < count


# -- map_array -------------------------------------------------------------------------------------


def _check_mapping(call: Call) -> None:
    keys, values = call["input_vals"], call["output_vals"]
    if len(keys) != len(values):
        raise InvalidParameter(
            f"{call.operation.name}: input_vals has {len(keys)} values, but output_vals has "
            f"{len(values)}: expected the same number of values."
        )


OPERATIONS = (
    Operation(
        name="util.invert",
        family=families.PIXEL_TYPES,
        kind=Kind.POINTWISE,
        specs={"signed_float": Flag()},
        cost=Cost(memory=3.0, at_once=LIGHT),
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
        cost=Cost(
            memory=6.0,
            at_once=LIGHT,
        ),
    ),
    Operation(
        name="util.map_array",
        title="Map values",
        family=families.PIXEL_TYPES,
        kind=Kind.POINTWISE,
        specs={
            # scikit-image reads beyond the shorter of two lengths: tests draw one item
            "input_vals": Array(ndim=1, integer=True, usual=(0, 9), longest=1),
            "output_vals": Array(ndim=1, usual=(0, 9), longest=1),
        },
        result=ResultSpec(dtype=lambda call: call.image_dtype("output_vals")),
        limits=Limits(check=_check_mapping, dtypes="ui"),
        cost=Cost(memory=3.0, at_once=LIGHT),
    ),
)
