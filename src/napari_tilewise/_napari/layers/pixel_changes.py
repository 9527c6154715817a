"""Notices when the pixels of a layer change: when they are set, painted, or when that is undone.

napari has no event of an undone stroke; but it shows the layer again, with another history.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import ref

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Layer

EVENTS = ("data", "labels_update", "paint")


class PixelChanges:
    """Calls a function after the pixels of a layer have changed, as long as it exists.

    Parameters
    ----------
    layer
        Any layer.
    act
        Called with napari's event, whose `source` is the layer.
    """

    def __init__(self, layer: Layer, act: Callable[[Any], None]) -> None:
        self._layer, self._act = ref(layer), act
        self._undone = _undone(layer)
        for emitter in self._emitters(layer):
            emitter.connect(self._changed)
        layer.events.set_data.connect(self._shown)

    def stop(self) -> None:
        """Notice nothing any more."""
        layer = self._layer()
        if layer is not None:
            for emitter in self._emitters(layer):
                emitter.disconnect(self._changed)
            layer.events.set_data.disconnect(self._shown)

    @staticmethod
    def _emitters(layer: Layer) -> list[Any]:
        return [layer.events[name] for name in EVENTS if name in layer.events.emitters]

    def _changed(self, event: Any) -> None:
        self._act(event)

    def _shown(self, event: Any) -> None:
        undone = _undone(event.source)
        if undone != self._undone:
            self._undone = undone
            self._act(event)


def _undone(layer: Layer) -> int:
    """Return how many strokes are undone and can be redone; 0 for layers without a history."""
    return len(getattr(layer, "_redo_history", ()))
