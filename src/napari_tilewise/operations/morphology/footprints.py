"""`skimage.morphology`: filters with a footprint, whose halo follows from the footprint."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage as ndi
from skimage import morphology

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.operations.measure import labelling as measure
from napari_tilewise.operations.shared.common import CVAL, check_mirroring
from napari_tilewise.operations.shared.components import LABELLING
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    IN_BANDS,
    IN_ONE_CALL,
    Adapter,
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
    """Return how far a footprint extends before and after its centre, per axis.

    An even-sized footprint is padded at its start, as scikit-image does.
    """
    if footprint is None:
        return ((1, 1),) * ndim
    padded = morphology.pad_footprint(np.asarray(footprint), pad_end=False)
    pairs = []
    for axis, size in enumerate(padded.shape):
        set_positions = np.flatnonzero(padded.any(axis=tuple(i for i in range(ndim) if i != axis)))
        centre = size // 2
        pairs.append(
            (max(0, centre - int(set_positions[0])), max(0, int(set_positions[-1]) - centre))
        )
    return tuple(pairs)


def _chained_halo(call: Call, filters: int) -> HaloLike:
    """Return the halo of one filter, or of two in series with the second footprint mirrored.

    Each filter runs once for every repetition of every part of the footprint, and the halos of the
    runs add up. With a mirroring border mode, however, what one run reads beyond the image's end is
    a pixel inside, whose own halo belongs to the previous run. With an asymmetric footprint that
    extends farther inward than outward, the two runs together reach farther inward than either sum:
    both sides then get the longer side of every run.
    """
    footprint = call["footprint"]
    parts = footprint if isinstance(footprint, tuple) else ((footprint, 1),)
    # scikit-image runs the first part once even if its number of repetitions is 0
    steps = [(reach(part, call.ndim), max(1, repetitions)) for part, repetitions in parts]
    if filters * sum(repetitions for _, repetitions in steps) == 1:
        return steps[0][0]
    summed = np.zeros((call.ndim, 2), int)
    for pairs, repetitions in steps:
        summed += np.array(pairs) * repetitions
    if filters == 2:
        summed = summed + summed[:, ::-1]
    if call["mode"] in ("reflect", "mirror"):
        longest_sides = sum(np.max(pairs, axis=1) * repetitions for pairs, repetitions in steps)
        return tuple(int(n) * filters for n in np.asarray(longest_sides))
    return tuple((int(lo), int(hi)) for lo, hi in summed)


def _once(call: Call) -> HaloLike:
    return _chained_halo(call, 1)


def _twice(call: Call) -> HaloLike:
    return _chained_halo(call, 2)


def _check_footprint(call: Call) -> None:
    footprint = call["footprint"]
    parts = footprint if isinstance(footprint, tuple) else ((footprint, 1),)
    for part, _ in parts:
        if part is not None and not np.any(part):
            raise InvalidParameter(
                f"{call.operation.name}: the footprint is empty: expected at least one set pixel."
            )


def _check(call: Call) -> None:
    _check_footprint(call)
    for part, _ in _parts(call):
        padded = morphology.pad_footprint(part, pad_end=False)
        if not np.all(padded):  # boxes are filtered along one axis at a time
            check_mirroring(call, [max(pair) for pair in reach(part, call.ndim)])


def _refuse_carried_nan(call: Call, block: Block) -> None:
    """Refuse NaN where SciPy's running minima and maxima carry it on from where a line begins."""
    if block.data.dtype.kind != "f" or not np.isnan(block.data).any():
        return
    for part, _ in _parts(call):
        padded = morphology.pad_footprint(part, pad_end=False)
        if padded.size > 1 and np.all(padded):
            raise InvalidImage(
                f"{call.operation.name}: the image holds NaN, which boxes of the footprint carry "
                "from where the filter begins: expected an image without. Replace NaN first, for "
                "example with numpy.nan_to_num, or use a footprint that is not a full box."
            )


def _tiled_without_nan(call: Call) -> Tiles:
    def compute(block: Block) -> np.ndarray:
        _refuse_carried_nan(call, block)
        return np.asarray(call.function(block.data))

    return Tiles(compute, halo=call.operation.neighbourhood.halo(call))


def _filter(name: str, halo: Callable[[Call], HaloLike], dtypes: str = "buif") -> Operation:
    return Operation(
        name=f"morphology.{name}",
        family=families.MORPHOLOGY,
        kind=Kind.NEIGHBOURHOOD,
        specs={"footprint": Footprint(optional=True), "mode": MODES, "cval": CVAL},
        neighbourhood=Neighbourhood(halo=halo, border="mode"),
        plan_of=_tiled_without_nan,
        limits=Limits(check=_check, dtypes=dtypes),
        adapter=Adapter(kernels=(f"skimage.morphology.{name}",)),
        cost=Cost(memory=4.0, at_once=IN_BANDS._replace(function=IN_ONE_CALL, finite=True)),
    )


# -- binary filters --------------------------------------------------------------------------------


def _parts(call: Call) -> tuple[tuple[np.ndarray, int], ...]:
    """Return the footprints with their repetitions; by default a cross."""
    footprint = call["footprint"]
    if footprint is None:
        footprint = np.asarray(ndi.generate_binary_structure(call.ndim, 1))
    return footprint if isinstance(footprint, tuple) else ((footprint, 1),)


def _binary_reach(call: Call, filters: int) -> HaloLike:
    """Return half the footprint's size on both sides, which covers even sizes padded at the end."""
    reaches = np.zeros(call.ndim, int)
    for part, repetitions in _parts(call):
        reaches += repetitions * (np.array(part.shape) // 2)
    return tuple(int(n) * filters for n in reaches)


def _check_binary(call: Call) -> None:
    _check_footprint(call)
    for part, repetitions in _parts(call):
        if repetitions < 1:
            raise InvalidParameter(
                f"{call.operation.name}: a footprint of shape {part.shape} has {repetitions} "
                "repetitions: expected at least 1."
            )


def _binary(halo: Callable[[Call], HaloLike]) -> Callable[[Call], Tiles]:
    def plan(call: Call) -> Tiles:
        def compute(block: Block) -> np.ndarray:
            # Scipy writes beyond its arrays if it repeats a footprint larger than the image.
            parts: list[tuple[np.ndarray, int]] = []
            for part, repetitions in _parts(call):
                fits = all(
                    m // 2 * 2 < n for m, n in zip(part.shape, block.data.shape, strict=True)
                )
                parts += [(part, repetitions)] if fits else [(part, 1)] * repetitions
            return np.asarray(call.function(block.data, footprint=tuple(parts)))

        return Tiles(compute, halo=halo(call))

    return plan


def _is_unrepeated(call: Call) -> bool:
    return all(repetitions == 1 for _, repetitions in _parts(call))


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
        adapter=Adapter(kernels=(f"skimage.morphology.binary_{name}",)),
        cost=Cost(memory=3.0, at_once=IN_BANDS._replace(function=2**20, when=_is_unrepeated)),
        deprecated=f"use morphology.{name}{advice}",
    )


# -- names of other modules ------------------------------------------------------------------------

LABEL = next(op for op in measure.OPERATIONS if op.name == "measure.label")
"""The declaration of `measure.label`, which scikit-image has in this module too."""

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
    replace(
        LABEL,
        name="morphology.label",
        family=families.OBJECTS,
        adapter=replace(LABEL.adapter, kernels=("skimage.morphology.label", LABELLING)),
    ),
)
