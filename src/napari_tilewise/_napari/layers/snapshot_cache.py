"""Snapshots that stay the same while nobody changes their layers, and what was computed of them.

Results of steps are found again by the arrays they were computed from, so these must be the same
objects from one run to the next.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from napari_tilewise._napari.layers import snapshot
from napari_tilewise._napari.layers.layer_record import Origin
from napari_tilewise.engine.machine import processors
from napari_tilewise.errors import Cancelled
from napari_tilewise.pipeline.apply_recipe import Memo

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping

    from napari.layers import Layer

    from napari_tilewise._napari.layers.snapshot import Snapshot


PIECE = 2**24
"""Bytes of an array that one thread looks at at a time."""


@dataclass(frozen=True, eq=False)
class _Held:
    edits: int
    data: Any
    taken: Snapshot


class Remembered(Memo):
    """Results of steps that notice an array in memory whose pixels were changed in place."""

    def __init__(self) -> None:
        super().__init__()
        self._digests: dict[str, bytes] = {}

    def check(self, images: Mapping[str, Any], cancel: threading.Event) -> None:
        """Forget everything where an array has other pixels than last time; reads all of them.

        For the worker: a GiB takes about a second.

        Parameters
        ----------
        images
            What the recipe is run on, by name; only NumPy arrays are looked at.
        cancel
            Set it to stop early.

        Raises
        ------
        Cancelled
            When `cancel` was set.
        """
        for name, image in images.items():
            if isinstance(image, np.ndarray) and image.ndim > 0:
                found = digest(image, cancel)
                if self._digests.get(name, found) != found:
                    self.forget()
                self._digests[name] = found


def digest(array: np.ndarray[Any, Any], cancel: threading.Event) -> bytes:
    """Return what stands for all the bytes of an array.

    Parameters
    ----------
    array
        The array.
    cancel
        Set it to stop early.

    Raises
    ------
    Cancelled
        When `cancel` was set.
    """

    def of(start: int) -> bytes:
        if cancel.is_set():
            raise Cancelled("Cancelled: no layer was added.")
        piece = np.ascontiguousarray(array[start : start + rows])
        return blake2b(piece.view(np.uint8).data, digest_size=16).digest()

    rows = max(1, PIECE * len(array) // max(1, array.nbytes))
    with ThreadPoolExecutor(processors()) as pool:
        pieces = b"".join(pool.map(of, range(0, len(array), rows)))
    return blake2b(pieces, digest_size=16).digest()


class Sources:
    """The layers that recipes work on, and one memo per layer that a recipe starts from."""

    def __init__(self) -> None:
        self._held: dict[bool, WeakKeyDictionary[Layer, _Held]] = {
            True: WeakKeyDictionary(), False: WeakKeyDictionary(),
        }  # fmt: skip
        self._memos: WeakKeyDictionary[Layer, Remembered] = WeakKeyDictionary()

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

    def memo(self, layer: Layer) -> Remembered:
        """Return the results of steps that are at hand.

        Parameters
        ----------
        layer
            The layer that the recipe starts from; already taken.
        """
        return self._memos.setdefault(layer, Remembered())
