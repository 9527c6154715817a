"""One operation on one image: NumPy in, NumPy out; anything else in, lazy dask array out."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, overload

import numpy as np

from napari_tilewise import axes as _axes
from napari_tilewise.engine.at_once import computed_at_once
from napari_tilewise.engine.control import Control
from napari_tilewise.engine.images.labelled import (
    LabelledImage,
    is_labelled,
    is_lazy_labelled,
    pixels_of,
    plain_images,
)
from napari_tilewise.engine.images.prepared_calls import computed_as_before
from napari_tilewise.engine.images.single_axes import (
    dropped_axes,
    may_drop,
    tiles_without,
    without_dropped,
)
from napari_tilewise.engine.materialized import Materialized
from napari_tilewise.engine.planes import LoopedCall, Planes
from napari_tilewise.engine.result_axes import ResultAxis, result_axes
from napari_tilewise.engine.session import Session
from napari_tilewise.engine.source import array_source, is_dask
from napari_tilewise.engine.stack import Stack
from napari_tilewise.engine.system.fetchers import LookAhead
from napari_tilewise.engine.system.machine import processors
from napari_tilewise.engine.tile_order import WIDEST, banded
from napari_tilewise.engine.tile_size import choose_tile
from napari_tilewise.engine.views.plane_view import PlaneView
from napari_tilewise.engine.views.window_source import WindowSource
from napari_tilewise.engine.views.without_alpha import WithoutAlpha
from napari_tilewise.errors import InvalidImage, InvalidParameter, InvalidParameterType
from napari_tilewise.operations import get_operation
from napari_tilewise.operations.spec.docstrings import signature
from napari_tilewise.operations.spec.parameters import OtherImage, is_image

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    import dask.array as da

    from napari_tilewise.engine.events import Listener
    from napari_tilewise.engine.source import Source
    from napari_tilewise.operations.spec.operation import Operation, Output
    from napari_tilewise.types import (
        AnyFunction,
        Array,
        ArrayLike,
        AxisNames,
        ChunkedArrayLike,
        LabelledArray,
        SpatialAxes,
        TileLengths,
        Value,
    )


@overload
def apply(
    name: str | AnyFunction,
    image: Array,
    /,
    *,
    axes: AxisNames | None = ...,
    spatial: SpatialAxes | Sequence[str] | None = ...,
    tiles: TileLengths = ...,
    progress: Listener | None = ...,
    cancel: threading.Event | None = ...,
    **params: Value,
) -> Array: ...


@overload
def apply(
    name: str | AnyFunction,
    image: LabelledArray,
    /,
    *,
    axes: AxisNames | None = ...,
    spatial: SpatialAxes | Sequence[str] | None = ...,
    tiles: TileLengths = ...,
    progress: Listener | None = ...,
    cancel: threading.Event | None = ...,
    **params: Value,
) -> Value: ...


@overload
def apply(
    name: str | AnyFunction,
    image: ChunkedArrayLike,
    /,
    *,
    axes: AxisNames | None = ...,
    spatial: SpatialAxes | Sequence[str] | None = ...,
    tiles: TileLengths = ...,
    progress: Listener | None = ...,
    cancel: threading.Event | None = ...,
    **params: Value,
) -> da.Array: ...


@overload
def apply(
    name: str | AnyFunction,
    image: Sequence[Value],
    /,
    *,
    axes: AxisNames | None = ...,
    spatial: SpatialAxes | Sequence[str] | None = ...,
    tiles: TileLengths = ...,
    progress: Listener | None = ...,
    cancel: threading.Event | None = ...,
    **params: Value,
) -> Value: ...


def apply(
    name: str | AnyFunction,
    image: Array | ArrayLike | Sequence[Value],
    /,
    *,
    axes: AxisNames | None = None,
    spatial: SpatialAxes | Sequence[str] | None = None,
    tiles: TileLengths = "auto",
    progress: Listener | None = None,
    cancel: threading.Event | None = None,
    **params: Value,
) -> Value:
    """Apply a scikit-image function tile by tile, with the whole image's answer.

    Parameters
    ----------
    name
        The operation's key: the dotted path below `skimage`, such as ``"filters.gaussian"``; or a
        function that `operation` decorates.
    image
        A NumPy array, or anything with `shape`, `dtype` and slicing (dask, Zarr, HDF5 ...). The
        dims of an xarray DataArray name its axes.
    axes
        Names of the image's axes, such as ``"tcyx"``.
    spatial
        The axes to run over, as letters of `axes`, names of dims or axis numbers; the others are
        looped over. All axes unless given, as in scikit-image.
    tiles
        ``"auto"``, one tile length in pixels, or one per spatial axis. Never changes the result.
    progress
        Called with each event of `engine.events`, from worker threads, one call at a time.
    cancel
        Set this event to stop within the time of one tile.
    **params
        scikit-image's own parameters.

    Returns
    -------
    Array, dask.array.Array or Value
        The result that scikit-image returns: computed from a NumPy image, else a lazy dask array
        for images, masks, labels and scalars. Type checkers see these two; points, tables and
        tuples of results, which are computed at once, are of scikit-image's own types. From an
        xarray DataArray, images and scalars are DataArrays, lazy if the image is made of chunks.

    Raises
    ------
    UnknownOperation, UnknownParameter, InvalidParameter, InvalidImage, InvalidAxes
        Before any pixel is read.
    OperationFailed
        When the function refuses the image's values.
    Cancelled
        When `cancel` was set.
    """
    is_free = axes is None and spatial is None and progress is None and cancel is None
    is_free = is_free and isinstance(tiles, str) and tiles == "auto"
    if is_free and type(image) is np.ndarray and isinstance(name, str):
        before = computed_as_before(name, image, params)
        if before is not None:
            return before[0]
    operation = get_operation(name)
    out = _output_array(operation, image, params)
    is_plain = type(image) is np.ndarray
    labelled = LabelledImage(image) if not is_plain and is_labelled(image) else None
    if labelled is not None:
        selection = labelled.selection(axes, spatial)
        params = labelled.parameters(operation, params)
        image, eager = pixels_of(image), not is_lazy_labelled(image)
    else:
        selection = _axes.AxisSelection(axes, spatial)
        image, eager = _checked_image(operation, image)
        is_small = is_free and not may_drop(operation, image)
        if is_small and isinstance(image, np.ndarray):
            whole = computed_at_once(operation, image, params)
            if whole is not None:
                return whole[0] if out is None else _filled(operation, out, whole[0])
    session = Session(None, Control(progress, cancel))
    layout = StackLayout(selection, tiles)
    stack = build(operation, image, plain_images(params), session, layout)
    parts = _results(stack, eager=eager)
    results = [_result(part, eager=eager) for part in parts]
    if labelled is not None:
        results = [labelled.labelled(*pair) for pair in zip(parts, results, strict=True)]
    elif may_drop(operation, image):
        results = [without_dropped(stack, image, result) for result in results]
    if out is not None:
        return _filled(operation, out, results[0])
    return results[0] if stack.count is None else tuple(results)


def _output_array(operation: Operation, image: Value, params: dict[str, Value]) -> Array | None:
    """Remove the array for the result from the parameters, and return it where there is one."""
    names = _names_of_output(operation)
    if "in_place" in names and isinstance(image, np.ndarray) and params.get("in_place"):
        del params["in_place"]
        return image
    out = params.pop("out", None) if "out" in names else None
    if out is None:
        return None
    if not (isinstance(image, np.ndarray) and isinstance(out, np.ndarray)):
        raise InvalidParameterType(
            f"{operation.name}: out is a {type(out).__name__} and the image a "
            f"{type(image).__name__}: expected two NumPy arrays. Remove out=; save a lazy result "
            "with its own methods (.to_zarr)."
        )
    return out


@lru_cache(maxsize=512)
def _names_of_output(operation: Operation) -> frozenset[str]:
    """Return the parameters of the function that say where the result goes."""
    names = {"in_place", "out"}.intersection(signature(operation.raw_function))
    return frozenset(names - {"out"} if "out" in operation.specs else names)


def _filled(operation: Operation, out: Array, result: Array) -> Array:
    """Return the array given as `out`, with the result in it."""
    if (out.shape, out.dtype) != (result.shape, result.dtype):
        raise InvalidParameter(
            f"{operation.name}: out has shape {out.shape} and type {out.dtype}: expected "
            f"{result.shape} and {result.dtype}, the result's."
        )
    out[...] = result
    return out


@dataclass(frozen=True, eq=False)
class Result:
    """One of an operation's results, with its kind and axes."""

    output: Output
    value: Value
    """As `apply` returns it."""
    axes: tuple[ResultAxis, ...] = ()
    """The axes of an array of pixels, with respect to the first image."""
    number: int | None = None
    """Its number among several results, from 0; None for the only one."""
    recorded: Callable[[], Mapping[str, Any]] | None = None
    """Returns the numbers that were found on the way, such as thresholds, once it is computed."""


