"""Chunks of an output for a URL are sent while the next ones are computed.

What is sent is noted on this machine, so that a run that was killed does not send it again. Parts
of an output never look finished: the metadata of its root comes last.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from napari_tilewise.engine.checkpoints.journal import Journal, leading_entries
from napari_tilewise.engine.stored.many_tiles import PositionSet
from napari_tilewise.engine.system.fetchers import FETCHERS
from napari_tilewise.errors import TilewiseError
from napari_tilewise.grid import Grid

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path, PurePath

    from napari_tilewise.engine.checkpoints.journal import JournalEntry
    from napari_tilewise.grid import Position, Region
    from napari_tilewise.io.writers.staging_zarr import StagingZarr

MOST_QUEUED = 4096
"""Chunks that wait to be sent; more are sent at the end."""


class SentChunks:
    """The chunks of an output that are sent, as a file tells: a byte for each.

    Parameters
    ----------
    path
        The file; none: nothing is sent.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._levels: dict[int, PositionSet] = {}
        self.owner: str | None = None
        """Name of the staging folder that the chunks are of."""
        for entry in leading_entries(path):
            self._take(entry)

    def _take(self, entry: JournalEntry) -> None:
        if "staging" in entry:
            self.owner = entry["staging"]
            self._levels.clear()
        else:
            self._levels.setdefault(entry["level"], PositionSet()).add(tuple(entry["chunk"]))

    def add(self, journal: Journal, entry: JournalEntry) -> None:
        """Note a chunk, or whose chunks follow.

        Parameters
        ----------
        journal
            The file.
        entry
            What is noted.
        """
        journal.append(entry)
        self._take(entry)

    def holds(self, level: int, position: Position) -> bool:
        """Return whether a chunk is sent.

        Parameters
        ----------
        level
            Number of the level.
        position
            The chunk's position; of shards, the shard's.
        """
        return level in self._levels and position in self._levels[level]

    def holds_file(self, path: PurePath) -> bool:
        """Return whether a file of the output is a chunk that is sent.

        Parameters
        ----------
        path
            Its path within the output: the level, ``c`` in Zarr's third version, the position.
        """
        numbers = [int(part) for part in path.parts if part.isdecimal()]
        return bool(numbers) and self.holds(numbers[0], tuple(numbers[1:]))


class ChunkSender:
    """Sends the chunks of a growing output in threads of its own.

    Parameters
    ----------
    zarr
        The output on this machine.
    sent
        What of it is sent.
    put
        Sends a file under a name within the output.
    """

    def __init__(
        self, zarr: StagingZarr, sent: SentChunks, put: Callable[[Path, str], None]
    ) -> None:
        self._zarr, self._sent, self._put = zarr, sent, put
        self._lock = threading.Lock()
        self._journal = Journal(sent.path)
        self._room = threading.BoundedSemaphore(MOST_QUEUED)
        self._is_over = False
        self._pool = ThreadPoolExecutor(FETCHERS, thread_name_prefix="tilewise-send")
        if sent.owner != zarr.staging.name:
            sent.add(self._journal, {"staging": zarr.staging.name})

    def wrote(self, level: int, region: Region) -> None:
        """Send the chunks of a box that is complete, as soon as a thread is free.

        Parameters
        ----------
        level
            Number of the level, 0 the finest.
        region
            The box, in the order of the stored axes.
        """
        array = self._zarr.levels[level]
        grid = Grid(array.shape, array.shards or array.chunks)
        for position in grid.covering(region):
            if self._sent.holds(level, position):
                continue
            if self._is_over or not self._room.acquire(blocking=False):
                return
            self._pool.submit(self._send, level, position)

    def _send(self, level: int, position: Position) -> None:
        try:
            key = self._zarr.levels[level].chunk_key(position)
            name = f"{level}/{key}"
            path = self._zarr.staging / name
            if self._is_over or not path.is_file():  # of fill values only
                return
            self._put(path, name)
            with self._lock:
                self._sent.add(self._journal, {"level": level, "chunk": list(position)})
        except (TilewiseError, OSError):
            self._is_over = True  # what is left is sent at the end, which says what is wrong
        finally:
            self._room.release()

    def close(self) -> None:
        """Send no more; what is on its way arrives."""
        self._is_over = True
        self._pool.shutdown(cancel_futures=True)
        self._journal.close()
