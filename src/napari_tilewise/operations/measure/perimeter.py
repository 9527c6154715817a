"""`skimage.measure`, Euler number and perimeters: counts of neighbourhoods, which add up exactly.

Each function counts how often each configuration of a pixel's small neighbourhood occurs, and then
weights the counts. The counts of tiles add up to those of the image.
"""

from __future__ import annotations

from itertools import product
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage as ndi

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.measuring.calibration import PixelLengths
from napari_tilewise.operations.spec.measuring.quantities import LENGTH
from napari_tilewise.operations.spec.operation import (
    IN_MEMORY,
    AsStep,
    AtOnce,
    Block,
    Call,
    Cost,
    Kind,
    Limits,
    Neighbourhood,
    Operation,
    Output,
    Plan,
    Reduce,
    ResultSpec,
    Value,
)
from napari_tilewise.operations.spec.parameters import ChoiceSpec, Number

if TYPE_CHECKING:
    from napari_tilewise.operations.spec.passes import Passes

# -- counts of 2 x 2 (x 2) neighbourhoods ----------------------------------------------------------


def _reduce_configurations(call: Call) -> Passes[np.ndarray]:
    """Return how often each configuration of 2 x 2 (x 2) pixels above zero occurs.

    A pixel's configuration consists of itself and its preceding neighbours; the image is surrounded
    by one pixel of background, whose configurations count too.
    """
    bins = 2 ** (2**call.ndim)

    def configuration_counts(block: Block) -> np.ndarray:
        box = tuple(slice(max(core.start - 1, 0), core.stop) for core in block.core)
        margin = [
            (int(tile.start == 0), int(tile.stop == n))
            for tile, n in zip(block.tile, call.shape, strict=True)
        ]
        above = np.pad(block.data[box] > 0, margin).astype(np.uint8)
        codes = np.zeros([n - 1 for n in above.shape], np.uint8)
        for corner in product((0, 1), repeat=call.ndim):
            neighbours = tuple(
                slice(1 - c, n - c) for c, n in zip(corner, above.shape, strict=True)
            )
            codes += above[neighbours] << _bit(corner)
        return np.bincount(codes.ravel(), minlength=bins)

    counts: np.ndarray = yield Reduce(
        configuration_counts, np.add, halo=((1, 0),) * call.ndim, description="neighbourhoods"
    )
    return counts


def _bit(corner: tuple[int, ...]) -> int:
    """Return a neighbour's bit in scikit-image's codes; `corner`: its distance before the pixel."""
    *z, y, x = corner
    return y + 2 * x + 4 * sum(z)


def _euler_number(call: Call) -> Plan:
    counts = yield from _reduce_configurations(call)
    connectivity = call["connectivity"]
    if call.ndim == 2:
        name = "EULER_COEFS2D_4" if connectivity == 1 else "EULER_COEFS2D_8"
        return Value(reach("measure._regionprops_utils", name) @ counts)
    weights = reach("measure._regionprops_utils", "EULER_COEFS3D_26")
    if connectivity == 1:
        weights = weights[::-1]
    return Value(int(0.125 * weights @ counts))


def _check_connectivity(call: Call) -> None:
    if call.ndim == 3 and call["connectivity"] == 2:
        raise InvalidParameter(
            f"{call.operation.name}: connectivity=2: expected 1 or 3, because the Euler number of "
            "a volume is only defined for these."
        )


def _perimeter_crofton(call: Call) -> Plan:
    counts = yield from _reduce_configurations(call)
    straight, half_straight = np.pi / 2, np.pi / 4
    slanted = np.pi / (4 * np.sqrt(2))
    if call["directions"] == 2:
        weights = [
            0,
            straight,
            0,
            0,
            0,
            straight,
            0,
            0,
            straight,
            np.pi,
            0,
            0,
            straight,
            np.pi,
            0,
            0,
        ]
    else:
        corner = np.pi / 4 * (1 + 1 / (np.sqrt(2)))
        edge = np.pi / (2 * np.sqrt(2))
        weights = [
            0, corner, slanted, edge, 0, corner, 0, slanted,
            half_straight, straight, slanted, slanted, half_straight, straight, 0, 0,
        ]  # fmt: skip
    return Value(weights @ counts)


# -- perimeter -------------------------------------------------------------------------------------

_DIAGONAL = (1 + sqrt(2)) / 2
_WEIGHTS = np.zeros(50)
_WEIGHTS[[5, 7, 15, 17, 25, 27]] = 1
_WEIGHTS[[21, 33]] = sqrt(2)
_WEIGHTS[[13, 23]] = _DIAGONAL


def _perimeter(call: Call) -> Plan:
    """Count the neighbourhoods of border pixels, as scikit-image (BSD-3-Clause) does."""
    name = "STREL_4" if call["neighborhood"] == 4 else "STREL_8"
    strel = reach("measure._regionprops_utils", name)
    steps = np.array([[10, 2, 10], [2, 1, 2], [10, 2, 10]])

    def border_counts(block: Block) -> np.ndarray:
        image = block.data.astype(np.uint8)
        border = image - ndi.binary_erosion(image, strel, border_value=0)
        codes = ndi.convolve(border, steps, mode="constant", cval=0)
        return np.bincount(codes[block.core].ravel(), minlength=256)

    counts = yield Reduce(border_counts, np.add, halo=2, description="border pixels")
    longest = max(50, int(np.flatnonzero(counts)[-1]) + 1)
    if longest > 50:
        raise ValueError("the image has values other than 0 and 1; compare it with a threshold.")
    return Value(counts[:50] @ _WEIGHTS)


def _scalar(dtype: type[np.generic]) -> ResultSpec:
    return ResultSpec(output=Output.SCALAR, dtype=lambda call: dtype, shape=lambda call: ())


LENGTHS = PixelLengths(columns=lambda params, ndim: {"perimeter": LENGTH})

OPERATIONS = (
    Operation(
        name="measure.euler_number",
        family=families.WHOLE_IMAGE,
        specs={"connectivity": Number(integer=True, minimum=1, optional=True, usual=(1, 3))},
        result=_scalar(np.int64),
        neighbourhood=Neighbourhood(halo=lambda call: ((1, 0),) * call.ndim),
        limits=Limits(ndim=(2, 3), check=_check_connectivity),
        plan_of=_euler_number,
        cost=Cost(memory=2.0),
        kind=Kind.STATISTIC,
    ),
    Operation(
        name="measure.perimeter",
        family=families.WHOLE_IMAGE,
        specs={"neighborhood": ChoiceSpec(choices=(4, 8))},
        result=_scalar(np.float64),
        neighbourhood=Neighbourhood(halo=lambda call: 2),
        limits=Limits(ndim=(2, 2)),
        plan_of=_perimeter,
        cost=Cost(memory=5.0, at_once=AtOnce(function=IN_MEMORY)),
        kind=Kind.STATISTIC,
        step=AsStep(calibration=LENGTHS),
    ),
    Operation(
        name="measure.perimeter_crofton",
        family=families.WHOLE_IMAGE,
        specs={"directions": ChoiceSpec(choices=(2, 4))},
        result=_scalar(np.float64),
        neighbourhood=Neighbourhood(halo=lambda call: ((1, 0), (1, 0))),
        limits=Limits(ndim=(2, 2)),
        plan_of=_perimeter_crofton,
        cost=Cost(memory=2.0),
        kind=Kind.STATISTIC,
        step=AsStep(calibration=LENGTHS),
    ),
)