def results_of(
    stack: Stack, *, eager: bool, materialized: Materialized | None = None
) -> tuple[Result, ...]:
    """Return all results of a stack one by one, each with its kind and axes.

    Parameters
    ----------
    stack
        An operation on an image.
    eager
        Whether to compute them; else arrays are lazy.
    materialized
        Where the pixels of the stack are stored, if they are.
    """
    results: list[tuple[Output, Value, tuple[ResultAxis, ...]]] = []
    split = stack.call.operation.result.split
    for part in _results(stack, eager=eager):
        value = _result(part, eager=eager, stored=materialized if part.count is None else None)
        axes = result_axes(part)
        if split is not None and part.channel is not None:
            axes = tuple(item for axis, item in enumerate(axes) if axis != part.channel)
        values = value if split is not None else [value]
        results += [(part.part.output, item, axes) for item in values]
    several = len(results) > 1
    return tuple(
        Result(*result, number if several else None) for number, result in enumerate(results)
    )


def _checked_image(operation: Operation, image: Value) -> tuple[Value, bool]:
    """Return the image, and whether it is in memory, so that the result is computed at once."""
    if type(image) is np.ndarray:
        return image, True
    if isinstance(image, list | tuple) and any(map(is_dask, image)):
        import dask.array as da

        image = da.stack(image)  # the results of a lazy operation that returns several
    if isinstance(image, np.ma.MaskedArray):
        raise InvalidImage(
            f"{operation.name}: the image is a masked array, whose mask tiles would lose: expected "
            "a plain one. Pass image.filled(value), or the mask as the operation's own parameter."
        )
    return eager_image(image)


