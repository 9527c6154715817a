"""One operation on one image: NumPy in, NumPy out; anything else in, lazy dask array out."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, overload

import numpy as np

from napari_tilewise import axes as _axes
from napari_tilewise.engine.at_once.prepared_calls import computed_as_before
from napari_tilewise.engine.at_once.whole_image import computed_at_once
from napari_tilewise.engine.build import StackLayout, build, eager_image
from napari_tilewise.engine.control import Control
from napari_tilewise.engine.images.labelled import (
    LabelledImage,
    is_labelled,
    is_lazy_labelled,
    pixels_of,
    plain_images,
)
from napari_tilewise.engine.images.single_axes import may_drop, without_dropped
from napari_tilewise.engine.session import Session
from napari_tilewise.engine.source import is_dask
from napari_tilewise.engine.stack_results import parts_of, result_of
from napari_tilewise.errors import InvalidImage, InvalidParameter, InvalidParameterType
from napari_tilewise.operations import get_operation
from napari_tilewise.operations.spec.docstrings import signature

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    import dask.array as da

    from napari_tilewise.engine.events import Listener
    from napari_tilewise.operations.spec.operation import Operation
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
    if (
        type(image) is np.ndarray
        and isinstance(name, str)
        and _is_whole(axes, spatial, tiles, progress, cancel)
    ):
        before = computed_as_before(name, image, params)
        if before is not None:
            return before[0]
    selection, control = _axes.AxisSelection(axes, spatial), Control(progress, cancel)
    return apply_anew(name, image, params, selection, tiles, control)


def _is_whole(axes: Value, spatial: Value, tiles: Value, progress: Value, cancel: Value) -> bool:
    """Return whether nothing is said of axes, tiles and the run."""
    return (
        axes is None
        and spatial is None
        and progress is None
        and cancel is None
        and isinstance(tiles, str)
        and tiles == "auto"
    )


def apply_anew(
    name: str | AnyFunction,
    image: Value,
    params: dict[str, Value],
    selection: _axes.AxisSelection,
    tiles: TileLengths,
    control: Control,
) -> Value:
    """Do what `apply` does for a call that is like none before.

    Parameters
    ----------
    name, image, tiles
        See `apply`.
    params
        The operation's parameters; changed.
    selection
        The axes.
    control
        Progress and cancel.
    """
    is_free = _is_whole(selection.names, selection.spatial, tiles, control.progress, control.cancel)
    operation = get_operation(name)
    out = _output_array(operation, image, params)
    is_plain = type(image) is np.ndarray
    labelled = LabelledImage(image) if not is_plain and is_labelled(image) else None
    if labelled is not None:
        selection = labelled.selection(selection.names, selection.spatial)
        params = labelled.parameters(operation, params)
        image, eager = pixels_of(image), not is_lazy_labelled(image)
    else:
        image, eager = _checked_image(operation, image)
        is_small = is_free and not may_drop(operation, image)
        if is_small and isinstance(image, np.ndarray):
            whole = computed_at_once(operation, image, params)
            if whole is not None:
                return whole[0] if out is None else _filled(operation, out, whole[0])
    session = Session(None, control)
    layout = StackLayout(selection, tiles)
    stack = build(operation, image, plain_images(params), session, layout)
    parts = parts_of(stack, eager=eager)
    results = [result_of(part, eager=eager) for part in parts]
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
