"""Regional extrema: plateaus joined across tiles, none of whose pixels has a higher neighbour.

A pixel is a candidate where no neighbour is higher. Adjacent candidates are equal, so the connected
pieces of candidates are parts of plateaus; a piece is open where it touches a pixel of its own
height that is no candidate, whose plateau then goes on to something higher. A component of pieces
of which none is open is a maximum.
"""

from __future__ import annotations

import itertools
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi
from skimage.util import invert

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.operations.morphology.given_tree import (
    NOTE,
    TREE,
    from_tree,
    has_tree,
    tree_of,
)
from napari_tilewise.operations.morphology.max_tree import check as check_tree_functions
from napari_tilewise.operations.morphology.max_tree import is_short, refuse_half
from napari_tilewise.operations.shared.combined import collected, together
from napari_tilewise.operations.shared.components import Components, Pieces, gather_components
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.shared.whole import whole, whole_halo
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
"""A candidate is known by its neighbours, an open pixel by its neighbours' neighbours."""


# -- neighbourhoods --------------------------------------------------------------------------------


def neighbourhood(call: Call, *, adjacent: bool) -> np.ndarray:
    """Return the footprint that a call means, its centre set; scikit-image's own rules.

    Parameters
    ----------
    call
        The bound operation, with `footprint` and `connectivity`.
    adjacent
        Whether only direct neighbours may be in it.
    """
    try:
        footprint = np.asarray(
            reach("morphology._util", "_resolve_neighborhood")(
                call["footprint"], call["connectivity"], call.ndim, enforce_adjacency=adjacent
            )
        )
    except ValueError as error:
        raise InvalidParameter(f"{call.operation.name}: {error}") from error
    # scikit-image drops the nearest offset, which it takes for the centre.
    centre = tuple(n // 2 for n in footprint.shape)
    if footprint.any() and not footprint[centre]:
        offsets = np.argwhere(footprint) - centre
        nearest = np.argsort(np.sqrt((offsets**2).sum(axis=1)), kind="stable")[0]
        footprint = footprint.copy()
        footprint[tuple(offsets[nearest] + centre)] = False
        footprint[centre] = True
    return footprint


def connectivity_of(footprint: np.ndarray) -> int | None:
    """Return the connectivity that a footprint spells out; None for any other footprint."""
    for connectivity in range(1, footprint.ndim + 1):
        structure = ndi.generate_binary_structure(footprint.ndim, connectivity)
        if np.array_equal(structure, footprint):
            return connectivity
    return None


# -- plateaus --------------------------------------------------------------------------------------


def _pairs(ndim: int, connectivity: int) -> Iterator[tuple[Region, Region]]:
    """Yield, for each half of the neighbours, where a pixel and its neighbour lie."""
    for step in itertools.product((-1, 0, 1), repeat=ndim):
        if step > (0,) * ndim and sum(map(abs, step)) <= connectivity:
            here = tuple(slice(max(0, -s), None if s <= 0 else -s) for s in step)
            there = tuple(slice(max(0, s), None if s >= 0 else s) for s in step)
            yield here, there


def _plateaus(data: np.ndarray, connectivity: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which pixels are candidates, and which of these touch an equal one that is none."""
    candidates = np.ones(data.shape, bool)
    for here, there in _pairs(data.ndim, connectivity):
        candidates[here] &= ~(data[here] < data[there])
        candidates[there] &= ~(data[there] < data[here])
    opened = np.zeros(data.shape, bool)
    for here, there in _pairs(data.ndim, connectivity):
        equal = data[here] == data[there]
        opened[here] |= equal & ~candidates[there]
        opened[there] |= equal & ~candidates[here]
    return candidates, opened & candidates


def _pieces(
    connectivity: int,
    values: Callable[[np.ndarray], np.ndarray] = np.asarray,
    shape: tuple[int, ...] | None = None,
) -> Callable[[Block], Pieces]:
    """Return what labels the candidates of a tile; where a shape is given, its border is open."""

    def pieces(block: Block) -> Pieces:
        candidates, opened = _plateaus(values(block.data), connectivity)
        structure = ndi.generate_binary_structure(candidates.ndim, connectivity)
        labels, count = ndi.label(candidates[block.core], structure)
        found = np.zeros(count + 1, bool)
        found[labels[opened[block.core]]] = True
        for axis, (span, n) in enumerate(zip(block.tile, shape or (), strict=False)):
            for side, at_end in ((0, span.start == 0), (-1, span.stop == n)):
                if at_end:
                    found[np.take(labels, side, axis=axis)] = True
        return Pieces(labels, count, measures={"open": found})

    return pieces


def _widest(a: tuple[Any, Any], b: tuple[Any, Any]) -> tuple[Any, Any]:
    return min(a[0], b[0]), max(a[1], b[1])


def _extremes(call: Call) -> Reduce:
    """Return the pass that finds the smallest and the largest value, and refuses NaN."""

    def of(block: Block) -> tuple[Any, Any]:
        pixels = block.data[block.core]
        low, high = pixels.min(), pixels.max()
        if np.isnan(low):
            raise InvalidImage(
                f"{call.operation.name}: the image holds NaN, which is neither higher nor lower: "
                "expected numbers. Replace it first."
            )
        return low, high

    return Reduce(of, _widest, halo=HALO, description="smallest and largest value")


# -- local maxima and minima -----------------------------------------------------------------------


def _connectivity(call: Call) -> int | None:
    return connectivity_of(neighbourhood(call, adjacent=True))


def _is_too_short(call: Call) -> bool:
    """Return whether all pixels lie at borders that are not allowed: then nothing else matters."""
    return not call["allow_borders"] and min(call.shape) < 3


def _halo(call: Call) -> HaloLike:
    """Any other footprint than a connectivity's is directed: only the whole image will do."""
    if _is_too_short(call):
        return 0
    return whole_halo(call) if _connectivity(call) is None else HALO


def _check(call: Call) -> None:
    if not _is_too_short(call):
        refuse_half(call)
        neighbourhood(call, adjacent=True)


def _inverted(data: np.ndarray) -> np.ndarray:
    return np.asarray(invert(data, signed_float=True))


def _local(values: Callable[[np.ndarray], np.ndarray]) -> Callable[[Call], Plan]:
    def plan(call: Call) -> Plan:
        if _is_too_short(call):
            return _none(call)
        connectivity = _connectivity(call)
        if connectivity is None:
            return (yield from whole(call))
        inner = None if call["allow_borders"] else call.shape
        pieces = _pieces(connectivity, values, inner)
        components: Components
        components, (low, high) = yield together(
            gather_components(pieces, connectivity, halo=HALO, ufuncs={"open": np.logical_or}),
            _extremes(call),
        )
        chosen = ~components.measures["open"]
        chosen[0] = False
        if low == high:
            chosen[:] = False  # nothing is higher than anything

        def compute(block: Block) -> np.ndarray:
            return components.look_up(chosen, block.position, pieces(block))

        if not call["indices"]:
            return Tiles(compute, halo=HALO, on_grid=True)

        def places(block: Block) -> tuple[np.ndarray, ...]:
            found = np.nonzero(compute(block))
            at = [a + s.start for a, s in zip(found, block.tile, strict=True)]
            return (np.ravel_multi_index(at, call.shape),)

        (raster,) = yield collected(places, halo=HALO, description="extrema")
        return Parts(tuple(map(Value, np.unravel_index(np.sort(raster), call.shape))))

    return plan


def _none(call: Call) -> Tiles | Parts:
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
        plan_of=_local(values),
        limits=Limits(check=_check),
        cost=Cost(memory=6.0),
        note="A footprint that is no connectivity's (such as a line) needs the whole image.",
    )


# -- labelled maxima -------------------------------------------------------------------------------


def _labelled_maxima(call: Call) -> Plan:
    """Label the maxima from the highest on, of equal ones from the last: as the tree is walked."""
    if has_tree(call):
        return (yield from from_tree(call))
    if is_short(call):
        return (yield from whole(call))
    connectivity = min(call["connectivity"], call.ndim)
    pieces = _pieces(connectivity)
    components: Components
    components, _ = yield together(
        gather_components(pieces, connectivity, halo=HALO, ufuncs={"open": np.logical_or}),
        _extremes(call),
    )
    ids = np.arange(components.count + 1)
    ids[components.measures["open"]] = 0

    def heights(block: Block) -> tuple[np.ndarray, ...]:
        found, first = np.unique(
            components.look_up(ids, block.position, pieces(block)), return_index=True
        )
        return found[found > 0], block.data[block.core].ravel()[first[found > 0]]

    numbers, values = yield collected(heights, halo=HALO, description="heights")
    numbers, first = np.unique(numbers, return_index=True)
    order = np.lexsort((numbers, values[first]))[::-1]
    table = np.zeros(components.count + 1, np.uint64)
    table[numbers[order]] = np.arange(1, len(numbers) + 1)
    return Tiles(
        lambda block: components.look_up(table, block.position, pieces(block)),
        halo=HALO,
        on_grid=True,
    )


def _labelled_halo(call: Call) -> HaloLike:
    """Return the halo; on shorter axes scikit-image takes pixels of other rows for neighbours."""
    return whole_halo(call) if is_short(call) or has_tree(call) else HALO


OPERATIONS = (
    _local_operation("local_maxima", np.asarray),
    _local_operation("local_minima", _inverted),
    Operation(
        name="morphology.max_tree_local_maxima",
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
