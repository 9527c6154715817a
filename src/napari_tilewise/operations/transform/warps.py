"""`skimage.transform.warp`, `rotate`, `swirl` and `warp_polar`: images warped by a coordinate map.

The map is called with absolute coordinates of the result, one tile at a time; so a function as map
must treat each coordinate independently.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from functools import update_wrapper
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.transform import EuclideanTransform, ProjectiveTransform, warp

from napari_tilewise.errors import InvalidImage, InvalidParameter, InvalidParameterType
from napari_tilewise.operations.shared.common import CHANNEL, CVAL, as_float
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec import docstrings, families
from napari_tilewise.operations.spec.keyword_specs import Keywords
from napari_tilewise.operations.spec.operation import (
    SMALL_WHOLE,
    Accuracy,
    Adapter,
    Block,
    Call,
    Cost,
    HaloLike,
    Kind,
    Limits,
    Neighbourhood,
    Operation,
    Plan,
    ResultSpec,
)
from napari_tilewise.operations.spec.parameters import (
    Array,
    ChoiceSpec,
    Flag,
    Number,
    Spec,
)
from napari_tilewise.operations.spec.pixel_positions import same_frame, unplaced
from napari_tilewise.operations.spec.value_specs import shown
from napari_tilewise.operations.transform.inverse_map import InverseMap
from napari_tilewise.operations.transform.ranges import Resampling, clipped_tiles
from napari_tilewise.operations.transform.resize import (
    MODE,
    SPLINES,
    TOLERANCE,
    TOLERANCE32,
    order_of,
)
from napari_tilewise.operations.transform.sampling import support
from napari_tilewise.operations.transform.views import (
    View,
    homography_of,
    image_shape,
    output_shape,
    polar_shape,
    polar_view,
    result_shape,
    rotate_view,
    rotated_sampling,
    rotated_shape,
    swirl_view,
    warp_view,
    warped_shape,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import DTypeLike

    from napari_tilewise.grid import Region
    from napari_tilewise.operations.spec.value_specs import Factors
    from napari_tilewise.types import AnyFunction, Value


# -- parameters ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class OutputShape(Array):
    """The numbers of rows and columns of the result, optionally followed by the channels."""

    shape: tuple[int, ...] | None = (2,)
    usual: tuple[float, float] = (1, 60)
    integer: bool = True
    optional: bool = True
    advanced: bool = True

    def _check(self, name: str, value: Value, ndim: int | None) -> Value:
        array = np.asarray(value)
        is_integer = array.ndim == 1 and array.dtype.kind in "uif" and bool((array % 1 == 0).all())
        if not is_integer or len(array) not in (2, 3) or (array < 1).any():
            raise InvalidParameter(f"{shown(name, value)}: expected {self.describe()}.")
        return tuple(int(n) for n in array)

    def scaled(self, value: Value, factors: Factors) -> Value:
        """Return the shape in larger pixels."""
        if value is None:
            return None
        lengths = zip(value[:2], factors, strict=True)
        return (*(max(1, round(n / factor)) for n, factor in lengths), *value[2:])

    def describe(self) -> str:
        """Return the expected values in words."""
        return "the numbers of rows and columns, or None"


POINT = Array(shape=(2,), position=True, usual=(0, 40), optional=True)


# -- pixels ----------------------------------------------------------------------------------------


def _dtype(call: Call) -> DTypeLike:
    return call.dtype if order_of(call) == 0 else np.dtype(as_float(call))


def _rotated_dtype(call: Call) -> DTypeLike:
    """Return the dtype; `rotate` converts half precision before it warps."""
    return np.dtype(np.float32) if call.dtype == np.float16 else _dtype(call)


def _halo(call: Call) -> HaloLike:
    return support(order_of(call))


def _converted(call: Call, data: np.ndarray) -> np.ndarray:
    if order_of(call) == 0:
        return data.astype(call.operation.result.dtype(call), copy=False)
    convert = reach("_shared.utils", "convert_to_float")
    return np.asarray(convert(data, call["preserve_range"]))


def _warp_plan(view_of: Callable[[Call], View]) -> Callable[[Call], Plan]:
    def plan(call: Call) -> Plan:
        view = view_of(call)
        channels = () if call.channel_axis is None else (slice(0, image_shape(call)[-1]),)

        def source(tile: Region) -> Region:
            return view.needs((*tile, *channels))[: call.ndim]

        def sample(block: Block, tile: Region) -> np.ndarray:
            data = block.data
            if call.channel_axis is not None:
                data = np.ascontiguousarray(np.moveaxis(data, call.channel_axis, -1))
            image = _converted(call, data)
            return view.sample(image, (*block.region, *channels), (*tile, *channels))

        return (
            yield from clipped_tiles(
                call,
                Resampling(
                    convert=lambda values: _converted(call, values),
                    sample=sample,
                    source=source,
                    result_shape=result_shape(call)[: call.ndim],
                    spline=view.spline,
                ),
                # Nearest neighbours are never out of range, unless float64 rounds them.
                overshoots=order_of(call) > 0
                or call["mode"] == "constant"
                or call.dtype in (np.int64, np.uint64),
            )
        )

    return plan


# -- declarations ----------------------------------------------------------------------------------


def _check(call: Call) -> None:
    if call.dtype == bool and order_of(call):
        raise InvalidParameter(
            f"{call.operation.name}: order={call['order']!r} on a bool image: expected order=0, or "
            "convert the image to float first."
        )
    if call.dtype == np.float16 and call.operation.result.dtype(call) == np.float16:
        raise InvalidImage(
            f"{call.operation.name} does not take float16 images with order=0: convert to float32."
        )
    size = call.params.get("output_shape")
    if size is not None and len(size) == 3 and size[2:] != image_shape(call)[2:]:
        raise InvalidParameter(
            f"{call.operation.name}: output_shape={size} changes the number of channels: expected "
            "the numbers of rows and columns only."
        )


def _check_warp(call: Call) -> None:
    inverse_map = call["inverse_map"]
    if isinstance(inverse_map, np.ndarray) and inverse_map.shape != (3, 3):
        if inverse_map.ndim != call.ndim + 1 or len(inverse_map) != call.ndim:
            raise InvalidParameter(
                f"{call.operation.name}: inverse_map has shape {inverse_map.shape}: expected a "
                f"3 x 3 matrix, or coordinates of shape ({call.ndim}, ...) with {call.ndim + 1} "
                "axes."
            )
    elif not 2 <= call.ndim <= 3:
        raise InvalidImage(
            f"{call.operation.name}: the image has {call.ndim} axes: expected rows, columns and "
            "optionally channels, or an array of coordinates as inverse_map."
        )
    is_matrix = isinstance(inverse_map, np.ndarray) and inverse_map.shape == (3, 3)
    if call["map_args"] and (is_matrix or isinstance(inverse_map, ProjectiveTransform)):
        raise InvalidParameterType(
            f"{call.operation.name}: map_args={call['map_args']!r} beside a matrix, which takes no "
            "arguments: expected a function as inverse_map, or map_args=None."
        )
    matrix = homography_of(call, inverse_map)
    if matrix is not None and matrix.shape != (3, 3):
        raise InvalidParameter(
            f"{call.operation.name}: inverse_map has a matrix of shape {matrix.shape}: expected "
            "a 2D transformation (3 x 3)."
        )
    _check(call)


def _spelled_out(function: AnyFunction) -> AnyFunction:
    """Return `warp_polar` with the keyword arguments that it passes on to `warp` spelled out."""

    def warp_polar(*args: Any, **keywords: Any) -> Any:
        return function(*args, **keywords)

    parameters, warp_parameters = docstrings.signature(function), docstrings.signature(warp)
    named_parameters = [p for p in parameters.values() if p.kind is not Parameter.VAR_KEYWORD]
    keyword_parameters = [
        warp_parameters[name].replace(kind=Parameter.KEYWORD_ONLY) for name in _SHARED
    ]
    update_wrapper(warp_polar, function)
    warp_polar.__doc__ = _full_docstring(function)
    warp_polar.__signature__ = Signature([*named_parameters, *keyword_parameters])  # type: ignore[attr-defined]  # for inspect
    return warp_polar


def _full_docstring(function: AnyFunction) -> str:
    """Return the docstring, completed with the parameters that `warp` documents."""
    texts = docstrings.parameter_texts(warp)
    shared_texts = {name: texts[name] for name in ("output_shape", *_SHARED)}
    lines = [f"{name} : optional\n    {text}" for name, text in shared_texts.items()]
    text = inspect.getdoc(function) or ""
    text = text.replace("output_shape : tuple (row, col), optional\n", "")
    return text.replace(
        "**kwargs : keyword arguments\n    Passed to `transform.warp`.", "\n".join(lines)
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
    "Identical bit for bit, except for splines that are filtered over the image (order 2, 4 and 5, "
    "and 3 if the map is not a matrix). A tile reads the box of the image that contains all pixels "
    "that it maps to."
)


def _operation(
    name: str,
    view_of: Callable[[Call], View],
    specs: Mapping[str, Spec],
    *,
    result: ResultSpec | None = None,
    limits: Limits | None = None,
    neighbourhood: Neighbourhood | None = None,
) -> Operation:
    return Operation(
        name=f"transform.{name}",
        family=families.WARPS,
        kind=Kind.GEOMETRY,
        accuracy=Accuracy(tolerance=TOLERANCE, single=TOLERANCE32),
        specs=specs,
        neighbourhood=neighbourhood
        or Neighbourhood(halo=_halo, border="mode", sampling=same_frame),
        result=result or ResultSpec(dtype=_dtype, shape=output_shape),
        plan_of=_warp_plan(view_of),
        limits=limits or Limits(ndim=(2, 3), check=_check),
        cost=Cost(memory=14.0, at_once=SMALL_WHOLE._replace(function=2**22)),
        note=_NOTE,
    )


def _shear(points: np.ndarray, shift: float = 0) -> np.ndarray:
    """Shift each row in proportion to its index: a map for property tests."""
    points[:, 0] += 0.3 * points[:, 1] - shift
    return points


def _wave(points: np.ndarray, shift: float = 0) -> np.ndarray:
    """Bend columns into waves: a map for property tests."""
    column, row = points.T
    return np.stack([column + 3 * np.sin(row / 5) - 6, row * 1.7 - 11 + shift], axis=1)


_MAPS = (
    np.array([[1.0, 0, 3], [0, 1, -2], [0, 0, 1]]),
    np.array([[0.7, 0.2, -4.3], [-0.4, 1.3, 5.1], [0, 0, 1]]),
    np.array([[1.1, 0.2, 1.5], [0.1, 0.9, -2], [4e-3, -2e-3, 1]]),
    EuclideanTransform(rotation=2.5, translation=(30, 12.5)),
    ProjectiveTransform(np.array([[1, 0.1, 0], [0.2, 1, 3], [1e-2, 0, 0.8]])).inverse,
    _shear,
    _wave,
)

_WARP = _operation(
    "warp",
    warp_view,
    {
        "inverse_map": InverseMap(samples=_MAPS),
        "map_args": Keywords(advanced=True, samples=({}, {"shift": 2.5})),
        "output_shape": OutputShape(),
        **_SHARED,
    },
    result=ResultSpec(dtype=_dtype, shape=warped_shape),
    limits=Limits(ndim=(1, 8), check=_check_warp),
)
_WARP_POLAR = _operation(
    "warp_polar",
    polar_view,
    {
        "center": POINT,
        "radius": Number(minimum=0, exclusive=True, optional=True, length=True, usual=(1, 60)),
        "output_shape": OutputShape(),
        "scaling": ChoiceSpec(choices=("linear", "log")),
        "channel_axis": CHANNEL,
        **_SHARED,
    },
    result=ResultSpec(dtype=_dtype, shape=polar_shape),
    neighbourhood=Neighbourhood(halo=_halo, border="mode", sampling=unplaced),
    limits=Limits(ndim=(2, 2), check=_check),
)

OPERATIONS = (
    _operation(
        "rotate",
        rotate_view,
        {
            "angle": Number(finite=True, usual=(-180, 180)),
            "resize": Flag(),
            "center": POINT,
            **_SHARED,
        },
        result=ResultSpec(shape=rotated_shape, dtype=_rotated_dtype),
        neighbourhood=Neighbourhood(halo=_halo, border="mode", sampling=rotated_sampling),
    ),
    _operation(
        "swirl",
        swirl_view,
        {
            "center": POINT,
            "strength": NUMBER,
            "radius": Number(minimum=0, exclusive=True, length=True, finite=False, usual=(1, 200)),
            "rotation": NUMBER,
            "output_shape": OutputShape(),
            **_SHARED,
        },
    ),
    replace(
        _WARP,
        note=_NOTE + " A function as inverse_map must treat each coordinate independently; an "
        "array of coordinates must have one axis more than the image.",
    ),
    replace(_WARP_POLAR, title="Polar coordinates", adapter=Adapter(wrap=_spelled_out)),
)
