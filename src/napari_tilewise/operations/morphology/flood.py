"""Flood fill: the connected component, among the pixels similar to the seed, with the seed.

With a footprint that matches no connectivity, floods may be directed or skip pixels: sweeps then
spread them from tile to tile. scikit-image has the functions in two modules, and so do we.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.operations.morphology.extrema import connectivity_of, neighbourhood
from napari_tilewise.operations.morphology.max_tree import reject_float16
from napari_tilewise.operations.shared.components import Components, Pieces, gather_components
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.deprecated_parameters import never_in_place
from napari_tilewise.operations.spec.operation import (
    IN_MEMORY,
    Adapter,
    AtOnce,
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
    from collections.abc import Callable, Generator

    from napari_tilewise.grid import Region
    from napari_tilewise.types import Parameters

STATE = "flooded"


def _seed(call: Call) -> tuple[int, ...]:
    """Return the seed point; negative coordinates count from the end."""
    point = call["seed_point"]
    return tuple(int(p) % n for p, n in zip(np.atleast_1d(point), call.shape, strict=True))


def _box(point: tuple[int, ...]) -> Region:
    return tuple(slice(p, p + 1) for p in point)


def _check(call: Call) -> None:
    reject_float16(call)
    if not neighbourhood(call, adjacent=False).any():
        raise InvalidParameter(
            f"{call.operation.name}: the footprint is empty: expected at least one set pixel."
        )
    point = np.atleast_1d(call["seed_point"])
    shape = np.array(call.shape)
    if len(point) != call.ndim or (point < -shape).any() or (point >= shape).any():
        raise InvalidParameter(
            f"{call.operation.name}: seed_point={call['seed_point']!r} does not exist in an image "
            f"of shape {call.shape}: expected {call.ndim} coordinates within it."
        )


def _similarity(call: Call, value: Any) -> Callable[[np.ndarray], np.ndarray]:
    """Return the predicate for pixels similar to the seed's value, with scikit-image's limits."""
    tolerance = call["tolerance"]
    if tolerance is None:
        return lambda pixels: pixels == value
    least, most = reach("_shared.dtype", "numeric_dtype_min_max")(value.dtype)
    low = max(least.item(), value.item() - abs(tolerance))
    high = min(most.item(), value.item() + abs(tolerance))
    # The limits are cast to the image's dtype: fractions are truncated towards zero.
    truncate = value.dtype.type if value.dtype.kind == "f" else int
    low, high = truncate(low), truncate(high)
    return lambda pixels: (pixels >= low) & (pixels <= high)


def _flood_plan(call: Call) -> Generator[Any, Any, Tiles]:
    """Plan the mask of the flooded pixels."""
    point = _seed(call)
    value = yield Reduce(
        lambda block: block.data[block.core].ravel()[0],
        min,
        regions=[_box(point)],
        description="seed",
    )
    is_similar = _similarity(call, value)
    footprint = neighbourhood(call, adjacent=False)
    connectivity = connectivity_of(footprint)
    if connectivity is None:
        return (yield from _sweep_flood(call, is_similar, point, footprint))

    def tile_components(block: Block) -> Pieces:
        similar = is_similar(block.data[block.core])
        has_seed = all(s.start <= p < s.stop for p, s in zip(point, block.tile, strict=True))
        seed = tuple(p - s.start for p, s in zip(point, block.tile, strict=True))
        if has_seed:
            similar[seed] = True  # NaN is not similar to itself, but flooded where it is the seed
        labels, count = ndi.label(similar, footprint)
        contains_seed = np.zeros(count + 1, bool)
        if has_seed:
            contains_seed[labels[seed]] = True
        return Pieces(labels, count, measures={"seed": contains_seed})

    components: Components = yield gather_components(
        tile_components, connectivity, ufuncs={"seed": np.logical_or}
    )
    is_flooded = components.measures["seed"].copy()
    is_flooded[0] = False
    return Tiles(
        lambda block: components.look_up(is_flooded, block.position, tile_components(block)),
        on_grid=True,
    )


def _sweep_flood(
    call: Call,
    is_similar: Callable[[np.ndarray], np.ndarray],
    point: tuple[int, ...],
    footprint: np.ndarray,
) -> Generator[Any, Any, Tiles]:
    """Spread the flood from tile to tile until nothing changes."""

    def start(block: Block) -> np.ndarray:
        mask = np.zeros(block.data.shape, bool)
        if all(s.start <= p < s.stop for p, s in zip(point, block.region, strict=True)):
            mask[tuple(p - s.start for p, s in zip(point, block.region, strict=True))] = True
        return mask

    def compute(block: Block) -> np.ndarray:
        state = block.images[STATE]
        if not state.any():
            return state
        return _propagate(state, is_similar(block.data) | state, footprint)

    yield Sweep(compute, np.bool_, start, halo=_halo(call), name=STATE, description="flood")
    return Tiles(lambda block: block.images[STATE])


def _propagate(state: np.ndarray, mask: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    """Return the pixels of a mask that the state reaches.

    Scipy writes beyond its arrays if a structure is larger than the image; padding prevents that.
    """
    padding = [(n // 2, n // 2) for n in footprint.shape]
    reached = ndi.binary_propagation(np.pad(state, padding), footprint, mask=np.pad(mask, padding))
    inner = tuple(slice(lo, lo + n) for (lo, _), n in zip(padding, state.shape, strict=True))
    return np.asarray(reached[inner])


def _halo(call: Call) -> HaloLike:
    footprint = neighbourhood(call, adjacent=False)
    return [n // 2 for n in footprint.shape]


def _fill_plan(call: Call) -> Plan:
    flooded: Tiles = yield from _flood_plan(call)

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
            f"{call.operation.name}: new_value={call['new_value']!r} does not fit the image's "
            f"dtype {call.dtype}: {error}."
        ) from error


def _inside(params: Parameters, image: np.ndarray, solution: int) -> Parameters:
    """Return the seed point's nearest pixel of the image."""
    shape = np.array(image.shape)
    point = np.broadcast_to(params["seed_point"], shape.shape)
    return {"seed_point": tuple(np.clip(point, -shape, shape - 1).tolist())}


