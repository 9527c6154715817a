"""`scipy.ndimage`, binary morphology: a structure's reach per iteration is the halo."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.operations.ndimage.nd_parameters import NO_ARRAY, ORIGIN, centred, check_window
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    IN_BANDS,
    IN_ONE_CALL,
    Block,
    Call,
    Constraint,
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
from napari_tilewise.operations.spec.parameters import (
    AlignedImage,
    ChoiceSpec,
    Flag,
    Footprint,
    Number,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_tilewise.operations.spec.parameters import Spec
    from napari_tilewise.types import Parameters

STRUCTURE = Footprint(optional=True, sequences=False)
BORDER_VALUE = ChoiceSpec(choices=(0, 1), advanced=True)


def structure_of(call: Call, name: str = "structure") -> np.ndarray:
    """Return the structure of a call; a cross unless given."""
    structure = call[name]
    if structure is None:
        return np.asarray(ndi.generate_binary_structure(call.ndim, 1))
    return np.asarray(structure, bool)


def _reach(call: Call, filters: int) -> HaloLike:
    steps = filters * call["iterations"]
    return tuple(steps * reach for reach in centred(call, structure_of(call).shape))


def _check(call: Call) -> None:
    structure = structure_of(call)
    if not structure.any():
        raise InvalidParameter(
            f"{call.operation.name}: the structure is empty: expected at least one set pixel."
        )
    check_window(call, structure.shape, separable=True)
    if not _within(call["origin"], structure.shape):
        raise InvalidParameter(
            f"{call.operation.name}: origin={call['origin']!r} moves the structure of shape "
            f"{structure.shape} off its centre, where SciPy reads beyond it."
        )


def _harmless(params: Parameters, image: np.ndarray, solution: int) -> Parameters:
    """Return what keeps SciPy within its arrays, which it does not check; a constraint's solution.

    Origins must stay within the structure, and repetitions be calls of their own.
    """
    changes: dict[str, Any] = {}
    if params.get("iterations", 1) > 1:
        changes["brute_force"] = True
    for origin, structure in (("origin", "structure"), ("origin1", "structure1")):
        structures = [params.get(structure), params.get(structure.replace("1", "2"))]
        lengths = [np.shape(s) for s in structures if s is not None] or [(3,) * image.ndim]
        if not all(_within(params.get(origin, 0), shape) for shape in lengths):
            changes[origin] = 0
    if not _within(params.get("origin2") or 0, np.shape(params.get("structure2", np.ones(3)))):
        changes["origin2"] = None
    return changes


def _within(origin: Any, shape: tuple[int, ...]) -> bool:
    origins = np.broadcast_to(origin, (len(shape),)) if np.ndim(origin) == 0 else origin
    pairs = zip(origins, shape, strict=False)
    return all(0 <= n // 2 + o < n and 0 <= n // 2 - o < n + (n % 2 == 0) for o, n in pairs)


def _plan(call: Call) -> Tiles:
    # Where SciPy repeats a structure by itself it writes beyond arrays that are smaller.
    repeated = {"brute_force": True} if call["iterations"] > 1 else {}

    def compute(block: Block) -> np.ndarray:
        return np.asarray(call.function(block.data, **block.images, **repeated))

    return Tiles(compute, halo=call.operation.neighbourhood.halo(call))


def _is_one_step(call: Call) -> bool:
    return bool(call.params.get("iterations", 1) == 1)


def _filter(name: str, filters: int) -> Operation:
    specs: dict[str, Spec] = {
        "structure": STRUCTURE,
        "iterations": Number(integer=True, minimum=1, usual=(1, 3)),
        "mask": AlignedImage(role="mask"),
        "border_value": BORDER_VALUE,
        "origin": ORIGIN,
        "brute_force": Flag(advanced=True),
    }
    return _declared(name, specs, lambda call: _reach(call, filters), plan_of=_plan)


def _declared(
    name: str, specs: dict[str, Spec], halo: Callable[[Call], HaloLike], **plan: Any
) -> Operation:
    repeats = "iterations" in specs
    return Operation(
        name=f"ndimage.{name}",
        family=families.MORPHOLOGY,
        kind=Kind.NEIGHBOURHOOD,
        specs=specs,
        neighbourhood=Neighbourhood(halo=halo),
        result=ResultSpec(output=Output.MASK, dtype=lambda call: np.bool_),
        limits=Limits(check=_check if repeats else _check_pair),
        adapter=replace(NO_ARRAY, kernels=(f"scipy.ndimage.{name}",) if repeats else ()),
        constraints=(Constraint(names=("brute_force", "origin"), satisfy=_harmless),),
        cost=Cost(memory=3.0, at_once=IN_BANDS._replace(function=IN_ONE_CALL, when=_is_one_step)),
        note="iterations=0, until nothing changes, reaches anywhere and is refused: a large number "
        "does the same within its halo."
        if repeats
        else "",
        **plan,
    )


# -- two structures --------------------------------------------------------------------------------


def _pair(call: Call) -> tuple[np.ndarray, np.ndarray]:
    first = structure_of(call, "structure1")
    second = call["structure2"]
    return first, ~first if second is None else np.asarray(second, bool)


def _check_pair(call: Call) -> None:
    first, second = _pair(call)
    origins = call["origin1"], call["origin1"] if call["origin2"] is None else call["origin2"]
    for structure, origin in zip((first, second), origins, strict=True):
        for length, shift in zip(structure.shape, call.per_axis(origin), strict=True):
            if not 0 <= length // 2 + shift < length:
                raise InvalidParameter(
                    f"{call.operation.name}: an origin of {shift} moves a structure of {length} "
                    f"pixels off its centre: expected values from {-(length // 2)} to "
                    f"{(length - 1) // 2}."
                )


def _pair_halo(call: Call) -> HaloLike:
    first, second = _pair(call)
    origins = [call["origin1"], call["origin1"] if call["origin2"] is None else call["origin2"]]
    reaches = [
        [n // 2 + abs(int(o)) for n, o in zip(structure.shape, call.per_axis(origin), strict=True)]
        for structure, origin in zip((first, second), origins, strict=True)
    ]
    return tuple(map(max, *reaches))


HIT_OR_MISS = _declared(
    "binary_hit_or_miss",
    {
        "structure1": STRUCTURE,
        "structure2": STRUCTURE,
        "origin1": ORIGIN,
        "origin2": Number(integer=True, per_axis=True, optional=True, usual=(-1, 1), advanced=True),
    },
    _pair_halo,
)

OPERATIONS = (
    _filter("binary_erosion", 1),
    _filter("binary_dilation", 1),
    _filter("binary_opening", 2),
    _filter("binary_closing", 2),
    HIT_OR_MISS,
)
