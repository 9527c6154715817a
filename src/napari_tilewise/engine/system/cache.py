"""Decoded chunks and computed tiles are shared: a bounded cache that does no thing twice at once.

Tiles overlap by their halos, so neighbours want the same source chunks. Keeping the last ones
decoded makes every chunk be read about once per pass, whatever the tile grid.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING

from napari_tilewise.engine.system.fetchers import fetch
from napari_tilewise.engine.system.machine import total_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from concurrent.futures import Future

    import numpy as np


class ChunkCache:
    """Least recently used arrays, at most `capacity` bytes of them; arrays are read-only."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._lock = threading.Lock()
        self._arrays: OrderedDict[Hashable, np.ndarray] = OrderedDict()
        self._pending: dict[Hashable, _Load] = {}
        self._bytes = 0
        self._ahead = _Sizes()  # of arrays that are fetched ahead and that nobody has asked for
        self._awaited = _Sizes()  # of those that are not there yet

    def get(self, key: Hashable, load: Callable[[], np.ndarray]) -> np.ndarray:
        """Return the array of this key, loading it when it is not there.

        Threads that ask for a key while another one loads it wait for that one.
        """
        with self._lock:
            self._ahead.drop(key)
            if (array := self._arrays.get(key)) is not None:
                self._arrays.move_to_end(key)
                return array
            pending = self._pending.get(key)
            if pending is None:
                self._awaited.drop(key)
                mine = self._pending[key] = _Load()
        if pending is not None:
            return pending.result()
        return self._loaded(key, load, mine)

    def fetch(self, key: Hashable, nbytes: int, load: Callable[[], np.ndarray]) -> bool:
        """Begin to load an array that is needed soon, in a thread of its own.

        Arrays that were fetched and that nobody has asked for take half of the capacity at most.

        Parameters
        ----------
        key
            The array's key.
        nbytes
            Its size.
        load
            Loads it. What it raises is raised again when the array is asked for.

        Returns
        -------
        bool
            False where there is no room.
        """
        with self._lock:
            if key in self._arrays or key in self._pending or key in self._awaited:
                return True
            if self._ahead.total + nbytes > self.capacity // 2:
                return False
            self._ahead.add(key, nbytes)
            self._awaited.add(key, nbytes)
            self._make_room()
        fetch(partial(self._fetched, key, load)).add_done_callback(partial(self._settle, key))
        return True

    def _fetched(self, key: Hashable, load: Callable[[], np.ndarray]) -> None:
        with self._lock:
            if key not in self._awaited or key in self._pending:
                return  # another thread was faster
            mine = self._pending[key] = _Load()
        self._loaded(key, load, mine)

    def _settle(self, key: Hashable, request: Future[None]) -> None:
        """Give the room back of an array that was dropped or could not be loaded."""
        if request.cancelled() or request.exception() is not None:
            with self._lock:
                self._ahead.drop(key)
                self._awaited.drop(key)

    def _loaded(self, key: Hashable, load: Callable[[], np.ndarray], mine: _Load) -> np.ndarray:
        """Load an array for all that wait for it."""
        try:
            array = load()
        except BaseException as error:
            with self._lock:
                del self._pending[key]
            mine.fail(error)
            raise
        array.flags.writeable = False
        with self._lock:
            self._awaited.drop(key)
            self._keep(key, array)
            del self._pending[key]
        mine.succeed(array)
        return array

    def _keep(self, key: Hashable, array: np.ndarray) -> None:
        if array.nbytes > self.capacity:
            return
        self._arrays[key] = array
        self._bytes += array.nbytes
        self._make_room()

    def _make_room(self) -> None:
        while self._arrays and self._bytes + self._awaited.total > self.capacity:
            key, array = self._arrays.popitem(last=False)
            self._bytes -= array.nbytes
            self._ahead.drop(key)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            for key in self._arrays:
                self._ahead.drop(key)
            self._arrays.clear()
            self._bytes = 0


class _Load:
    """An array that one thread loads and others may wait for: one lock, as most have no others."""

    __slots__ = ("_array", "_error", "_gate")

    def __init__(self) -> None:
        self._gate = threading.Lock()
        self._gate.acquire()
        self._array: np.ndarray | None = None
        self._error: BaseException | None = None

    def succeed(self, array: np.ndarray) -> None:
        self._array = array
        self._gate.release()

    def fail(self, error: BaseException) -> None:
        self._error = error
        self._gate.release()

    def result(self) -> np.ndarray:
        """Wait for the array; raise what the thread that loads it raised."""
        with self._gate:
            pass
        if self._array is None:
            error = self._error or RuntimeError("the array was not loaded")
            try:
                raise error
            finally:
                del error  # which holds this frame
        return self._array


class _Sizes:
    """The sizes of some arrays, and their total."""

    def __init__(self) -> None:
        self._sizes: dict[Hashable, int] = {}
        self.total = 0

    def __contains__(self, key: Hashable) -> bool:
        return key in self._sizes

    def add(self, key: Hashable, nbytes: int) -> None:
        self._sizes[key] = nbytes
        self.total += nbytes

    def drop(self, key: Hashable) -> None:
        self.total -= self._sizes.pop(key, 0)


def default_capacity() -> int:
    """Return the size of the cache that lazy arrays share: an eighth of memory, at most 1 GiB."""
    return int(min(total_memory() // 8, 2**30))


_shared: list[ChunkCache] = []
_shared_lock = threading.Lock()


def shared_cache() -> ChunkCache:
    """Return the process's cache for lazy arrays."""
    if not _shared:
        with _shared_lock:  # with two caches, threads read twice what they begin with together
            if not _shared:
                _shared.append(ChunkCache(default_capacity()))
    return _shared[0]
