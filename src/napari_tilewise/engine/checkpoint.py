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
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import psutil
from filelock import FileLock, Timeout

from napari_tilewise.engine.journal import Journal, entry_at, leading_entries, repair, rewrite
from napari_tilewise.engine.pass_results import (
    PartialResult,
    PassResults,
    text_value,
    value_text,
    write_value,
)
from napari_tilewise.engine.stored.many_tiles import PositionSet
from napari_tilewise.engine.system.disk import writing
from napari_tilewise.errors import DestinationBusy, DestinationUnwritable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_tilewise.grid import Position
    from napari_tilewise.types import Parameters

VERSION = 1
JOURNAL = "journal"
"""Name of the journal's file."""
LOCK = "lock"
"""Name of the file that the run that uses a checkpoint holds locked."""
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
        self._has_files = True
        self._file_lock = _locked(folder)
        with ExitStack() as undoing:
            undoing.callback(self._file_lock.release)
            contents = _repaired(folder / JOURNAL)
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
        with self._lock:
            self._note({"pass": name, "tile": list(position), "time": int(time.time())})

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
        if self.is_gone:  # no later run would look there
            raise DestinationUnwritable(
                f"The run's checkpoint {str(self.folder)!r} was removed or moved while it ran: "
                "leave it in place and start the run again."
            )
        if "key" in entry:
            entry = {**entry, "host": socket.gethostname()}
        return self._journal.append(entry)

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


_TYPES: Mapping[str, type] = MappingProxyType(
    {
        "key": str, "host": str, "facts": dict, "pass": str, "tile": list, "time": int,
        "settled": int, "result": str, "packed": str, "forget": str,
    }
)  # fmt: skip
"""Types of what the entries of a checkpoint's journal hold."""
_REQUIRED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"tile": ("pass", "time"), "result": ("packed",)}
)
"""What an entry of a kind has besides."""
_MOST_TILES = 2**30
"""Tiles of a pass, a byte of address space each."""


@dataclass
class CheckpointContents:
    """What the journal of a checkpoint says: a byte for each tile, not an object."""

    key: str | None = None
    host: str | None = None
    """The machine that its first run ran on; None in those of early releases."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Plain data for the run that resumes it."""
    tiles: dict[str, PositionSet] = field(default_factory=dict)
    """The tiles of each pass that are done."""
    results: dict[str, int] = field(default_factory=dict)
    """Where in the journal the short results of passes are."""
    latest: int = 0
    """When the last tile or pass was done, or what is on disk was looked at after a restart of the
    machine, in seconds since the epoch."""
    count: int = 0
    """Number of entries."""

    def accepts(self, entry: Parameters) -> bool:
        """Return whether a run can have noted an entry, after those that were taken.

        Parameters
        ----------
        entry
            The next entry.
        """
        required = [name for key, names in _REQUIRED.items() if key in entry for name in names]
        has_types = all(isinstance(entry[name], _TYPES[name]) for name in entry if name in _TYPES)
        if not has_types or not all(name in entry for name in required):
            return False
        return "tile" not in entry or self._may_be_tile(entry["pass"], entry["tile"])

    def _may_be_tile(self, name: str, position: list[Any]) -> bool:
        if not all(type(number) is int for number in position):  # True would select, not count
            return False
        size = self.tiles.get(name, PositionSet()).bytes_with(tuple(position))
        return size is not None and size <= _MOST_TILES

    def has_types_of(self, facts: Parameters) -> bool:
        """Return whether it has what a run would note, mappings where the run has mappings.

        Parameters
        ----------
        facts
            What the run would note.
        """
        return all(
            name in self.facts and isinstance(self.facts[name], dict) == isinstance(value, dict)
            for name, value in facts.items()
        )

    def take(self, entry: Parameters, start: int = 0) -> None:
        """Take an entry as true.

        Parameters
        ----------
        entry
            The next entry.
        start
            Offset of its line.
        """
        if not self.count:
            self.key, self.host = entry.get("key"), entry.get("host")
        self.count += 1
        self.facts.update(entry.get("facts", {}))
        if "tile" in entry:
            done = self.tiles.setdefault(entry["pass"], PositionSet())
            done.add(tuple(entry["tile"]))
            self.latest = max(self.latest, entry["time"])
        elif "settled" in entry:
            self.latest = max(self.latest, entry["settled"])
        elif "result" in entry:
            self.results[entry["result"]] = start
            self.latest = max(self.latest, entry.get("time", 0))
        elif entry.get("forget") == "results":
            self.results.clear()
        elif "forget" in entry:
            self.tiles.clear()
            self.latest = 0

    @property
    def done(self) -> Mapping[str, int]:
        """How many tiles of each pass are done."""
        return {name: len(positions) for name, positions in self.tiles.items()}


