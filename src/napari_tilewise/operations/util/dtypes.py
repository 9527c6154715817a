"""`util.img_as_*`: conversions between dtypes, scaled to the new dtype's range.

Wide integers are the difficulty: scikit-image does not scale them if the array's largest value fits
in the narrower dtype. Here the whole image's largest value decides, for every tile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.operations.shared.global_numbers import extremes
from napari_tilewise.operations.shared.narrowing import needs_maximum
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    LIGHT,
    Block,
    Call,
    Cost,
    Kind,
    Limits,
    Operation,
    Plan,
    ResultSpec,
    Tiles,
    tiled,
)
from napari_tilewise.operations.spec.parameters import Flag

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import DTypeLike

SPECS = {"force_copy": Flag(advanced=True)}


def float_dtype(dtype: Any) -> DTypeLike:
    """Return the dtype of `img_as_float`: float dtypes are kept, all others become float64."""
    return dtype if np.dtype(dtype).kind == "f" else np.float64


def _narrowed(bits: int) -> Callable[[Call], Plan]:
    """Return the plan of a conversion to integers with this number of bits, without the sign."""

    def plan(call: Call) -> Plan:
        if not needs_maximum(call.dtype, bits):
            return tiled(call)
        _, maximum = yield from extremes(call)

        def compute(block: Block) -> np.ndarray:
            # with the image's largest pixel appended, the tile is scaled as the image would be
            pixels = np.append(block.data.ravel(), maximum)
            narrowed: np.ndarray = call.function(pixels)
            return narrowed[:-1].reshape(block.data.shape)

        return Tiles(compute)

    return plan


_ANY_SAMPLE = Limits(takes_alpha=True)


def _conversion(name: str, dtype: Any) -> Operation:
    return Operation(
        name=f"util.{name}",
        family=families.PIXEL_TYPES,
        kind=Kind.POINTWISE,
        specs=SPECS,
        result=ResultSpec(dtype=lambda call: dtype),
        limits=_ANY_SAMPLE,
        cost=Cost(memory=4.0, at_once=LIGHT),
    )


def _narrowing(name: str, dtype: Any, bits: int) -> Operation:
    return Operation(
        name=f"util.{name}",
        family=families.PIXEL_TYPES,
        kind=Kind.STATISTIC,
        specs=SPECS,
        result=ResultSpec(dtype=lambda call: dtype),
        limits=_ANY_SAMPLE,
        plan_of=_narrowed(bits),
        cost=Cost(memory=5.0, at_once=LIGHT),
    )


OPERATIONS = (
    Operation(
        name="util.img_as_float",
        family=families.PIXEL_TYPES,
        kind=Kind.POINTWISE,
        specs=SPECS,
        result=ResultSpec(dtype=lambda call: float_dtype(call.dtype)),
        limits=_ANY_SAMPLE,
        cost=Cost(memory=4.0, at_once=LIGHT),
    ),
    _conversion("img_as_float32", np.float32),
    _conversion("img_as_float64", np.float64),
    _conversion("img_as_bool", np.bool_),
    _narrowing("img_as_ubyte", np.uint8, 8),
    _narrowing("img_as_uint", np.uint16, 16),
    _narrowing("img_as_int", np.int16, 15),
)
