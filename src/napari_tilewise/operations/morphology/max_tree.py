"""Component trees: openings and closings by area and extent reach finitely far; the tree does not.

Whether a bright structure is at least so large shows in the pixels that near: grow it from any of
its pixels until it is complete or large enough. So an attribute filter has a halo, though it has
no footprint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from skimage.util import invert

from napari_tilewise.errors import InvalidImage
from napari_tilewise.operations.morphology.given_tree import (
    NOTE,
    TREE,
    check_tree,
    from_tree,
    has_tree,
    tree_of,
)
from napari_tilewise.operations.shared.whole import WHOLE, whole_halo
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    Call,
    Constraint,
    Cost,
    HaloLike,
    Kind,
    Limits,
    Neighbourhood,
    Operation,
    Output,
    Part,
    Plan,
    ResultSpec,
    tiled,
)
from napari_tilewise.operations.spec.parameters import Number

if TYPE_CHECKING:
    from collections.abc import Callable

CONNECTIVITY = Number(integer=True, minimum=1, usual=(1, 2))
SHORTEST = 3
"""Pixels along each axis that scikit-image's neighbourhoods need; along shorter axes it takes
pixels of other rows for neighbours."""


def refuse_half(call: Call) -> None:
    """Refuse float16, which scikit-image's Cython functions do not take."""
    if call.dtype == np.float16:
        raise InvalidImage(
            f"{call.operation.name} does not take an image of type float16: expected float32 or "
            "float64. Convert it first."
        )


def is_short(call: Call) -> bool:
    """Return whether scikit-image's neighbourhoods do not fit an image."""
    return min(call.shape) < SHORTEST


def check(call: Call) -> None:
    """Refuse what scikit-image's functions of a tree do not take."""
    refuse_half(call)
    check_tree(call)


def _reach(call: Call, least: int) -> HaloLike:
    if is_short(call) or has_tree(call):
        return whole_halo(call)
    return max(SHORTEST - 1, least)


def _area_reach(call: Call) -> HaloLike:
    """Return how far a structure smaller than the threshold reaches, with its rim."""
    return _reach(call, int(call["area_threshold"]) - 1)


def _diameter_reach(call: Call) -> HaloLike:
    return _reach(call, int(call["diameter_threshold"]))


def _filtered(call: Call) -> Plan:
    if has_tree(call):
        return (yield from from_tree(call))
    return tiled(call)


def _filter(
    name: str,
    threshold: str,
    halo: Callable[[Call], HaloLike],
    usual: tuple[int, int],
    memory: float,
    tree: Constraint,
) -> Operation:
    return Operation(
        name=f"morphology.{name}",
        family=families.MORPHOLOGY_BY_AREA,
        kind=Kind.NEIGHBOURHOOD,
        specs={
            threshold: Number(integer=True, minimum=0, usual=usual),
            "connectivity": CONNECTIVITY,
            **TREE,
        },
        neighbourhood=Neighbourhood(halo=halo),
        plan_of=_filtered,
        limits=Limits(check=check),
        constraints=(tree,),
        cost=Cost(memory=memory),
        note=f"A large {threshold} is a large halo. {NOTE}",
    )


OF_IMAGE, OF_INVERTED = tree_of(), tree_of(invert)

OPERATIONS = (
    _filter("area_opening", "area_threshold", _area_reach, (0, 40), 8.0, OF_IMAGE),
    _filter("area_closing", "area_threshold", _area_reach, (0, 40), 8.0, OF_INVERTED),
    _filter("diameter_opening", "diameter_threshold", _diameter_reach, (0, 12), 13.0, OF_IMAGE),
    _filter("diameter_closing", "diameter_threshold", _diameter_reach, (0, 12), 13.0, OF_INVERTED),
    Operation(
        name="morphology.max_tree",
        family=families.MORPHOLOGY_BY_AREA,
        **WHOLE,
        specs={"connectivity": CONNECTIVITY},
        result=ResultSpec(
            dtype=lambda call: np.int64,
            parts=lambda call: (
                Part(Output.IMAGE, np.int64, call.shape),
                Part(Output.VALUES, np.int64),
            ),
        ),
        limits=Limits(check=refuse_half),
        cost=Cost(memory=6.0),
    ),
)
