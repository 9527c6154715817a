"""`scipy.ndimage`, distance transforms: exact for any image, from as many pixels as that takes.

A first pass bounds the distances in every tile: by those within the tile, or, where a tile has no
background, by the way to the nearest tile that has some. No nearer background can lie outside a
tile grown by its bound, so that the transform of the grown tile is the whole image's. Where a bound
is large (wide areas without background), tiles read rows instead; see `far_distances`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.operations.ndimage.far_distances import (
    ColumnTables,
    far_features,
    gather_columns,
)
from napari_tilewise.operations.ndimage.nd_parameters import ARRAY, untiled
from napari_tilewise.operations.shared.whole import gather_whole, handed_out
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.measuring.calibration import PixelLengths
from napari_tilewise.operations.spec.measuring.quantities import LENGTH, NUMBER, Quantity
from napari_tilewise.operations.spec.operation import (
    IN_MEMORY,
    Adapter,
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
    Part,
    Parts,
    Plan,
    Reduce,
    ResultSpec,
    Tiles,
)
from napari_tilewise.operations.spec.parameters import ChoiceSpec, Flag, Number

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import DTypeLike

    from napari_tilewise.grid import Grid, Position, Region
    from napari_tilewise.types import Parameters

NEAR = {1: 2**20, 2: 256, 3: 32}
"""The farthest distance, in pixels, up to which tiles are grown (16 beyond three axes)."""
USUAL = {1: 1024, 2: 64, 3: 16}
MOST_PIXELS = 2**28
"""The largest region that a chessboard or taxicab transform reads."""


def _near(call: Call) -> int:
    return NEAR.get(call.ndim, 16)


def _sampling(call: Call) -> tuple[float, ...]:
    sampling = call.params.get("sampling")
    return (1.0,) * call.ndim if sampling is None else tuple(map(float, call.per_axis(sampling)))


# -- bounds ----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Bounds:
    """The largest distance to background that any pixel of a tile can have, by tile."""

    grid: Grid
    within: np.ndarray
    """By the tile's position, from the tile's own pixels; infinite where it has no background."""
    sampling: tuple[float, ...]

    @cached_property
    def distances(self) -> np.ndarray:
        """The bounds, for tiles without background by the way to one that has some."""
        empty = ~np.isfinite(self.within)
        if not empty.any() or empty.all():
            return self.within
        nearest = ndi.distance_transform_edt(empty, return_distances=False, return_indices=True)
        bounds = self.within.copy()
        for position in zip(*np.nonzero(empty), strict=True):
            other = tuple(int(axis[position]) for axis in nearest)
            bounds[position] = self._farthest(position, other)
        return bounds

    def _farthest(self, position: Position, other: Position) -> float:
        """Return the distance of the pixels of two tiles that are farthest apart."""
        pairs = zip(self.grid.region(position), self.grid.region(other), strict=True)
        spans = [max(a.stop, b.stop) - 1 - min(a.start, b.start) for a, b in pairs]
        return float(np.linalg.norm([n * s for n, s in zip(spans, self.sampling, strict=True)]))

    @property
    def has_background(self) -> bool:
        """Whether any pixel of the image is background."""
        return bool(np.isfinite(self.within).any())

    def of_box(self, box: Region) -> tuple[int, ...]:
        """Return how far the nearest background of any pixel of a box can lie, in pixels."""
        spans = zip(box, self.grid.tile, strict=True)
        tiles = tuple(slice(s.start // n, -(-s.stop // n)) for s, n in spans)
        distance = float(self.distances[tiles].max())
        return tuple(int(distance / s) + 1 for s in self.sampling)

    def grown(self, box: Region) -> Region:
        """Return a box with all the background that can be nearest to one of its pixels."""
        return _grown(box, self.of_box(box), self.grid.shape)


def _grown(box: Region, reach: tuple[int, ...], shape: tuple[int, ...]) -> Region:
    items = zip(box, reach, shape, strict=True)
    return tuple(slice(max(0, s.start - r), min(n, s.stop + r)) for s, r, n in items)


def _gather_bounds(
    call: Call, largest: Callable[[np.ndarray], float], sampling: tuple[float, ...]
) -> Reduce:
    """Return the pass that bounds the distances in each tile."""

    def of(block: Block) -> dict[Any, Any]:
        mask = np.ascontiguousarray(block.data[block.core] != 0)
        return {None: block.grid, block.position: np.inf if mask.all() else largest(mask)}

    def finish(bounds: dict[Any, Any]) -> Bounds:
        grid = bounds.pop(None)
        within = np.empty(grid.counts)
        for position, bound in bounds.items():
            within[position] = bound
        return Bounds(grid, within, sampling)

    return Reduce(
        of, lambda a, b: a | b, finish=finish, in_groups=True, description="largest distances"
    )


# -- Euclidean -------------------------------------------------------------------------------------


def _largest(call: Call, mask: np.ndarray) -> float:
    """Return a bound of the Euclidean distances in a mask."""
    sampling = _sampling(call)
    if len(set(sampling)) == 1:  # the way along the axes is at least as long, and found faster
        return float(ndi.distance_transform_cdt(mask, "taxicab").max()) * sampling[0]
    return float(ndi.distance_transform_edt(mask, sampling=sampling).max()) * (1 + 1e-9)


def _euclidean(call: Call) -> Plan:
    sampling = _sampling(call)
    bounds: Bounds = yield _gather_bounds(call, lambda mask: _largest(call, mask), sampling)
    if not bounds.has_background:
        return _results(call, lambda block: _without_background(block), _nothing)
    far = max(bounds.of_box(tuple(slice(0, n) for n in call.shape)))
    if far <= _near(call) or call.ndim == 1:
        return _results(call, lambda block: _near_features(call, block), bounds.grown)
    tables: ColumnTables = yield gather_columns()

    def is_near(box: Region) -> bool:
        return max(bounds.of_box(box)) <= _near(call)

    def source(box: Region) -> Region:
        grown = bounds.grown(box)
        return grown if is_near(box) else (tables.rows_of_tiles(box), *grown[1:])

    def features(block: Block) -> np.ndarray:
        if is_near(block.tile):
            return _near_features(call, block)
        return far_features(tables.nearest_rows(block), block, sampling)

    return _results(call, features, source)


def _nothing(box: Region) -> None:
    """Ask for no pixel: there is no background anywhere."""


def _without_background(block: Block) -> np.ndarray:
    """Return the coordinates that SciPy gives where it finds no background: (-1, 0, ...)."""
    features = np.zeros((len(block.tile), *(s.stop - s.start for s in block.tile)), np.int32)
    features[0] = -1
    return features


def _near_features(call: Call, block: Block) -> np.ndarray:
    features = ndi.distance_transform_edt(
        block.data, sampling=call["sampling"], return_distances=False, return_indices=True
    )[(slice(None), *block.core)]
    for axis, start in enumerate(block.start):
        features[axis] += start
    return np.asarray(features)


def _distances(call: Call, features: np.ndarray, tile: Region) -> np.ndarray:
    """Return the distances of a tile's pixels from their features, as SciPy computes them."""
    offsets = features.astype(np.float64)
    for axis, span in enumerate(tile):
        shape = [-1 if i == axis else 1 for i in range(len(tile))]
        offsets[axis] -= np.arange(span.start, span.stop).reshape(shape)
    if call["sampling"] is not None:
        for axis, length in enumerate(_sampling(call)):
            offsets[axis] *= length
    np.multiply(offsets, offsets, offsets)
    squares = np.add.reduce(offsets, axis=0)
    return np.asarray(np.sqrt(squares, squares))


