"""Declarations: what each scikit-image function is and how it tiles; NumPy in, NumPy out.

`OPERATIONS` is explicit and ordered: one tuple of declarations per scikit-image module.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from napari_tilewise.errors import UnknownOperation, did_you_mean
from napari_tilewise.operations import (
    color,
    edges,
    exposure,
    feature,
    filters,
    hysteresis,
    local_thresholds,
    measure,
    morphology,
    rank,
    restoration,
    ridges,
    segmentation,
    thresholds,
    transform,
    util,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_tilewise.operations.model import Operation

GROUPS = (
    filters.OPERATIONS,
    exposure.OPERATIONS,
    local_thresholds.OPERATIONS,
    thresholds.OPERATIONS,
    rank.OPERATIONS,
    ridges.OPERATIONS,
    edges.OPERATIONS,
    hysteresis.OPERATIONS,
    morphology.OPERATIONS,
    measure.OPERATIONS,
    segmentation.OPERATIONS,
    restoration.OPERATIONS,
    feature.OPERATIONS,
    transform.OPERATIONS,
    color.OPERATIONS,
    util.OPERATIONS,
)

OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {op.name: op for group in GROUPS for op in group}
)


def get_operation(name: str) -> Operation:
    """Return the operation of this key, or raise `UnknownOperation` with the nearest ones."""
    try:
        return OPERATIONS[name]
    except (KeyError, TypeError):
        hint = did_you_mean(str(name), OPERATIONS)
        raise UnknownOperation(
            f"There is no operation {name!r}.{hint} "
            "napari_tilewise.OPERATIONS (or 'napari-tilewise list') names them all."
        ) from None
