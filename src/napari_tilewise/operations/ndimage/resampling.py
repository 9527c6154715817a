"""`scipy.ndimage`, geometry: output tiles from the part of the image that they are made of.

A pixel's coordinates are computed as SciPy computes them, folded where the border mirrors the
image, and moved to the region by whole pixels, which is exact. Splines of order 2 and more begin
with a recursion along whole lines, whose results are stored. Where the border wraps, a tile across
the seam is made of both ends of the image, which no box holds: these need the whole image.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi
from scipy import special

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.operations.ndimage import spline_coefficients
from napari_tilewise.operations.ndimage.affine_tiles import affine_tile
from napari_tilewise.operations.ndimage.coordinate_maps import Affine, Lines, Unmoved
from napari_tilewise.operations.ndimage.folded_coordinates import MIRRORED, folded, folded_range
from napari_tilewise.operations.ndimage.nd_parameters import (
    CVAL,
    OUTPUT,
    check_type,
    checked,
    result_type,
)
from napari_tilewise.operations.ndimage.spline_coefficients import (
    COEFFICIENTS,
    bytes_of_coefficients,
    coefficients,
    has_coefficients,
    padding,
)
from napari_tilewise.operations.shared.whole import gather_whole, handed_out
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    IN_ONE_CALL,
    PER_PIXEL,
    Adapter,
    AtOnce,
    Block,
    Call,
    Constraint,
    Cost,
    Kind,
    Limits,
    Neighbourhood,
    Operation,
    Plan,
    ResultSpec,
    Tiles,
)
from napari_tilewise.operations.spec.parameters import Array, ChoiceSpec, Flag, Number, Numbers
from napari_tilewise.operations.spec.pixel_positions import UNMOVED, Sampling, resampled

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_tilewise.grid import Region
    from napari_tilewise.operations.spec.parameters import Spec
    from napari_tilewise.operations.spec.pixel_positions import Samplings
    from napari_tilewise.operations.spec.value_specs import Factors
    from napari_tilewise.types import Parameters, Value

MODES = ("reflect", "grid-mirror", "constant", "grid-constant", "nearest", "mirror", "wrap")
INTERPOLATION: dict[str, Spec] = {
    "output": OUTPUT,
    "order": Number(integer=True, minimum=0, maximum=5, usual=(0, 3)),
    "mode": ChoiceSpec(choices=(*MODES, "grid-wrap"), advanced=True),
    "cval": CVAL,
    "prefilter": Flag(advanced=True),
}
WRAPPED = ("wrap", "grid-wrap")
"""Border modes that continue the image with its other end."""
MARGIN = 2
"""Pixels read around the coordinates of a tile: what interpolation of order 1 needs, and one."""


def is_local(call: Call) -> bool:
    """Return whether an interpolated pixel follows from the nearest pixels, or coefficients."""
    is_small = has_coefficients(call) and prod(call.shape) <= spline_coefficients.SMALL
    return call["mode"] not in WRAPPED and not is_small


def margin(call: Call) -> int:
    """Return the pixels read around the coordinates of a tile."""
    return MARGIN + (call["order"] if call["order"] > 1 else 0)


def reached(call: Call, low: float, high: float, length: int) -> tuple[float, float]:
    """Return the first and the last coordinate that pixels are interpolated at, for a range.

    Parameters
    ----------
    call
        A call with `mode`.
    low, high
        The ends of the range of coordinates.
    length
        The image's, along the axis.
    """
    mode = call["mode"]
    return folded_range(low, high, length, mode) if mode in MIRRORED else (low, high)


def moved(call: Call, coordinates: np.ndarray, block: Block) -> np.ndarray:
    """Return coordinates in the image as those in a block of its pixels, or coefficients.

    Parameters
    ----------
    call
        A call with `mode`.
    coordinates
        A row for each axis that is interpolated along, of any shape behind it; changed in place.
    block
        The block.
    """
    mode = call["mode"]
    for axis, start in enumerate(block.start[: len(coordinates)]):
        if mode in MIRRORED:
            coordinates[axis] = folded(coordinates[axis], call.shape[axis], mode)
        # SciPy adds the padding first. Moved by whole pixels, which is exact.
        coordinates[axis] += padding(call)
        coordinates[axis] -= start
    return coordinates


def _resampled(map_of: Callable[[Call], Lines | Affine | None]) -> Callable[[Call], Plan]:
    def plan(call: Call) -> Plan:
        mapped = map_of(call) if is_local(call) else None
        if mapped is None:
            result = yield gather_whole(call, lambda block: call.function(block.data))
            return handed_out(call, result)
        if has_coefficients(call) and not isinstance(mapped, Unmoved):
            yield coefficients(call, mapped.ndim)
        return _tiles(call, mapped)

    return plan


def _tiles(call: Call, mapped: Lines | Affine) -> Tiles:
    """Return the last pass: maps of fewer axes than the image has are those of its first ones."""
    order = 0 if isinstance(mapped, Unmoved) else call["order"]

    def source(box: Region) -> Region:
        ends = np.sort(mapped.ends(box[: mapped.ndim]), axis=1)
        spans = []
        for low, high, length in zip(ends[:, 0], ends[:, -1], call.shape, strict=False):
            low, high = reached(call, low, high, length)
            first = int(np.clip(np.floor(low) - margin(call), 0, length - 1))
            last = int(np.clip(np.ceil(high) + margin(call), 0, length - 1))
            spans.append(slice(first, last + 1))
        return (*spans, *box[mapped.ndim :])

    def compute(block: Block) -> np.ndarray:
        tile = affine_tile(call, mapped, block) if isinstance(mapped, Affine) else None
        return by_coordinates(block) if tile is None else tile

    def by_coordinates(block: Block) -> np.ndarray:
        coordinates = moved(call, mapped.of(block.tile[: mapped.ndim]), block)
        pixels = block.images.get(COEFFICIENTS, block.data)
        planes = pixels.shape[mapped.ndim :]
        result = np.empty((*coordinates.shape[1:], *planes), result_type(call))
        for index in np.ndindex(planes):
            ndi.map_coordinates(
                pixels[(..., *index)],
                coordinates,
                output=result[(..., *index)],
                order=order,
                mode=call["mode"],
                cval=call["cval"],
                prefilter=False,
            )
        return result

    return Tiles(compute, source=source)


@dataclass(frozen=True, kw_only=True)
class Matrix(Array):
    """An affine matrix, or the diagonal of one."""

    ndim: int | None = 2
    matrix: bool = True

    def _check(self, name: str, value: Value, ndim: int | None) -> Value:
        if np.ndim(value) == 1:
            return Array(ndim=1).check(name, value, ndim)
        return super()._check(name, value, ndim)

    def scaled(self, value: Value, factors: Factors) -> Value:
        """Return the matrix between larger pixels: a translation, if it has one, is divided."""
        if np.ndim(value) != 2 or np.shape(value)[1] == len(factors):
            return value
        matrix = np.array(value, float)
        matrix[: len(factors), -1] /= factors
        return matrix


# -- maps ------------------------------------------------------------------------------------------


def _shift_map(call: Call) -> Lines:
    return Lines(-np.asarray(call.per_axis(call["shift"]), np.float64))


def _zoomed_shape(call: Call) -> tuple[int, ...]:
    factors = call.per_axis(call["zoom"])
    return tuple(round(n * z) for n, z in zip(call.shape, factors, strict=True))


def _zoom_map(call: Call) -> Lines | None:
    if all(z == 1 for z in call.per_axis(call["zoom"])):
        return None if not call["prefilter"] else Unmoved(np.zeros(call.ndim))
    less = 0 if call["grid_mode"] else 1
    before, after = np.array(call.shape) - less, np.array(_zoomed_shape(call)) - less
    zooms = np.divide(before, after, out=np.ones(call.ndim), where=after != 0)
    return Lines(np.zeros(call.ndim), zooms, call["grid_mode"])


def _check_zoom(call: Call) -> None:
    if min(_zoomed_shape(call)) < 1:
        raise InvalidParameter(
            f"ndimage.zoom: zoom={call['zoom']!r} leaves nothing of an image of shape "
            f"{call.shape}: expected larger factors."
        )


def _enlarging(params: Parameters, image: np.ndarray, solution: int) -> Parameters:
    """Return a factor that leaves something of the image; a constraint's solution."""
    factors = np.broadcast_to(params.get("zoom", 1.0), (image.ndim,))
    is_gone = any(round(n * z) < 1 for n, z in zip(image.shape, factors, strict=True))
    return {"zoom": 1.5} if is_gone else {}


