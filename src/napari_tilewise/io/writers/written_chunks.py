"""A list of the chunk files of a growing Zarr: one that somebody removes would be read as zeros.

Zarr writes no file for a chunk of fill values, so that a file that is absent says nothing. The list
is a file of one byte per chunk in the staging folder, which workers and resumed runs share.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import ChunksRemoved
from napari_tilewise.grid import Grid, whole, within
from napari_tilewise.io.chunk_files import has_pixels

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from io import FileIO
    from pathlib import Path

    from napari_tilewise.grid import Position, Region
    from napari_tilewise.io.writers.level_files import WrittenLevel
    from napari_tilewise.types import Array

PART = 2**20
"""Number of chunks that are looked at together."""


class WrittenChunks:
    """Which chunks of a level have a file.

    Parameters
    ----------
    output
        The final name of the output, for messages.
    folder
        The level's folder.
    level
        The level.
    """

    def __init__(self, output: Path, folder: Path, level: WrittenLevel) -> None:
        self._output = output
        self._grid = Grid(level.shape, level.shards or level.chunks)
        self._folder, self._key = folder, level.chunk_key
        self._list = self._folder / ".chunks"  # no object of the group
        self._list_path = str(self._list)
        self._lock = threading.Lock()
        self._open: FileIO | None = None
        self._stays_open = True
        if not self._list.exists():
            with self._list.open("ab") as file:
                file.truncate(len(self._grid))

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the list's name: other processes, on other machines too, open it for each box.

        What one machine writes, others see only when it closes the file.
        """
        return {**self.__dict__, "_open": None, "_lock": None, "_stays_open": False}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())

    def note(self, region: Region, block: Array) -> None:
        """Note which chunks of a box have files, after it was written.

        Parameters
        ----------
        region
            The box, in the order of the stored axes.
        block
            Its pixels.
        """
        single = self._grid.position_of(region)
        if single is not None:
            marks = [(self._grid.index(single), _mark(block))]
        else:
            marks = [
                (
                    self._grid.index(position),
                    _mark(block[within(self._grid.region(position), region)]),
                )
                for position in self._grid.covering(region)
            ]
        with self._lock:
            file = self._open or open(self._list_path, "r+b", buffering=0)
            try:
                for number, mark in marks:
                    file.seek(number)
                    file.write(mark)
            finally:
                if self._stays_open:
                    self._open = file
                else:
                    file.close()

    def close(self) -> None:
        """Close the list: Windows does not rename or remove a folder with an open file."""
        with self._lock:
            if self._open is not None:
                self._open.close()
                self._open = None

    def check(self, region: Region | None = None) -> None:
        """Raise `ChunksRemoved` if a file of a box has been removed.

        Parameters
        ----------
        region
            The box, in the order of the stored axes; all unless given.
        """
        everything = whole(self._grid.shape)
        box = everything if region is None else region
        is_part = box != everything
        for position in self._listed(self._grid.covering(box)) if is_part else self._all():
            if not self._exists(position):
                raise ChunksRemoved(
                    f"{str(self._output)!r} cannot be written: the chunk "
                    f"{self._key(position)!r} was removed from its staging folder "
                    f"{str(self._folder)!r} during the run; leave them in place and start again: "
                    "all tiles are computed anew."
                )

    @property
    def is_empty(self) -> bool:
        """Whether no chunk has a file, as all pixels are 0."""
        return next(self._all(), None) is None

    def remove(self) -> None:
        """Remove the list: the output is complete."""
        self.close()
        self._list.unlink(missing_ok=True)

    def _exists(self, position: Position) -> bool:
        return (self._folder / self._key(position)).exists()

    def _listed(self, positions: Iterable[Position]) -> Iterator[Position]:
        """Yield those of some chunks that have files."""
        with self._list.open("rb", buffering=0) as file:
            for position in positions:
                file.seek(self._grid.index(position))
                if file.read(1) == b"\1":
                    yield position

    def _all(self) -> Iterator[Position]:
        """Yield all chunks that have files."""
        with self._list.open("rb") as file:
            start = 0
            while part := file.read(PART):
                numbers = start + np.flatnonzero(np.frombuffer(part, np.uint8))
                yield from map(self._grid.position, numbers.tolist())
                start += len(part)


def _mark(block: Array) -> bytes:
    """Return the byte of a chunk with these pixels."""
    return b"\1" if has_pixels(block) else b"\0"
