"""`skimage.transform.warp`, `rotate`, `swirl` and `warp_polar`: images seen through a map.

The map is asked about absolute pixels of the result, a tile at a time; so a function given as map
must treat each coordinate by itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, update_wrapper
from inspect import Parameter, Signature
from typing import Any, TypeAlias

import numpy as np
from skimage.transform import EuclideanTransform, ProjectiveTransform, SimilarityTransform, warp

from napari_tilewise.errors import InvalidImage, InvalidParameter, InvalidParameterType
from napari_tilewise.operations import docs
from napari_tilewise.operations.common import CHANNEL, CVAL, as_float
from napari_tilewise.operations.grid import Region, extent
from napari_tilewise.operations.keywords import Keywords
from napari_tilewise.operations.model import (
    Block,
    Call,
    Exactness,
    HaloLike,
    Kind,
    Operation,
    Plan,
    Tiles,
)
from napari_tilewise.operations.parameters import Array, Choice, Flag, Function, Number
from napari_tilewise.operations.private import reach
from napari_tilewise.operations.transform.ranges import gather_limits
from napari_tilewise.operations.transform.resize import MODE, SPLINES, TOLERANCE, TOLERANCE32
from napari_tilewise.operations.transform.sampling import support
from napari_tilewise.operations.transform.warping import Homography, Mapped

View: TypeAlias = Homography | Mapped
PointMap: TypeAlias = Callable[[np.ndarray], np.ndarray]


# -- parameters ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class OutputShape(Array):
    """Rows and columns of the result; the channels may follow."""

    shape: tuple[int, ...] | None = (2,)
    usual: tuple[float, float] = (1, 60)
    integer: bool = True
    optional: bool = True
    advanced: bool = True

    def _check(self, name: str, value: Any, ndim: int | None) -> Any:
        array = np.asarray(value)
        whole = array.ndim == 1 and array.dtype.kind in "uif" and bool((array % 1 == 0).all())
        if not whole or len(array) not in (2, 3) or (array < 1).any():
            raise InvalidParameter(f"{name}={value!r}: expected {self.describe()}.")
        return tuple(int(n) for n in array)

    def describe(self) -> str:
        """Return the expected values in words."""
        return "the number of rows and of columns, or None"


@dataclass(frozen=True, kw_only=True)
class InverseMap(Function):
    """Where the result's pixels come from: a transformation, a matrix, a function, coordinates."""

    def _check(self, name: str, value: Any, ndim: int | None) -> Any:
        if isinstance(value, list | tuple):
            value = np.asarray(value)  # as a recipe holds a matrix
        if isinstance(value, np.ndarray):
            if value.dtype.kind not in "buif":
                raise InvalidParameterType(f"{name} is of type {value.dtype}: expected numbers.")
            return value
        return super()._check(name, value, ndim)

    def describe(self) -> str:
        """Return the expected values in words."""
        return (
            "a transformation of skimage.transform, a 3 x 3 matrix, a function of (column, row) "
            "coordinates, or an array of coordinates"
        )


POINT = Array(shape=(2,), usual=(0, 40), optional=True)


# -- maps ------------------------------------------------------------------------------------------


def _order(call: Call) -> int:
    if call.params.get("order") is None:
        return 0 if call.dtype == bool else 1
    return int(call["order"])


def _points(function: PointMap, result: tuple[int, ...]) -> Callable[[Region], list[np.ndarray]]:
    """Return the coordinates of boxes of a result, as `warp_coords` computes them."""

    def coordinates(tile: Region) -> list[np.ndarray]:
        rows, columns = tile[:2]
        count = extent((columns, rows))
        grid = np.indices(count, dtype=float)
        grid[0] += columns.start
        grid[1] += rows.start
        points = grid.reshape(2, -1).T
        alone = len(points) == 1 and result[0] * result[1] > 1
        if alone:  # matrix products treat a single point by other means, which round differently
            points = np.concatenate([points, points])
        found = np.asarray(function(points))[: 1 if alone else None]
        column, row = found.T.reshape((-1, *count)).swapaxes(1, 2).astype(float)[:2]
        if len(tile) == 2:
            return [row, column]
        bands = np.arange(tile[2].start, tile[2].stop, dtype=float)[np.newaxis, np.newaxis]
        return [row[..., np.newaxis], column[..., np.newaxis], bands]

    return coordinates


def _homography(call: Call, given: Any) -> np.ndarray | None:
    """Return the matrix of a map that scikit-image warps by itself."""
    if _order(call) not in (1, 3) or call.params.get("map_args"):
        return None
    if isinstance(given, np.ndarray):
        return given if given.shape == (3, 3) else None
    if isinstance(given, ProjectiveTransform):
        return np.asarray(given.params)
    return None


