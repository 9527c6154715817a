"""Thinning by sweeps: a pixel's removal depends on its eight neighbours, so n iterations reach 2 n.

A sweep makes several iterations, and skips tiles around which nothing has changed. It does what
scikit-image does to the whole image, so the skeleton is the same, pixel by pixel. Lee's method
visits pixels in raster order, and the medial axis breaks ties by random numbers drawn for the whole
image: both need the whole image.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.shared.whole import WHOLE, whole, whole_halo
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    Adapter,
    AtOnce,
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
from napari_tilewise.operations.spec.substitution import run_fastest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import DTypeLike

ITERATIONS = 8
"""Iterations per sweep: enough for few passes, few enough for a small halo."""
HALO = 2 * ITERATIONS
"""Each iteration has two halves, and each half reads direct neighbours."""
STATE = "thinned"
THINNING = "napari_tilewise.operations.morphology.skeleton.thinned"
NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))
"""Clockwise from the north-west: the bits of a neighbourhood's index in Zhang's table."""
COUNTERCLOCKWISE = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))
"""From the east: the bits in the tables of `thin`."""


# -- sweeps ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Rule:
    """Which pixels either half of an iteration removes."""

    tables: tuple[np.ndarray, np.ndarray]
    """Whether a pixel is removed, by its neighbourhood's index; never if all neighbours are set."""
    neighbours: tuple[tuple[int, int], ...]
    """The offset of the neighbour for each bit of the index."""


def thinned(
    mask: np.ndarray,
    tables: Sequence[np.ndarray],
    neighbours: Sequence[tuple[int, int]],
    iterations: int | None = None,
) -> np.ndarray:
    """Return a mask after some iterations, with background beyond its border.

    A pixel that was not removed can only be removed after a neighbour has changed: each half visits
    only such pixels.

    Parameters
    ----------
    mask
        Two axes.
    tables, neighbours
        A rule's.
    iterations
        The most that are done; by default until nothing changes.
    """
    padded = np.pad(mask, 1).view(np.uint8)
    state = padded.reshape(-1)
    steps = np.array([y * padded.shape[1] + x for y, x in neighbours])
    border = (state > 0) & ~np.pad(_fully_surrounded(padded), 1).reshape(-1)
    pending = (border, border.copy())
    for _ in count() if iterations is None else range(iterations):
        previous_sum = state.sum(dtype=np.int64)
        for half, table in enumerate(tables):
            positions = np.flatnonzero(pending[half])
            pending[half][positions] = False
            positions = positions[state[positions] > 0]
            number = np.zeros(len(positions), np.uint8)
            for bit, step in enumerate(steps):
                number |= state[positions + step] << bit
            removed = positions[table[number]]
            state[removed] = 0
            for step in steps:
                pending[0][removed + step] = pending[1][removed + step] = True
        if state.sum(dtype=np.int64) == previous_sum:
            break
    return padded[1:-1, 1:-1].astype(bool)


def _fully_surrounded(padded: np.ndarray) -> np.ndarray:
    """Return which inner pixels have all their neighbours set."""
    rows = padded[:-2] & padded[1:-1] & padded[2:]
    return np.asarray((rows[:, :-2] & rows[:, 1:-1] & rows[:, 2:]).astype(bool))


def _sweeps(rule: _Rule, max_iterations: int | None, *, start: bool = True) -> Sweep:
    """Return sweeps of `ITERATIONS` iterations each, or one sweep of `max_iterations` if fewer."""
    iterations = (
        ITERATIONS if max_iterations is None or max_iterations >= ITERATIONS else max_iterations
    )
    return Sweep(
        lambda block: np.asarray(
            run_fastest(
                THINNING, thinned, block.images[STATE], rule.tables, rule.neighbours, iterations
            )
        ),
        np.bool_,
        (lambda block: block.data.astype(bool)) if start else None,
        halo=2 * iterations,
        most=None if max_iterations is None else max_iterations // iterations,
        name=STATE,
        description="thinning",
    )


def _thinned(block: Block) -> np.ndarray:
    return block.images[STATE]


# -- thin ------------------------------------------------------------------------------------------


def _thin(call: Call) -> Plan:
    table_1, table_2 = (
        reach("morphology._skeletonize", name) for name in ("G123_LUT", "G123P_LUT")
    )
    rule = _Rule((table_1, table_2), COUNTERCLOCKWISE)
    max_iterations = call["max_num_iter"] or None
    yield _sweeps(rule, max_iterations)
    if max_iterations is not None and max_iterations > ITERATIONS and max_iterations % ITERATIONS:
        yield _sweeps(rule, max_iterations % ITERATIONS, start=False)
    return Tiles(_thinned)


# -- skeletonize -----------------------------------------------------------------------------------

FIRST, SECOND = 1, 2
"""The half of an iteration that removes a pixel."""
EXCEPTIONS = {
    FIRST: (3, 6, 10, 11, 12, 14, 131, 134, 161, 194, 198),
    SECOND: (24, 26, 56, 96, 104, 108, 176, 192, 224),
    FIRST | SECOND: (40, 130, 160),
    0: (48, 129),
}
"""Neighbourhoods that scikit-image treats differently than Zhang and Suen's paper, by the halves
that remove the pixel; a test compares the results for all neighbourhoods."""


@cache
def _zhang() -> _Rule:
    """Return Zhang and Suen's rule as scikit-image applies it."""
    bits = np.arange(256)[:, None] >> np.arange(8) & 1
    _, north, _, east, _, south, _, west = bits.T
    neighbours = bits.sum(axis=1)
    rises = (bits < np.roll(bits, -1, axis=1)).sum(axis=1)
    border = (neighbours >= 2) & (neighbours <= 6) & (rises == 1)
    removed_first = border & (north * east * south == 0) & (east * south * west == 0)
    removed_second = border & (north * east * west == 0) & (north * south * west == 0)
    for halves, numbers in EXCEPTIONS.items():
        removed_first[list(numbers)] = bool(halves & FIRST)
        removed_second[list(numbers)] = bool(halves & SECOND)
    return _Rule((removed_first, removed_second), NEIGHBOURS)


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
            f"{call.operation.name}: method='zhang' works on 2 axes, not {call.ndim}: use "
            "method='lee'."
        )


# -- medial axis -----------------------------------------------------------------------------------


def _axis_parts(call: Call) -> tuple[Part, ...] | None:
    if not call["return_distance"]:
        return None
    return (
        Part(Output.MASK, np.bool_, call.shape),
        Part(Output.IMAGE, np.float64, call.shape),
    )


def _bool(call: Call) -> DTypeLike:
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
        adapter=Adapter(kernels=(THINNING, "skimage.morphology.skeletonize")),
        cost=Cost(memory=3.0, at_once=AtOnce(kernel=2**24)),
        note="method='lee' (the only one in 3D) visits pixels in raster order, so it needs the "
        "whole image.",
    ),
    Operation(
        name="morphology.thin",
        title="Thinning",
        family=families.OBJECTS,
        kind=Kind.ITERATIVE,
        specs={"max_num_iter": Number(integer=True, minimum=0, optional=True, usual=(0, 20))},
        result=ResultSpec(output=Output.MASK, dtype=_bool),
        limits=Limits(ndim=(2, 2)),
        neighbourhood=Neighbourhood(halo=lambda call: HALO),
        plan_of=_thin,
        adapter=Adapter(kernels=(THINNING,)),
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
        note="Needs the whole image: pixels are removed one by one in the order of all distances,"
        " ties in a random order of all pixels. Ties are broken at random: set rng for a "
        "reproducible result.",
    ),
)
