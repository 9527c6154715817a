"""What a checkpoint's journal says, and how much of it is true after a restart of the machine."""

from __future__ import annotations

import itertools
import socket
import time
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import psutil

from napari_tilewise.engine.checkpoints.journal import leading_entries, repair, rewrite
from napari_tilewise.engine.stored.many_tiles import PositionSet

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_tilewise.grid import Position
    from napari_tilewise.types import Parameters

JOURNAL = "journal"
"""Name of the journal's file."""
SETTLED = 120
"""Seconds after which a written file has reached the disk, whatever becomes of the machine."""
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
            self._add_tile(entry["pass"], tuple(entry["tile"]), entry["time"])
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

    def take_tile(self, name: str, position: Position, time: int) -> None:
        """Take the entry of a tile as true; it is not the first entry.

        Parameters
        ----------
        name, position, time
            The pass, the tile and when it was done.
        """
        self.count += 1
        self._add_tile(name, position, time)

    def _add_tile(self, name: str, position: Position, time: int) -> None:
        done = self.tiles.get(name)
        if done is None:
            done = self.tiles[name] = PositionSet()
        done.add(position)
        self.latest = max(self.latest, time)

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


def repaired_contents(path: Path) -> CheckpointContents:
    """Return what a journal says; after a restart of the machine, but for the very last entries.

    Those are removed: a run that resumes this one, if it is interrupted too, does not trust them.

    Parameters
    ----------
    path
        The journal.
    """
    contents = _readable_contents(path)
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
    return _readable_contents(path)


def _is_of_sweeps(name: str) -> bool:
    """Return whether a result names tiles on disk that sweeps wrote shortly before."""
    return name.endswith(("-state", "-end"))


def _plane_of(name: str) -> str:
    """Return the step and the plane of a result: one sweep goes on with the tiles of another."""
    return name.partition("-pass-")[0]


def _readable_contents(path: Path) -> CheckpointContents:
    contents = CheckpointContents()
    for line in repair(path, contents.accepts):
        contents.take(line.entry or {}, line.start)
    return contents
