"""One operation on one image: NumPy in, NumPy out; anything else in, lazy dask array out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np

from napari_tilewise import axes as _axes
from napari_tilewise.engine.control import Control
from napari_tilewise.engine.lazy import as_source, to_dask
from napari_tilewise.engine.machine import processors
from napari_tilewise.engine.materialized import Materialized
from napari_tilewise.engine.planes import LoopedCall, Planes
from napari_tilewise.engine.session import Session
from napari_tilewise.engine.source import PlaneView
from napari_tilewise.engine.stack import Stack
from napari_tilewise.engine.tile_order import WIDEST, banded
from napari_tilewise.engine.tile_size import choose_tile
from napari_tilewise.errors import InvalidImage, InvalidParameter, InvalidParameterType
from napari_tilewise.operations import get_operation
from napari_tilewise.operations.spec.docstrings import signature
from napari_tilewise.operations.spec.parameters import OtherImage, is_image

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from napari_tilewise.engine.events import Listener
    from napari_tilewise.engine.source import Source
    from napari_tilewise.operations.spec.operation import Operation, Output


def apply(
    name: str,
    image: Any,
    /,
    *,
    axes: str | Sequence[str] | None = None,
    spatial: str | Sequence[int] | None = None,
    tiles: Any = "auto",
    progress: Listener | None = None,
    cancel: threading.Event | None = None,
    **params: Any,
) -> Any:
    """Apply a scikit-image function tile by tile, with the whole image's answer.

    Parameters
    ----------
    name
        The operation's key: the dotted path below `skimage`, such as ``"filters.gaussian"``.
    image
        A NumPy array, or anything with `shape`, `dtype` and slicing (dask, Zarr, HDF5 ...).
    axes
        Names of the image's axes, such as ``"tcyx"``.
    spatial
        The axes to run over, as letters of `axes` or axis numbers; the others are looped over.
        All axes unless given, as in scikit-image.
    tiles
        ``"auto"``, one tile length in pixels, or one per spatial axis. Never changes the result.
    progress
        Called with `engine.events.Event` objects.
    cancel
        Set this event to stop within one tile's time.
    **params
        scikit-image's own parameters.

    Returns
    -------
    Any
        What scikit-image returns. From a NumPy image: computed. From anything else: a lazy dask
        array for images, masks, labels and scalars; points and tables are computed at once.

    Raises
    ------
    UnknownOperation, UnknownParameter, InvalidParameter, InvalidImage, InvalidAxes
        Before any pixel is read.
    OperationFailed
        When the function refuses the image's values.
    Cancelled
        When `cancel` was set.
    """
    operation = get_operation(name)
    session = Session(None, Control(progress, cancel))
    out = _out(operation, image, params)
    stack, eager = _built(operation, image, axes, spatial, tiles, session, params)
    found = [_result(one, eager=eager) for one in stack.results()]
    if out is not None:
        return _put(operation, out, found[0])
    return found[0] if stack.count is None else tuple(found)


def _out(operation: Operation, image: Any, params: dict[str, Any]) -> np.ndarray | None:
    """Take the array that shall hold the result out of the parameters, where there is one."""
    known = signature(operation.raw_function)
    if "in_place" in known and isinstance(image, np.ndarray) and params.get("in_place"):
        del params["in_place"]
        return image
    if "out" in operation.specs or "out" not in known:
        return None
    out = params.pop("out", None)
    if out is not None and not (isinstance(image, np.ndarray) and isinstance(out, np.ndarray)):
        raise InvalidParameterType(
            f"{operation.name}: out is a {type(out).__name__} and the image a "
            f"{type(image).__name__}: expected two NumPy arrays. Leave out away; a lazy result is "
            "stored with its own methods."
        )
    return out


def _put(operation: Operation, out: np.ndarray, result: np.ndarray) -> np.ndarray:
    """Return the array given as `out`, which holds the result now."""
    if (out.shape, out.dtype) != (result.shape, result.dtype):
        raise InvalidParameter(
            f"{operation.name}: out has shape {out.shape} and type {out.dtype}: expected "
            f"{result.shape} and {result.dtype}, the result's."
        )
    out[...] = result
    return out


@dataclass(frozen=True, eq=False)
class Result:
    """One of the things that an operation gives, and what is known of it."""

    output: Output
    value: Any
    """As `apply` returns it."""
    origins: tuple[int | None, ...] = ()
    """The image's axis behind each axis of an array of pixels; None for one that is new."""
    number: int | None = None
    """Which of several it is."""


def results_of(
    stack: Stack, *, eager: bool, kept: Materialized | None = None
) -> tuple[Result, ...]:
    """Return all that a stack gives, one by one, each with what it is.

    Parameters
    ----------
    stack
        An operation on an image.
    eager
        Whether to compute it; else arrays are lazy.
    kept
        The stack's result where it is kept.
    """
    found = []
    split = stack.call.operation.result.split
    for one in stack.results():
        value = _result(one, eager=eager, kept=kept if one.count is None else None)
        origins = one.origins
        if split is not None and one.channel is not None:
            origins = tuple(o for axis, o in enumerate(origins) if axis != one.channel)
        items = value if split is not None else [value]
        found += [(one.part.output, item, origins) for item in items]
    many = len(found) > 1
    return tuple(Result(*result, number if many else None) for number, result in enumerate(found))


