"""A checkpoint lists what of a run is done, so that a run that was killed is resumed.

It is a small folder beside the output: an append-only journal, each line with its checksum, so that
a torn last line is noticed and dropped, and one file per pass with a result. A tile is noted
after its pixels are written, so that no tile in the journal is missing.
"""

from __future__ import annotations

import itertools
import shutil
import socket
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil
from filelock import FileLock, Timeout

from napari_tilewise.engine.journal import Journal, leading_entries, repair
from napari_tilewise.engine.many_tiles import PositionSet
from napari_tilewise.engine.pass_results import PartialResult, PassResults, pickled
from napari_tilewise.engine.system.disk import writing
from napari_tilewise.errors import DestinationBusy, DestinationUnwritable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from napari_tilewise.grid import Position
    from napari_tilewise.types import Parameters

VERSION = 1
JOURNAL = "journal"
"""Name of the journal's file."""
SETTLED = 120
"""Seconds after which a written file has reached the disk, whatever becomes of the machine."""
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
        self._tiles: dict[str, PositionSet] = {}
        self._facts: dict[str, Any] = {}
        self._file_lock = _locked(folder)
        with ExitStack() as undoing:
            undoing.callback(self._file_lock.release)
            entries = repair(folder / JOURNAL)
            self.is_new = not entries or entries[0].get("key") != key
            self.was_another = bool(entries) and self.is_new
            if self.is_new:
                self._clear()
                entries = [{"version": VERSION, "key": key, "facts": dict(facts)}]
            self._take(entries)
            self._journal = Journal(folder / JOURNAL, sync_interval=SYNC)
            undoing.callback(self._journal.close)
            if self.is_new:
                self._append(entries[0])
            undoing.pop_all()

    @property
    def facts(self) -> Parameters:
        """Plain data that the first run noted."""
        return self._facts

    def add_facts(self, **facts: Any) -> None:
        """Note facts for the run that resumes this one.

        Parameters
        ----------
        **facts
            Plain data by name.
        """
        with self._lock:
            self._facts = {**self._facts, **facts}
            self._append({"facts": facts})

    def distrust_tiles(self) -> None:
        """Take no tile as done in this process; nothing is noted, as the disk may be full."""
        with self._lock:
            self._tiles.clear()

    def forget_tiles(self) -> None:
        """Note that no tile is done: the pixels are gone."""
        with self._lock:
            if any(self._tiles.values()):
                self._append({"forget": "tiles"})
            self._tiles.clear()

    def forget(self) -> None:
        """Note that no tile and no pass is done: the pixels that were read are in doubt."""
        self.forget_tiles()
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
        return self._tiles.setdefault(name, PositionSet())

    def mark_done(self, name: str, position: Position) -> None:
        """Note that a tile is done; its pixels must be written.

        Parameters
        ----------
        name
            The checkpoint's name of the pass.
        position
            The tile's position in the grid.
        """
        with self._lock:
            self.done(name).add(position)
            self._append({"pass": name, "tile": list(position), "time": int(time.time())})

    # -- results of passes ---------------------------------------------------------------------

    def save(self, name: str, value: Any) -> None:
        """Save the result of a pass.

        Parameters
        ----------
        name
            The checkpoint's name of the pass.
        value
            The result.
        """
        pickled(self._path(name, "found"), (value,))
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

    def _append(self, entry: Parameters) -> None:
        if self.is_gone:  # no later run would look there
            raise DestinationUnwritable(
                f"The run's checkpoint {str(self.folder)!r} was removed or moved while it ran: "
                "leave it in place and start the run again."
            )
        self._journal.append({**entry, "host": socket.gethostname()} if "key" in entry else entry)

    def _take(self, entries: list[dict[str, Any]]) -> None:
        """Take the entries as true; after a restart of the machine, all but the very last ones."""
        self._facts = _facts(entries)
        tiles = _tiles(entries)
        latest = max((entry["time"] for entry in tiles), default=0)
        same_host = entries[0].get("host", socket.gethostname()) == socket.gethostname()
        if not same_host or psutil.boot_time() > latest:
            tiles = [entry for entry in tiles if entry["time"] < latest - SETTLED]
        for entry in tiles:
            self.done(entry["pass"]).add(tuple(entry["tile"]))

    # -- end -----------------------------------------------------------------------------------

    @property
    def is_gone(self) -> bool:
        """Whether somebody removed or moved the folder during the run."""
        return self._journal.is_gone

    @property
    def is_empty(self) -> bool:
        """Whether nothing is done yet."""
        results = itertools.chain(self.folder.glob("*.found"), self.folder.glob("*.so-far"))
        return not any(self._tiles.values()) and not any(results)

    def close(self) -> None:
        """Release the checkpoint, for a later run to resume."""
        self._journal.close()
        self._file_lock.release()

    def remove(self) -> None:
        """Remove the checkpoint: its run is complete, or nothing of it is done."""
        gone = self.is_gone  # a folder in its place is another run's
        self._journal.close()
        if not gone:
            shutil.rmtree(self.folder, ignore_errors=True)
        self._file_lock.release()

    def _clear(self) -> None:
        for path in self.folder.iterdir():
            if path.name == "lock":
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


@dataclass(frozen=True)
class CheckpointContents:
    """The contents of the checkpoint of a run that may be alive."""

    key: str
    facts: Parameters
    """Plain data for the run that resumes it."""
    done: Mapping[str, int]
    """How many tiles of each pass are done."""


def read_checkpoint(folder: Path) -> CheckpointContents | None:
    """Return the contents of a checkpoint, without locking it; None where there is none.

    Parameters
    ----------
    folder
        The checkpoint's folder.
    """
    try:
        entries = leading_entries(folder / JOURNAL)
    except OSError:  # removed just now, as its run is complete
        return None
    if not entries or "key" not in entries[0]:
        return None
    done = {(entry["pass"], tuple(entry["tile"])) for entry in _tiles(entries)}
    return CheckpointContents(entries[0]["key"], _facts(entries), Counter(name for name, _ in done))


def is_locked(folder: Path) -> bool:
    """Return whether a run that is alive uses a checkpoint; the registry tells without a lock.

    Parameters
    ----------
    folder
        The checkpoint's folder.
    """
    try:
        with FileLock(folder / "lock", blocking=False):
            return False
    except (Timeout, OSError):
        return True


def _facts(entries: Sequence[Parameters]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for entry in entries:
        facts.update(entry.get("facts", {}))
    return facts


def _tiles(entries: Sequence[Parameters]) -> list[Parameters]:
    """Return the entries of tiles that were not forgotten later."""
    forgotten = max((n for n, entry in enumerate(entries) if "forget" in entry), default=0)
    return [entry for entry in entries[forgotten:] if "tile" in entry]


def _locked(folder: Path) -> FileLock:
    """Lock a checkpoint and return the lock; the system lifts it however the process ends."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "lock", blocking=False)
        try:
            lock.acquire()
        except Timeout:
            raise DestinationBusy(
                f"Another run is writing to the same destination (it uses {str(folder)!r}): wait "
                "for it, cancel it, or give another destination."
            ) from None
    return lock
