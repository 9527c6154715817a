"""Slices a lazy layer off the window's thread when the viewer moves to another plane or part.

napari can do this itself (asynchronous slicing), but for all layers or none, by a preference of the
user that is off by default. Here the layers of lazy results and of stored pyramids are always
sliced so, except for what is in memory: the plane that was computed before the layer was added, and
the first, coarsest view of a pyramid. The layer's data are not changed.

napari's slicing is not public. If a part of it is missing in another release, these layers are
sliced on the window's thread, as all lazy layers are.
"""

from __future__ import annotations

import logging
import weakref
from contextlib import nullcontext
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np

from napari_tilewise._napari.layers.prefetch import Boxes, DisplayedBoxes

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

NEEDED_OF_STATE = (
    "_set_view_slice", "_make_slice_request_internal", "_set_unloaded_slice_id",
    "_slice_input", "data_slice", "_slice",
)  # fmt: skip
NEEDED_OF_LAYER = ("_slice_dtype",)
NEEDED_OF_SLICER = (
    "_executor", "_layers_to_task", "_task_to_requests", "_lock_futures_dicts",
    "_slice_layers", "_on_slice_done",
)  # fmt: skip

VISIBLE = "data_at_data_level"
"""The level of a request of which the visible box is cut."""
MOST_KEPT = 2**26
"""The most bytes of a volume that is kept while a plane of it is displayed."""
MOST_LEVELS = 32
"""The most levels of a pyramid, about: how many arrays of it are kept."""

log = logging.getLogger(__name__)


def prepare(layer: Layer, viewer: ViewerModel, *, is_lazy: bool) -> None:
    """Let a result be sliced as it suits it: call it before the layer is added.

    Parameters
    ----------
    layer
        The layer of a result.
    viewer
        The viewer that will show it.
    is_lazy
        Whether only the shown plane of it is in memory.
    """
    as_float32(layer)
    if is_lazy or _is_lazy_pyramid(layer):
        in_background(layer, viewer)


def in_background(layer: Layer, viewer: ViewerModel) -> bool:
    """Slice a layer in the background from now on; return whether that is possible.

    Call it before the layer is added, or gets other data.

    Parameters
    ----------
    layer
        An image or labels layer with its shown plane in memory, or with a pyramid.
    viewer
        The viewer that will show it.
    """
    state, slicer = getattr(layer, "_slicing_state", None), getattr(viewer, "_layer_slicer", None)
    missing = [name for name in NEEDED_OF_STATE if not hasattr(state, name)]
    missing += [name for name in NEEDED_OF_SLICER if not hasattr(slicer, name)]
    missing += [name for name in NEEDED_OF_LAYER if not hasattr(layer, name)]
    if missing or state is None:
        log.debug("%s is sliced on the window's thread: no %s", layer.name, missing)
        return False
    if isinstance(state._set_view_slice, _Background):
        state._set_view_slice.restart()
        return True
    state._set_view_slice = _Background(state, slicer)
    return True


def as_float32(layer: Layer) -> bool:
    """Show a pyramid of float64 as float32 from now on; return whether that is done.

    The levels are converted block by block while they are read, and napari's cache of blocks holds
    twice as many. The layer's data are not changed.

    Parameters
    ----------
    layer
        Any layer.
    """
    state: Any = getattr(layer, "_slicing_state", None)
    is_float64 = getattr(layer, "multiscale", False) and layer.dtype == np.float64
    request = getattr(state, "_make_slice_request_internal", None)
    if state is None or request is None or not is_float64:
        return False
    if not isinstance(request, _ShownLevels):
        state._make_slice_request_internal = _ShownLevels(state)
    return True


class _ShownLevels:
    """Replaces the function of a layer's slicing state that requests a part of a level."""

    def __init__(self, state: Any) -> None:
        self._request = state._make_slice_request_internal
        self._shown: dict[str, da.Array] = {}

    def __call__(self, **arguments: Any) -> Any:
        """Return napari's request, with levels in another data type."""
        request = self._request(**arguments)
        levels = {
            field.name: self._level(value)
            for field in fields(request)
            if isinstance(value := getattr(request, field.name), da.Array)
        }
        return replace(request, **levels)

    def _level(self, level: da.Array) -> da.Array:
        """Return a level as it is shown: the same array for the same level, for napari's cache."""
        if level.name not in self._shown:
            if len(self._shown) >= MOST_LEVELS:  # those of other data
                self._shown.clear()
            self._shown[level.name] = level.astype(_shown_dtype(level.dtype))
        return self._shown[level.name]