def _built(
    operation: Operation,
    image: Any,
    axes: Any,
    spatial: Any,
    tiles: Any,
    session: Session,
    params: dict[str, Any],
) -> tuple[Stack, bool]:
    """Return the stack, and whether the image is in memory and so shall be the result."""
    if isinstance(image, list | tuple) and any(isinstance(item, da.Array) for item in image):
        image = da.stack(image)  # what a lazy operation with several results gave
    if isinstance(image, np.ma.MaskedArray):
        raise InvalidImage(
            f"{operation.name}: the image is a masked array, whose mask tiles would lose: expected "
            "a plain one. Pass image.filled(value), or the mask as the operation's own parameter."
        )
    image, eager = eager_image(image)
    stack = build(operation, image, params, session, axes=axes, spatial=spatial, tiles=tiles)
    return stack, eager


def eager_image(image: Any) -> tuple[Any, bool]:
    """Return an image, and whether it is in memory and so shall be the result.

    Parameters
    ----------
    image
        A NumPy array or nested lists, or anything else with shape, dtype and slicing.
    """
    eager = isinstance(image, np.ndarray | list | tuple)
    return (np.asarray(image) if eager else image), eager


def _result(stack: Stack, *, eager: bool, kept: Materialized | None = None) -> Any:
    if not stack.is_image and (eager or stack.plane_shape is None):
        return stack.value()
    array: Any = compute(stack, kept) if eager else to_dask(stack)
    kind = stack.call.operation.result.split
    if kind is None or stack.channel is None:
        return array
    images = np.moveaxis(array, stack.channel, 0) if eager else da.moveaxis(array, stack.channel, 0)
    return kind(images[number] for number in range(len(images)))


def build(
    operation: Operation,
    image: Any,
    params: dict[str, Any],
    session: Session,
    *,
    axes: str | Sequence[str] | None = None,
    spatial: str | Sequence[int] | None = None,
    tiles: Any = "auto",
    step: int | None = None,
) -> Stack:
    """Return an operation on an image as a source of pixels; everything is checked, nothing read.

    `image` may be an array-like or a source (such as another stack).
    """
    source = _source(image, session)
    names = _axes.parse(axes, len(source.shape))
    over = _axes.spatial_indices(names, spatial, len(source.shape))
    params, channel = _channel(operation, params, source, over, spatial is None)
    kept = [i for i in range(len(source.shape)) if i in over or i == channel]
    loops = tuple(i for i in range(len(source.shape)) if i not in kept)
    specs = operation.specs
    images = {
        name: value
        for name, value in params.items()
        if value is not None and name in specs and is_image(specs[name], value)
    }
    if channel is not None and operation.channel is not None:
        params = params | {operation.channel: kept.index(channel)}
    call = operation.call(tuple(source.shape[i] for i in kept), source.dtype, params)
    chunks = None if source.chunks is None else [source.chunks[i] for i in kept]
    tile = choose_tile(call, tiles, chunks, workers=session.workers or processors())
    aligned = {
        name: _aligned(operation, name, value, source, call.spatial_shape, session)
        for name, value in images.items()
    }
    looped = LoopedCall(call, loops, names, step)
    return Stack(Planes(looped, source, aligned, tile, session))


def _source(image: Any, session: Session) -> Source:
    if isinstance(image, Stack | Materialized | PlaneView):
        return image
    return as_source(image, session.cache)


def _channel(
    operation: Operation,
    params: dict[str, Any],
    source: Source,
    over: Sequence[int],
    all_axes: bool,
) -> tuple[dict[str, Any], int | None]:
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
    value: Any,
    source: Source,
    spatial_shape: tuple[int, ...],
    session: Session,
) -> Source:
    image = _source(value, session)
    if isinstance(operation.specs[name], OtherImage):
        return image
    lies = (image.shape[: len(shape)] == shape for shape in (source.shape, spatial_shape))
    if not any(lies):  # with channels behind, such as a picture's
        raise InvalidImage(
            f"{operation.name}: {name} has shape {tuple(image.shape)}: expected "
            f"{tuple(source.shape)}, the image's."
        )
    return image


def compute(stack: Stack, kept: Materialized | None = None) -> np.ndarray:
    """Return a stack's pixels, computed tile by tile in the pool, or read where they are kept."""
    source = stack if kept is None else kept
    stack.prepare()
    out = np.empty(stack.shape, stack.dtype)
    grid = stack.grid()

    def work(position: tuple[int, ...]) -> None:
        region = grid.region(position)
        out[region] = source.read(region)

    stack.session.sweep(stack.call.operation.name, work, banded(grid, WIDEST))
    return out.astype(stack.final_dtype, copy=False)
