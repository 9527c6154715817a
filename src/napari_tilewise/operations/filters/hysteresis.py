"""Hysteresis thresholding: connected components of weak pixels that contain a strong one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from napari_tilewise.operations.shared.components import (
    LABELLING,
    Components,
    Pieces,
    RetainedPieces,
    gather_components,
    labelled,
)
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    IN_ONE_CALL,
    Adapter,
    AtOnce,
    Block,
    Call,
    Cost,
    Kind,
    Operation,
    Output,
    Plan,
    ResultSpec,
    Tiles,
)
from napari_tilewise.operations.spec.parameters import NumberOrImage


def strong_components(weak: np.ndarray, strong: np.ndarray, connectivity: int) -> Pieces:
    """Return the components of the weak mask (0: background), and which contain strong pixels."""
    pieces = labelled(weak, connectivity)
    return replace(pieces, measures={"strong": pieces.touched(strong)})


def _threshold(call: Call, name: str, block: Block) -> Any:
    """Return a threshold: one number, or an array with one per pixel of the tile."""
    image = block.images.get(name)
    return call[name] if image is None else image[block.core]


def _hysteresis(call: Call) -> Plan:
    def tile_components(block: Block) -> Pieces:
        pixels = block.data[block.core]
        high = _threshold(call, "high", block)
        low = np.clip(_threshold(call, "low", block), a_min=None, a_max=high)
        return strong_components(pixels > low, pixels > high, 1)

    pieces = RetainedPieces(tile_components)
    components: Components = yield gather_components(
        pieces.first, 1, ufuncs={"strong": np.logical_or}
    )
    # The background counts too: scikit-image keeps strong pixels whose weak threshold is NaN.
    strong = components.measures["strong"]
    return Tiles(
        lambda block: components.look_up(strong, block.position, pieces.again(block)),
        on_grid=True,
    )


OPERATIONS = (
    Operation(
        name="filters.apply_hysteresis_threshold",
        title="Hysteresis threshold",
        family=families.THRESHOLDS,
        kind=Kind.CONNECTED,
        specs={
            "low": NumberOrImage(intensity=True, usual=(0, 0.6), start=0.3),
            "high": NumberOrImage(intensity=True, usual=(0.2, 1), start=0.6),
        },
        result=ResultSpec(output=Output.MASK, dtype=lambda call: np.bool_),
        plan_of=_hysteresis,
        adapter=Adapter(kernels=("skimage.filters.apply_hysteresis_threshold", LABELLING)),
        cost=Cost(memory=5.0, at_once=AtOnce(function=IN_ONE_CALL, kernel=2**24)),
    ),
)