def eager_image(image: Value) -> tuple[Value, bool]:
    """Return an image, and whether it is in memory, so that the result is computed at once.

    Parameters
    ----------
    image
        A NumPy array or nested lists, or anything else with shape, dtype and slicing.
    """
    eager = isinstance(image, np.ndarray | list | tuple)
    return (np.asarray(image) if eager else image), eager


def _results(stack: Stack, *, eager: bool) -> tuple[Stack, ...]:
    """Return one stack per result; what one of them computes at once is kept for lazy ones."""
    parts = stack.results()
    lazy = [part for part in parts if not _is_at_once(part, eager=eager)]
    if not eager and 0 < len(lazy) < len(parts):
        from napari_tilewise.engine.lazy import keep_results

        keep_results(lazy[0])
    return parts


def _is_at_once(stack: Stack, *, eager: bool) -> bool:
    """Return whether a result is computed at once, as it is in memory or of unknown length."""
    return not stack.is_image and (eager or stack.plane_shape is None)


def _result(stack: Stack, *, eager: bool, stored: Materialized | None = None) -> Value:
    if _is_at_once(stack, eager=eager):
        if eager or "distributed" not in sys.modules:  # which a cluster's client is of
            return stack.value()
        from napari_tilewise.engine.lazy import value_of

        return value_of(stack)
    if eager:
        array: Value = compute(stack, stored)
    else:
        from napari_tilewise.engine.lazy import to_dask

        array = to_dask(stack)
    kind = stack.call.operation.result.split
    if kind is None or stack.channel is None:
        return array
    images = np.moveaxis(array, stack.channel, 0)  # dask has its own, which NumPy calls
    return kind(images[number] for number in range(len(images)))


@dataclass(frozen=True)
class StackLayout:
    """How an operation is laid out on an image."""

    axes: _axes.AxisSelection = _axes.ALL_AXES
    """The image's axes, and those to run over."""
    tiles: TileLengths = "auto"
    """Tile lengths in pixels."""
    step: int | None = None
    """The operation's number among the steps of a pipeline; None outside of one."""


DEFAULT_LAYOUT = StackLayout()


def build(
    operation: Operation,
    image: Value,
    params: dict[str, Value],
    session: Session,
    layout: StackLayout = DEFAULT_LAYOUT,
) -> Stack:
    """Return an operation on an image as a source of pixels; everything is checked, nothing read.

    `image` may be an array-like or a source (such as another stack).
    """
    source, channels = _source(image, session), layout.axes.channels
    names = _axes.parse(layout.axes.names, len(source.shape))
    if not operation.takes_alpha:
        source, channels = _without_alpha(source, names, channels)
    spatial = layout.axes.spatial
    over = _axes.spatial_indices(names, spatial, len(source.shape))
    params, channel = _channel(operation, params, source, over, spatial is None)
    dropped = dropped_axes(operation, source, over, channel)
    plane = [
        i for i in range(len(source.shape)) if (i in over or i == channel) and i not in dropped
    ]
    loops = tuple(i for i in range(len(source.shape)) if i not in plane)
    specs = operation.specs
    images = {
        name: value
        for name, value in params.items()
        if value is not None and name in specs and is_image(specs[name], value)
    }
    if channel is not None and operation.channel is not None:
        params = params | {operation.channel: plane.index(channel)}
    call = operation.call(tuple(source.shape[i] for i in plane), source.dtype, params)
    chunks = None if source.chunks is None else [source.chunks[i] for i in plane]
    tiles = tiles_without(layout.tiles, [i for i in over if i != channel], dropped)
    tile = choose_tile(call, tiles, chunks, workers=session.workers or processors())
    aligned = {
        name: _aligned(operation, name, value, source, call.spatial_shape, session)
        for name, value in images.items()
    }
    looped = LoopedCall(call, loops, names, channels, dropped, layout.step)
    return _with_alpha(Stack(Planes(looped, source, aligned, tile, session)))