def _affine_map(call: Call) -> Lines | Affine:
    matrix = np.asarray(call["matrix"], np.float64)
    offset = np.asarray(call.per_axis(call["offset"]), np.float64)
    if matrix.ndim == 1:
        return Lines(offset / matrix, matrix)
    if matrix.shape[1] == call.ndim + 1:
        offset = matrix[: call.ndim, call.ndim]
        matrix = matrix[: call.ndim, : call.ndim]
    return Affine(matrix, offset)


def _affine_shape(call: Call) -> tuple[int, ...]:
    shape = call["output_shape"]
    return call.shape if shape is None else tuple(int(n) for n in call.per_axis(shape))


def _check_affine(call: Call) -> None:
    n, matrix = call.ndim, np.asarray(call["matrix"])
    is_homogeneous = matrix.shape == (n + 1, n + 1) and list(matrix[-1]) == [0] * n + [1]
    if not (is_homogeneous or matrix.shape in ((n,), (n, n), (n, n + 1))):
        raise InvalidParameter(
            f"ndimage.affine_transform: matrix has shape {matrix.shape}: expected ({n},), "
            f"({n}, {n}), ({n}, {n + 1}), or ({n + 1}, {n + 1}) with a last row of zeros and a one."
        )
    if len(_affine_shape(call)) != n:
        raise InvalidParameter(
            f"ndimage.affine_transform: output_shape={call['output_shape']!r}: expected {n} "
            "lengths, one per axis."
        )