def read_checkpoint(folder: Path) -> CheckpointContents | None:
    """Return the contents of a checkpoint, without locking it; None where there is none.

    Parameters
    ----------
    folder
        The checkpoint's folder.
    """
    try:
        contents = CheckpointContents()
        for entry in leading_entries(folder / JOURNAL, contents.accepts):
            contents.take(entry)
    except OSError:  # removed just now, as its run is complete
        return None
    return None if contents.key is None else contents


def is_locked(folder: Path) -> bool:
    """Return whether a run that is alive uses a checkpoint; the registry tells without a lock.

    Parameters
    ----------
    folder
        The checkpoint's folder.
    """
    try:
        with FileLock(folder / LOCK, blocking=False):
            return False
    except (Timeout, OSError):
        return True


def _repaired(path: Path) -> CheckpointContents:
    """Return what a journal says; after a restart of the machine, but for the very last entries.

    Those are removed: a run that resumes this one, if it is interrupted too, does not trust them.
    """
    contents = _repaired_contents(path)
    this_host, boot = socket.gethostname(), psutil.boot_time()
    is_of_this_host = (contents.host or this_host) == this_host
    if not contents.count or not is_of_this_host or boot <= contents.latest:
        return contents
    before = contents.latest - SETTLED
    doubtful = {
        _plane_of(file.stem)
        for file in path.parent.glob("*.found")
        if _is_of_sweeps(file.stem) and boot - SETTLED < file.stat().st_mtime < boot
    } | {
        _plane_of(entry["result"])
        for entry in leading_entries(path)
        if _is_of_sweeps(entry.get("result", "")) and entry.get("time", 0) >= before
    }

    def is_settled(entry: Parameters) -> bool:
        if "tile" in entry:
            return bool(entry["time"] < before)
        name = entry.get("result", "")
        return not _is_of_sweeps(name) or _plane_of(name) not in doubtful

    settled = filter(is_settled, leading_entries(path))
    rewrite(path, itertools.chain(settled, [{"settled": int(time.time())}]))
    for file in path.parent.glob("*.found"):
        if _is_of_sweeps(file.stem) and _plane_of(file.stem) in doubtful:
            file.unlink()
    return _repaired_contents(path)


def _is_of_sweeps(name: str) -> bool:
    """Return whether a result names tiles on disk that sweeps wrote shortly before."""
    return name.endswith(("-state", "-end"))


def _plane_of(name: str) -> str:
    """Return the step and the plane of a result: one sweep goes on with the tiles of another."""
    return name.partition("-pass-")[0]


def _repaired_contents(path: Path) -> CheckpointContents:
    contents = CheckpointContents()
    for line in repair(path, contents.accepts):
        contents.take(line.entry or {}, line.start)
    return contents


def _locked(folder: Path) -> FileLock:
    """Lock a checkpoint and return the lock; the system lifts it however the process ends."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK, blocking=False)
        try:
            lock.acquire()
        except Timeout:
            raise _busy(folder) from None
    return lock


def check_unlocked(folder: Path) -> None:
    """Refuse a destination that a run which is alive writes to; a run without a checkpoint asks.

    Parameters
    ----------
    folder
        The checkpoint's folder.

    Raises
    ------
    DestinationBusy
        When there is such a run.
    """
    if folder.is_dir() and is_locked(folder):
        raise _busy(folder)


def _busy(folder: Path) -> DestinationBusy:
    return DestinationBusy(
        f"Another run is writing to the same destination (it uses {str(folder)!r}): wait "
        "for it, cancel it, or give another destination."
    )
