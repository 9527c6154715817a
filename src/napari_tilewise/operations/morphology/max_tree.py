"""Component trees: openings and closings by area or extent have a finite halo; the tree has not.

Whether a bright structure reaches a given size depends on the pixels within that distance: grow it
from any of its pixels until it is complete or large enough. So an attribute filter has a halo,
although it has no footprint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from skimage.util import invert

from napari_tilewise.errors import InvalidImage
from napari_tilewise.operations.morphology.tree_arguments import (
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
    IN_MEMORY,
    AtOnce,
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
"""Pixels along each axis that scikit-image's neighbourhoods need; on shorter axes it treats pixels
of other rows as neighbours."""


def reject_float16(call: Call) -> None:
    """Raise `InvalidImage` for float16, which scikit-image's Cython functions do not take."""
    if call.dtype == np.float16:
        raise InvalidImage(
            f"{call.operation.name} does not take float16 images: convert to float32 or float64."
        )


def is_short(call: Call) -> bool:
    """Return whether the image is too short for scikit-image's neighbourhoods."""
    return min(call.shape) < SHORTEST


def check(call: Call) -> None:
    """Raise for images and trees that scikit-image's component tree functions do not take."""
    reject_float16(call)
    check_tree(call)


def _reach(call: Call, minimum: int) -> HaloLike:
    if is_short(call) or has_tree(call):
        return whole_halo(call)
    return max(SHORTEST - 1, minimum)


def _area_reach(call: Call) -> HaloLike:
    """Return how far a structure below the threshold extends, including its rim."""
    return _reach(call, int(call["area_threshold"]) - 1)


def _diameter_reach(call: Call) -> HaloLike:
    return _reach(call, int(call["diameter_threshold"]))


def _filter_plan(call: Call) -> Plan:
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
            threshold: Number(
                integer=True,
                minimum=0,
                usual=usual,
                area=threshold.startswith("area"),
                length=threshold.startswith("diameter"),
            ),
            "connectivity": CONNECTIVITY,
            **TREE,
        },
        neighbourhood=Neighbourhood(halo=halo),
        plan_of=_filter_plan,
        limits=Limits(check=check),
        constraints=(tree,),
        # A tree that is given has its indices checked: scikit-image does not look at them.
        cost=Cost(
            memory=memory,
            at_once=AtOnce(function=IN_MEMORY, when=lambda call: not has_tree(call)),
        ),
        note=f"A large {threshold} needs a large halo. {NOTE}",
    )


OF_IMAGE, OF_INVERTED = tree_of(), tree_of(invert)

OPERATIONS = (
    _filter("area_opening", "area_threshold", _area_reach, (0, 40), 8.0, OF_IMAGE),
    _filter("area_closing", "area_threshold", _area_reach, (0, 40), 8.0, OF_INVERTED),
    _filter("diameter_opening", "diameter_threshold", _diameter_reach, (0, 12), 13.0, OF_IMAGE),
    _filter("diameter_closing", "diameter_threshold", _diameter_reach, (0, 12), 13.0, OF_INVERTED),
    Operation(
        name="morphology.max_tree",
        title="Max-tree",
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
        limits=Limits(check=reject_float16),
        cost=Cost(memory=6.0),
        note="Needs the whole image: the tree links each pixel to a parent anywhere in it. The "
        "filters that use a tree do without it.",
    ),
)
