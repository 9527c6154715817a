"""A source is anything pixels are pulled from, box by box: an array, chunks, a plane, a result.

Every room downstream sees the same four things: `shape`, `dtype`, `chunks` and `read(region)`.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
from contextvars import ContextVar
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable
from uuid import uuid4

import numpy as np

from napari_tilewise.engine.system.cache import ChunkCache, shared_cache
from napari_tilewise.engine.system.from_zero import from_zero
from napari_tilewise.engine.system.machine_chunks import MachineChunks, machine_chunks
from napari_tilewise.engine.system.prepared import is_child_process
from napari_tilewise.engine.system.source_files import files_token
from napari_tilewise.errors import InvalidImage, SourceUnreadable, TilewiseError
from napari_tilewise.grid import Grid, Region, extent, format_region, intersect, within
from napari_tilewise.types import native_dtype, with_dtype

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from napari_tilewise.types import DType

SLOW, SLOW_READS = 0.02, 3
"""Seconds of a read that is spent waiting, and how many such in a row show that a source waits."""

VIRTUAL_CHUNK = {1: 2**18, 2: 512, 3: 64}
"""Chunk lengths assumed for array-likes that have none, by number of (large) axes."""


_overlaps: ContextVar[bool] = ContextVar("overlaps", default=False)
"""Whether boxes that are read reach beyond their tiles, so that other tiles meet their pixels."""


class overlapping:
    """Say in the block whether the pixels that are read are more than those of a tile.

    Parameters
    ----------
    tile
        The tile.
    region
        What is read for it.
    """

    __slots__ = ("_is_larger", "_token")

    def __init__(self, tile: Region, region: Region) -> None:
        self._is_larger = region != tile

    def __enter__(self) -> None:
        """Begin to say it."""
        self._token = _overlaps.set(self._is_larger)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Say what was said before."""
        _overlaps.reset(self._token)


@runtime_checkable
class Source(Protocol):
    """Where pixels are pulled from."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""

    @property
    def dtype(self) -> DType:
        """Data type of the pixels."""

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """Lengths of the boxes that are cheap to read, where there are such."""

    def read(self, region: Region) -> np.ndarray:
        """Return the pixels of a box inside the image; the array may be read-only."""

    def prepare(self, region: Region | None = None) -> None:
        """Do the passes that reading a box needs (from outside a sweep: all threads help)."""

    @property
    def waits(self) -> bool:
        """Whether reading waits, as for a network, so that it pays to fetch ahead."""

    def fetch(self, region: Region) -> bool:
        """Begin to read a box that is needed soon; False where there is no room for it."""


class ArraySource:
    """A NumPy array: boxes are views."""

    chunks = None
    waits = False

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.shape = array.shape
        self.dtype = native_dtype(array.dtype)

    def read(self, region: Region) -> np.ndarray:
        """Return a view of the box; a copy where the bytes are of another machine's order."""
        return with_dtype(self.array[region], self.dtype)

    def prepare(self, region: Region | None = None) -> None:
        """Nothing to do."""

    def fetch(self, region: Region) -> bool:
        """Begin nothing: no reading waits."""
        return True


