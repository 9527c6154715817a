"""Thinning by sweeps: a pixel goes by its eight neighbours, so n iterations reach 2 n pixels.

Several iterations make one sweep, and a tile rests as soon as nothing around it changes. A sweep
does what scikit-image does to the whole image at once, so the skeleton is the same, pixel by pixel.
Lee's method looks at pixels in raster order, and the medial axis breaks ties by random numbers
drawn for the whole image: these two need it whole.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.morphology import thin

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.operations.model import (
    Block,
    Call,
    HaloLike,
    Kind,
    Operation,
    Output,
    Part,
    Plan,
    Sweep,
    Tiles,
)
from napari_tilewise.operations.parameters import AlignedImage, Choice, Flag, Number, Seed
from napari_tilewise.operations.whole import whole, whole_halo

if TYPE_CHECKING:
    from collections.abc import Callable

ITERATIONS = 8
"""How many iterations make a sweep: few passes, little of each tile computed twice."""
HALO = 2 * ITERATIONS
"""Each iteration looks twice at direct neighbours."""
STATE = "thinned"


def _sweeps(
    iterate: Callable[[np.ndarray, int], np.ndarray], most: int | None, start: bool = True
) -> Sweep:
    """Return sweeps of `ITERATIONS` iterations, or one of `most` where these are fewer."""
    many = ITERATIONS if most is None or most >= ITERATIONS else most
    return Sweep(
        lambda block: iterate(block.images[STATE], many),
        np.bool_,
        (lambda block: block.data.astype(bool)) if start else None,
        halo=2 * many,
        most=None if most is None else most // many if many else 0,
        name=STATE,
        what="thinning",
    )


def _thinned(block: Block) -> np.ndarray:
    return block.images[STATE]


# -- thin ------------------------------------------------------------------------------------------


def _thin(call: Call) -> Plan:
    def iterate(mask: np.ndarray, many: int) -> np.ndarray:
        return np.asarray(thin(mask, max_num_iter=many))

    most = call["max_num_iter"] or None
    yield _sweeps(iterate, most)
    if most is not None and most > ITERATIONS and most % ITERATIONS:
        yield _sweeps(iterate, most % ITERATIONS, start=False)
    return Tiles(_thinned)


# -- skeletonize -----------------------------------------------------------------------------------

NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))
"""Clockwise from the north-west: the bits of a neighbourhood's number."""
FIRST, SECOND = 1, 2
"""In which half of an iteration a pixel goes."""
EXCEPTIONS = {
    FIRST: (3, 6, 10, 11, 12, 14, 131, 134, 161, 194, 198),
    SECOND: (24, 26, 56, 96, 104, 108, 176, 192, 224),
    FIRST | SECOND: (40, 130, 160),
    0: (48, 129),
}
"""Neighbourhoods that scikit-image's table treats otherwise than Zhang and Suen's paper (found by
comparing with its results; the tests do): corners and crossings of lines two pixels wide."""


@cache
def _table() -> np.ndarray:
    """Return when a pixel goes, by the number of its neighbourhood."""
    bits = np.arange(256)[:, None] >> np.arange(8) & 1
    _, north, _, east, _, south, _, west = bits.T
    set_ones = bits.sum(axis=1)
    rises = (bits < np.roll(bits, -1, axis=1)).sum(axis=1)
    border = (set_ones >= 2) & (set_ones <= 6) & (rises == 1)
    first = border & ~((north & east & south) | (east & south & west)).astype(bool)
    second = border & ~((north & east & west) | (north & south & west)).astype(bool)
    table = (FIRST * first + SECOND * second).astype(np.uint8)
    for when, numbers in EXCEPTIONS.items():
        table[list(numbers)] = when
    return np.asarray(table)


def _zhang(mask: np.ndarray, many: int) -> np.ndarray:
    """Return a mask after some iterations; nothing lies beyond it."""
    state = np.pad(mask, 1).view(np.uint8)
    inner = state[1:-1, 1:-1]
    for _ in range(many):
        gone = 0
        for half in (FIRST, SECOND):
            number = np.zeros(mask.shape, np.uint8)
            for bit, (y, x) in enumerate(NEIGHBOURS):
                rows, columns = (slice(1 + s, s - 1 if s < 1 else None) for s in (y, x))
                number |= state[rows, columns] << bit
            goes = inner & (_table()[number] >> (half - 1))
            gone += int(np.count_nonzero(goes))
            inner ^= goes
        if not gone:
            break
    return inner.astype(bool)


def _is_zhang(call: Call) -> bool:
    return call["method"] == "zhang" or (call["method"] is None and call.ndim == 2)


def _skeletonize(call: Call) -> Plan:
    if not _is_zhang(call):
        return (yield from whole(call))
    yield _sweeps(_zhang, None)
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
        kind=Kind.ITERATIVE,
        specs={"method": Choice(choices=("zhang", "lee"), optional=True)},
        output=Output.MASK,
        ndim=(2, 3),
        halo_of=_skeleton_halo,
        dtype_of=_bool,
        plan_of=_skeletonize,
        check=_check_method,
        working=3.0,
        note="method='lee' (the only one in 3-D) looks at pixels in raster order: it needs the "
        "whole image.",
    ),
    Operation(
        name="morphology.thin",
        kind=Kind.ITERATIVE,
        specs={"max_num_iter": Number(integer=True, minimum=0, optional=True, usual=(0, 20))},
        output=Output.MASK,
        ndim=(2, 2),
        halo_of=lambda call: HALO,
        dtype_of=_bool,
        plan_of=_thin,
        working=3.0,
    ),
    Operation(
        name="morphology.medial_axis",
        kind=Kind.WHOLE,
        specs={
            "mask": AlignedImage(),
            "return_distance": Flag(advanced=True),
            "rng": Seed(advanced=True),
        },
        output=Output.MASK,
        ndim=(2, 2),
        halo_of=whole_halo,
        dtype_of=_bool,
        parts_of=_axis_parts,
        plan_of=whole,
        working=16.0,
        note="Ties are broken at random: give rng to get the same axis again.",
    ),
)
