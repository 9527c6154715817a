"""An image that passes make on the way to a result: in memory when small, else on disk.

It is kept tile by tile. `put` shows a tile at once. What is staged becomes visible at `commit`
only, so that every tile of a sweep sees the image as it was before.
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

from napari_tilewise.errors import DestinationUnwritable
from napari_tilewise.operations.grid import Grid, Region, extent, intersect, within

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    in_memory
        Whether to keep the tiles in memory; small images are unless this is said.
    folder
        A folder that outlives the process: whole tiles that stand there are taken as they are.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: Any,
        tile: Sequence[int],
        *,
        in_memory: bool | None = None,
        folder: Path | None = None,
    ) -> None:
        self.shape = shape
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.chunks = tuple(tile)
        self._grid = Grid(shape, self.chunks)
        self._lock = threading.Lock()
        self._tiles: dict[tuple[int, ...], np.ndarray | Path] = {}
        self._staged: dict[tuple[int, ...], np.ndarray | Path] = {}
        self._folder = folder
        if folder is not None:
            self._take_in(folder)
            return
        if in_memory is None:
            in_memory = prod(shape) * self.dtype.itemsize <= IN_MEMORY
        if not in_memory:
            self._folder = Path(tempfile.mkdtemp(prefix="napari-tilewise-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)

    def _take_in(self, folder: Path) -> None:
        """Take the whole tiles that stand in a folder; one that was cut short has another size."""
        folder.mkdir(parents=True, exist_ok=True)
        for position in self._grid.positions():
            path = folder / _file_name(position)
            pixels = prod(extent(self._grid.region(position)))
            if path.exists() and path.stat().st_size == pixels * self.dtype.itemsize:
                self._tiles[position] = path

    def stage(self, position: tuple[int, ...], pixels: np.ndarray) -> None:
        """Take a tile's new pixels, to be seen after `commit`."""
        kept = self._keep(pixels, f"{next(_numbers)}.raw")
        with self._lock:
            self._staged[position] = kept

    def put(self, position: tuple[int, ...], pixels: np.ndarray) -> None:
        """Take a tile's pixels, to be seen at once."""
        kept = self._keep(pixels, _file_name(position))
        with self._lock:
            self._tiles[position] = kept

    def __contains__(self, position: tuple[int, ...]) -> bool:
        """Tell whether a tile is there."""
        return position in self._tiles

    def _keep(self, pixels: np.ndarray, name: str) -> np.ndarray | Path:
        if self._folder is not None:
            return self._write(self._folder / name, pixels)
        # a crop would keep its whole region alive
        return pixels.copy() if pixels.base is not None else pixels

    def _write(self, path: Path, pixels: np.ndarray) -> Path:
        try:
            growing = path.with_suffix(".new")
            growing.write_bytes(np.ascontiguousarray(pixels).data)
            growing.replace(path)
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
            return self._box(positions[0], region)
        out = np.empty(extent(region), self.dtype)
        for position in positions:
            common = intersect(self._grid.region(position), region)
            out[within(common, region)] = self._box(position, common)
        return out

    def _box(self, position: tuple[int, ...], region: Region) -> np.ndarray:
        """Return a box of one tile; from disk, only the pages that hold it are read."""
        kept = self._tiles[position]
        box = within(region, self._grid.region(position))
        if isinstance(kept, Path):
            # Not an .npy file: its header is parsed by `ast`, which threads crash in Python 3.11.
            shape = extent(self._grid.region(position))
            return np.array(np.memmap(kept, self.dtype, "r", shape=shape)[box])
        return kept[box]

    def prepare(self) -> None:
        """Nothing to do."""


def _file_name(position: tuple[int, ...]) -> str:
    return "-".join(map(str, position)) + ".raw"