class _Background:
    """Replaces the function of a layer's slicing state that slices on the window's thread."""

    def __init__(self, state: Any, slicer: Any) -> None:
        self._state = state
        self._slicer = weakref.ref(slicer)
        self._slice_now = state._set_view_slice
        self._first: Any = None
        self._boxes: dict[str, Boxes] = {}
        self._pending: Any = None
        self._shown: Any = None
        """What was requested last."""
        self._volume: tuple[Any, Any] = (None, None)
        """The volume that was displayed last, and what was requested then."""

    def restart(self) -> None:
        """Treat the next shown plane as one in memory."""
        self._first, self._volume = None, (None, None)

    def __call__(self) -> None:
        """Show the plane that is in memory, or request another one."""
        state, slicer = self._state, self._slicer()
        is_other = state._slice.slice_input.ndisplay != state._slice_input.ndisplay
        if is_other:
            self._keep_volume(state)
        self._shown = _request_key(state)
        is_at_hand = self._is_at_hand(state)
        if slicer is None or (is_at_hand and state.layer.loaded):  # else a late part would cover it
            self._slice_now()
            return
        volume, shown = self._volume
        if is_other and volume is not None and shown == self._shown and state.layer.loaded:
            state._update_slice_response(replace(volume, slice_input=state._slice_input))
            return
        if is_other:
            # The slice shown meanwhile must have as many axes as the new one.
            state._slice = state._slice.make_empty(
                slice_input=state._slice_input,
                rgb=len(state.layer.data.shape) != state.ndim,
                dtype=state.layer._slice_dtype(),
            )
        self._submit(state, slicer)

    def _keep_volume(self, state: Any) -> None:
        """Keep a volume while a plane is displayed: the graphics card has room for it already.

        An empty one in its place would have the room given back and taken again, which costs more
        than the pixels.
        """
        layer, volume = state.layer, state._slice
        if volume.slice_input.ndisplay != 3 or layer.multiscale or not layer.loaded:
            return
        is_small = volume.image.raw.nbytes <= MOST_KEPT
        self._volume = (volume, self._shown) if is_small else (None, None)

    def _is_at_hand(self, state: Any) -> bool:
        """Return whether showing the plane costs nothing to speak of."""
        shown = _request_key(state)[1:]
        is_first = self._first is None
        if is_first:
            self._first = shown
        if state.layer.multiscale:
            is_coarsest = is_first or state._slice_input.ndisplay == 3
            return is_coarsest or not _is_lazy_pyramid(state.layer)
        return bool(shown == self._first)  # computed before the layer was added

    def _submit(self, state: Any, slicer: Any) -> None:
        """Do what napari's slicer does for a layer that it slices asynchronously."""
        layer = state.layer
        if self._pending is not None:
            self._pending.cancel()
        # Without napari's cache of dask's tasks, which only the window's thread may use.
        request = self._with_cached_blocks(
            state._make_slice_request_internal(
                slice_input=state._slice_input,
                data_slice=state.data_slice,
                dask_indexer=nullcontext,
            )
        )
        requests = {weakref.ref(layer): request}
        state._set_unloaded_slice_id(request.id)
        task = self._pending = slicer._executor.submit(slicer._slice_layers, requests)
        with slicer._lock_futures_dicts:
            # The key is not the layer alone: napari cancels the tasks under a layer whenever it
            # slices, also those of a layer that it takes for sliced.
            slicer._layers_to_task[*requests, weakref.ref(self)] = task
            slicer._task_to_requests[task] = requests
        task.add_done_callback(slicer._on_slice_done)

    def _with_cached_blocks(self, request: Any) -> Any:
        """Return the request with data that bypass dask's callbacks; see `prefetch.block`."""
        arrays = {
            field.name: self._boxes_of(array)
            for field in fields(request)
            if isinstance(array := getattr(request, field.name), da.Array)
        }
        if request.multiscale and VISIBLE in arrays:
            return replace(request, **{**arrays, VISIBLE: DisplayedBoxes(arrays[VISIBLE])})
        return replace(request, **arrays)

    def _boxes_of(self, array: da.Array) -> Boxes:
        """Return an array with cached blocks: the same for the same array."""
        if array.name not in self._boxes:
            if len(self._boxes) >= MOST_LEVELS:  # those of other data
                self._boxes.clear()
            self._boxes[array.name] = Boxes(array, _shown_dtype(array.dtype))
        return self._boxes[array.name]


def _request_key(state: Any) -> tuple[Any, ...]:
    """Return what tells a request for a part of a layer apart."""
    displayed, array = tuple(state._slice_input.displayed), state.layer.data
    return (getattr(array, "name", id(array)), displayed, repr(state.data_slice))


def _is_lazy_pyramid(layer: Layer) -> bool:
    """Return whether a layer has levels that are read or computed when they are shown."""
    return layer.multiscale and any(isinstance(level, da.Array) for level in layer.data)


def _shown_dtype(dtype: np.dtype) -> np.dtype:
    """Return the data type of the pixels on the screen.

    napari uploads no float64: it would convert them on the window's thread, and hold both.
    """
    return np.dtype(np.float32) if dtype == np.float64 else dtype
