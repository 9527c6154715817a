"""An image that passes make on the way to a result: in memory when small, else on disk.

It is kept tile by tile. `put` shows a tile at once. What is staged becomes visible at `commit`
only, so that every tile of a sweep sees the image as it was before. On disk a new version of a tile
is a new file: what one process stages another one sees by its number, and a run that was killed
finds the versions that it had noted.
"""

from __future__ import annotations

import multiprocessing.util
import shutil
import tempfile
import threading
import weakref
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from napari_tilewise.engine.stored.many_tiles import TileVersions
from napari_tilewise.engine.system.disk import ELSEWHERE, writing
from napari_tilewise.engine.system.file_names import remove_if_possible, replace
from napari_tilewise.errors import SourceUnreadable
from napari_tilewise.grid import Grid, Position, Region, extent, intersect, within

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from napari_tilewise.types import DType

IN_MEMORY = 64 * 2**20
"""Images of more bytes go to disk."""
TEMPORARY = "name another folder in the environment variable TMPDIR"
"""What helps where the disk of temporary folders is full."""


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
        A folder that outlives the process, and that other processes see.
    margin
        By how many pixels it is larger than the image that it is read beside, on both sides of each
        axis.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: Any,
        tile: Sequence[int],
        *,
        in_memory: bool | None = None,
        folder: Path | None = None,
        margin: tuple[int, ...] = (),
    ) -> None:
        self.shape = shape
        self.margin = margin
        self.dtype: DType = np.dtype(dtype)
        self.chunks = tuple(tile)
        self._grid = Grid(shape, self.chunks)
        self._lock = threading.Lock()
        self._held: dict[Position, np.ndarray] = {}
        self._held_staged: dict[Position, np.ndarray] = {}
        self._versions = TileVersions(self._grid.counts)
        self._staged = TileVersions(self._grid.counts)
        self._replaced: list[tuple[np.ndarray, np.ndarray]] = []
        self._elsewhere = ELSEWHERE if folder is not None else TEMPORARY
        is_small = prod(shape) * self.dtype.itemsize <= IN_MEMORY
        self._in_memory = folder is None and (is_small if in_memory is None else in_memory)
        if not self._in_memory:
            self._folder = self._created(folder)

    def _created(self, folder: Path | None) -> Path:
        """Return the folder of the tiles; a temporary one is removed with this image."""
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            return folder
        folder = Path(tempfile.mkdtemp(prefix="napari-tilewise-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        if multiprocessing.parent_process() is not None:  # whose end runs no other finalizers
            remove = partial(shutil.rmtree, folder, ignore_errors=True)
            multiprocessing.util.Finalize(None, remove, exitpriority=0)
        return folder

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the tiles: pixels in memory, or the names of files that this machine sees."""
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())

    def is_readable(self) -> bool:
        """Return whether this process can read the tiles."""
        return self._in_memory or self._folder.is_dir()

    @property
    def is_on_disk(self) -> bool:
        """Whether its tiles are in files."""
        return not self._in_memory

    @property
    def in_memory(self) -> int:
        """Bytes of its tiles that are in memory."""
        return sum(tile.nbytes for tile in self._held.values())

    def move_to_disk(self, folder: Path | None) -> None:
        """Keep the tiles in files from now on; they can be read meanwhile.

        Parameters
        ----------
        folder
            A folder for them; None: a temporary one.
        """
        with self._lock:
            if not self._in_memory:
                return
            self._elsewhere = ELSEWHERE if folder is not None else TEMPORARY
            self._folder = self._created(folder)
            self._in_memory = False
            for position, tile in self._held.items():
                self._write(self._path(position, 0), tile)
                self._versions[position] = 0
            self._held = {}

    @property
    def versions(self) -> np.ndarray | None:
        """The versions of the tiles on disk, each larger by one, 0 for others; None if none is."""
        versions = self._versions.array
        return versions.copy() if versions.any() else None

    def versions_of(self, region: Region) -> dict[Position, int]:
        """Return the versions of the tiles that hold a box.

        Parameters
        ----------
        region
            The box.
        """
        versions = ((p, self._versions.get(p)) for p in self._grid.covering(region))
        return {p: version for p, version in versions if version is not None}

    def see(self, versions: Mapping[Position, int] | np.ndarray) -> None:
        """Take these versions of tiles, which another process wrote or an earlier run.

        Parameters
        ----------
        versions
            By position, or of all tiles.
        """
        with self._lock:
            self._versions.update(versions)

    def stage(self, position: Position, pixels: np.ndarray) -> None:
        """Take a tile's new pixels, to be seen after `commit`."""
        version = self._versions.get(position, -1) + 1
        if self._in_memory:
            with self._lock:
                self._held_staged[position] = _unshared(pixels)
            return
        self._write(self._path(position, version), pixels)
        with self._lock:
            self._staged[position] = version

    def staged(self, positions: Iterable[Position]) -> None:
        """Note that another process staged these tiles.

        Parameters
        ----------
        positions
            The tiles.
        """
        with self._lock:
            for position in positions:
                self._staged[position] = self._versions.get(position, -1) + 1

    def put(self, position: Position, pixels: np.ndarray) -> None:
        """Take a tile's pixels, to be seen at once."""
        if not self._in_memory:
            self._write(self._path(position, 0), pixels)
        with self._lock:
            if self._in_memory:
                self._held[position] = _unshared(pixels)
            else:
                self._versions[position] = 0

    def __contains__(self, position: Position) -> bool:
        """Tell whether a tile is there, or its whole first version in the folder."""
        if position in self._held or position in self._versions:
            return True
        if self._in_memory:
            return False
        path = self._path(position, 0)
        try:
            # A file that was cut short when the machine stopped has another size.
            whole = path.stat().st_size == self._pixels(position) * self.dtype.itemsize
        except FileNotFoundError:
            return False
        if whole:
            self.see({position: 0})
        return whole

    def _pixels(self, position: Position) -> int:
        return prod(extent(self._grid.region(position)))

    def _path(self, position: Position, version: int) -> Path:
        return self._folder / f"{'-'.join(map(str, position))}.{version}.raw"

    def _write(self, path: Path, pixels: np.ndarray) -> None:
        growing = path.with_name(f"{path.name}.{uuid4().hex[:12]}")  # another may write it too
        with writing(path, self._elsewhere):
            try:
                growing.write_bytes(np.ascontiguousarray(pixels).data)
                replace(growing, path)
            except BaseException:
                growing.unlink(missing_ok=True)  # half a tile would only take room
                raise

    def commit(self) -> None:
        """Make visible what was staged; `tidy` removes what it replaced."""
        with self._lock:
            self._held.update(self._held_staged)
            self._held_staged = {}
            versions, staged = self._versions.array, self._staged.array
            numbers = np.flatnonzero((staged > 0) & (versions > 0))
            if len(numbers):
                self._replaced.append((numbers, versions.flat[numbers] - 1))
            self._versions.update(staged)
            self._staged.clear()

    def tidy(self) -> None:
        """Remove the versions that were replaced."""
        with self._lock:
            replaced, self._replaced = self._replaced, []
        for numbers, versions in replaced:
            for number, version in zip(numbers, versions, strict=True):
                path = self._path(self._grid.position(int(number)), int(version))
                remove_if_possible(path)

    def read(self, region: Region) -> np.ndarray:
        """Return the pixels of a box; the array may be one of the tiles, not to be written to."""
        single = self._grid.position_of(region)
        if single is not None:
            return self._box(single, region)
        positions = list(self._grid.covering(region))
        out = np.empty(extent(region), self.dtype)
        for position in positions:
            common = intersect(self._grid.region(position), region)
            out[within(common, region)] = self._box(position, common)
        return out

    def _box(self, position: Position, region: Region) -> np.ndarray:
        """Return a box of one tile; from disk, only the pages that hold it are read."""
        tile = self._held.get(position)
        box = within(region, self._grid.region(position))
        if tile is None:
            # Not an .npy file: its header is parsed by `ast`, which threads crash in Python 3.11.
            path = self._path(position, self._versions[position])
            shape = extent(self._grid.region(position))
            try:
                return np.array(np.memmap(path, self.dtype, "r", shape=shape)[box])
            except OSError as error:
                raise SourceUnreadable(
                    f"{str(path)!r}, a part of an intermediate image, cannot be read "
                    f"({error.strerror or error}); somebody removed or moved it, so leave it in "
                    "place and start again."
                ) from error
        return tile[box]

    waits = False

    def fetch(self, region: Region) -> bool:
        """Begin nothing: no reading waits."""
        return True

    def prepare(self, region: Region | None = None) -> None:
        """Nothing to do."""


def _unshared(pixels: np.ndarray) -> np.ndarray:
    """Return pixels that keep nothing else alive: a crop would keep its whole region."""
    base = pixels.base
    is_whole = isinstance(base, np.ndarray) and base.nbytes == pixels.nbytes
    return pixels if base is None or is_whole else pixels.copy()
