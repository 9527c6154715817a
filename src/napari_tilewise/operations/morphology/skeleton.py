"""Thinning by sweeps: a pixel goes by its eight neighbours, so n iterations reach 2 n pixels.

Several iterations make one sweep, and a tile rests as soon as nothing around it changes. A sweep
does what scikit-image does to the whole image at once, so the skeleton is the same, pixel by pixel.
Lee's method looks at pixels in raster order, and the medial axis breaks ties by random numbers
drawn for the whole image: these two need it whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.shared.whole import WHOLE, whole, whole_halo
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    Block,
    Call,
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
    Sweep,
    Tiles,
)
from napari_tilewise.operations.spec.parameters import (
    AlignedImage,
    ChoiceSpec,
    Flag,
    Number,
    Seed,
)

ITERATIONS = 8
"""How many iterations make a sweep: few passes, little of each tile computed twice."""
HALO = 2 * ITERATIONS
"""Each iteration looks twice at direct neighbours."""
STATE = "thinned"
NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))
"""Clockwise from the north-west: the bits of a neighbourhood's number in Zhang's table."""
COUNTERCLOCKWISE = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))
"""From the east: the bits in the tables of `thin`."""


# -- sweeps ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Rule:
    """Which pixels go in either half of an iteration."""

    tables: tuple[np.ndarray, np.ndarray]
    """By the number of a pixel's neighbourhood; none goes where all neighbours are set."""
    neighbours: tuple[tuple[int, int], ...]
    """The place of each of the number's bits."""


def _iterated(rule: _Rule, mask: np.ndarray, many: int) -> np.ndarray:
    """Return a mask after some iterations; nothing lies beyond it.

    A pixel that stayed goes only when something near it has changed: each half looks at these only.
    """
    padded = np.pad(mask, 1).view(np.uint8)
    state = padded.reshape(-1)
    steps = np.array([y * padded.shape[1] + x for y, x in rule.neighbours])
    border = (state > 0) & ~np.pad(_surrounded(padded), 1).reshape(-1)
    due = (border, border.copy())
    for _ in range(many):
        before = state.sum(dtype=np.int64)
        for half, table in enumerate(rule.tables):
            places = np.flatnonzero(due[half])
            due[half][places] = False
            places = places[state[places] > 0]
            number = np.zeros(len(places), np.uint8)
            for bit, step in enumerate(steps):
                number |= state[places + step] << bit
            gone = places[table[number]]
            state[gone] = 0
            for step in steps:
                due[0][gone + step] = due[1][gone + step] = True
        if state.sum(dtype=np.int64) == before:
            break
    return padded[1:-1, 1:-1].astype(bool)


def _surrounded(padded: np.ndarray) -> np.ndarray:
    """Return the inner pixels all of whose neighbours are set."""
    rows = padded[:-2] & padded[1:-1] & padded[2:]
    return np.asarray((rows[:, :-2] & rows[:, 1:-1] & rows[:, 2:]).astype(bool))


def _sweeps(rule: _Rule, most: int | None, *, start: bool = True) -> Sweep:
    """Return sweeps of `ITERATIONS` iterations, or one of `most` where these are fewer."""
    many = ITERATIONS if most is None or most >= ITERATIONS else most
    return Sweep(
        lambda block: _iterated(rule, block.images[STATE], many),
        np.bool_,
        (lambda block: block.data.astype(bool)) if start else None,
        halo=2 * many,
        most=None if most is None else most // many,
        name=STATE,
        description="thinning",
    )


def _thinned(block: Block) -> np.ndarray:
    return block.images[STATE]


# -- thin ------------------------------------------------------------------------------------------


def _thin(call: Call) -> Plan:
    first, second = (reach("morphology._skeletonize", name) for name in ("G123_LUT", "G123P_LUT"))
    rule = _Rule((first, second), COUNTERCLOCKWISE)
    most = call["max_num_iter"] or None
    yield _sweeps(rule, most)
    if most is not None and most > ITERATIONS and most % ITERATIONS:
        yield _sweeps(rule, most % ITERATIONS, start=False)
    return Tiles(_thinned)


