"""Isotropic morphology: a threshold of the distance to the other kind of pixels, radius for halo.

Where an image has no such pixel at all, scipy measures to one at (-1, 0): so does scikit-image, and
so does this module, with that pixel's true place. A tile without any, in an image that has some,
is merely far from them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage as ndi

from napari_tilewise.operations.shared.search import anywhere
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    Block,
    Call,
    Cost,
    HaloLike,
    Kind,
    Neighbourhood,
    Operation,
    Output,
    ResultSpec,
    Tiles,
    normal_halo,
)
from napari_tilewise.operations.spec.parameters import Number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_tilewise.grid import Region
    from napari_tilewise.operations.spec.operation import Plan

ERODE, DILATE = "erosion", "dilation"


def _reach(call: Call, stages: int) -> HaloLike:
    """One pixel more than the radius: radius / spacing may be rounded down."""
    spacing = call.per_axis(1 if call["spacing"] is None else call["spacing"])
    return [stages * (int(call["radius"] / s) + 1) for s in spacing]


def _distance(call: Call, near: np.ndarray, start: Sequence[int], exists: bool) -> np.ndarray:
    """Return the distance of a region's pixels to the nearest one of `near`.

    Parameters
    ----------
    call
        The bound operation, for its spacing.
    near
        The pixels to measure to.
    start
        The region's first pixel.
    exists
        Whether the image has such pixels at all.
    """
    if near.any():
        return np.asarray(ndi.distance_transform_edt(~near, sampling=call["spacing"]))
    if exists:
        return np.full(near.shape, np.inf)
    # What scipy's features hold where nothing was found: -1 along the first axis, else 0.
    squares = np.zeros(near.shape)
    spacing = call["spacing"]
    for axis, (begin, length) in enumerate(zip(start, near.shape, strict=True)):
        along = np.float64((-1 if axis == 0 else 0) - np.arange(begin, begin + length))
        if spacing is not None:
            along *= call.per_axis(spacing)[axis]
        squares += (along * along).reshape([-1 if i == axis else 1 for i in range(near.ndim)])
    return np.asarray(np.sqrt(squares))


def _masked(call: Call, known: Sequence[tuple[str, bool]], block: Block) -> np.ndarray:
    """Return the mask after some stages; true where a tile's halo is as wide as all of them.

    Each stage sees only what is true after the one before: a pixel that is wrong because of what
    lies beyond the region would pass for one to measure to.
    """
    mask = np.asarray(block.data, bool)
    for number, (kind, exists) in enumerate(known):
        true = _true_after(call, block, number)
        start = [s.start + b.start for s, b in zip(block.region, true, strict=True)]
        inside = mask[true]
        if kind == ERODE:
            mask[true] = _distance(call, ~inside, start, exists) > call["radius"]
        else:
            mask[true] = _distance(call, inside, start, exists) <= call["radius"]
    return mask


def _true_after(call: Call, block: Block, stages: int) -> Region:
    """Return the part of a region that no pixel beyond it has reached, within the region."""
    reach = normal_halo(_reach(call, stages), call.ndim)
    return tuple(
        slice(
            before if span.start > 0 else 0,
            span.stop - span.start - (after if span.stop < n else 0),
        )
        for span, (before, after), n in zip(block.region, reach, call.shape, strict=True)
    )


def _plan(*kinds: str) -> Callable[[Call], Plan]:
    def plan(call: Call) -> Plan:
        known: list[tuple[str, bool]] = []
        for kind in kinds:

            def holds(block: Block, kind: str = kind) -> bool:
                mask = _masked(call, known, block)[block.core]
                return not mask.all() if kind == ERODE else bool(mask.any())

            description = "background" if kind == ERODE else "foreground"
            exists = yield from anywhere(
                call, holds, halo=_reach(call, len(known)), description=description
            )
            known.append((kind, exists))
        return Tiles(lambda block: _masked(call, known, block), halo=_reach(call, len(kinds)))

    return plan


def _operation(name: str, *kinds: str) -> Operation:
    return Operation(
        name=f"morphology.isotropic_{name}",
        family=families.MORPHOLOGY,
        kind=Kind.NEIGHBOURHOOD,
        specs={
            "radius": Number(minimum=0, length=True, usual=(0, 8)),
            "spacing": Number(
                minimum=0, exclusive=True, per_axis=True, optional=True, usual=(1, 3), advanced=True
            ),
        },
        result=ResultSpec(output=Output.MASK, dtype=lambda call: np.bool_),
        neighbourhood=Neighbourhood(halo=lambda call: _reach(call, len(kinds))),
        plan_of=_plan(*kinds),
        cost=Cost(memory=8.0),
    )


OPERATIONS = (
    _operation("erosion", ERODE),
    _operation("dilation", DILATE),
    _operation("opening", ERODE, DILATE),
    _operation("closing", DILATE, ERODE),
)
