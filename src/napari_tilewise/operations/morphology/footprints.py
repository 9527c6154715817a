"""`skimage.morphology`: filters by a footprint's reach here, everything else in its own module."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage as ndi
from skimage import morphology

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.operations.measure import labelling as measure
from napari_tilewise.operations.shared.common import CVAL, check_mirroring
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
    ResultSpec,
    Tiles,
)
from napari_tilewise.operations.spec.parameters import ChoiceSpec, Footprint

if TYPE_CHECKING:
    from collections.abc import Callable

MODES = ChoiceSpec(
    choices=("reflect", "constant", "nearest", "mirror", "wrap", "max", "min", "ignore"),
    advanced=True,
)


# -- footprints ------------------------------------------------------------------------------------


def reach(footprint: np.ndarray | None, ndim: int) -> tuple[tuple[int, int], ...]:
    """Return how far a footprint reaches before and after its centre, per axis.

    An even-sized footprint is padded at its start, as scikit-image does.
    """
    if footprint is None:
        return ((1, 1),) * ndim
    padded = morphology.pad_footprint(np.asarray(footprint), pad_end=False)
    pairs = []
    for axis, size in enumerate(padded.shape):
        used = np.flatnonzero(padded.any(axis=tuple(i for i in range(ndim) if i != axis)))
        centre = size // 2
        pairs.append((max(0, centre - int(used[0])), max(0, int(used[-1]) - centre)))
    return tuple(pairs)


def _in_a_row(call: Call, filters: int) -> HaloLike:
    """Return how far filters in a row reach, every other one with the footprint mirrored.

    Each runs once for every repetition of every part of the footprint. Reaches add up; but where
    the border mode mirrors, what one step looks for beyond the image's end lies inside, and the
    step before looks on from there. If it looks farther inward than outward (lopsided footprints),
    the two together reach farther inward than either sum: both sides get the longer one's.
    """
    footprint = call["footprint"]
    parts = footprint if isinstance(footprint, tuple) else ((footprint, 1),)
    # scikit-image takes the first part once where it says no times
    steps = [(reach(part, call.ndim), max(1, repetitions)) for part, repetitions in parts]
    if filters * sum(repetitions for _, repetitions in steps) == 1:
        return steps[0][0]
    total = np.zeros((call.ndim, 2), int)
    for pairs, repetitions in steps:
        total += np.array(pairs) * repetitions
    if filters == 2:
        total = total + total[:, ::-1]
    if call["mode"] in ("reflect", "mirror"):
        longest = sum(np.max(pairs, axis=1) * repetitions for pairs, repetitions in steps)
        return tuple(int(n) * filters for n in np.asarray(longest))
    return tuple((int(lo), int(hi)) for lo, hi in total)


def _once(call: Call) -> HaloLike:
    return _in_a_row(call, 1)


def _twice(call: Call) -> HaloLike:
    return _in_a_row(call, 2)


def _check_footprint(call: Call) -> None:
    footprint = call["footprint"]
    parts = footprint if isinstance(footprint, tuple) else ((footprint, 1),)
    for part, _ in parts:
        if part is not None and not np.any(part):
            raise InvalidParameter(
                f"{call.operation.name}: the footprint has no pixel set: expected at least one."
            )


def _check(call: Call) -> None:
    _check_footprint(call)
    for part, _ in _parts(call):
        padded = morphology.pad_footprint(part, pad_end=False)
        if not np.all(padded):  # boxes are filtered along one axis at a time
            check_mirroring(call, [max(pair) for pair in reach(part, call.ndim)])


def _filter(name: str, halo: Callable[[Call], HaloLike], dtypes: str = "buif") -> Operation:
    return Operation(
        name=f"morphology.{name}",
        family=families.MORPHOLOGY,
        kind=Kind.NEIGHBOURHOOD,
        specs={"footprint": Footprint(optional=True), "mode": MODES, "cval": CVAL},
        neighbourhood=Neighbourhood(halo=halo, border="mode"),
        limits=Limits(check=_check, dtypes=dtypes),
        cost=Cost(memory=4.0),
    )


# -- binary filters --------------------------------------------------------------------------------


def _parts(call: Call) -> tuple[tuple[np.ndarray, int], ...]:
    """Return the footprints with their repetitions; a cross where none is given."""
    footprint = call["footprint"]
    if footprint is None:
        footprint = np.asarray(ndi.generate_binary_structure(call.ndim, 1))
    return footprint if isinstance(footprint, tuple) else ((footprint, 1),)


def _binary_reach(call: Call, filters: int) -> HaloLike:
    """Return half the footprint's size each way: padded at their end, even ones reach either."""
    total = np.zeros(call.ndim, int)
    for part, repetitions in _parts(call):
        total += repetitions * (np.array(part.shape) // 2)
    return tuple(int(n) * filters for n in total)


def _check_binary(call: Call) -> None:
    _check_footprint(call)
    for part, repetitions in _parts(call):
        if repetitions < 1:
            raise InvalidParameter(
                f"{call.operation.name}: a footprint of shape {part.shape} is repeated "
                f"{repetitions} times: expected at least once."
            )


def _binary(halo: Callable[[Call], HaloLike]) -> Callable[[Call], Tiles]:
    def plan(call: Call) -> Tiles:
        def compute(block: Block) -> np.ndarray:
            # Scipy writes beyond its arrays where it repeats a footprint larger than the image.
            parts: list[tuple[np.ndarray, int]] = []
            for part, repetitions in _parts(call):
                fits = all(
                    m // 2 * 2 < n for m, n in zip(part.shape, block.data.shape, strict=True)
                )
                parts += [(part, repetitions)] if fits else [(part, 1)] * repetitions
            return np.asarray(call.function(block.data, footprint=tuple(parts)))

        return Tiles(compute, halo=halo(call))

    return plan


def _binary_filter(name: str, filters: int, advice: str) -> Operation:
    def halo(call: Call) -> HaloLike:
        return _binary_reach(call, filters)

    return Operation(
        name=f"morphology.binary_{name}",
        family=families.MORPHOLOGY,
        kind=Kind.NEIGHBOURHOOD,
        specs={
            "footprint": Footprint(optional=True),
            "mode": ChoiceSpec(choices=("ignore", "max", "min"), advanced=True),
        },
        result=ResultSpec(output=Output.MASK, dtype=lambda call: np.bool_),
        neighbourhood=Neighbourhood(halo=halo),
        plan_of=_binary(halo),
        limits=Limits(check=_check_binary),
        cost=Cost(memory=3.0),
        deprecated=f"use morphology.{name}{advice}",
    )


# -- names of other modules ------------------------------------------------------------------------

LABEL = next(op for op in measure.OPERATIONS if op.name == "measure.label")
"""The function that stands here as well, under its first name."""

OPERATIONS = (
    _filter("erosion", _once),
    _filter("dilation", _once),
    _filter("opening", _twice),
    _filter("closing", _twice),
    _filter("white_tophat", _twice),
    _filter("black_tophat", _twice),
    _binary_filter("erosion", 1, " (footprints of even size lie one pixel further there)"),
    _binary_filter("dilation", 1, " (footprints are not mirrored there)"),
    _binary_filter("opening", 2, ""),
    _binary_filter("closing", 2, ""),
    replace(LABEL, name="morphology.label", family=families.OBJECTS),
)
