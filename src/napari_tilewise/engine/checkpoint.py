"""An account says what of a run is done, so that a run that was killed goes on where it was.

It is a small folder beside the output: an append-only journal, each line with its checksum, so that
a torn last line is noticed and dropped, and one file per pass that found something. A tile is noted
after its pixels are written; so what the journal tells is there.
"""

from __future__ import annotations

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

from napari_tilewise.engine.disk import writing
from napari_tilewise.engine.journal import Journal, leading_entries, repair
from napari_tilewise.engine.pass_results import PassResults, SoFar, pickled
from napari_tilewise.errors import DestinationBusy, DestinationUnwritable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from napari_tilewise.grid import Position

VERSION = 1
JOURNAL = "journal"
"""Name of the file in which it is noted what is done."""
SETTLED = 120
"""Seconds after which a written file has reached the disk, whatever becomes of the machine."""
SYNC = 1.0
"""Seconds between two times that the journal is forced to the disk."""


class Checkpoint(PassResults):
    """What is done of one run.

    Parameters
    ----------
    folder
        Where it is kept; made where it is missing.
    key
        What decides about every pixel of the result: another key starts afresh.
    facts
        What a run that goes on needs to know of the one before.

    Raises
    ------
    DestinationBusy
        When a living run keeps this account.
    DestinationUnwritable
        When the folder cannot be written.
    """

    is_shared = False

    def __init__(self, folder: Path, key: str, facts: Mapping[str, Any]) -> None:
        super().__init__(folder)
        self._lock = threading.Lock()
        self._tiles: dict[str, set[Position]] = {}
        self._facts: dict[str, Any] = {}
        self._held = _claimed(folder)
        with ExitStack() as undoing:
            undoing.callback(self._held.release)
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
    def facts(self) -> Mapping[str, Any]:
        """What the first of the runs told."""
        return self._facts

    def tell(self, **facts: Any) -> None:
        """Note a fact that a run that goes on needs to know.

        Parameters
        ----------
        **facts
            Plain data by name.
        """
        with self._lock:
            self._facts = {**self._facts, **facts}
            self._append({"facts": facts})

    def lose_tiles(self) -> None:
        """Believe no more that tiles are done, for this run alone: the disk may take no note."""
        with self._lock:
            self._tiles.clear()

    def forget_tiles(self) -> None:
        """Note that no tile is done: what was written is gone."""
        with self._lock:
            if any(self._tiles.values()):
                self._append({"forget": "tiles"})
            self._tiles.clear()

    # -- tiles ---------------------------------------------------------------------------------

    def done(self, what: str) -> set[Position]:
        """Return the tiles of a pass that are done.

        Parameters
        ----------
        what
            The pass.
        """
        return self._tiles.setdefault(what, set())

    def note(self, what: str, position: Position) -> None:
        """Note that a tile is done; its pixels must be written.

        Parameters
        ----------
        what
            The pass.
        position
            The tile.
        """
        with self._lock:
            self.done(what).add(position)
            self._append({"pass": what, "tile": list(position), "time": int(time.time())})

    # -- what passes found ---------------------------------------------------------------------

    def keep(self, what: str, value: Any) -> None:
        """Keep what a pass found.

        Parameters
        ----------
        what
            The pass.
        value
            What it found.
        """
        pickled(self._path(what, "found"), (value,))
        self._path(what, "so-far").unlink(missing_ok=True)

    def so_far(self, what: str) -> SoFar:
        """Return how far a gathering pass is.

        Parameters
        ----------
        what
            The pass.
        """
        return SoFar(self._path(what, "so-far"))

    def files(self, name: str) -> Path:
        """Return a folder for files that a later run takes as they are.

        What was written just before the machine stopped may not have reached the disk: it goes.

        Parameters
        ----------
        name
            The folder's name.
        """
        folder = super().files(name)
        boot = psutil.boot_time()
        for path in folder.iterdir():
            if boot - SETTLED < path.stat().st_mtime < boot:
                path.unlink()
        return folder

    # -- journal -------------------------------------------------------------------------------

    def _append(self, entry: Mapping[str, Any]) -> None:
        if self.is_gone:  # no later run would look there
            raise DestinationUnwritable(
                f"{str(self.folder)!r}, where it is noted what of the run is done, was removed or "
                "moved while it ran; leave it in place and start again."
            )
        self._journal.append({**entry, "host": socket.gethostname()} if "key" in entry else entry)

    def _take(self, entries: list[dict[str, Any]]) -> None:
        """Believe the entries; after a restart of the machine, not the very last ones."""
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
        """Whether somebody removed the folder while the run goes on, or moved it away."""
        return self._journal.is_gone

    @property
    def is_empty(self) -> bool:
        """Whether nothing is done yet."""
        return not any(self._tiles.values()) and not any(self.folder.glob("*.found"))

    def close(self) -> None:
        """Leave the account to a later run."""
        self._journal.close()
        self._held.release()

    def remove(self) -> None:
        """Remove the account: its run is complete, or nothing of it is done."""
        gone = self.is_gone  # what stands in its place then is another run's
        self._journal.close()
        if not gone:
            shutil.rmtree(self.folder, ignore_errors=True)
        self._held.release()

    def _clear(self) -> None:
        for path in self.folder.iterdir():
            if path.name == "lock":
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


@dataclass(frozen=True)
class Told:
    """What an account tells of a run that may be alive."""

    key: str
    facts: Mapping[str, Any]
    """What a run that goes on needs to know."""
    done: Mapping[str, int]
    """How many tiles of each pass are done."""


def told(folder: Path) -> Told | None:
    """Return what an account tells, without claiming it; None where there is none.

    Parameters
    ----------
    folder
        Where it is kept.
    """
    try:
        entries = leading_entries(folder / JOURNAL)
    except OSError:  # removed just now, as its run is complete
        return None
    if not entries or "key" not in entries[0]:
        return None
    done = {(entry["pass"], tuple(entry["tile"])) for entry in _tiles(entries)}
    return Told(entries[0]["key"], _facts(entries), Counter(name for name, _ in done))


def is_held(folder: Path) -> bool:
    """Return whether a living run keeps an account; rather ask the register, which claims nothing.

    Parameters
    ----------
    folder
        Where it is kept.
    """
    try:
        with FileLock(folder / "lock", blocking=False):
            return False
    except (Timeout, OSError):
        return True


def _facts(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for entry in entries:
        facts.update(entry.get("facts", {}))
    return facts


def _tiles(entries: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the entries of tiles that were not forgotten later."""
    forgotten = max((n for n, entry in enumerate(entries) if "forget" in entry), default=0)
    return [entry for entry in entries[forgotten:] if "tile" in entry]


def _claimed(folder: Path) -> FileLock:
    """Return the lock of an account, held; the system lifts it when the process ends in any way."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "lock", blocking=False)
        try:
            lock.acquire()
        except Timeout:
            raise DestinationBusy(
                f"Another run is writing to the same destination (it keeps {str(folder)!r}): wait "
                "for it, cancel it, or give another destination."
            ) from None
    return lock
