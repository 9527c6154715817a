"""Hysteresis thresholding: weak pieces stay where they are connected to a strong pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage as ndi

from napari_tilewise.operations.shared.components import Components, Pieces, gather_components
from napari_tilewise.operations.spec.operation import (
    Block,
    Call,
    Kind,
    Operation,
    Output,
    Plan,
    Tiles,
)
from napari_tilewise.operations.spec.parameters import NumberOrImage


def strong_pieces(weak: np.ndarray, strong: np.ndarray, structure: np.ndarray) -> Pieces:
    """Return the pieces of the weak mask, and what is outside, with whether strong pixels are."""
    labels, count = ndi.label(weak, structure)
    holds = np.zeros(count + 1, bool)
    holds[labels[strong]] = True
    return Pieces(labels, count, measures={"strong": holds})


def _threshold(call: Call, name: str, block: Block) -> Any:
    """Return a threshold: a number, or one per pixel of a tile."""
    image = block.images.get(name)
    return call[name] if image is None else image[block.core]


def _hysteresis(call: Call) -> Plan:
    structure = np.asarray(ndi.generate_binary_structure(call.ndim, 1))

    def pieces(block: Block) -> Pieces:
        pixels = block.data[block.core]
        high = _threshold(call, "high", block)
        low = np.clip(_threshold(call, "low", block), a_min=None, a_max=high)
        return strong_pieces(pixels > low, pixels > high, structure)

    components: Components = yield gather_components(pieces, 1, ufuncs={"strong": np.logical_or})
    # What is outside is kept where a strong pixel is: scikit-image compares nothing with NaN.
    kept = components.measures["strong"]
    return Tiles(
        lambda block: components.look_up(kept, block.position, pieces(block)), on_grid=True
    )


OPERATIONS = (
    Operation(
        name="filters.apply_hysteresis_threshold",
        kind=Kind.CONNECTED,
        specs={"low": NumberOrImage(usual=(0, 0.6)), "high": NumberOrImage(usual=(0.2, 1))},
        output=Output.MASK,
        dtype_of=lambda call: np.bool_,
        plan_of=_hysteresis,
        working=5.0,
    ),
)
