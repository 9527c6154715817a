"""Flood fill: of the pixels like the seed's, the connected component that holds the seed.

With a footprint that is no connectivity's, floods run one way or jump: then they spread from tile
to tile by sweeps. The functions stand in two of scikit-image's modules; so do the declarations.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.operations.morphology.extrema import connectivity_of, neighbourhood
from napari_tilewise.operations.morphology.max_tree import refuse_half
from napari_tilewise.operations.shared.components import Components, Pieces, gather_components
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.deprecated import never_in_place
from napari_tilewise.operations.spec.operation import (
    Adapter,
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
    Plan,
    Reduce,
    ResultSpec,
    Sweep,
    Tiles,
)
from napari_tilewise.operations.spec.parameters import Footprint, Number

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from napari_tilewise.grid import Region

STATE = "flooded"


def _seed(call: Call) -> tuple[int, ...]:
    """Return the seed point; negative coordinates count from the end."""
    point = call["seed_point"]
    return tuple(int(p) % n for p, n in zip(np.atleast_1d(point), call.shape, strict=True))


def _box(point: tuple[int, ...]) -> Region:
    return tuple(slice(p, p + 1) for p in point)


def _check(call: Call) -> None:
    refuse_half(call)
    if not neighbourhood(call, adjacent=False).any():
        raise InvalidParameter(
            f"{call.operation.name}: the footprint has no pixel set: expected at least one."
        )
    point = np.atleast_1d(call["seed_point"])
    shape = np.array(call.shape)
    if len(point) != call.ndim or (point < -shape).any() or (point >= shape).any():
        raise InvalidParameter(
            f"{call.operation.name}: seed_point={call['seed_point']!r} does not exist in an image "
            f"of shape {call.shape}: expected {call.ndim} coordinates within it."
        )


def _alike(call: Call, value: Any) -> Callable[[np.ndarray], np.ndarray]:
    """Return what tells the pixels that a seed of this value floods; scikit-image's own limits."""
    tolerance = call["tolerance"]
    if tolerance is None:
        return lambda pixels: pixels == value
    least, most = reach("_shared.dtype", "numeric_dtype_min_max")(value.dtype)
    low = max(least.item(), value.item() - abs(tolerance))
    high = min(most.item(), value.item() + abs(tolerance))
    # The limits are cut to the image's type: fractions fall off towards zero.
    cut = value.dtype.type if value.dtype.kind == "f" else int
    low, high = cut(low), cut(high)
    return lambda pixels: (pixels >= low) & (pixels <= high)


def _flooded(call: Call) -> Generator[Any, Any, Tiles]:
    """Make the mask of the flood."""
    point = _seed(call)
    value = yield Reduce(
        lambda block: block.data[block.core].ravel()[0],
        min,
        regions=[_box(point)],
        description="seed",
    )
    alike = _alike(call, value)
    footprint = neighbourhood(call, adjacent=False)
    connectivity = connectivity_of(footprint)
    if connectivity is None:
        return (yield from _swept(call, alike, point, footprint))

    def pieces(block: Block) -> Pieces:
        labels, count = ndi.label(alike(block.data[block.core]), footprint)
        holds = np.zeros(count + 1, bool)
        if all(s.start <= p < s.stop for p, s in zip(point, block.tile, strict=True)):
            holds[labels[tuple(p - s.start for p, s in zip(point, block.tile, strict=True))]] = True
        return Pieces(labels, count, measures={"seed": holds})

    components: Components = yield gather_components(
        pieces, connectivity, ufuncs={"seed": np.logical_or}
    )
    chosen = components.measures["seed"].copy()
    chosen[0] = False
    return Tiles(
        lambda block: components.look_up(chosen, block.position, pieces(block)), on_grid=True
    )


