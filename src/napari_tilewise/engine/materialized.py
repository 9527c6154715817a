"""A materialized result: each tile is computed when it is first read, then read back.

Where several passes pull the same result, this costs a write and cheap reads instead of computing
everything before it again.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.engine.stored.stored_image import StoredImage
from napari_tilewise.engine.system.cache import ChunkCache
from napari_tilewise.engine.tile_tasks import MaterializeTask

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_tilewise.engine.stack import Stack
    from napari_tilewise.engine.tile_tasks import WorkerPool
    from napari_tilewise.grid import Position, Region
    from napari_tilewise.types import DType


class Materialized:
    """A stack's result as a source that computes each of its tiles once.

    Parameters
    ----------
    stack
        Computes the pixels.
    in_memory
        Whether tiles stay in memory, or go to a temporary folder.
    step
        The number of its step in a pipeline, by which workers know it.
    """

    def __init__(self, stack: Stack, *, in_memory: bool, step: int | None = None) -> None:
        self.stack = stack
        self.step = step
        self.in_memory = in_memory
        self.shape = stack.shape
        self.dtype: DType = stack.dtype
        self.grid = stack.grid()
        self.chunks = self.grid.tile
        self.computed = 0
        """Number of tiles that were computed."""
        self._stored = StoredImage(self.shape, self.dtype, self.chunks, in_memory=in_memory)
        self._filling = threading.Lock()
        self._once = ChunkCache(0)  # holds nothing; makes threads wait for the one that computes

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the stack: another process computes and stores its own tiles."""
        return _rebuilt, (self.stack, self.in_memory, self.step)

    def settle(self, folder: Path) -> None:
        """Store the tiles in a folder from now on, with those of an earlier run.

        Parameters
        ----------
        folder
            The folder; it is created if it is missing.
        """
        self._stored = StoredImage(self.shape, self.dtype, self.chunks, folder=folder)

    def prepare(self, region: Region | None = None) -> None:
        """Do the passes that reading a box needs; a worker pool computes the box first.

        Its workers would otherwise all compute the tiles that they need at the same time.
        """
        self.stack.prepare(region)
        pool = self.stack.session.worker_pool
        if pool is not None and self.step is not None:
            with self._filling:
                self._fill(region, pool, self.step)

    def _fill(self, region: Region | None, pool: WorkerPool, step: int) -> None:
        session = self.stack.session
        whole = tuple(slice(0, n) for n in self.shape)
        positions = self.grid.covering(whole if region is None else region)
        missing = [position for position in positions if position not in self._stored]

        def work(positions: Sequence[Position]) -> None:
            for position in positions:
                self.stack.prepare(self.grid.region(position))
            pool.run(MaterializeTask(tuple(positions), step))

        if missing:
            title = f"{self.stack.call.operation.name}: materialized"
            session.sweep(title, work, session.groups(missing, remote=True), size=len)

    def fill(self, position: tuple[int, ...]) -> None:
        """Compute a tile, unless it is stored.

        Parameters
        ----------
        position
            The tile's position in the grid.
        """
        if position not in self._stored:
            self._once.get(position, partial(self._computed, position))

    def read(self, region: Region) -> np.ndarray:
        """Return the pixels of a box; the array may be one of the tiles, not to be written to."""
        for position in self.grid.covering(region):
            self.fill(position)
        return self._stored.read(region)

    @property
    def waits(self) -> bool:
        """Whether what its tiles are computed from waits to be read."""
        return self.stack.waits

    def fetch(self, region: Region) -> bool:
        """Begin to read what the tiles of a box that are not stored are computed from."""
        positions = self.grid.covering(region) if self.waits else ()
        regions = (self.grid.region(p) for p in positions if p not in self._stored)
        return all(map(self.stack.fetch, regions))

    def _computed(self, position: tuple[int, ...]) -> np.ndarray:
        region = self.grid.region(position)
        if position in self._stored:  # another thread was just done with it
            return self._stored.read(region)
        pixels = np.ascontiguousarray(self.stack.read(region))
        self._stored.put(position, pixels)
        self.computed += 1
        return pixels


def _rebuilt(stack: Stack, in_memory: bool, step: int | None) -> Materialized:
    return Materialized(stack, in_memory=in_memory, step=step)