def _results(
    call: Call,
    features: Callable[[Block], np.ndarray],
    source: Callable[[Region], Region | None],
) -> Tiles | Parts:
    """Return the tiles of what the call returns: distances, coordinates or both."""
    coordinates = Tiles(features, source=source)
    distances = Tiles(lambda block: _distances(call, features(block), block.tile), source=source)
    if call["return_distances"] and call["return_indices"]:
        return Parts((distances, coordinates))
    return distances if call["return_distances"] else coordinates


# -- chessboard and taxicab ------------------------------------------------------------------------


def _chamfer(call: Call) -> Plan:
    if call["return_indices"]:
        result = yield gather_whole(call, lambda block: call.function(block.data))
        return handed_out(call, result)
    bounds: Bounds = yield _gather_bounds(
        call, lambda mask: float(call.function(mask).max()), (1.0,) * call.ndim
    )
    if not bounds.has_background:
        return Tiles(_minus_ones, source=_nothing)

    def source(box: Region) -> Region:
        grown = bounds.grown(box)
        if prod(s.stop - s.start for s in grown) > MOST_PIXELS:
            raise InvalidImage(
                f"{call.operation.name}: the nearest background may lie {max(bounds.of_box(box))} "
                "pixels away, too far to read all between: expected smaller areas without "
                "background. Use ndimage.distance_transform_edt, which reads rows there."
            )
        return grown

    return Tiles(lambda block: np.asarray(call.function(block.data))[block.core], source=source)