SEED_INSIDE = Constraint(names=("seed_point",), satisfy=_inside)

AT_ONCE = AtOnce(function=IN_MEMORY, when=lambda call: call["footprint"] is None)

SPECS = {
    "seed_point": Number(integer=True, per_axis=True, usual=(-2, 12)),
    "footprint": Footprint(optional=True, sequences=False, advanced=True),
    "connectivity": Number(integer=True, minimum=1, optional=True, usual=(1, 3)),
    "tolerance": Number(optional=True, difference=True, usual=(0, 1), start=0.1),
}

FLOOD = Operation(
    name="morphology.flood",
    family=families.OBJECTS,
    kind=Kind.CONNECTED,
    specs=SPECS,
    result=ResultSpec(output=Output.MASK, dtype=lambda call: np.bool_),
    neighbourhood=Neighbourhood(halo=_halo),
    plan_of=_flood_plan,
    limits=Limits(check=_check),
    constraints=(SEED_INSIDE,),
    cost=Cost(memory=3.0, at_once=AT_ONCE),
)
FLOOD_FILL = Operation(
    name="morphology.flood_fill",
    family=families.OBJECTS,
    kind=Kind.CONNECTED,
    specs={
        "seed_point": SPECS["seed_point"],
        "new_value": Number(intensity=True, usual=(0, 1), start=1),
        **SPECS,
    },
    neighbourhood=Neighbourhood(halo=_halo),
    plan_of=_fill_plan,
    limits=Limits(check=_check_new),
    constraints=(SEED_INSIDE,),
    cost=Cost(memory=4.0, at_once=AT_ONCE),
    adapter=Adapter(modernize=never_in_place),
    note="in_place=True works for NumPy images only.",
)
OPERATIONS = (FLOOD, FLOOD_FILL)
