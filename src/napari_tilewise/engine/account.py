"""An account says what of a run is done, so that a run that was killed goes on where it was.

It is a small folder beside the output: an append-only journal, each line with its checksum, so that
a torn last line is noticed and dropped, and one file per pass that found something. A tile is noted
after its pixels are written; so what the journal tells is there.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import socket
import threading
import time
import zlib
from typing import TYPE_CHECKING, Any

import psutil
from filelock import FileLock, Timeout

from napari_tilewise.errors import DestinationBusy, DestinationUnwritable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

VERSION = 1
SETTLED = 120
"""Seconds after which a written file has reached the disk, whatever becomes of the machine."""
INTERVAL = 5.0
"""Seconds between two notes of how far a gathering pass is."""
SYNC = 1.0
"""Seconds between two times that the journal is forced to the disk."""

Position = tuple[int, ...]


class Account:
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

    def __init__(self, folder: Path, key: str, facts: Mapping[str, Any]) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._synced = 0.0
        self._tiles: dict[str, set[Position]] = {}
        self._facts: dict[str, Any] = {}
        self._held = _claimed(folder)
        try:
            entries = self._read()
            self.is_new = not entries or entries[0].get("key") != key
            self.was_another = bool(entries) and self.is_new
            if self.is_new:
                self._clear()
                entries = [{"version": VERSION, "key": key, "facts": dict(facts)}]
            self._take(entries)
            self._file = (folder / "journal").open("ab")
            if self.is_new:
                self._append(entries[0])
        except BaseException:
            self._held.release()
            raise

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

    def found(self, what: str) -> tuple[Any] | None:
        """Return what a pass found, in a tuple; None where it is not done.

        Parameters
        ----------
        what
            The pass.
        """
        found: tuple[Any] | None = self._unpickled(self._path(what, "found"))
        return found

    def keep(self, what: str, value: Any) -> None:
        """Keep what a pass found.

        Parameters
        ----------
        what
            The pass.
        value
            What it found.
        """
        self._pickled(self._path(what, "found"), (value,))
        self._path(what, "so-far").unlink(missing_ok=True)

    def so_far(self, what: str) -> SoFar:
        """Return how far a gathering pass is.

        Parameters
        ----------
        what
            The pass.
        """
        return SoFar(self, self._path(what, "so-far"))

    def _path(self, what: str, suffix: str) -> Path:
        return self.folder / f"{what}.{suffix}"

    def _pickled(self, path: Path, value: Any) -> None:
        growing = path.with_name(f"{path.name}.new")
        data = pickle.dumps(value)
        with growing.open("wb") as file:
            file.write(zlib.crc32(data).to_bytes(4, "big") + data)
            file.flush()
            os.fsync(file.fileno())
        growing.replace(path)

    def _unpickled(self, path: Path) -> Any:
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        if zlib.crc32(data[4:]) != int.from_bytes(data[:4], "big"):
            return None  # cut short when the machine stopped: the pass is done again
        return pickle.loads(data[4:])

    def files(self, name: str) -> Path:
        """Return a folder for files that a later run takes as they are.

        What was written just before the machine stopped may not have reached the disk: it goes.

        Parameters
        ----------
        name
            The folder's name.
        """
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        boot = psutil.boot_time()
        for path in folder.iterdir():
            if boot - SETTLED < path.stat().st_mtime < boot:
                path.unlink()
        return folder

    # -- journal -------------------------------------------------------------------------------

    def _append(self, entry: Mapping[str, Any]) -> None:
        text = json.dumps({**entry, "host": socket.gethostname()} if "key" in entry else entry)
        self._file.write(f"{zlib.crc32(text.encode()):08x} {text}\n".encode())
        self._file.flush()
        now = time.monotonic()
        if now - self._synced > SYNC:
            os.fsync(self._file.fileno())
            self._synced = now

    def _read(self) -> list[dict[str, Any]]:
        """Return the journal's entries up to the first that is not whole, and cut it there."""
        path = self.folder / "journal"
        entries, length = [], 0
        for line in path.read_bytes().splitlines(keepends=True) if path.exists() else ():
            checksum, _, text = line.rstrip(b"\n").partition(b" ")
            if not line.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(text):
                break
            entries.append(json.loads(text))
            length += len(line)
        if path.exists():
            os.truncate(path, length)
        return entries

    def _take(self, entries: list[dict[str, Any]]) -> None:
        """Believe the entries; after a restart of the machine, not the very last ones."""
        self._facts = {}
        for entry in entries:
            self._facts.update(entry.get("facts", {}))
        forgotten = max((n for n, entry in enumerate(entries) if "forget" in entry), default=0)
        tiles = [entry for entry in entries[forgotten:] if "tile" in entry]
        latest = max((entry["time"] for entry in tiles), default=0)
        same_host = entries[0].get("host", socket.gethostname()) == socket.gethostname()
        if not same_host or psutil.boot_time() > latest:
            tiles = [entry for entry in tiles if entry["time"] < latest - SETTLED]
        for entry in tiles:
            self.done(entry["pass"]).add(tuple(entry["tile"]))

    # -- end -----------------------------------------------------------------------------------

    @property
    def is_empty(self) -> bool:
        """Whether nothing is done yet."""
        return not any(self._tiles.values()) and not any(self.folder.glob("*.found"))

    def close(self) -> None:
        """Leave the account to a later run."""
        self._file.close()
        self._held.release()

    def remove(self) -> None:
        """Remove the account: its run is complete."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _clear(self) -> None:
        for path in self.folder.iterdir():
            if path.name == "lock":
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


class SoFar:
    """How far a gathering pass is: the contributions merged so far, noted every few seconds."""

    def __init__(self, account: Account, path: Path) -> None:
        self._account = account
        self._path = path
        self._last = time.monotonic()

    def load(self) -> tuple[int, Any]:
        """Return how many tiles are merged, and their total (None for none)."""
        found = self._account._unpickled(self._path)
        return (0, None) if found is None else found

    def note(self, count: int, total: Any) -> None:
        """Note how far the pass is, where it is time for it.

        Parameters
        ----------
        count
            Number of tiles that are merged.
        total
            What they give together.
        """
        if time.monotonic() - self._last < INTERVAL:
            return
        self._account._pickled(self._path, (count, total))
        self._last = time.monotonic()


def _claimed(folder: Path) -> FileLock:
    """Return the lock of an account, held; the system lifts it when the process ends in any way."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "lock", blocking=False)
        lock.acquire()
    except Timeout:
        raise DestinationBusy(
            f"Another run is writing to the same destination (it keeps {str(folder)!r}): wait for "
            "it, cancel it, or give another destination."
        ) from None
    except OSError as error:
        raise DestinationUnwritable(
            f"{str(folder)!r} cannot be written ({error.strerror or error}); expected a folder "
            "that you may write to: change its permissions or give another destination."
        ) from error
    return lock