def _fitting(params: Parameters, image: np.ndarray, solution: int) -> Parameters:
    """Return a matrix of the image's number of axes; a constraint's solution."""
    rng = np.random.default_rng(solution)
    n = image.ndim
    matrix = np.eye(n) + rng.uniform(-0.3, 0.3, (n, n))
    if solution % 3 == 1:
        matrix = np.diag(matrix)
    elif solution % 3 == 2:
        matrix = np.concatenate([matrix, rng.uniform(-3, 3, (n, 1))], axis=1)
    shape = params.get("output_shape")
    return {"matrix": matrix} | ({} if shape is None else {"output_shape": (9, 14, 6)[:n]})


def _rotation(call: Call) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
    """Return the matrix, the offset and the plane's shape of a rotation, as SciPy computes them."""
    cosine, sine = special.cosdg(call["angle"]), special.sindg(call["angle"])
    matrix = np.array([[cosine, sine], [-sine, cosine]])
    before = np.asarray(call.shape[:2])
    after = before
    if call["reshape"]:
        rows, columns = before
        bounds = matrix @ [[0, 0, rows, rows], [0, columns, 0, columns]]
        after = (np.ptp(bounds, axis=1) + 0.5).astype(int)
    offset = (before - 1) / 2 - matrix @ ((after - 1) / 2)
    return matrix, offset, tuple(int(n) for n in after)


def _rotation_map(call: Call) -> Affine:
    """Return the map of the planes of the first two axes."""
    matrix, offset, _ = _rotation(call)
    return Affine(matrix, offset)


def _rotated_shape(call: Call) -> tuple[int, ...]:
    return _rotation(call)[2] + call.shape[2:]


def _first_axes(params: dict[str, Any]) -> dict[str, Any]:
    """Leave out the plane of the first two axes; refuse others, whose name `apply` has taken."""
    axes = params.pop("axes", (1, 0))
    if sorted(axes) != [0, 1]:
        raise InvalidParameter(
            f"ndimage.rotate: axes={axes!r}: expected (1, 0), the first two. Name the plane to "
            "rotate with spatial=."
        )
    return params


# -- where pixels lie ------------------------------------------------------------------------------


