"""Lazy results are dask arrays whose tasks each pull one tile; views cost what they show.

The graph is one blockwise layer without inputs, so that making it and culling it cost the same at
any image size. A dask array made here is recognised when it comes back as an input: the next
operation then pulls through it directly, and a chain reads its source once.
"""

from __future__ import annotations

import itertools
import threading
import uuid
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import dask
import dask.array as da
import numpy as np
from dask.local import get_sync
from dask.optimization import cull

from napari_tilewise.engine.source import ChunkedSource, Source, array_source
from napari_tilewise.engine.system.pool import single_threaded_libraries
from napari_tilewise.errors import InvalidImage

if TYPE_CHECKING:
    from napari_tilewise.engine.stack import Stack
    from napari_tilewise.engine.system.cache import ChunkCache
    from napari_tilewise.grid import Region

_STACKS: WeakValueDictionary[str, Stack] = WeakValueDictionary()


def to_dask(stack: Stack) -> da.Array:
    """Return a stack's result as a dask array; nothing is read before it is computed."""
    name = f"tilewise-{stack.call.operation.name}-{uuid.uuid4().hex}"
    _STACKS[name] = stack
    if not stack.shape:
        return da.Array({(name,): (_value, stack)}, name, (), dtype=stack.dtype)
    lazy: da.Array = da.map_blocks(
        _tile,
        stack,
        chunks=stack.grid().chunks(),
        dtype=stack.dtype,
        meta=np.empty((0,) * len(stack.shape), stack.dtype),
        name=name,
    )
    return lazy


def _tile(stack: Stack, block_id: tuple[int, ...] = ()) -> np.ndarray:
    with single_threaded_libraries():  # dask brings a thread per processor already
        return np.ascontiguousarray(stack.read(stack.grid().region(block_id)))


def _value(stack: Stack) -> np.ndarray:
    return np.asarray(stack.value(), dtype=stack.dtype)


class _DaskBlocks:
    """A dask array as an array-like whose blocks are computed one by one in the calling thread.

    The graph is looked at once; each block then needs only the tasks below its own key. Slicing
    the dask array instead would pay for the whole graph at every read and start a pool per thread.
    """

    waits = False  # what other blocks compute at the same time may take any amount of memory

    def __init__(self, array: da.Array) -> None:
        self._array = array
        self.shape = array.shape
        self.dtype = array.dtype
        if any(np.isnan(n) for lengths in array.chunks for n in lengths):
            raise InvalidImage(
                "The dask array has chunks of unknown size: call its compute_chunk_sizes() first."
            )
        self.chunks = tuple(tuple(int(n) for n in lengths) for lengths in array.chunks)
        self._starts = [np.cumsum([0, *lengths]) for lengths in self.chunks]
        self._graph: dict[Any, Any] | None = None
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {"_array": self._array}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["_array"])  # type: ignore[misc]

    def __getitem__(self, region: Region) -> np.ndarray:
        """Return a box, put together from the blocks that it meets."""
        spans = [
            range(
                int(np.searchsorted(starts, s.start, "right")) - 1,
                int(np.searchsorted(starts, s.stop, "left")),
            )
            for starts, s in zip(self._starts, region, strict=True)
        ]
        out = np.empty([s.stop - s.start for s in region], self.dtype)
        for position in itertools.product(*spans):
            to, of = [], []
            for starts, p, s in zip(self._starts, position, region, strict=True):
                low, high = max(starts[p], s.start), min(starts[p + 1], s.stop)
                to.append(slice(low - s.start, high - s.start))
                of.append(slice(low - starts[p], high - starts[p]))
            out[tuple(to)] = self._block(position)[tuple(of)]
        return out

    def _block(self, position: tuple[int, ...]) -> np.ndarray:
        with self._lock:
            if self._graph is None:
                self._graph = dict(self._array.__dask_graph__())
        key = (self._array.name, *position)
        tasks, _ = cull(self._graph, [key])
        with dask.config.set(scheduler="synchronous"):
            # Not heard by callbacks, which are the process's: they may not bear several threads.
            return np.asarray(get_sync(tasks, key, callbacks=()))


def as_source(array: Any, cache: ChunkCache | None = None) -> Source:
    """Return any array-like as a source of pixels.

    Raises
    ------
    InvalidImage
        For anything without `shape`, `dtype` and slicing.
    """
    if isinstance(array, da.Array):
        if (stack := _STACKS.get(array.name)) is not None:
            return stack
        return ChunkedSource(_DaskBlocks(array), cache)
    return array_source(array, cache)
