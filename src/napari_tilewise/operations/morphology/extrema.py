"""Regional extrema: plateaus, merged across tiles, without a higher neighbour.

A pixel is a candidate if no neighbour is higher. Adjacent candidates are equal, so a connected
component of candidates is part of a plateau. It is open if it touches a pixel of equal height that
is not a candidate, because the plateau then continues to a higher pixel. A component that is open
in no tile is a maximum.
"""

from __future__ import annotations

import itertools
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi
from skimage.util import invert

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.operations.morphology.max_tree import check as check_tree_functions
from napari_tilewise.operations.morphology.max_tree import is_short, reject_float16
from napari_tilewise.operations.morphology.tree_arguments import (
    NOTE,
    TREE,
    from_tree,
    has_tree,
    tree_of,
)
from napari_tilewise.operations.shared.combined import collected, together
from napari_tilewise.operations.shared.components import Components, Pieces, gather_components
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.shared.whole import whole, whole_halo
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    IN_ONE_CALL,
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
    Parts,
    Plan,
    Reduce,
    ResultSpec,
    Tiles,
    Value,
)
from napari_tilewise.operations.spec.parameters import Flag, Footprint, Number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_tilewise.grid import Region

HALO = 2
"""A candidate depends on its neighbours, an open pixel on its neighbours' neighbours."""


# -- neighbourhoods --------------------------------------------------------------------------------