class ChunkedSource:
    """Anything with shape, dtype and slicing: read chunk by chunk through a cache.

    Where reading waits, as the array says (`waits`) or as its first chunks show, the chunks of a
    box are fetched together.

    Parameters
    ----------
    array
        The array-like.
    cache
        Holds decoded chunks; the process's own unless given.
    key
        Tells its chunks apart in the cache; a new one unless given.
    """

    def __init__(self, array: Any, cache: ChunkCache | None = None, key: str | None = None) -> None:
        self.array = array
        self.shape = tuple(int(n) for n in array.shape)
        self.dtype = native_dtype(array.dtype)
        self.chunks = chunk_lengths(array)
        self._grid = Grid(self.shape, self.chunks)
        self._cache = cache
        self.key = key or uuid4().hex
        # A copy in a process that others started has siblings that read the same chunks.
        shares = key is not None and getattr(array, "shares", True) and is_child_process()
        self._machine = machine_chunks(self.key) if shares else None
        self._waits: bool | None = getattr(array, "waits", None)
        self._slow_reads = 0

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the array; all copies in another process share the chunks that are decoded."""
        return ChunkedSource, (self.array, None, self.key)

    def read(self, region: Region) -> np.ndarray:
        """Return the box, assembled from decoded chunks."""
        single = self._grid.position_of(region)
        if single is not None:
            return self._chunk(single)
        positions = list(self._grid.covering(region))
        self.fetch(region)
        machine = self._sharers(region)
        out = np.empty(extent(region), self.dtype)
        for position in positions:
            box = self._grid.region(position)
            common = intersect(box, region)
            out[within(common, region)] = self._chunk(position, machine)[within(common, box)]
        return out

    def _sharers(self, region: Region) -> MachineChunks | None:
        """Return the chunks of other processes; None where no other tile meets those of a box.

        That is so of a tile alone whose ends are those of chunks.
        """
        is_aligned = not _overlaps.get() and all(
            span.start % chunk == 0 and (span.stop % chunk == 0 or span.stop == length)
            for span, chunk, length in zip(region, self.chunks, self.shape, strict=True)
        )
        return None if is_aligned else self._machine

    def prepare(self, region: Region | None = None) -> None:
        """Nothing to do."""

    @property
    def waits(self) -> bool:
        """Whether reading waits: as the array says, or as long as its last reads have shown it."""
        return self._slow_reads >= SLOW_READS if self._waits is None else self._waits

    def fetch(self, region: Region) -> bool:
        """Begin to read the chunks of a box; False where the cache has no room for all."""
        if not self.waits:
            return True
        machine = self._sharers(region)
        for position in self._grid.covering(region):
            nbytes = prod(extent(self._grid.region(position))) * self.dtype.itemsize
            load = self._loader(position, machine)
            if not self._chunks.fetch((self.key, position), nbytes, load):
                return False
        return True

    @property
    def _chunks(self) -> ChunkCache:
        return shared_cache() if self._cache is None else self._cache

    def _chunk(self, position: tuple[int, ...], machine: MachineChunks | None = None) -> np.ndarray:
        return self._chunks.get((self.key, position), self._loader(position, machine))

    def _loader(
        self, position: tuple[int, ...], machine: MachineChunks | None
    ) -> Callable[[], np.ndarray]:
        """Return what loads a chunk, if no other process has it or is about to."""
        box = self._grid.region(position)
        load = partial(self._load, box)
        return (
            load
            if machine is None
            else partial(machine.get, position, extent(box), self.dtype, load)
        )

    def _load(self, box: Region) -> np.ndarray:
        if self._waits is not None:
            return self._read(box)
        started, computed = time.perf_counter(), time.thread_time()
        chunk = self._read(box)
        computing = time.thread_time() - computed
        is_slow = time.perf_counter() - started > max(SLOW, 2 * computing)
        self._slow_reads = self._slow_reads + 1 if is_slow else 0
        return chunk

    def _read(self, box: Region) -> np.ndarray:
        try:
            chunk = with_dtype(np.asarray(self.array[box]), self.dtype)
        except (TilewiseError, MemoryError):
            raise
        except Exception as error:
            raise SourceUnreadable(
                f"The source of shape {self.shape} cannot be read at {format_region(box)}: {error}."
            ) from error
        if chunk.shape != extent(box):
            raise InvalidImage(
                f"The source of shape {self.shape} returned {chunk.shape} pixels for a box of "
                f"{extent(box)}: expected an array-like whose slicing follows NumPy's."
            )
        return chunk.view() if chunk.base is not None or chunk is self.array else chunk


def is_dask(array: object) -> bool:
    """Return whether something is a dask array; dask is not imported for it."""
    dask_array: Any = sys.modules.get("dask.array")
    return dask_array is not None and isinstance(array, dask_array.Array)


def array_source(array: Any, cache: ChunkCache | None = None) -> Source:
    """Return any array-like but a dask array, which `lazy` knows, as a source of pixels.

    Parameters
    ----------
    array
        Anything with shape, dtype and slicing.
    cache
        For decoded chunks; the process's own unless given.

    Raises
    ------
    InvalidImage
        For anything else.
    """
    if isinstance(array, np.ndarray):
        return ArraySource(array)
    if isinstance(array, (str, os.PathLike)):
        raise InvalidImage(
            f"{os.fspath(array)!r} is a path, expected pixels: open the file, tw.open(path).data."
        )
    if not all(hasattr(array, name) for name in ("shape", "dtype", "__getitem__")):
        raise InvalidImage(
            f"Cannot process a {type(array).__name__}: expected a NumPy, dask or Zarr array, or "
            "anything with shape, dtype and slicing."
        )
    return ChunkedSource(from_zero(array), cache)


def pixels_token(source: Source) -> str | None:
    """Return a token that is equal only for equal pixels; None where nothing cheap tells that.

    Parameters
    ----------
    source
        The source.
    """
    if not isinstance(source, ChunkedSource):
        return None
    own: Callable[[], str | None] | None = getattr(source.array, "pixels_token", None)
    return files_token(source.array) if own is None else own()


def chunk_lengths(array: Any) -> tuple[int, ...]:
    """Return the lengths of the boxes in which to read an array-like.

    Its own chunks (zarr, h5py, and the first of dask's along each axis) where it has any.
    """
    shape = tuple(int(n) for n in array.shape)
    chunks = getattr(array, "chunks", None)
    if isinstance(chunks, tuple) and len(chunks) == len(shape):
        lengths = [max(c) if isinstance(c, tuple) else int(c) for c in chunks]
        return tuple(max(1, min(c, n)) for c, n in zip(lengths, shape, strict=True))
    large = min(sum(n > 16 for n in shape), 3) or 1
    return tuple(max(1, min(VIRTUAL_CHUNK[large], n)) for n in shape)


def read_wrapped(source: Source, region: Region) -> np.ndarray:
    """Return a box that may reach beyond the image, continued periodically.

    Reads the boxes inside the image that the region folds into, each once per repetition.
    """
    out = np.empty(extent(region), source.dtype)
    pieces = [list(_runs(s, n)) for s, n in zip(region, source.shape, strict=True)]
    for combination in itertools.product(*pieces):
        target = tuple(to for to, _ in combination)
        out[target] = source.read(tuple(box for _, box in combination))
    return out


def _runs(span: slice, length: int) -> Iterator[tuple[slice, slice]]:
    """Yield (where in the output, where in the image) for each run inside one period."""
    position = span.start
    while position < span.stop:
        inside = position % length
        count = min(length - inside, span.stop - position)
        to = position - span.start
        yield slice(to, to + count), slice(inside, inside + count)
        position += count
