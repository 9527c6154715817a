"""A result that is kept once computed: tiles are made when first asked for, then read back.

Where several passes pull the same result, keeping it costs a write and cheap reads instead of
computing everything before it again.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.engine.cache import ChunkCache
from napari_tilewise.engine.stored import StoredImage

if TYPE_CHECKING:
    from pathlib import Path

    from napari_tilewise.engine.stack import Stack
    from napari_tilewise.operations.grid import Region


class Kept:
    """A stack's result as a source that computes each of its tiles once.

    Parameters
    ----------
    stack
        What makes the pixels.
    in_memory
        Whether tiles stay in memory, or go to a temporary folder.
    """

    def __init__(self, stack: Stack, *, in_memory: bool) -> None:
        self.stack = stack
        self.in_memory = in_memory
        self.shape = stack.shape
        self.dtype: np.dtype[Any] = stack.dtype
        self.grid = stack.grid()
        self.chunks = self.grid.tile
        self.computed = 0
        """Number of tiles that were computed."""
        self._stored = StoredImage(self.shape, self.dtype, self.chunks, in_memory=in_memory)
        self._once = ChunkCache(0)  # keeps nothing; makes threads wait for the one that computes

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what makes the pixels: another process computes and keeps its own tiles."""
        return _made_again, (self.stack, self.in_memory)

    def settle(self, folder: Path) -> None:
        """Keep the tiles in a folder from now on, with those that stand there from a run before.

        Parameters
        ----------
        folder
            The folder; made where it is missing.
        """
        self._stored = StoredImage(self.shape, self.dtype, self.chunks, folder=folder)

    def prepare(self) -> None:
        """Do the passes that reading needs."""
        self.stack.prepare()

    def read(self, region: Region) -> np.ndarray:
        """Return the pixels of a box; the array may be one of the tiles, not to be written to."""
        for position in self.grid.covering(region):
            if position not in self._stored:
                self._once.get(position, partial(self._computed, position))
        return self._stored.read(region)

    def _computed(self, position: tuple[int, ...]) -> np.ndarray:
        region = self.grid.region(position)
        if position in self._stored:  # another thread was just done with it
            return self._stored.read(region)
        pixels = np.ascontiguousarray(self.stack.read(region))
        self._stored.put(position, pixels)
        self.computed += 1
        return pixels


def _made_again(stack: Stack, in_memory: bool) -> Kept:
    return Kept(stack, in_memory=in_memory)