def _view(call: Call, given: Any, keywords: Mapping[str, Any] | None = None) -> View:
    """Return what warps an image by a map given to `warp`."""
    shape, result = _seen(call), _seen_result(call)
    order, mode, cval = _order(call), call["mode"], call["cval"]
    matrix = _homography(call, given)
    if matrix is not None:
        return Homography(shape, matrix.astype(call.operation.dtype_of(call)), order, mode, cval)
    if isinstance(given, np.ndarray) and given.shape == (3, 3):
        given = ProjectiveTransform(matrix=given)
    if isinstance(given, np.ndarray):
        array = given

        def coordinates(tile: Region) -> list[np.ndarray]:
            return [np.asarray(axis[tile], float) for axis in array]

        return Mapped(shape, coordinates, order, mode, cval)
    function: PointMap = lambda points: given(points, **(keywords or {}))  # noqa: E731
    return Mapped(shape, _points(function, result), order, mode, cval)


def _warp_view(call: Call) -> View:
    return _view(call, call["inverse_map"], call["map_args"])


def _rotation(call: Call) -> tuple[SimilarityTransform, tuple[int, int] | None]:
    """Return `rotate`'s transformation, and the size of a result that was resized."""
    rows, columns = call.shape[:2]
    center = call["center"]
    center = np.array((columns, rows)) / 2.0 - 0.5 if center is None else np.asarray(center)
    there = SimilarityTransform(translation=center)
    turn = SimilarityTransform(rotation=np.deg2rad(call["angle"]))
    back = SimilarityTransform(translation=-center)
    found, size = back + turn + there, None
    if call["resize"]:
        corners = np.array([[0, 0], [0, rows - 1], [columns - 1, rows - 1], [columns - 1, 0]])
        corners = found.inverse(corners)
        low, high = corners.min(axis=0), corners.max(axis=0)
        width, height = (int(n) for n in np.around(high - low + 1))
        size = (height, width)
        found = SimilarityTransform(translation=(low[0], low[1])) + found
    found.params[2] = (0, 0, 1)
    return found, size


def _rotate_view(call: Call) -> View:
    return _view(call, _rotation(call)[0])


def _swirl_view(call: Call) -> View:
    center = call["center"]
    if center is None:
        center = np.array(call.shape)[:2][::-1] / 2
    keywords = {"center": center, **{k: call[k] for k in ("rotation", "strength", "radius")}}
    return _view(call, reach("transform._warps", "_swirl_mapping"), keywords)


def _radius(call: Call) -> Any:
    if call["radius"] is not None:
        return call["radius"]
    w, h = np.array(call.spatial_shape) / 2
    return np.sqrt(w**2 + h**2)


def _polar_view(call: Call) -> View:
    height, width = _polar_size(call)
    radius, center = _radius(call), call["center"]
    if center is None:
        center = (np.array(call.spatial_shape) / 2) - 0.5
    linear = call["scaling"] == "linear"
    mapping = reach("transform._warps", "_linear_polar_mapping" if linear else "_log_polar_mapping")
    keywords = {
        "k_angle": height / (2 * np.pi),
        "k_radius": width / (radius if linear else np.log(radius)),
        "center": center,
    }
    return _view(call, mapping, keywords)


# -- geometry --------------------------------------------------------------------------------------


def _seen(call: Call) -> tuple[int, ...]:
    """Return the image's shape, channels last."""
    if call.channel_axis is None:
        return call.shape
    return (*call.spatial_shape, call.shape[call.channel_axis])


def _seen_result(call: Call) -> tuple[int, ...]:
    """Return the result's shape, channels last."""
    shape = call.operation.shape_of(call) or ()
    if call.channel_axis is None:
        return shape
    channels = shape[call.channel_axis]
    return (*(n for axis, n in enumerate(shape) if axis != call.channel_axis), channels)


def _sized(call: Call, size: Sequence[int] | None) -> tuple[int, ...]:
    """Return the result's shape from its rows and columns; None: the image's."""
    seen = _seen(call)
    result = seen if size is None else (*size[:2], *seen[2:])
    if call.channel_axis is None:
        return result
    return call.with_channel(result[:-1], result[-1])


def _given_shape(call: Call) -> tuple[int, ...]:
    return _sized(call, call["output_shape"])


def _warped_shape(call: Call) -> tuple[int, ...]:
    given = call["inverse_map"]
    if isinstance(given, np.ndarray) and given.shape != (3, 3):
        return tuple(given.shape[1:])
    return _given_shape(call)


def _rotated_shape(call: Call) -> tuple[int, ...]:
    return _sized(call, _rotation(call)[1])