def _zoomed_sampling(call: Call, shape: tuple[int, ...]) -> Samplings:
    """Return where pixels lie: from the first to the last, or from edge to edge on a grid."""
    if call["grid_mode"]:
        return resampled(call, shape)
    lengths = zip(call.spatial_shape, shape, strict=True)
    # A pixel has a size, also where one is the first and the last.
    return tuple(Sampling((n - 1) / (m - 1) if min(n, m) > 1 else 1.0) for n, m in lengths)


def _rotated_sampling(call: Call, shape: tuple[int, ...]) -> Samplings:
    """Return where pixels lie if the rotation about the centre is undone."""
    lengths = zip(call.spatial_shape, shape, strict=True)
    return tuple(Sampling(1.0, (n - m) / 2) for n, m in lengths)


def _same_corner(call: Call, shape: tuple[int, ...]) -> Samplings:
    """Return where pixels lie in a frame of another size with the image's first corner."""
    return (UNMOVED,) * len(shape)


# -- declarations ----------------------------------------------------------------------------------


def _operation(
    name: str,
    specs: dict[str, Spec],
    map_of: Callable[[Call], Lines | Affine | None],
    shape: Callable[[Call], tuple[int, ...]],
    **groups: Any,
) -> Operation:
    groups = {"family": families.WARPS, "note": SPLINES, **groups}
    return Operation(
        name=f"ndimage.{name}",
        kind=Kind.GEOMETRY,
        specs=specs,
        plan_of=_resampled(map_of),
        result=ResultSpec(dtype=result_type, shape=shape),
        cost=Cost(
            memory=8.0,
            numbers=lambda call: PER_PIXEL if has_coefficients(call) else 0,
            in_order=lambda call: bytes_of_coefficients(call) if is_local(call) else 0,
            at_once=AtOnce(function=IN_ONE_CALL),
            largest_region=lambda call: (
                0 if is_local(call) and map_of(call) is not None else prod(call.shape)
            ),
        ),
        **groups,
    )


SPLINES = (
    "Tile by tile; with mode='wrap' or 'grid-wrap' on the whole image: a tile across the seam is "
    "made of both of its ends. The default order=3 is a spline, a recursion along whole lines, "
    "whose coefficients are stored (8 bytes per pixel, on disk where they do not fit)."
)

OPERATIONS = (
    _operation(
        "shift",
        {"shift": Number(per_axis=True, length=True, finite=False, usual=(-8, 8)), **INTERPOLATION},
        _shift_map,
        lambda call: call.shape,
        limits=Limits(check=check_type),
    ),
    _operation(
        "zoom",
        {
            "zoom": Number(minimum=0, exclusive=True, finite=True, per_axis=True, usual=(0.2, 2.5)),
            **INTERPOLATION,
            "grid_mode": Flag(advanced=True),
        },
        _zoom_map,
        _zoomed_shape,
        family=families.SIZES,
        neighbourhood=Neighbourhood(sampling=_zoomed_sampling),
        limits=Limits(check=checked(check_type, _check_zoom)),
        constraints=(Constraint(names=("zoom",), satisfy=_enlarging),),
    ),
    _operation(
        "affine_transform",
        {
            "matrix": Matrix(),
            "offset": Number(per_axis=True, length=True, finite=False, usual=(-8, 8)),
            "output_shape": Numbers(
                item=Number(integer=True, minimum=1, length=True, usual=(1, 20)),
                optional=True,
                advanced=True,
            ),
            **INTERPOLATION,
        },
        _affine_map,
        _affine_shape,
        adapter=Adapter(kernels=("scipy.ndimage.affine_transform",)),
        neighbourhood=Neighbourhood(sampling=_same_corner),
        limits=Limits(check=checked(check_type, _check_affine)),
        constraints=(Constraint(names=("matrix", "output_shape"), satisfy=_fitting),),
    ),
    _operation(
        "rotate",
        {
            "angle": Number(finite=True, usual=(-180, 180)),
            "reshape": Flag(),
            **INTERPOLATION,
        },
        _rotation_map,
        _rotated_shape,
        note=f"{SPLINES} Of a volume the planes of the first two axes are rotated.",
        neighbourhood=Neighbourhood(sampling=_rotated_sampling),
        limits=Limits(check=check_type, ndim=(2, 8)),
        adapter=Adapter(kernels=("scipy.ndimage.rotate",), modernize=_first_axes),
    ),
)
