"""A walk goes through all pixels in an order of its own, in arrays that need not fit in memory.

Arrays that fit are in memory. The others are files, mapped into memory: the system reads the pages
that are used, and keeps as many as there is room for. The process releases all of them whenever it
holds more than its share.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.engine.passes.stored_pass import StoredPass
from napari_tilewise.engine.stored.stored_image import TEMPORARY
from napari_tilewise.engine.system.disk import ELSEWHERE, reserve, writing
from napari_tilewise.engine.system.machine import available_memory
from napari_tilewise.engine.system.resident import resident

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import DTypeLike

    from napari_tilewise.engine.plane import Plane
    from napari_tilewise.grid import Position
    from napari_tilewise.operations.spec.operation import Walk

FEWEST, MOST = 2**12, 2**18
"""Pixels of a step: cancel and progress wait for one."""
IN_MEMORY = 3
"""Quarters of the share for arrays in memory; what is left is for pages of files."""
PAGES = 8
"""Which part of its share the process may take in one step before steps become shorter."""


class MappedFile:
    """An array in a file.

    Parameters
    ----------
    path
        The file, which is created.
    shape, dtype
        The array's.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        self.path = path
        self.shape, self.dtype = shape, np.dtype(dtype)
        self._array: np.ndarray | None = None
        path.touch()
        self._extend()

    def _extend(self) -> None:
        with self.path.open("r+b") as file:
            file.truncate(max(1, prod(self.shape)) * self.dtype.itemsize)
        reserve(self.path)

    @property
    def array(self) -> np.ndarray:
        """The array, mapped into memory."""
        array = self._array
        if array is None:  # another thread may release it at any time
            self._array = array = np.memmap(self.path, self.dtype, "r+", shape=self.shape)
        return array

    def release(self) -> None:
        """Hold none of its pages."""
        self._array = None

    def lengthen(self, length: int) -> None:
        """Give the array, which has one axis, another length.

        Parameters
        ----------
        length
            The new one.
        """
        self._array, self.shape = None, (length,)
        self._extend()


