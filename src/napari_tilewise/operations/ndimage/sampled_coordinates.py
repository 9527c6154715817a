"""`ndimage.map_coordinates`: each tile gives the values at the coordinates that lie in it."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.operations.ndimage.folded_coordinates import MIRRORED, folded
from napari_tilewise.operations.ndimage.nd_parameters import check_type, checked, result_type
from napari_tilewise.operations.ndimage.resampling import (
    INTERPOLATION,
    SPLINES,
    is_local,
    margin,
    moved,
)
from napari_tilewise.operations.ndimage.spline_coefficients import (
    COEFFICIENTS,
    bytes_of_coefficients,
    coefficients,
    has_coefficients,
)
from napari_tilewise.operations.shared.whole import gather_whole
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    Block,
    Call,
    Constraint,
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
from napari_tilewise.operations.spec.parameters import Array
from napari_tilewise.operations.spec.value_specs import shown

if TYPE_CHECKING:
    from napari_tilewise.grid import Grid, Position
    from napari_tilewise.types import Parameters


@dataclass(frozen=True, kw_only=True)
class Coordinates(Array):
    """Coordinates of pixels: a row per axis of the image, of any shape behind it."""

    def _check(self, name: str, value: Any, ndim: int | None) -> Any:
        try:
            coordinates = np.asarray(value)
        except ValueError:  # rows of different lengths
            coordinates = np.asarray(None)
        if coordinates.dtype.kind not in "buif":
            raise InvalidParameter(f"{shown(name, value)}: expected {self.describe()}.")
        return coordinates

    def describe(self) -> str:
        """Return the expected values in words."""
        return "an array of coordinates, with a row per axis of the image"


def _check_coordinates(call: Call) -> None:
    coordinates = np.asarray(call["coordinates"])
    if coordinates.ndim < 2 or len(coordinates) != call.ndim:
        raise InvalidParameter(
            f"{call.operation.name}: coordinates has shape {coordinates.shape}: expected "
            f"({call.ndim}, ...), a row per axis of the image."
        )
    if np.isnan(coordinates).any():
        raise InvalidParameter(
            f"{call.operation.name}: coordinates holds NaN: expected numbers. Coordinates outside "
            "of the image have the border's values."
        )


def _shape(call: Call) -> tuple[int, ...]:
    return tuple(np.shape(call["coordinates"])[1:])


class _PointsOfTiles:
    """Which coordinates lie in which tile; those outside of the image in the nearest one."""

    def __init__(self, coordinates: np.ndarray, grid: Grid) -> None:
        tiles = np.zeros(coordinates.shape[1], np.int64)
        for line, length, tile, count in zip(
            coordinates, grid.shape, grid.tile, self._counts(grid), strict=True
        ):
            pixel = np.clip(np.floor(line), 0, length - 1).astype(np.int64)
            tiles = tiles * count + pixel // tile
        self._grid = grid
        self._order = np.argsort(tiles, kind="stable")
        self._tiles = tiles[self._order]

    @staticmethod
    def _counts(grid: Grid) -> tuple[int, ...]:
        return tuple(-(-n // t) for n, t in zip(grid.shape, grid.tile, strict=True))

    def of(self, position: Position) -> np.ndarray:
        """Return the numbers of the coordinates in a tile."""
        tile = np.ravel_multi_index(position, self._counts(self._grid))
        first, last = np.searchsorted(self._tiles, [tile, tile + 1])
        return self._order[first:last]


def _inside(call: Call, coordinates: np.ndarray) -> np.ndarray:
    """Return where in the image the coordinates are looked up, if the border mirrors it."""
    mode = call["mode"]
    if mode not in MIRRORED:
        return coordinates
    lines = zip(coordinates, call.shape, strict=True)
    return np.stack([folded(line, length, mode) for line, length in lines])


def _plan(call: Call) -> Plan:
    if not is_local(call):
        return Value((yield gather_whole(call, lambda block: call.function(block.data))))
    coordinates = np.asarray(call["coordinates"], np.float64).reshape(call.ndim, -1)
    if has_coefficients(call):
        yield coefficients(call, call.ndim)
    corner = tuple(slice(0, 1) for _ in call.shape)
    grid: Grid = yield Reduce(lambda block: block.grid, lambda a, b: a, regions=[corner])
    points = _PointsOfTiles(_inside(call, coordinates), grid)

    def sample(block: Block) -> list[tuple[np.ndarray, np.ndarray]]:
        numbers = points.of(block.position)
        if not numbers.size:
            return []
        values = ndi.map_coordinates(
            block.images.get(COEFFICIENTS, block.data),
            moved(call, coordinates[:, numbers], block),
            output=result_type(call),
            order=call["order"],
            mode=call["mode"],
            cval=call["cval"],
            prefilter=False,
        )
        return [(numbers, values)]

    def finish(parts: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        result = np.zeros(coordinates.shape[1], result_type(call))
        for numbers, values in parts:
            result[numbers] = values
        return result.reshape(_shape(call))

    values = yield Reduce(
        sample,
        lambda parts, more: parts + more,
        halo=margin(call),
        in_groups=True,
        finish=finish,
        description="values at coordinates",
    )
    return Value(values)


def _rows_per_axis(params: Parameters, image: np.ndarray, solution: int) -> Parameters:
    """Return coordinates in and around an image; a constraint's solution."""
    rng = np.random.default_rng(solution)
    shape = [(0,), (7,), (4, 5), (2, 3, 4)][solution % 4]
    lengths = np.array(image.shape).reshape(-1, *(1,) * len(shape))
    coordinates = rng.uniform(-0.3, 1.3, (image.ndim, *shape)) * lengths
    return {"coordinates": np.rint(coordinates * 2) / 2 if solution % 3 == 0 else coordinates}


OPERATIONS = (
    Operation(
        name="ndimage.map_coordinates",
        family=families.WARPS,
        kind=Kind.GEOMETRY,
        specs={"coordinates": Coordinates(), **INTERPOLATION},
        plan_of=_plan,
        result=ResultSpec(output=Output.VALUES, dtype=result_type, shape=_shape),
        neighbourhood=Neighbourhood(halo=margin),
        limits=Limits(check=checked(check_type, _check_coordinates)),
        constraints=(Constraint(names=("coordinates",), satisfy=_rows_per_axis),),
        cost=Cost(
            memory=8.0,
            in_order=lambda call: bytes_of_coefficients(call) if is_local(call) else 0,
            largest_region=lambda call: 0 if is_local(call) else prod(call.shape),
        ),
        note=f"{SPLINES} Coordinates and result are in memory.",
    ),
)
