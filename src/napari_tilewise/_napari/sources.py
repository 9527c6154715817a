"""Snapshots that stay the same while nobody changes their layers, and what was computed of them.

Results of steps are found again by the arrays they were computed from, so these must be the same
objects from one run to the next.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from napari_tilewise._napari import snapshot
from napari_tilewise._napari.records import Origin
from napari_tilewise.replay import Memo

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_tilewise._napari.snapshot import Snapshot


@dataclass(frozen=True, eq=False)
class _Held:
    edits: int
    data: Any
    taken: Snapshot


class Sources:
    """The layers that recipes work on, and one memo per layer that a recipe starts from."""

    def __init__(self) -> None:
        self._held: dict[bool, WeakKeyDictionary[Layer, _Held]] = {
            True: WeakKeyDictionary(), False: WeakKeyDictionary(),
        }  # fmt: skip
        self._memos: WeakKeyDictionary[Layer, Memo] = WeakKeyDictionary()

    def take(self, layer: Layer, *, as_made: bool) -> Snapshot:
        """Return a snapshot with the arrays of the last one, where they are still the layer's.

        Parameters
        ----------
        layer
            The layer.
        as_made
            See `snapshot.take`.
        """
        taken, edits = snapshot.take(layer, as_made=as_made), Origin.of(layer).edits
        held = self._held[as_made].get(layer)
        if held is not None and held.edits == edits and held.data is layer.data:
            return replace(taken, levels=held.taken.levels)
        if held is not None:
            # The same array may hold other pixels now, which no memo can see.
            self._memos.clear()
        self._held[as_made][layer] = _Held(edits, layer.data, taken)
        return taken

    def memo(self, layer: Layer) -> Memo:
        """Return the results of steps that are at hand.

        Parameters
        ----------
        layer
            The layer that the recipe starts from; already taken.
        """
        return self._memos.setdefault(layer, Memo())