# -- skeletonize -----------------------------------------------------------------------------------

FIRST, SECOND = 1, 2
"""In which half of an iteration a pixel goes."""
EXCEPTIONS = {
    FIRST: (3, 6, 10, 11, 12, 14, 131, 134, 161, 194, 198),
    SECOND: (24, 26, 56, 96, 104, 108, 176, 192, 224),
    FIRST | SECOND: (40, 130, 160),
    0: (48, 129),
}
"""Neighbourhoods that scikit-image treats otherwise than Zhang and Suen's paper does, by when the
pixel goes; found by comparing results, as a test does for all neighbourhoods."""


@cache
def _zhang() -> _Rule:
    """Return Zhang and Suen's rule as scikit-image applies it."""
    bits = np.arange(256)[:, None] >> np.arange(8) & 1
    _, north, _, east, _, south, _, west = bits.T
    neighbours = bits.sum(axis=1)
    rises = (bits < np.roll(bits, -1, axis=1)).sum(axis=1)
    border = (neighbours >= 2) & (neighbours <= 6) & (rises == 1)
    first = border & (north * east * south == 0) & (east * south * west == 0)
    second = border & (north * east * west == 0) & (north * south * west == 0)
    for when, numbers in EXCEPTIONS.items():
        first[list(numbers)] = bool(when & FIRST)
        second[list(numbers)] = bool(when & SECOND)
    return _Rule((first, second), NEIGHBOURS)


def _is_zhang(call: Call) -> bool:
    return call["method"] == "zhang" or (call["method"] is None and call.ndim == 2)


def _skeletonize(call: Call) -> Plan:
    if not _is_zhang(call):
        return (yield from whole(call))
    yield _sweeps(_zhang(), None)
    return Tiles(_thinned)


def _check_method(call: Call) -> None:
    if call["method"] == "zhang" and call.ndim != 2:
        raise InvalidParameter(
            f"{call.operation.name}: method='zhang' works on 2 axes, not on {call.ndim}: expected "
            "method='lee' here."
        )


# -- medial axis -----------------------------------------------------------------------------------


def _axis_parts(call: Call) -> tuple[Part, ...] | None:
    if not call["return_distance"]:
        return None
    return (
        Part(Output.MASK, np.bool_, call.shape),
        Part(Output.IMAGE, np.float64, call.shape),
    )


def _bool(call: Call) -> Any:
    return np.bool_


def _skeleton_halo(call: Call) -> HaloLike:
    return HALO if _is_zhang(call) else whole_halo(call)


OPERATIONS = (
    Operation(
        name="morphology.skeletonize",
        family=families.OBJECTS,
        kind=Kind.ITERATIVE,
        specs={"method": ChoiceSpec(choices=("zhang", "lee"), optional=True)},
        result=ResultSpec(output=Output.MASK, dtype=_bool),
        limits=Limits(ndim=(2, 3), check=_check_method),
        neighbourhood=Neighbourhood(halo=_skeleton_halo),
        plan_of=_skeletonize,
        cost=Cost(memory=3.0),
        note="method='lee' (the only one in 3-D) looks at pixels in raster order: it needs the "
        "whole image.",
    ),
    Operation(
        name="morphology.thin",
        family=families.OBJECTS,
        kind=Kind.ITERATIVE,
        specs={"max_num_iter": Number(integer=True, minimum=0, optional=True, usual=(0, 20))},
        result=ResultSpec(output=Output.MASK, dtype=_bool),
        limits=Limits(ndim=(2, 2)),
        neighbourhood=Neighbourhood(halo=lambda call: HALO),
        plan_of=_thin,
        cost=Cost(memory=3.0),
    ),
    Operation(
        name="morphology.medial_axis",
        family=families.OBJECTS,
        **WHOLE,
        specs={
            "mask": AlignedImage(),
            "return_distance": Flag(advanced=True),
            "rng": Seed(advanced=True),
        },
        result=ResultSpec(output=Output.MASK, dtype=_bool, parts=_axis_parts),
        limits=Limits(ndim=(2, 2)),
        cost=Cost(memory=16.0),
        note="Ties are broken at random: give rng to get the same axis again.",
    ),
)
