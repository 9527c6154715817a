"""Hysteresis thresholding: weak pieces stay where they are connected to a strong pixel."""

from __future__ import annotations

import numpy as np
from scipy import ndimage as ndi

from napari_tilewise.operations.components import Components, Pieces, gather_components
from napari_tilewise.operations.model import Block, Call, Kind, Operation, Output, Plan, Tiles
from napari_tilewise.operations.parameters import Number


def strong_pieces(weak: np.ndarray, strong: np.ndarray, structure: np.ndarray) -> Pieces:
    """Return the pieces of the weak mask, each with whether it holds a strong pixel."""
    labels, count = ndi.label(weak, structure)
    holds = np.zeros(count + 1, bool)
    holds[labels[strong & weak]] = True
    return Pieces(labels, count, measures={"strong": holds})


def _hysteresis(call: Call) -> Plan:
    high = call["high"]
    low = np.clip(call["low"], a_min=None, a_max=high)
    structure = np.asarray(ndi.generate_binary_structure(call.ndim, 1))

    def pieces(block: Block) -> Pieces:
        pixels = block.data[block.core]
        return strong_pieces(pixels > low, pixels > high, structure)

    components: Components = yield gather_components(pieces, 1, ufuncs={"strong": np.logical_or})
    kept = components.measures["strong"].copy()
    kept[0] = False
    return Tiles(
        lambda block: components.look_up(kept, block.position, pieces(block)), on_grid=True
    )


OPERATIONS = (
    Operation(
        name="filters.apply_hysteresis_threshold",
        kind=Kind.CONNECTED,
        specs={"low": Number(usual=(0, 0.6)), "high": Number(usual=(0.2, 1))},
        output=Output.MASK,
        dtype_of=lambda call: np.bool_,
        plan_of=_hysteresis,
        working=3.0,
    ),
)