def _swept(
    call: Call,
    alike: Callable[[np.ndarray], np.ndarray],
    point: tuple[int, ...],
    footprint: np.ndarray,
) -> Generator[Any, Any, Tiles]:
    """Spread the flood from tile to tile until it rests."""

    def start(block: Block) -> np.ndarray:
        mask = np.zeros(block.data.shape, bool)
        if all(s.start <= p < s.stop for p, s in zip(point, block.region, strict=True)):
            mask[tuple(p - s.start for p, s in zip(point, block.region, strict=True))] = True
        return mask

    def compute(block: Block) -> np.ndarray:
        state = block.images[STATE]
        if not state.any():
            return state
        return _propagated(state, alike(block.data) | state, footprint)

    yield Sweep(compute, np.bool_, start, halo=_halo(call), name=STATE, description="flood")
    return Tiles(lambda block: block.images[STATE])


def _propagated(state: np.ndarray, mask: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    """Return what is reached within a mask.

    Scipy writes beyond its arrays where a structure is larger than the image: there is room around.
    """
    room = [(n // 2, n // 2) for n in footprint.shape]
    reached = ndi.binary_propagation(np.pad(state, room), footprint, mask=np.pad(mask, room))
    inner = tuple(slice(lo, lo + n) for (lo, _), n in zip(room, state.shape, strict=True))
    return np.asarray(reached[inner])


def _halo(call: Call) -> HaloLike:
    footprint = neighbourhood(call, adjacent=False)
    return [n // 2 for n in footprint.shape]


def _filled(call: Call) -> Plan:
    flooded: Tiles = yield from _flooded(call)

    def compute(block: Block) -> np.ndarray:
        mask = flooded.compute(block)
        out = block.data[block.core] if flooded.on_grid else block.data
        out[mask] = call["new_value"]
        return out

    return replace(flooded, compute=compute)


def _check_new(call: Call) -> None:
    _check(call)
    try:
        np.zeros(1, call.dtype)[0] = call["new_value"]
    except (OverflowError, ValueError, TypeError) as error:
        raise InvalidParameter(
            f"{call.operation.name}: new_value={call['new_value']!r} does not fit an image of type "
            f"{call.dtype}: {error}."
        ) from error


def _inside(params: Mapping[str, Any], image: np.ndarray, solution: int) -> Mapping[str, Any]:
    """Return the seed point's nearest pixel of the image."""
    shape = np.array(image.shape)
    point = np.broadcast_to(params["seed_point"], shape.shape)
    return {"seed_point": tuple(np.clip(point, -shape, shape - 1).tolist())}


SEED_INSIDE = Constraint(names=("seed_point",), satisfy=_inside)

SPECS = {
    "seed_point": Number(integer=True, per_axis=True, usual=(-2, 12)),
    "footprint": Footprint(optional=True, sequences=False, advanced=True),
    "connectivity": Number(integer=True, minimum=1, optional=True, usual=(1, 3)),
    "tolerance": Number(optional=True, usual=(0, 1)),
}

FLOOD = Operation(
    name="morphology.flood",
    family=families.OBJECTS,
    kind=Kind.CONNECTED,
    specs=SPECS,
    result=ResultSpec(output=Output.MASK, dtype=lambda call: np.bool_),
    neighbourhood=Neighbourhood(halo=_halo),
    plan_of=_flooded,
    limits=Limits(check=_check),
    constraints=(SEED_INSIDE,),
    cost=Cost(memory=3.0),
)
FLOOD_FILL = Operation(
    name="morphology.flood_fill",
    family=families.OBJECTS,
    kind=Kind.CONNECTED,
    specs={"seed_point": SPECS["seed_point"], "new_value": Number(usual=(0, 1)), **SPECS},
    neighbourhood=Neighbourhood(halo=_halo),
    plan_of=_filled,
    limits=Limits(check=_check_new),
    constraints=(SEED_INSIDE,),
    cost=Cost(memory=4.0),
    adapter=Adapter(modernize=never_in_place),
    note="in_place=True is for NumPy images.",
)
OPERATIONS = (FLOOD, FLOOD_FILL)