def _without_alpha(
    source: Source, names: Sequence[str] | None, channels: tuple[str, ...]
) -> tuple[Source, tuple[str, ...]]:
    """Return an image, and the names of its channels, without those of an alpha."""
    index = _axes.alpha_of(channels)
    if index is None or names is None or "c" not in names:
        return source, channels
    axis = names.index("c")
    if source.shape[axis] != len(channels):
        return source, channels
    return WithoutAlpha(source, axis, index), (*channels[:index], *channels[index + 1 :])


def _with_alpha(stack: Stack) -> Stack:
    """Return a result with its image's alpha, where it has that shape and data type."""
    source = stack.source
    if not isinstance(source, WithoutAlpha) or not stack.is_image or stack.count is not None:
        return stack
    is_alike = (stack.shape, stack.dtype) == (source.shape, source.dtype)
    is_alike = is_alike and stack.origins == tuple(range(len(stack.shape)))
    return Stack(stack.planes, has_alpha=True) if is_alike else stack


def _source(image: Value, session: Session) -> Source:
    if isinstance(image, Stack | Materialized | PlaneView | WindowSource | WithoutAlpha):
        return image
    if not is_dask(image):
        return array_source(image, session.cache)
    from napari_tilewise.engine.lazy import as_source

    return as_source(image, session.cache)


def _channel(
    operation: Operation,
    params: dict[str, Value],
    source: Source,
    over: Sequence[int],
    all_axes: bool,
) -> tuple[dict[str, Value], int | None]:
    """Return the channel axis as a number of the whole image's axes (None: there is none)."""
    if operation.channel is None:
        return params, None
    default = operation.parameters[operation.channel].default
    axis = params.get(operation.channel, default)
    if axis is None:
        return params, None
    ndim = len(source.shape)
    axis = operation.specs[operation.channel].check(f"{operation.name}: channel_axis", axis, None)
    if not -ndim <= axis < ndim:
        raise InvalidImage(
            f"{operation.name}: {operation.channel}={axis} does not exist in an image of shape "
            f"{tuple(source.shape)}: expected an axis from {-ndim} to {ndim - 1}."
        )
    return params, axis % ndim


def _aligned(
    operation: Operation,
    name: str,
    value: Value,
    source: Source,
    spatial_shape: tuple[int, ...],
    session: Session,
) -> Source:
    image = _source(value, session)
    if image.dtype.kind not in "buifcO":
        raise InvalidImage(f"{operation.name}: {name} has dtype {image.dtype}: expected numbers.")
    if isinstance(operation.specs[name], OtherImage):
        return image
    if isinstance(source, WithoutAlpha):
        image = source.beside(image)
    lies = (image.shape[: len(shape)] == shape for shape in (source.shape, spatial_shape))
    if not any(lies):  # with channels behind, such as a picture's
        raise InvalidImage(
            f"{operation.name}: {name} has shape {tuple(image.shape)}: expected "
            f"{tuple(source.shape)}, the image's."
        )
    return image


def compute(stack: Stack, stored: Materialized | None = None) -> Array:
    """Return a stack's pixels, computed tile by tile in the pool, or read where they are stored."""
    source = stack if stored is None else stored
    stack.prepare()
    out = np.empty(stack.shape, stack.dtype)
    grid = stack.grid()

    positions = banded(grid, WIDEST)

    def work(position: tuple[int, ...]) -> None:
        region = grid.region(position)
        if source.waits:
            ahead.beyond(position)
        out[region] = source.read(region)

    with LookAhead(positions, lambda position: source.fetch(grid.region(position))) as ahead:
        stack.session.sweep(stack.call.operation.name, work, positions)
    return out.astype(stack.final_dtype, copy=False)
