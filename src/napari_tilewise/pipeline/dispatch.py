"""The public `apply`: layers go to the room that knows their library, other images to the engine.

That room is imported when the first of its images comes: nothing else needs its library.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from napari_tilewise.axes import AxisSelection
from napari_tilewise.engine.apply import apply_anew
from napari_tilewise.engine.at_once.prepared_calls import computed_as_before
from napari_tilewise.engine.control import Control
from napari_tilewise.errors import InvalidParameter

if TYPE_CHECKING:
    import threading

    from napari_tilewise.engine.events import Listener
    from napari_tilewise.types import AnyFunction, AxisNames, SpatialAxes, TileLengths, Value

LAYER_ROOMS = {"napari": ("napari_tilewise._napari.jobs.apply_layer", "apply")}
"""The function that takes the images of a library, by the library's top-level package."""


@lru_cache(maxsize=256)
def _function_of_layers(layer_class: Any) -> AnyFunction | None:
    """Return what takes layers of a class, or of one derived from it; None for other values."""
    for cls in layer_class.__mro__:
        room = LAYER_ROOMS.get(cls.__module__.partition(".")[0])
        if room is not None:
            module, name = room
            return cast("AnyFunction", getattr(import_module(module), name))
    return None


@lru_cache(maxsize=256)
def _function_of_any(classes: tuple[Any, ...]) -> AnyFunction | None:
    """Return what takes layers of the first class that is one of layers; None where none is."""
    return next(filter(None, map(_function_of_layers, classes)), None)


def apply(
    name: str,
    image: Value,
    /,
    *,
    axes: AxisNames | None = None,
    spatial: SpatialAxes | None = None,
    tiles: TileLengths = "auto",
    progress: Listener | None = None,
    cancel: threading.Event | None = None,
    viewer: Value = None,
    **params: Value,
) -> Value:
    """Apply a scikit-image function tile by tile, with the whole image's answer.

    Parameters
    ----------
    name
        The operation's key: the dotted path below `skimage`, such as ``"filters.gaussian"``.
    image
        A NumPy array, anything with `shape`, `dtype` and slicing (dask, Zarr, HDF5 ...), or an
        image or labels layer of napari.
    axes
        Names of the image's axes, such as ``"tcyx"``; a layer's are its axis labels.
    spatial
        The axes to run over, as letters of `axes` or axis numbers; the others are looped over. All
        axes unless given, as in scikit-image; z, y and x of a layer that names its axes.
    tiles
        ``"auto"``, one tile length in pixels, or one per spatial axis. Never changes the result.
    progress
        Called with each event of `engine.events`, from worker threads, one call at a time.
    cancel
        Set this event to stop within the time of one tile.
    viewer
        A napari viewer, to which the layers of the result are added.
    **params
        scikit-image's own parameters; further images may be layers too.

    Returns
    -------
    Array, dask.array.Array, Layer or Value
        The result that scikit-image returns: computed from a NumPy image, else a lazy dask array
        for images, masks, labels and scalars; points, tables and tuples of results are computed at
        once. From a layer: a layer for images, masks, labels, points, contours, meshes and tables
        (labels with `features`), placed where its pixels are; other results are numbers.

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
        and axes is None
        and spatial is None
        and progress is None
        and cancel is None
        and viewer is None
        and isinstance(tiles, str)
        and tiles == "auto"
        and isinstance(name, str)
    ):
        before = computed_as_before(name, image, params)
        if before is not None:
            return before[0]
    function = _function_of_any((type(image), *map(type, params.values())))
    if function is not None:
        return function(
            name, image, axes=axes, spatial=spatial, tiles=tiles, progress=progress, cancel=cancel,
            viewer=viewer, **params,
        )  # fmt: skip
    if viewer is not None:
        raise InvalidParameter(
            f"{name}: viewer= is for napari layers, and the image is a {type(image).__name__}: "
            "pass a layer, or add the result to the viewer yourself."
        )
    selection, control = AxisSelection(axes, spatial), Control(progress, cancel)
    return apply_anew(name, image, params, selection, tiles, control)
