"""Caches snapshots of unchanged layers, and the results of steps that were computed from them.

A step's result is looked up by the identity of its arrays, so they must be the same objects in all
runs.
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
from napari_tilewise.engine.system.machine import processors
from napari_tilewise.errors import Cancelled
from napari_tilewise.pipeline.apply_recipe import Memo

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping

    from napari.layers import Layer

    from napari_tilewise._napari.layers.snapshot import Snapshot
    from napari_tilewise.types import Array, ArrayLike

BLOCK = 2**24
"""Bytes of an array that one thread hashes at a time."""


@dataclass(frozen=True, eq=False)
class _CacheEntry:
    edits: int
    data: Any
    snapshot: Snapshot


class StepMemo(Memo):
    """Results of steps, dropped if the pixels of an array in memory are changed in place."""

    def __init__(self) -> None:
        super().__init__()
        self.is_abandoned = False
        """Whether a cancelled job's thread may still use it, so that no other job may."""
        self._digests: dict[str, bytes] = {}

    def check(self, images: Mapping[str, ArrayLike], cancel: threading.Event) -> None:
        """Drop all results if an array's pixels changed since the last call.

        Reads all pixels, a GiB in about a second: call it in a worker.

        Parameters
        ----------
        images
            The recipe's images by name; only NumPy arrays are checked.
        cancel
            Set to stop early.

        Raises
        ------
        Cancelled
            If `cancel` is set.
        """
        for name, image in images.items():
            if isinstance(image, np.ndarray) and image.ndim > 0:
                current = digest(image, cancel)
                if self._digests.get(name, current) != current:
                    self.forget()
                self._digests[name] = current


def digest(array: Array, cancel: threading.Event) -> bytes:
    """Return a digest of an array's bytes.

    Parameters
    ----------
    array
        At least one axis.
    cancel
        Set to stop early.

    Raises
    ------
    Cancelled
        If `cancel` is set.
    """

    def block_digest(start: int) -> bytes:
        if cancel.is_set():
            raise Cancelled("Cancelled: no layer was added.")
        block = np.ascontiguousarray(array[start : start + rows])
        return blake2b(block.view(np.uint8).data, digest_size=16).digest()

    rows = max(1, BLOCK * len(array) // max(1, array.nbytes))
    with ThreadPoolExecutor(processors()) as pool:
        digests = b"".join(pool.map(block_digest, range(0, len(array), rows)))
    return blake2b(digests, digest_size=16).digest()


class SnapshotCache:
    """Snapshots of layers, and one memo per layer that a recipe starts from."""

    def __init__(self) -> None:
        self._entries: dict[bool, WeakKeyDictionary[Layer, _CacheEntry]] = {
            True: WeakKeyDictionary(), False: WeakKeyDictionary(),
        }  # fmt: skip
        self._memos: WeakKeyDictionary[Layer, StepMemo] = WeakKeyDictionary()

    def take(self, layer: Layer, *, as_result: bool) -> Snapshot:
        """Return a snapshot, with the arrays of the last one if the layer is unchanged.

        Parameters
        ----------
        layer
            An image or labels layer.
        as_result
            See `snapshot.take`.
        """
        current, edits = snapshot.take(layer, as_result=as_result), Origin.of(layer).edits
        entry = self._entries[as_result].get(layer)
        if entry is not None and entry.edits == edits and entry.data is layer.data:
            return replace(current, levels=entry.snapshot.levels)
        if entry is not None:
            # The same array may have other pixels now, which a memo does not see.
            self._memos.clear()
        self._entries[as_result][layer] = _CacheEntry(edits, layer.data, current)
        return current

    def memo(self, layer: Layer) -> StepMemo:
        """Return the cached results of steps.

        Parameters
        ----------
        layer
            The layer that the recipe starts from; call `take` before.
        """
        memo = self._memos.get(layer)
        if memo is None or memo.is_abandoned:
            memo = self._memos[layer] = StepMemo()
        return memo
