"""A checkpoint lists what of a run is done, so that a run that was killed is resumed.

It is a small folder beside the output: an append-only journal, each line with its checksum, so that
a torn last line is noticed and dropped, and one file per pass with a result. A tile is noted
after its pixels are written, so that no tile in the journal is missing.
"""

from __future__ import annotations

import itertools
import json
import shutil
import socket
import threading
import time
from contextlib import ExitStack, suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import psutil

from napari_tilewise.engine.checkpoints.checkpoint_contents import (
    JOURNAL,
    SETTLED,
    CheckpointContents,
    repaired_contents,
)
from napari_tilewise.engine.checkpoints.checkpoint_lock import LOCK, locked
from napari_tilewise.engine.checkpoints.journal import (
    Journal,
    entry_at,
)
from napari_tilewise.engine.checkpoints.pass_results import (
    PartialResult,
    PassResults,
    text_value,
    value_text,
    write_value,
)
from napari_tilewise.engine.stored.many_tiles import PositionSet
from napari_tilewise.errors import DestinationUnwritable

if TYPE_CHECKING:
    from pathlib import Path

    from napari_tilewise.grid import Position
    from napari_tilewise.types import Parameters

VERSION = 1
_quoted = lru_cache(json.dumps)
SYNC = 1.0
"""Seconds between two times that the journal is forced to the disk."""


