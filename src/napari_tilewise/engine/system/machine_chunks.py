"""Decoded chunks that the processes of one machine share, as files in a temporary folder.

Tiles of neighbours meet the same chunks. Where they are computed in several processes, the first
that decodes a chunk leaves it here for the others. Each process removes its oldest files beyond its
share, and the last one that leaves removes the folder; what a killed process left behind is removed
by the next one that comes.
"""

from __future__ import annotations

import multiprocessing.util
import os
import shutil
import tempfile
import threading
import time
import weakref
from collections import OrderedDict, deque
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np
import psutil

from napari_tilewise.engine.system.file_names import remove_if_possible, replace
from napari_tilewise.engine.system.machine import processors

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_tilewise.types import DType

MOST_BYTES = 2**31
"""Bytes of all files of a source, where there is a process per processor."""
SHARE = 2**28
"""Most bytes of the files of one process."""
MOST_SOURCES = 4
"""Number of sources whose chunks a process shares at a time."""
PAUSE = 0.002
"""Seconds between two looks at whether another process is done with a chunk."""
_PREFIX = "napari-tilewise-chunks-"


_last: OrderedDict[str, MachineChunks] = OrderedDict()
_last_lock = threading.Lock()


def machine_chunks(key: str) -> MachineChunks | None:
    """Return the chunks of a source that the processes of this machine share; None without a place.

    Parameters
    ----------
    key
        The source's key, the same in all processes.
    """
    with _last_lock:
        if key not in _last:
            try:
                _last[key] = MachineChunks(key)
            except OSError:
                return None
            while len(_last) > MOST_SOURCES:
                _last.popitem(last=False)
        _last.move_to_end(key)
        return _last[key]


class MachineChunks:
    """The decoded chunks of one source.

    Parameters
    ----------
    key
        The source's key, the same in all processes.
    """

    def __init__(self, key: str) -> None:
        self._folder = Path(tempfile.gettempdir()) / f"{_PREFIX}{key}"
        self._lock = threading.Lock()
        self._written: deque[tuple[Path, int]] = deque()
        self._bytes = 0
        self._share = min(SHARE, MOST_BYTES // processors())
        _remove_abandoned()
        leave = partial(_leave, self._folder, _entered(self._folder))
        weakref.finalize(self, leave)
        multiprocessing.util.Finalize(None, leave, exitpriority=0)

    def get(
        self,
        position: Sequence[int],
        shape: tuple[int, ...],
        dtype: DType,
        load: Callable[[], np.ndarray],
    ) -> np.ndarray:
        """Return a chunk, decoded by this process if no other one has it or is about to.

        Parameters
        ----------
        position
            The chunk's position in the grid.
        shape, dtype
            The chunk's.
        load
            Decodes it.
        """
        path = self._folder / "-".join(map(str, position))
        claim = path.with_suffix(".claim")
        while True:
            try:
                return np.fromfile(path, dtype).reshape(shape)
            except (OSError, ValueError):
                pass  # not there
            if not self._folder.is_dir():
                return load()
            if _claimed(claim):
                break
            time.sleep(PAUSE)
        try:
            chunk = load()
            self._write(path, chunk)
            return chunk
        finally:
            remove_if_possible(claim)

    def _write(self, path: Path, chunk: np.ndarray) -> None:
        """Write a chunk for others; without room for it they decode it themselves."""
        growing = path.with_name(f"{path.name}.{uuid4().hex[:8]}.new")
        try:
            np.ascontiguousarray(chunk).tofile(growing)
            replace(growing, path)
        except OSError:
            remove_if_possible(growing)
            return
        with self._lock:
            self._written.append((path, chunk.nbytes))
            self._bytes += chunk.nbytes
            while self._bytes > self._share:
                oldest, nbytes = self._written.popleft()
                self._bytes -= nbytes
                remove_if_possible(oldest)


def _claimed(claim: Path) -> bool:
    """Return whether this process is now the one to decode a chunk."""
    try:
        descriptor = os.open(claim, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        try:
            process = int(claim.read_text() or os.getpid())
        except (OSError, ValueError):
            return False
        if not psutil.pid_exists(process):
            remove_if_possible(claim)
        return False
    except OSError:
        return True  # without the folder, or room in it, each decodes for itself
    with os.fdopen(descriptor, "w") as file:
        file.write(str(os.getpid()))
    return True


def _entered(folder: Path) -> Path:
    """Create a process's mark in a folder, which another one may remove at the same time."""
    mark = folder / f"{os.getpid()}-{uuid4().hex[:8]}.user"
    while True:
        folder.mkdir(mode=0o700, exist_ok=True)  # nobody else's business
        try:
            mark.touch()
        except FileNotFoundError:
            continue
        return mark


def _leave(folder: Path, mark: Path) -> None:
    """Remove a process's mark, and the folder with the last one."""
    remove_if_possible(mark)
    if not any(folder.glob("*.user")):
        shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned() -> None:
    """Remove the folders whose processes were all killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        users = [mark.name.partition("-")[0] for mark in folder.glob("*.user")]
        users = [user for user in users if user.isdecimal()]
        if users and not any(psutil.pid_exists(int(user)) for user in users):
            shutil.rmtree(folder, ignore_errors=True)