def _polar_size(call: Call) -> tuple[int, ...]:
    size = call["output_shape"]
    return (360, int(np.ceil(_radius(call)))) if size is None else tuple(size[:2])


def _polar_shape(call: Call) -> tuple[int, ...]:
    return _sized(call, _polar_size(call))


def _dtype(call: Call) -> Any:
    return call.dtype if _order(call) == 0 else np.dtype(as_float(call))


def _rotated_dtype(call: Call) -> Any:
    """Return the dtype; `rotate` converts half precision before it warps."""
    return np.dtype(np.float32) if call.dtype == np.float16 else _dtype(call)


def _halo(call: Call) -> HaloLike:
    return support(_order(call))


# -- pixels ----------------------------------------------------------------------------------------


def _converted(call: Call, data: np.ndarray) -> np.ndarray:
    if _order(call) == 0:
        return data.astype(call.operation.dtype_of(call), copy=False)
    convert = reach("_shared.utils", "convert_to_float")
    return np.asarray(convert(data, call["preserve_range"]))


def _planned(view_of: Callable[[Call], View]) -> Callable[[Call], Plan]:
    def plan(call: Call) -> Plan:
        view = view_of(call)
        channels = () if call.channel_axis is None else (slice(0, _seen(call)[-1]),)

        def source(tile: Region) -> Region:
            return view.needs((*tile, *channels))[: call.ndim]

        def sample(block: Block, tile: Region) -> np.ndarray:
            data = block.data
            if call.channel_axis is not None:
                data = np.ascontiguousarray(np.moveaxis(data, call.channel_axis, -1))
            image = _converted(call, data)
            return view.sample(image, (*block.region, *channels), (*tile, *channels))

        limits = None
        if view.spline > 1 or (call["clip"] and (_order(call) or call["mode"] == "constant")):
            # The nearest pixel alone is never out of range.
            limits = yield from gather_limits(
                call,
                lambda values: _converted(call, values),
                sample,
                source,
                _seen_result(call)[: call.ndim],
                spline=view.spline,
            )

        def compute(block: Block) -> np.ndarray:
            out = sample(block, block.tile)
            if limits is not None and call["clip"]:
                np.clip(out, *limits, out=out)
            return out if call.channel_axis is None else np.moveaxis(out, -1, call.channel_axis)

        return Tiles(compute, source=source)

    return plan


# -- declarations ----------------------------------------------------------------------------------


def _check(call: Call) -> None:
    if call.dtype == bool and _order(call):
        raise InvalidParameter(
            f"{call.operation.name}: order={call['order']!r} on an image of type bool: expected "
            "order=0, or convert the image to float first."
        )
    if call.dtype == np.float16 and call.operation.dtype_of(call) == np.float16:
        raise InvalidImage(
            f"{call.operation.name} does not take an image of type float16 with order=0: convert "
            "it to float32 first."
        )
    size = call.params.get("output_shape")
    if size is not None and len(size) == 3 and size[2:] != _seen(call)[2:]:
        raise InvalidParameter(
            f"{call.operation.name}: output_shape={size}: expected rows and columns only; the "
            "channels stay."
        )


def _check_warp(call: Call) -> None:
    given = call["inverse_map"]
    if isinstance(given, np.ndarray) and given.shape != (3, 3):
        if given.ndim != call.ndim + 1 or len(given) != call.ndim:
            raise InvalidParameter(
                f"{call.operation.name}: inverse_map has shape {given.shape}: expected a 3 x 3 "
                f"matrix, or coordinates of shape ({call.ndim}, ...), one axis per axis of the "
                "image behind the first."
            )
    elif not 2 <= call.ndim <= 3:
        raise InvalidImage(
            f"{call.operation.name}: an image of {call.ndim} axes: expected rows, columns and "
            "maybe channels, or an array of coordinates as inverse_map."
        )
    matrix = _homography(call, given)
    if matrix is not None and matrix.shape != (3, 3):
        raise InvalidParameter(
            f"{call.operation.name}: inverse_map has a matrix of shape {matrix.shape}: expected "
            "a transformation of the plane (3 x 3)."
        )
    _check(call)


class _Polar(Operation):
    """Takes `warp`'s parameters too, as scikit-image's function passes them on."""

    @cached_property
    def raw_function(self) -> Callable[..., Any]:
        """scikit-image's function, its keyword arguments spelled out."""
        function = docs.resolve(self.name)

        def warp_polar(*args: Any, **keywords: Any) -> Any:
            return function(*args, **keywords)

        own, other = docs.signature(function), docs.signature(warp)
        named = [p for p in own.values() if p.kind is not Parameter.VAR_KEYWORD]
        more = [other[name].replace(kind=Parameter.KEYWORD_ONLY) for name in _SHARED]
        update_wrapper(warp_polar, function)
        warp_polar.__doc__ = _documented(function)
        warp_polar.__signature__ = Signature([*named, *more])  # type: ignore[attr-defined]
        return warp_polar


