"""Decoded chunks and computed tiles are shared: a bounded cache that does no thing twice at once.

Tiles overlap by their halos, so neighbours want the same source chunks. Keeping the last ones
decoded makes every chunk be read about once per pass, whatever the tile grid.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future
from typing import TYPE_CHECKING

from napari_tilewise.engine.system.machine import total_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    import numpy as np


class ChunkCache:
    """Least recently used arrays, at most `capacity` bytes of them; arrays are read-only."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._lock = threading.Lock()
        self._arrays: OrderedDict[Hashable, np.ndarray] = OrderedDict()
        self._pending: dict[Hashable, Future[np.ndarray]] = {}
        self._bytes = 0

    def get(self, key: Hashable, load: Callable[[], np.ndarray]) -> np.ndarray:
        """Return the array of this key, loading it when it is not there.

        Threads that ask for a key while another one loads it wait for that one.
        """
        with self._lock:
            if (array := self._arrays.get(key)) is not None:
                self._arrays.move_to_end(key)
                return array
            pending = self._pending.get(key)
            if pending is None:
                mine: Future[np.ndarray] = Future()
                self._pending[key] = mine
        if pending is not None:
            return pending.result()
        try:
            array = load()
        except BaseException as error:
            with self._lock:
                del self._pending[key]
            mine.set_exception(error)
            raise
        array.flags.writeable = False
        with self._lock:
            self._keep(key, array)
            del self._pending[key]
        mine.set_result(array)
        return array

    def _keep(self, key: Hashable, array: np.ndarray) -> None:
        if array.nbytes > self.capacity:
            return
        self._arrays[key] = array
        self._bytes += array.nbytes
        while self._bytes > self.capacity:
            _, old = self._arrays.popitem(last=False)
            self._bytes -= old.nbytes

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._arrays.clear()
            self._bytes = 0


def default_capacity() -> int:
    """Return the size of the cache that lazy arrays share: an eighth of memory, at most 1 GiB."""
    return int(min(total_memory() // 8, 2**30))


_shared: ChunkCache | None = None


def shared_cache() -> ChunkCache:
    """Return the process's cache for lazy arrays."""
    global _shared
    if _shared is None:
        _shared = ChunkCache(default_capacity())
    return _shared
