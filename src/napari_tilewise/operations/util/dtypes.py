"""`util.img_as_*`: other data types for the same pixels, scaled to the new type's range.

Wide integers are the trap: scikit-image does not scale them when the array's largest value fits in
the narrower type. Here the whole image's largest value decides, for every tile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.operations.shared.histograms import gather_range
from napari_tilewise.operations.shared.narrowing import needs_maximum
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    Block,
    Call,
    Cost,
    Kind,
    Operation,
    Plan,
    ResultSpec,
    Tiles,
    tiled,
)
from napari_tilewise.operations.spec.parameters import Flag

if TYPE_CHECKING:
    from collections.abc import Callable

SPECS = {"force_copy": Flag(advanced=True)}


def kept_float(dtype: Any) -> Any:
    """Return the dtype of `img_as_float`: floats stay as they are, all others are float64."""
    return dtype if np.dtype(dtype).kind == "f" else np.float64


def _narrowed(bits: int) -> Callable[[Call], Plan]:
    """Return the plan of a conversion to integers of so many bits, the sign not counted."""

    def plan(call: Call) -> Plan:
        if not needs_maximum(call.dtype, bits):
            return tiled(call)
        found = yield from gather_range(call)
        assert found is not None
        _, maximum = found

        def compute(block: Block) -> np.ndarray:
            # one more pixel, the image's largest, makes the tile decide as the image would
            with_it = np.append(block.data.ravel(), maximum)
            narrowed: np.ndarray = call.function(with_it)
            return narrowed[:-1].reshape(block.data.shape)

        return Tiles(compute)

    return plan


def _conversion(name: str, dtype: Any) -> Operation:
    return Operation(
        name=f"util.{name}",
        family=families.PIXEL_TYPES,
        kind=Kind.POINTWISE,
        specs=SPECS,
        result=ResultSpec(dtype=lambda call: dtype),
        cost=Cost(memory=4.0),
    )


def _narrowing(name: str, dtype: Any, bits: int) -> Operation:
    return Operation(
        name=f"util.{name}",
        family=families.PIXEL_TYPES,
        kind=Kind.STATISTIC,
        specs=SPECS,
        result=ResultSpec(dtype=lambda call: dtype),
        plan_of=_narrowed(bits),
        cost=Cost(memory=5.0),
    )


OPERATIONS = (
    Operation(
        name="util.img_as_float",
        family=families.PIXEL_TYPES,
        kind=Kind.POINTWISE,
        specs=SPECS,
        result=ResultSpec(dtype=lambda call: kept_float(call.dtype)),
        cost=Cost(memory=4.0),
    ),
    _conversion("img_as_float32", np.float32),
    _conversion("img_as_float64", np.float64),
    _conversion("img_as_bool", np.bool_),
    _narrowing("img_as_ubyte", np.uint8, 8),
    _narrowing("img_as_uint", np.uint16, 16),
    _narrowing("img_as_int", np.int16, 15),
)