def _minus_ones(block: Block) -> np.ndarray:
    """Return what SciPy gives where it finds no background."""
    return np.full([s.stop - s.start for s in block.tile], -1, np.int32)


# -- declarations ----------------------------------------------------------------------------------


def _check(call: Call) -> None:
    if not (call["return_distances"] or call["return_indices"]):
        raise InvalidParameter(
            f"{call.operation.name}: neither distances nor indices are to be returned: expected "
            "return_distances=True or return_indices=True."
        )


def _transform(distance_type: DTypeLike) -> ResultSpec:
    def parts(call: Call) -> tuple[Part, ...] | None:
        if not (call["return_distances"] and call["return_indices"]):
            return None
        indices = Part(Output.IMAGE, np.int32, (call.ndim, *call.shape), 0)
        return Part(Output.IMAGE, distance_type, call.shape), indices

    return ResultSpec(
        dtype=lambda call: distance_type if call["return_distances"] else np.int32,
        shape=lambda call: call.shape if call["return_distances"] else (call.ndim, *call.shape),
        channel=lambda call: None if call["return_distances"] else 0,
        parts=parts,
    )


def _is_more_than_distances(call: Call) -> bool:
    """Return whether tiles take longer than the whole image: they do not for distances alone."""
    return bool(call["return_indices"]) or call["sampling"] is not None


NO_ARRAYS = Adapter(modernize=untiled(distances=ARRAY, indices=ARRAY))
RETURNS = {"return_distances": Flag(advanced=True), "return_indices": Flag(advanced=True)}


def _distance_columns(params: Parameters, ndim: int) -> dict[str, Quantity]:
    """Return what the results are: distances, and indices of pixels."""
    named = {"distances": LENGTH, "indices": NUMBER}
    return {name: quantity for name, quantity in named.items() if params[f"return_{name}"]}


OPERATIONS = (
    Operation(
        name="ndimage.distance_transform_edt",
        title="Distance transform, Euclidean (SciPy)",
        family=families.MORPHOLOGY,
        kind=Kind.STATISTIC,
        specs={
            "sampling": Number(
                pixel_size=True,
                minimum=0,
                exclusive=True,
                per_axis=True,
                optional=True,
                usual=(0, 4),
            ),
            **RETURNS,
        },
        neighbourhood=Neighbourhood(halo=_near, typical_halo=lambda call: USUAL.get(call.ndim, 8)),
        result=_transform(np.float64),
        step=AsStep(calibration=PixelLengths(columns=_distance_columns, spacing="sampling")),
        plan_of=_euclidean,
        limits=Limits(check=_check),
        adapter=replace(NO_ARRAYS, kernels=("scipy.ndimage.distance_transform_edt",)),
        cost=Cost(
            memory=10.0,
            at_once=AtOnce(function=IN_MEMORY, kernel=IN_MEMORY, when=_is_more_than_distances),
        ),
        note="Exact for any image. The halo is that of distances up to which tiles are grown; "
        "where background lies farther, tiles read whole rows of tiles instead.",
    ),
    Operation(
        name="ndimage.distance_transform_cdt",
        title="Distance transform, chamfer (SciPy)",
        family=families.MORPHOLOGY,
        kind=Kind.STATISTIC,
        specs={
            "metric": ChoiceSpec(choices=("chessboard", "taxicab", "cityblock", "manhattan")),
            **RETURNS,
        },
        neighbourhood=Neighbourhood(halo=_near, typical_halo=lambda call: USUAL.get(call.ndim, 8)),
        result=_transform(np.int32),
        step=AsStep(calibration=PixelLengths(columns=_distance_columns)),
        plan_of=_chamfer,
        limits=Limits(check=_check),
        adapter=NO_ARRAYS,
        cost=Cost(
            memory=5.0,
            at_once=AtOnce(function=IN_MEMORY),
            largest_region=lambda call: prod(call.shape) if call["return_indices"] else 0,
        ),
        note="return_indices needs the whole image: which of several equally near pixels SciPy "
        "gives depends on the way to it.",
    ),
)
