"""Isotropic morphology: a threshold on the distance to background or foreground; halo = radius.

If the whole image has no such pixel, scipy measures the distance to a pixel at (-1, 0), and so does
scikit-image; this module does the same in the image's coordinates. If only a tile's region has
none, the tile is simply far from all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from skimage import morphology

from napari_tilewise.operations.shared.search import anywhere
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    IN_MEMORY,
    Adapter,
    AtOnce,
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
from napari_tilewise.operations.spec.substitution import run_fastest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_tilewise.grid import Region
    from napari_tilewise.operations.spec.operation import Plan

ERODE, DILATE = "erosion", "dilation"
PATH = "skimage.morphology.isotropic"
"""What the functions' dotted paths begin with."""


def _reach(call: Call, stages: int) -> HaloLike:
    """Return one pixel more than the radius: radius / spacing may be rounded down."""
    spacing = call.per_axis(1 if call["spacing"] is None else call["spacing"])
    return [stages * (int(call["radius"] / s) + 1) for s in spacing]


def _distance(call: Call, targets: np.ndarray, start: Sequence[int], exists: bool) -> np.ndarray:
    """Return the distance of the pixels of a region without targets to the nearest one.

    Parameters
    ----------
    call
        The bound operation, for its spacing.
    targets
        The mask of the pixels to which the distance is measured.
    start
        The coordinates of the region's first pixel.
    exists
        Whether the whole image has any target.
    """
    if exists:
        return np.full(targets.shape, np.inf)
    # Without targets, scipy's nearest feature has coordinate -1 along the first axis, otherwise 0.
    squares = np.zeros(targets.shape)
    spacing = call["spacing"]
    for axis, (begin, length) in enumerate(zip(start, targets.shape, strict=True)):
        offsets = np.float64((-1 if axis == 0 else 0) - np.arange(begin, begin + length))
        if spacing is not None:
            offsets *= call.per_axis(spacing)[axis]
        squares += (offsets * offsets).reshape(
            [-1 if i == axis else 1 for i in range(targets.ndim)]
        )
    return np.asarray(np.sqrt(squares))


def _mask_after(call: Call, stages: Sequence[tuple[str, bool]], block: Block) -> np.ndarray:
    """Return the mask after some stages, correct within the tile if the halo covers all stages.

    Each stage reads only pixels that are correct after the previous one: a pixel that is wrong
    because the region ends nearby would count as a target.
    """
    mask = np.asarray(block.data, bool)
    for stage, (kind, exists) in enumerate(stages):
        valid = _valid_region(call, block, stage)
        start = [s.start + b.start for s, b in zip(block.region, valid, strict=True)]
        mask[valid] = _after_stage(call, kind, mask[valid], start, exists)
    return mask


def _after_stage(
    call: Call, kind: str, mask: np.ndarray, start: Sequence[int], exists: bool
) -> np.ndarray:
    """Return a region's mask after one stage; parameters as those of `_distance`."""
    targets = ~mask if kind == ERODE else mask
    if targets.any():
        function = getattr(morphology, f"isotropic_{kind}")
        params = {"radius": call["radius"], "spacing": call["spacing"]}
        return np.asarray(run_fastest(f"{PATH}_{kind}", function, mask, **params))
    distance = _distance(call, targets, start, exists)
    return np.asarray(distance > call["radius"] if kind == ERODE else distance <= call["radius"])


def _valid_region(call: Call, block: Block, stages: int) -> Region:
    """Return the box, within the region, that does not depend on pixels beyond the region."""
    reach = normal_halo(_reach(call, stages), call.ndim)
    return tuple(
        slice(
            margin_before if span.start > 0 else 0,
            span.stop - span.start - (margin_after if span.stop < n else 0),
        )
        for span, (margin_before, margin_after), n in zip(
            block.region, reach, call.shape, strict=True
        )
    )


def _plan(*kinds: str) -> Callable[[Call], Plan]:
    def plan(call: Call) -> Plan:
        stages: list[tuple[str, bool]] = []
        for kind in kinds:

            def has_targets(block: Block, kind: str = kind) -> bool:
                mask = _mask_after(call, stages, block)[block.core]
                return not mask.all() if kind == ERODE else bool(mask.any())

            description = "background" if kind == ERODE else "foreground"
            exists = yield from anywhere(
                call, has_targets, halo=_reach(call, len(stages)), description=description
            )
            stages.append((kind, exists))
        return Tiles(lambda block: _mask_after(call, stages, block), halo=_reach(call, len(kinds)))

    return plan


def _operation(name: str, *kinds: str) -> Operation:
    return Operation(
        name=f"morphology.isotropic_{name}",
        family=families.MORPHOLOGY,
        kind=Kind.NEIGHBOURHOOD,
        specs={
            "radius": Number(minimum=0, length=True, measured_by="spacing", usual=(0, 8)),
            "spacing": Number(
                pixel_size=True,
                minimum=0,
                exclusive=True,
                per_axis=True,
                optional=True,
                usual=(1, 3),
                advanced=True,
            ),
        },
        result=ResultSpec(output=Output.MASK, dtype=lambda call: np.bool_),
        neighbourhood=Neighbourhood(halo=lambda call: _reach(call, len(kinds))),
        plan_of=_plan(*kinds),
        adapter=Adapter(
            kernels=tuple(
                f"skimage.morphology.isotropic_{k}" for k in dict.fromkeys((name, *kinds))
            )
        ),
        cost=Cost(memory=8.0, at_once=AtOnce(function=IN_MEMORY, kernel=IN_MEMORY)),
    )


OPERATIONS = (
    _operation("erosion", ERODE),
    _operation("dilation", DILATE),
    _operation("opening", ERODE, DILATE),
    _operation("closing", DILATE, ERODE),
)
