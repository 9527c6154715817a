"""A lazy layer whose shown plane changes is computed off the window's thread.

napari has this path itself (asynchronous slicing) but takes it for all layers or for none, by a
preference that is off and is the user's. Here a layer made from a lazy result always takes it, for
every plane but the one that was computed before the layer was added. The layer's data stay what
they are: whoever reads them gets true pixels.

napari's slicing is not public: whatever of it is missing in another release, such layers are then
sliced on the window's thread, as every lazy layer is.
"""

from __future__ import annotations

import logging
import weakref
from contextlib import nullcontext
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import dask.array as da

from napari_tilewise._napari.layers.prefetch import Boxes

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

NEEDED_OF_STATE = (
    "_set_view_slice", "_make_slice_request_internal", "_set_unloaded_slice_id",
    "_slice_input", "data_slice", "_slice",
)  # fmt: skip
NEEDED_OF_SLICER = (
    "_executor", "_layers_to_task", "_task_to_requests", "_lock_futures_dicts",
    "_slice_layers", "_on_slice_done",
)  # fmt: skip

log = logging.getLogger(__name__)


def in_background(layer: Layer, viewer: ViewerModel) -> bool:
    """Let a layer that is about to be added be sliced in the background; return whether it will.

    Also one that is about to get other data.

    Parameters
    ----------
    layer
        An image or labels layer with one level, whose shown plane is in memory.
    viewer
        The viewer that will show it.
    """
    state, slicer = getattr(layer, "_slicing_state", None), getattr(viewer, "_layer_slicer", None)
    missing = [name for name in NEEDED_OF_STATE if not hasattr(state, name)]
    missing += [name for name in NEEDED_OF_SLICER if not hasattr(slicer, name)]
    if missing or state is None or layer.multiscale:
        log.debug("%s is sliced on the window's thread: no %s", layer.name, missing)
        return False
    if isinstance(state._set_view_slice, _Background):
        state._set_view_slice.restart()
        return True
    state._set_view_slice = _Background(state, slicer)
    return True


class _Background:
    """What a layer's slicing state calls instead of slicing on the window's thread."""

    def __init__(self, state: Any, slicer: Any) -> None:
        self._state = state
        self._slicer = weakref.ref(slicer)
        self._at_once = state._set_view_slice
        self._first: Any = None
        self._boxes: Boxes | None = None
        self._pending: Any = None

    def restart(self) -> None:
        """Take the next plane to be shown for one that is in memory."""
        self._first = None

    def __call__(self) -> None:
        """Show the plane that is in memory, or ask for another one."""
        state, slicer = self._state, self._slicer()
        shown = (tuple(state._slice_input.displayed), repr(state.data_slice))
        if self._first is None:
            self._first = shown  # in memory: computed before the layer was added
        if slicer is None or shown == self._first:
            self._at_once()
            return
        if state._slice.slice_input.ndisplay != state._slice_input.ndisplay:
            # What is shown until the new pixels are there must have as many axes as they will.
            state._slice = state._slice.make_empty(
                slice_input=state._slice_input,
                rgb=len(state.layer.data.shape) != state.ndim,
                dtype=state.layer.dtype,
            )
        self._submit(state, slicer)

    def _submit(self, state: Any, slicer: Any) -> None:
        """Do what napari's slicer does for a layer that it slices asynchronously."""
        layer = state.layer
        if self._pending is not None:
            self._pending.cancel()
        # Without napari's cache of dask's tasks, which is one thread's at a time: the window's.
        request = self._computed_apart(
            state._make_slice_request_internal(
                slice_input=state._slice_input,
                data_slice=state.data_slice,
                dask_indexer=nullcontext,
            ),
            layer.data,
        )
        requests = {weakref.ref(layer): request}
        state._set_unloaded_slice_id(request.id)
        task = self._pending = slicer._executor.submit(slicer._slice_layers, requests)
        with slicer._lock_futures_dicts:
            # Not as the layer's alone: napari cancels a layer's tasks whenever it slices, which
            # for a layer that it believes to be sliced already would be the end of them.
            slicer._layers_to_task[*requests, weakref.ref(self)] = task
            slicer._task_to_requests[task] = requests
        task.add_done_callback(slicer._on_slice_done)

    def _computed_apart(self, request: Any, data: Any) -> Any:
        """Return the request with data whose boxes come computed, unheard by dask's callbacks."""
        if not isinstance(data, da.Array):
            return request
        if self._boxes is None or self._boxes.lazy is not data:
            self._boxes = Boxes(data)
        held = [field.name for field in fields(request) if getattr(request, field.name) is data]
        return replace(request, **dict.fromkeys(held, self._boxes))
