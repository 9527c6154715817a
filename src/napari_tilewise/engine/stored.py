"""An image that passes make and rewrite on the way to a result: in memory when small, else on disk.

It is kept tile by tile. What is staged becomes visible at `commit` only, so that every tile of a
sweep sees the image as it was before.
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
import threading
import weakref
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.engine.cache import shared_cache
from napari_tilewise.errors import DestinationUnwritable
from napari_tilewise.operations.grid import Grid, Region, extent, intersect, within

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise.engine.cache import ChunkCache

IN_MEMORY = 64 * 2**20
"""Images of more bytes go to disk."""

_numbers = itertools.count()


class StoredImage:
    """A source whose tiles can be replaced.

    Parameters
    ----------
    shape, dtype
        The image's; the channel axis, where there is one, is never cut.
    tile
        Tile lengths per axis.
    cache
        Where tiles read from disk are kept; the process's own unless given.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: Any,
        tile: Sequence[int],
        cache: ChunkCache | None = None,
    ) -> None:
        self.shape = shape
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.chunks = tuple(tile)
        self._grid = Grid(shape, self.chunks)
        self._cache = cache
        self._lock = threading.Lock()
        self._tiles: dict[tuple[int, ...], np.ndarray | Path] = {}
        self._staged: dict[tuple[int, ...], np.ndarray | Path] = {}
        self._folder: Path | None = None
        if prod(shape) * self.dtype.itemsize > IN_MEMORY:
            self._folder = Path(tempfile.mkdtemp(prefix="napari-tilewise-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)

    def stage(self, position: tuple[int, ...], pixels: np.ndarray) -> None:
        """Take a tile's new pixels, to be seen after `commit`."""
        kept: np.ndarray | Path = pixels
        if self._folder is not None:
            kept = self._write(self._folder / f"{next(_numbers)}.npy", pixels)
        elif pixels.base is not None:
            kept = pixels.copy()  # a crop would keep its whole region alive
        with self._lock:
            self._staged[position] = kept

    def _write(self, path: Path, pixels: np.ndarray) -> Path:
        try:
            np.save(path, pixels, allow_pickle=False)
        except OSError as error:
            raise DestinationUnwritable(
                f"Cannot keep an intermediate image in {path.parent}: {error.strerror}. Free some "
                "space there, or name another folder in the environment variable TMPDIR."
            ) from error
        return path

    def commit(self) -> None:
        """Make visible what was staged."""
        for position, kept in self._staged.items():
            before = self._tiles.get(position)
            self._tiles[position] = kept
            if isinstance(before, Path):
                before.unlink(missing_ok=True)
        self._staged = {}

    def read(self, region: Region) -> np.ndarray:
        """Return the pixels of a box; the array may be one of the tiles, not to be written to."""
        positions = list(self._grid.covering(region))
        if len(positions) == 1 and self._grid.region(positions[0]) == region:
            return self._tile(positions[0])
        out = np.empty(extent(region), self.dtype)
        for position in positions:
            box = self._grid.region(position)
            common = intersect(box, region)
            out[within(common, region)] = self._tile(position)[within(common, box)]
        return out

    def _tile(self, position: tuple[int, ...]) -> np.ndarray:
        kept = self._tiles[position]
        if not isinstance(kept, Path):
            return kept.view()
        cache = self._cache or shared_cache()
        return cache.get(("stored", kept.name), lambda: np.asarray(np.load(kept)))

    def prepare(self) -> None:
        """Nothing to do."""