class ArrayStore:
    """The arrays of one walk (see `Workspace`).

    Parameters
    ----------
    folder
        Where files go.
    limit
        Bytes that the process may take for all arrays together.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.size = MOST
        self._folder, self._limit = folder, limit
        self._before = self._last = resident()
        self._in_memory: dict[str, np.ndarray] = {}
        self._files: dict[str, MappedFile] = {}
        self._lock = threading.Lock()

    def __getitem__(self, name: str) -> np.ndarray:
        """Return an array."""
        array = self._in_memory.get(name)
        return self._files[name].array if array is None else array

    @property
    def _room(self) -> int:
        return self._limit * IN_MEMORY // 4 - sum(
            array.nbytes for array in self._in_memory.values()
        )

    def create(
        self, name: str, shape: tuple[int, ...], dtype: DTypeLike, *, beside: int = 0
    ) -> None:
        """Make an array of zeros: in memory if there is room for it, beside further bytes.

        Parameters
        ----------
        name
            Its name.
        shape, dtype
            The array's.
        beside
            Bytes of arrays that will be made, and should be in memory before this one.
        """
        if prod(shape) * np.dtype(dtype).itemsize + beside <= self._room:
            self._in_memory[name] = np.zeros(shape, dtype)
        else:
            self._files[name] = MappedFile(self._folder / name, shape, dtype)

    def lengthen(self, name: str, length: int) -> None:
        """Give an array with one axis another length, its values kept.

        Parameters
        ----------
        name
            The array.
        length
            The new length.
        """
        if name in self._files:
            self._files[name].lengthen(length)
            return
        old = self._in_memory[name]
        nbytes = length * old.itemsize
        if nbytes <= self._room:  # both are in memory for a while
            new = np.zeros(length, old.dtype)
            new[: len(old)] = old
            self._in_memory[name] = new
            return
        file = MappedFile(self._folder / name, (length,), old.dtype)
        file.array[: len(old)] = old
        del self._in_memory[name]
        self._files[name] = file

    def remove(self, name: str) -> None:
        """Forget an array, and remove its file.

        Parameters
        ----------
        name
            The array.
        """
        self._in_memory.pop(name, None)
        file = self._files.pop(name, None)
        if file is not None:
            file.release()
            file.path.unlink()

    def keep_to_share(self) -> None:
        """Release the files' pages where the process has taken its share; adapt steps to it."""
        if not self._files:
            return
        with self._lock:
            now = resident()
            growth, self._last = now - self._last, now
            if growth > self._limit // PAGES:
                self.size = max(FEWEST, self.size // 2)
            elif growth < self._limit // PAGES // 4:
                self.size = min(MOST, self.size * 2)
            if now - self._before > self._limit * (PAGES - 1) // PAGES:
                for file in self._files.values():
                    file.release()
                self._last = resident()

    def close(self) -> None:
        """Forget all arrays."""
        for name in (*self._in_memory, *self._files):
            self.remove(name)


class WalkRunner(StoredPass):
    """Does one `Walk` on a plane.

    Parameters
    ----------
    plane
        The operation, its images and its tiles.
    walk
        The walk.
    number
        Its number among the passes of the operation, from 0.
    """

    repeated = 2**22
    """One thread goes the whole way, which takes longer than writing what it made."""

    def __init__(self, plane: Plane, walk: Walk, number: int) -> None:
        super().__init__(plane, walk, number)
        self.walk = walk

    def run(self) -> int:
        """Do the walk, unless an earlier run has its image; return 0."""
        earlier = self._earlier_result()
        if earlier is not None:
            return earlier
        session, image = self.plane.session, self.walk.name
        self.plane.store(image, None)
        folder = self._scratch()
        elsewhere = TEMPORARY if self._checkpoint is None else ELSEWHERE
        space = ArrayStore(folder, session.memory or available_memory() // 2)
        stored = self._new()
        try:
            with writing(folder, elsewhere):
                self.walk.create(space)
                self._load(space)
                self._go(space)
            for position in self._grid.positions():
                pixels = self.walk.pixels(self._grid.region(position), space)
                stored.put(self._stored_position(position), np.array(pixels))
                space.keep_to_share()
        finally:
            space.close()
            shutil.rmtree(folder, ignore_errors=True)
        self.plane.store(image, stored)
        self._save_result(0, stored)
        return 0

    def _scratch(self) -> Path:
        """Return an empty folder for the arrays: beside the output, where there is a checkpoint."""
        folder = self.plane.folder_of(f"{self.walk.name}-arrays")
        if folder is None:
            return Path(tempfile.mkdtemp(prefix="napari-tilewise-"))
        shutil.rmtree(folder)  # an earlier run's
        folder.mkdir()
        return folder

    def _load(self, space: ArrayStore) -> None:
        """Have the walk take all tiles."""
        plane = self.plane

        def work(position: Position) -> None:
            tile = plane.grid.region(position)
            block = plane.blocks.block(tile, tile, position)
            plane.guard(lambda: self.walk.load(block, space), tile)
            space.keep_to_share()

        session = replace(plane.session, worker_pool=None)
        session.sweep(f"{plane.operation.name}: reading", work, plane.ordered())

    def _go(self, space: ArrayStore) -> None:
        """Go the whole way, in parts between which the run can be cancelled."""
        plane = self.plane
        parts = max(1, prod(plane.call.spatial_shape) // MOST)
        steps: Iterator[float] = self.walk.steps(space)
        share = 0.0

        def work(part: int) -> None:
            nonlocal share
            while share * parts < part + 1 and share < 1:
                share = plane.guard(lambda: next(steps, 1.0), plane.everything)
                space.keep_to_share()

        session = replace(plane.session, workers=1, worker_pool=None)
        session.sweep(self.title, work, range(parts))
