"""The registry of a user's unfinished runs and batches, in all processes: one small file each.

A file names the destination; the run's checkpoint or the batch's journal there has the rest. The
registry is a convenience: if it cannot be written, runs work without it.
"""

from __future__ import annotations

import json
import logging
import os
import socket
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import platformdirs
import psutil

from napari_tilewise.engine.system import file_names

if TYPE_CHECKING:
    from collections.abc import Iterator

STATE = "NAPARI_TILEWISE_STATE"
"""Environment variable that sets another folder for the registry."""
RUN, BATCH = "run", "batch"

_LOG = logging.getLogger(__name__)
_VERSION = 1
_MOST_PROCESSES = 2**31
_is_unregistered: ContextVar[bool] = ContextVar("_is_unregistered", default=False)


@dataclass(frozen=True)
class RegistryEntry:
    """One unfinished run or batch."""

    kind: str
    """`RUN` or `BATCH`."""
    destination: str
    """An absolute path."""
    begun: str
    """When it started, as ISO 8601; the name is the key in the file."""
    host: str
    """The machine that it ran on."""
    process: int | None
    """Id of its process; None after it was interrupted."""
    started: float = 0.0
    """When that process started: by now, another may have its id."""
    version: int = _VERSION
    function: str | None = None
    """The function that a batch runs, of a module or file: its journal may lie where others write.
    """

    @property
    def is_alive(self) -> bool | None:
        """Whether it is running now; None if another machine would have to be asked."""
        if self.process is None:
            return False
        if self.host != socket.gethostname():
            return None
        try:
            return abs(psutil.Process(self.process).create_time() - self.started) < 1
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:
            return None


def folder() -> Path:
    """Return the folder of the registry, which need not exist."""
    configured = os.environ.get(STATE)
    if configured:
        return Path(configured)
    return platformdirs.user_state_path("napari-tilewise") / "runs"


def entries() -> list[RegistryEntry]:
    """Return all entries, the latest first; those that cannot be read are left out."""
    try:
        paths = list(folder().glob("*.json"))
    except OSError as error:
        _LOG.debug("The registry cannot be read: %s", error)
        return []
    readable = [entry for entry in map(_read, paths) if entry is not None]
    return sorted(readable, key=lambda entry: entry.begun, reverse=True)


def enter(kind: str, destination: Path, function: str | None = None) -> None:
    """Note that a run or a batch starts in this process.

    Parameters
    ----------
    kind
        `RUN` or `BATCH`.
    destination
        Where its output goes.
    function
        The function that a batch runs; None for a recipe.
    """
    started = psutil.Process().create_time()
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    host, process = socket.gethostname(), os.getpid()
    entry = RegistryEntry(kind, str(destination), now, host, process, started)
    _write(replace(entry, function=function))


def interrupt(kind: str, destination: Path) -> None:
    """Note that it was interrupted and can be resumed.

    Parameters
    ----------
    kind, destination
        As in `enter`.
    """
    entry = _read(_path(kind, destination))
    if entry is not None:
        _write(replace(entry, process=None))


def remove(kind: str, destination: Path) -> None:
    """Note that it is complete, or that nothing of it exists any more.

    Parameters
    ----------
    kind, destination
        As in `enter`.
    """
    if _is_unregistered.get():
        return
    with _tolerant():
        _path(kind, destination).unlink(missing_ok=True)


@contextmanager
def unregistered() -> Iterator[None]:
    """Keep runs out of the registry meanwhile: those of a batch's items belong to the batch."""
    token = _is_unregistered.set(True)
    try:
        yield
    finally:
        _is_unregistered.reset(token)


def _path(kind: str, destination: Path) -> Path:
    text = f"{kind} {destination}".encode(errors="surrogateescape")  # a path is any bytes
    name = blake2b(text, digest_size=12).hexdigest()
    return folder() / f"{name}.json"


def _write(entry: RegistryEntry) -> None:
    if _is_unregistered.get():
        return
    path = _path(entry.kind, Path(entry.destination))
    with _tolerant():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.stem}-{uuid4().hex[:8]}")
        partial.write_text(json.dumps(asdict(entry)), encoding="utf-8")
        file_names.replace(partial, path)


def _read(path: Path) -> RegistryEntry | None:
    try:
        entry = RegistryEntry(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:  # its run has just completed
        return None
    except (OSError, ValueError, TypeError, RecursionError) as error:
        _LOG.debug("%s is not an entry of the registry: %s", path, error)
        return None
    return entry if _is_valid(entry) else None


def _is_valid(entry: RegistryEntry) -> bool:
    """Return whether a run or a batch can have made an entry."""
    function = "" if entry.function is None else entry.function
    texts = (entry.kind, entry.destination, entry.begun, entry.host, function)
    numbers = (1 if entry.process is None else entry.process, entry.started)
    return (
        entry.version == _VERSION
        and all(isinstance(text, str) for text in texts)
        and all(isinstance(number, int | float) for number in numbers)
        and 1 <= numbers[0] < _MOST_PROCESSES
        and numbers[0] == int(numbers[0])
        and entry.kind in (RUN, BATCH)
        and os.path.isabs(entry.destination)
        and "\0" not in entry.destination
    )


@contextmanager
def _tolerant() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        _LOG.warning("The registry of runs cannot be written, so this run is not in it: %s", error)