def _documented(function: Callable[..., Any]) -> str:
    """Return the docstring with what it leaves to that of `warp`."""
    texts = docs.parameter_texts(warp)
    given = {name: texts[name] for name in ("output_shape", *_SHARED)}
    named = [f"{name} : optional\n    {text}" for name, text in given.items()]
    text = inspect.getdoc(function) or ""
    text = text.replace("output_shape : tuple (row, col), optional\n", "")
    return text.replace(
        "**kwargs : keyword arguments\n    Passed to `transform.warp`.", "\n".join(named)
    )


_SHARED = {
    "order": SPLINES,
    "mode": MODE,
    "cval": CVAL,
    "clip": Flag(advanced=True),
    "preserve_range": Flag(advanced=True),
}
NUMBER = Number(usual=(-2, 2))
_NOTE = (
    "Identical bit for bit but where a spline is filtered over the image (order 2, 4 and 5, and 3 "
    "where the map is no matrix). A tile reads the box of the image that holds all it looks at."
)


def _operation(
    name: str,
    view: Callable[[Call], View],
    specs: dict[str, Any],
    *,
    kind: type[Operation] = Operation,
    **fields: Any,
) -> Operation:
    return kind(
        **{
            "name": f"transform.{name}",
            "kind": Kind.GEOMETRY,
            "exactness": Exactness.CLOSE,
            "tolerance": TOLERANCE,
            "tolerance32": TOLERANCE32,
            "specs": specs,
            "halo_of": _halo,
            "dtype_of": _dtype,
            "shape_of": _given_shape,
            "plan_of": _planned(view),
            "border": "mode",
            "ndim": (2, 3),
            "check": _check,
            "working": 14.0,
            "note": _NOTE,
            **fields,
        }
    )


def _sheared(points: np.ndarray, shift: float = 0) -> np.ndarray:
    """Move each row by a part of its number: a map for property tests."""
    points[:, 0] += 0.3 * points[:, 1] - shift
    return points


def _waved(points: np.ndarray, shift: float = 0) -> np.ndarray:
    """Bend columns to waves: a map for property tests."""
    column, row = points.T
    return np.stack([column + 3 * np.sin(row / 5) - 6, row * 1.7 - 11 + shift], axis=1)


_MAPS = (
    np.array([[1.0, 0, 3], [0, 1, -2], [0, 0, 1]]),
    np.array([[0.7, 0.2, -4.3], [-0.4, 1.3, 5.1], [0, 0, 1]]),
    np.array([[1.1, 0.2, 1.5], [0.1, 0.9, -2], [4e-3, -2e-3, 1]]),
    EuclideanTransform(rotation=2.5, translation=(30, 12.5)),
    ProjectiveTransform(np.array([[1, 0.1, 0], [0.2, 1, 3], [1e-2, 0, 0.8]])).inverse,
    _sheared,
    _waved,
)

OPERATIONS = (
    _operation(
        "rotate",
        _rotate_view,
        {
            "angle": Number(usual=(-180, 180)),
            "resize": Flag(),
            "center": POINT,
            **_SHARED,
        },
        shape_of=_rotated_shape,
        dtype_of=_rotated_dtype,
    ),
    _operation(
        "swirl",
        _swirl_view,
        {
            "center": POINT,
            "strength": NUMBER,
            "radius": Number(minimum=0, exclusive=True, length=True, usual=(1, 200)),
            "rotation": NUMBER,
            "output_shape": OutputShape(),
            **_SHARED,
        },
    ),
    _operation(
        "warp",
        _warp_view,
        {
            "inverse_map": InverseMap(samples=_MAPS),
            "map_args": Keywords(advanced=True, samples=({}, {"shift": 2.5})),
            "output_shape": OutputShape(),
            **_SHARED,
        },
        ndim=(1, 8),
        shape_of=_warped_shape,
        check=_check_warp,
        note=_NOTE + " A function as inverse_map must treat each coordinate by itself; an array of "
        "coordinates must have as many axes as the image, and one.",
    ),
    _operation(
        "warp_polar",
        _polar_view,
        {
            "center": POINT,
            "radius": Number(minimum=0, exclusive=True, optional=True, length=True, usual=(1, 60)),
            "output_shape": OutputShape(),
            "scaling": Choice(choices=("linear", "log")),
            "channel_axis": CHANNEL,
            **_SHARED,
        },
        kind=_Polar,
        ndim=(2, 2),
        shape_of=_polar_shape,
    ),
)