class Checkpoint(PassResults):
    """The finished tiles and passes of one run.

    Parameters
    ----------
    folder
        Its folder, which is created if it is missing.
    key
        A digest of all that decides about a pixel; with another key the run starts anew.
    facts
        Plain data for the run that resumes this one.

    Raises
    ------
    DestinationBusy
        When another run that is alive uses this checkpoint.
    DestinationUnwritable
        When the folder cannot be written.
    """

    is_shared = False

    def __init__(self, folder: Path, key: str, facts: Parameters) -> None:
        super().__init__(folder)
        self._lock = threading.Lock()
        self._has_files = True
        self._file_lock = locked(folder)
        with ExitStack() as undoing:
            undoing.callback(self._file_lock.release)
            contents = repaired_contents(folder / JOURNAL)
            self.is_new = contents.key != key or not contents.has_types_of(facts)
            self.was_another = contents.count > 0 and self.is_new
            first = {"version": VERSION, "key": key, "facts": dict(facts)}
            if self.is_new:
                self._clear()
                contents = CheckpointContents()
                contents.take(first)
            self._contents = contents
            self._journal = Journal(folder / JOURNAL, sync_interval=SYNC)
            undoing.callback(self._journal.close)
            if self.is_new:
                self._append(first)
            undoing.pop_all()

    @property
    def facts(self) -> Parameters:
        """Plain data that the first run noted."""
        return self._contents.facts

    def add_facts(self, **facts: Any) -> None:
        """Note facts for the run that resumes this one.

        Parameters
        ----------
        **facts
            Plain data by name.
        """
        with self._lock:
            self._note({"facts": facts})

    def distrust_tiles(self) -> None:
        """Take no tile as done in this process; nothing is noted, as the disk may be full."""
        with self._lock:
            self._contents.tiles.clear()

    def forget_tiles(self) -> None:
        """Note that no tile is done: the pixels are gone."""
        with self._lock:
            if any(self._contents.tiles.values()):
                self._note({"forget": "tiles"})
            self._contents.tiles.clear()

    def forget(self) -> None:
        """Note that no tile and no pass is done: the pixels that were read are in doubt."""
        self.forget_tiles()
        with self._lock:
            if self._contents.results:
                self._note({"forget": "results"})
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.suffix in (".found", ".so-far"):
                path.unlink(missing_ok=True)

    # -- tiles ---------------------------------------------------------------------------------

    def done(self, name: str) -> PositionSet:
        """Return the tiles of a pass that are done.

        Parameters
        ----------
        name
            The checkpoint's name of the pass.
        """
        return self._contents.tiles.setdefault(name, PositionSet())

    def mark_done(self, name: str, position: Position) -> None:
        """Note that a tile is done; its pixels must be written.

        Parameters
        ----------
        name
            The checkpoint's name of the pass.
        position
            The tile's position in the grid.
        """
        now = int(time.time())
        # The line that `_note` would write, in a tenth of the time.
        text = f'{{"pass": {_quoted(name)}, "tile": {[*map(int, position)]}, "time": {now}}}'
        with self._lock:
            self._check_place()
            self._journal.append_object(text)
            self._contents.take_tile(name, position, now)

    # -- results of passes ---------------------------------------------------------------------

    def use_files(self, *, always: bool) -> None:
        """Set whether short results have files too, where other processes look for them.

        Parameters
        ----------
        always
            Whether they have; else they are lines of the journal, which no disk is waited for.
        """
        self._has_files = always
        for name in self._contents.results if always else ():
            result = self.load(name)
            if result is not None:
                write_value(self._path(name, "found"), result)

    def load(self, name: str) -> tuple[Any] | None:
        """Return the result of a pass, in a tuple; None where the pass is not done.

        Parameters
        ----------
        name
            The checkpoint's name of the pass.
        """
        start = self._contents.results.get(name)
        if start is None:
            return super().load(name)
        entry = entry_at(self.folder / JOURNAL, start)
        return None if entry is None else text_value(entry["packed"], self.folder)

    def save(self, name: str, value: Any) -> None:
        """Save the result of a pass.

        Parameters
        ----------
        name
            The checkpoint's name of the pass.
        value
            The result.
        """
        text = None if self._has_files else value_text(value, self.folder)
        with self._lock:
            if text is None:
                self._contents.results.pop(name, None)
            else:
                self._note({"result": name, "packed": text, "time": int(time.time())})
        if text is None:
            write_value(self._path(name, "found"), (value,))
        self._path(name, "so-far").unlink(missing_ok=True)

    def partial_result(self, name: str) -> PartialResult:
        """Return the total of a reduction under way.

        Parameters
        ----------
        name
            The checkpoint's name of the pass.
        """
        return PartialResult(self._path(name, "so-far"))

    def subfolder(self, name: str) -> Path:
        """Return a folder for files that a later run uses as they are.

        Files written just before the machine stopped may not have reached the disk: they are
        removed.

        Parameters
        ----------
        name
            The folder's name.
        """
        folder = super().subfolder(name)
        boot = psutil.boot_time()
        for path in folder.iterdir():
            if boot - SETTLED < path.stat().st_mtime < boot:
                path.unlink()
        return folder

    # -- journal -------------------------------------------------------------------------------

    def _note(self, entry: Parameters) -> None:
        self._contents.take(entry, self._append(entry))

    def _append(self, entry: Parameters) -> int:
        self._check_place()
        if "key" in entry:
            entry = {**entry, "host": socket.gethostname()}
        return self._journal.append(entry)

    def _check_place(self) -> None:
        if self.is_gone:  # no later run would look there
            raise DestinationUnwritable(
                f"The run's checkpoint {str(self.folder)!r} was removed or moved while it ran: "
                "leave it in place and start the run again."
            )

    # -- end -----------------------------------------------------------------------------------

    @property
    def is_gone(self) -> bool:
        """Whether somebody removed or moved the folder during the run."""
        return self._journal.is_gone

    @property
    def is_empty(self) -> bool:
        """Whether nothing is done yet."""
        results = itertools.chain(self.folder.glob("*.found"), self.folder.glob("*.so-far"))
        contents = self._contents
        return not contents.results and not any(contents.tiles.values()) and not any(results)

    def close(self) -> None:
        """Release the checkpoint, for a later run to resume."""
        self._journal.close()
        self._file_lock.release()

    def remove(self) -> None:
        """Remove the checkpoint: its run is complete, or nothing of it is done."""
        gone = self.is_gone  # a folder in its place is another run's
        self._journal.close()
        if not gone:
            with suppress(OSError):
                self._clear()
                self._remove_lock()
                self.folder.rmdir()  # unless another run has locked it by now
        self._file_lock.release()

    def _clear(self) -> None:
        for path in self.folder.iterdir():
            if path.name == LOCK:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    def _remove_lock(self) -> None:
        """Remove the lock's file while it is locked; on Windows, which keeps open files, after."""
        lock = self.folder / LOCK
        try:
            lock.unlink(missing_ok=True)
        except PermissionError:
            self._file_lock.release()
            lock.unlink(missing_ok=True)  # refused if another run has opened it by now