def neighbourhood(call: Call, *, adjacent: bool) -> np.ndarray:
    """Return a call's footprint with its centre set, by scikit-image's own rules.

    Parameters
    ----------
    call
        The bound operation, with `footprint` and `connectivity`.
    adjacent
        Whether the footprint may contain direct neighbours only.
    """
    try:
        footprint = np.asarray(
            reach("morphology._util", "_resolve_neighborhood")(
                call["footprint"], call["connectivity"], call.ndim, enforce_adjacency=adjacent
            )
        )
    except ValueError as error:
        raise InvalidParameter(f"{call.operation.name}: {error}") from error
    # scikit-image drops the nearest offset, which it assumes to be the centre.
    centre = tuple(n // 2 for n in footprint.shape)
    if footprint.any() and not footprint[centre]:
        offsets = np.argwhere(footprint) - centre
        nearest = np.argsort(np.sqrt((offsets**2).sum(axis=1)), kind="stable")[0]
        footprint = footprint.copy()
        footprint[tuple(offsets[nearest] + centre)] = False
        footprint[centre] = True
    return footprint


def connectivity_of(footprint: np.ndarray) -> int | None:
    """Return the connectivity with the same neighbours as a footprint; None if there is none."""
    for connectivity in range(1, footprint.ndim + 1):
        structure = ndi.generate_binary_structure(footprint.ndim, connectivity)
        if np.array_equal(structure, footprint):
            return connectivity
    return None


# -- plateaus --------------------------------------------------------------------------------------


def _pairs(ndim: int, connectivity: int) -> Iterator[tuple[Region, Region]]:
    """Yield, for one of each pair of opposite neighbours, the boxes of pixels and neighbours."""
    for step in itertools.product((-1, 0, 1), repeat=ndim):
        if step > (0,) * ndim and sum(map(abs, step)) <= connectivity:
            pixels = tuple(slice(max(0, -s), None if s <= 0 else -s) for s in step)
            neighbours = tuple(slice(max(0, s), None if s >= 0 else s) for s in step)
            yield pixels, neighbours


def _plateaus(data: np.ndarray, connectivity: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which pixels are candidates, and which of these touch an equal non-candidate."""
    candidates = np.ones(data.shape, bool)
    for pixels, neighbours in _pairs(data.ndim, connectivity):
        candidates[pixels] &= ~(data[pixels] < data[neighbours])
        candidates[neighbours] &= ~(data[neighbours] < data[pixels])
    is_open = np.zeros(data.shape, bool)
    for pixels, neighbours in _pairs(data.ndim, connectivity):
        equal = data[pixels] == data[neighbours]
        is_open[pixels] |= equal & ~candidates[neighbours]
        is_open[neighbours] |= equal & ~candidates[pixels]
    return candidates, is_open & candidates


def _candidate_components(
    connectivity: int,
    values: Callable[[np.ndarray], np.ndarray] = np.asarray,
    shape: tuple[int, ...] | None = None,
) -> Callable[[Block], Pieces]:
    """Return the function that labels a tile's candidates; the border of `shape` counts as open."""

    def tile_components(block: Block) -> Pieces:
        candidates, touches_plateau = _plateaus(values(block.data), connectivity)
        structure = ndi.generate_binary_structure(candidates.ndim, connectivity)
        labels, count = ndi.label(candidates[block.core], structure)
        is_open = np.zeros(count + 1, bool)
        is_open[labels[touches_plateau[block.core]]] = True
        for axis, (span, n) in enumerate(zip(block.tile, shape or (), strict=False)):
            for side, at_border in ((0, span.start == 0), (-1, span.stop == n)):
                if at_border:
                    is_open[np.take(labels, side, axis=axis)] = True
        return Pieces(labels, count, measures={"open": is_open})

    return tile_components


def _merge_ranges(a: tuple[Any, Any], b: tuple[Any, Any]) -> tuple[Any, Any]:
    return min(a[0], b[0]), max(a[1], b[1])


def _reduce_extremes(call: Call) -> Reduce:
    """Return the reduction to the smallest and the largest value, which rejects NaN."""

    def range_of(block: Block) -> tuple[Any, Any]:
        pixels = block.data[block.core]
        low, high = pixels.min(), pixels.max()
        if np.isnan(low):
            raise InvalidImage(
                f"{call.operation.name}: the image contains NaN, which is neither higher nor "
                "lower than a number. Replace NaN first, for example with numpy.nan_to_num."
            )
        return low, high

    return Reduce(range_of, _merge_ranges, halo=HALO, description="smallest and largest value")


# -- local maxima and minima -----------------------------------------------------------------------


def _connectivity(call: Call) -> int | None:
    return connectivity_of(neighbourhood(call, adjacent=True))


def _is_too_short(call: Call) -> bool:
    """Return whether all pixels lie at borders that are excluded, so that no extremum exists."""
    return not call["allow_borders"] and min(call.shape) < 3


def _halo(call: Call) -> HaloLike:
    """Return the halo; a footprint that matches no connectivity needs the whole image."""
    if _is_too_short(call):
        return 0
    return whole_halo(call) if _connectivity(call) is None else HALO


def _check(call: Call) -> None:
    if not _is_too_short(call):
        reject_float16(call)
        neighbourhood(call, adjacent=True)


def _inverted(data: np.ndarray) -> np.ndarray:
    return np.asarray(invert(data, signed_float=True))


def _local_plan(values: Callable[[np.ndarray], np.ndarray]) -> Callable[[Call], Plan]:
    def plan(call: Call) -> Plan:
        if _is_too_short(call):
            return _empty_result(call)
        connectivity = _connectivity(call)
        if connectivity is None:
            return (yield from whole(call))
        bordered_shape = None if call["allow_borders"] else call.shape
        candidates = _candidate_components(connectivity, values, bordered_shape)
        components: Components
        components, (low, high) = yield together(
            gather_components(candidates, connectivity, halo=HALO, ufuncs={"open": np.logical_or}),
            _reduce_extremes(call),
        )
        is_maximum = ~components.measures["open"]
        is_maximum[0] = False
        if low == high:
            is_maximum[:] = False  # a constant image has no maxima

        def compute(block: Block) -> np.ndarray:
            return components.look_up(is_maximum, block.position, candidates(block))

        if not call["indices"]:
            return Tiles(compute, halo=HALO, on_grid=True)

        def raster_indices(block: Block) -> tuple[np.ndarray, ...]:
            indices = np.nonzero(compute(block))
            coordinates = [a + s.start for a, s in zip(indices, block.tile, strict=True)]
            return (np.ravel_multi_index(coordinates, call.shape),)

        (raster,) = yield collected(raster_indices, halo=HALO, description="extrema")
        return Parts(tuple(map(Value, np.unravel_index(np.sort(raster), call.shape))))

    return plan


def _empty_result(call: Call) -> Tiles | Parts:
    warnings.warn(
        "maxima can't exist for an image with any dimension smaller 3 if borders aren't allowed",
        stacklevel=2,
    )
    if call["indices"]:
        return Parts((Value(np.empty(0, np.intp)),) * call.ndim)
    return Tiles(lambda block: np.zeros(block.data.shape, bool))


def _index_parts(call: Call) -> tuple[Part, ...] | None:
    if not call["indices"]:
        return None
    return (Part(Output.VALUES, np.intp),) * call.ndim


def _local_operation(name: str, values: Callable[[np.ndarray], np.ndarray]) -> Operation:
    return Operation(
        name=f"morphology.{name}",
        family=families.MORPHOLOGY_BY_AREA,
        kind=Kind.CONNECTED,
        specs={
            "footprint": Footprint(optional=True, sequences=False, advanced=True),
            "connectivity": Number(integer=True, minimum=1, optional=True, usual=(1, 3)),
            "indices": Flag(advanced=True),
            "allow_borders": Flag(),
        },
        result=ResultSpec(output=Output.MASK, dtype=lambda call: np.bool_, parts=_index_parts),
        neighbourhood=Neighbourhood(halo=_halo),
        plan_of=_local_plan(values),
        limits=Limits(check=_check),
        adapter=Adapter(kernels=(f"skimage.morphology.{name}",)),
        cost=Cost(memory=6.0, at_once=AtOnce(function=IN_ONE_CALL, kernel=2**26, finite=True)),
        note="A footprint that does not match a connectivity (such as a line) needs the whole "
        "image.",
    )


# -- labelled maxima -------------------------------------------------------------------------------


def _labelled_maxima(call: Call) -> Plan:
    """Label the maxima from the highest, equal ones from the last, in the tree's order."""
    if has_tree(call):
        return (yield from from_tree(call))
    if is_short(call):
        return (yield from whole(call))
    connectivity = min(call["connectivity"], call.ndim)
    candidates = _candidate_components(connectivity)
    components: Components
    components, _ = yield together(
        gather_components(candidates, connectivity, halo=HALO, ufuncs={"open": np.logical_or}),
        _reduce_extremes(call),
    )
    ids = np.arange(components.count + 1)
    ids[components.measures["open"]] = 0

    def heights(block: Block) -> tuple[np.ndarray, ...]:
        component_ids, first_indices = np.unique(
            components.look_up(ids, block.position, candidates(block)), return_index=True
        )
        return component_ids[component_ids > 0], block.data[block.core].ravel()[
            first_indices[component_ids > 0]
        ]

    maxima, values = yield collected(heights, halo=HALO, description="heights")
    maxima, first_indices = np.unique(maxima, return_index=True)
    order = np.lexsort((maxima, values[first_indices]))[::-1]
    table = np.zeros(components.count + 1, np.uint64)
    table[maxima[order]] = np.arange(1, len(maxima) + 1)
    return Tiles(
        lambda block: components.look_up(table, block.position, candidates(block)),
        halo=HALO,
        on_grid=True,
    )


def _labelled_halo(call: Call) -> HaloLike:
    """Return the halo; on shorter axes scikit-image treats pixels of other rows as neighbours."""
    return whole_halo(call) if is_short(call) or has_tree(call) else HALO


OPERATIONS = (
    _local_operation("local_maxima", np.asarray),
    _local_operation("local_minima", _inverted),
    Operation(
        name="morphology.max_tree_local_maxima",
        title="Local maxima (max-tree)",
        family=families.MORPHOLOGY_BY_AREA,
        kind=Kind.CONNECTED,
        specs={"connectivity": Number(integer=True, minimum=1, usual=(1, 2)), **TREE},
        result=ResultSpec(output=Output.LABELS, dtype=lambda call: np.uint64),
        neighbourhood=Neighbourhood(halo=_labelled_halo),
        plan_of=_labelled_maxima,
        limits=Limits(check=check_tree_functions),
        constraints=(tree_of(),),
        cost=Cost(memory=6.0),
        note=NOTE,
    ),
)
