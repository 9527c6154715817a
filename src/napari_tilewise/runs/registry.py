"""What was begun and is not complete, in every process of a user: one small file each.

A file names the place where a run keeps its account, or a batch its journal; these say the rest.
The register is a convenience: where it cannot be written, runs go on without it.
"""

from __future__ import annotations

import json
import logging
import os
import socket
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import platformdirs
import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

STATE = "NAPARI_TILEWISE_STATE"
"""The environment variable that names another folder for the register."""
RUN, BATCH = "run", "batch"

_LOG = logging.getLogger(__name__)
_VERSION = 1
_in_another: ContextVar[bool] = ContextVar("_in_another", default=False)


@dataclass(frozen=True)
class Entry:
    """One run or batch that was begun."""

    kind: str
    """`RUN` or `BATCH`."""
    destination: str
    """An absolute path."""
    begun: str
    """When, as ISO 8601."""
    host: str
    """The machine that it ran on."""
    process: int | None
    """The process that it lives in; None once it ended without being complete."""
    started: float = 0.0
    """When that process started: another one may have its number by now."""
    version: int = _VERSION

    @property
    def is_alive(self) -> bool | None:
        """Whether it is running now; None where that cannot be told from this machine."""
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
    """Return where the register is kept; the folder need not be there."""
    named = os.environ.get(STATE)
    return Path(named) if named else platformdirs.user_state_path("napari-tilewise") / "runs"


def entries() -> list[Entry]:
    """Return all entries, the latest first; those that cannot be read are left out."""
    try:
        paths = list(folder().glob("*.json"))
    except OSError as error:
        _LOG.debug("The register cannot be read: %s", error)
        return []
    found = (_read(path) for path in paths)
    return sorted((entry for entry in found if entry), key=lambda entry: entry.begun, reverse=True)


def enter(kind: str, destination: Path) -> None:
    """Note that a run or a batch begins in this process.

    Parameters
    ----------
    kind
        `RUN` or `BATCH`.
    destination
        Where its output goes.
    """
    started = psutil.Process().create_time()
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    host, process = socket.gethostname(), os.getpid()
    _write(Entry(kind, str(destination), now, host, process, started))


def leave(kind: str, destination: Path) -> None:
    """Note that it ended and can be gone on with.

    Parameters
    ----------
    kind, destination
        As they were entered.
    """
    entry = _read(_path(kind, destination))
    if entry is not None:
        _write(Entry(**{**asdict(entry), "process": None}))


def remove(kind: str, destination: Path) -> None:
    """Note that it is complete, or nothing is left of it.

    Parameters
    ----------
    kind, destination
        As they were entered.
    """
    if _in_another.get():
        return
    with _tolerant():
        _path(kind, destination).unlink(missing_ok=True)


@contextmanager
def within_another() -> Iterator[None]:
    """Enter nothing meanwhile: the runs of a batch's items are the batch's own matter."""
    token = _in_another.set(True)
    try:
        yield
    finally:
        _in_another.reset(token)


def _path(kind: str, destination: Path) -> Path:
    name = blake2b(f"{kind} {destination}".encode(), digest_size=12).hexdigest()
    return folder() / f"{name}.json"


def _write(entry: Entry) -> None:
    if _in_another.get():
        return
    path = _path(entry.kind, Path(entry.destination))
    with _tolerant():
        path.parent.mkdir(parents=True, exist_ok=True)
        growing = path.with_name(f".{path.stem}-{uuid4().hex[:8]}")
        growing.write_text(json.dumps(asdict(entry)), encoding="utf-8")
        growing.replace(path)


def _read(path: Path) -> Entry | None:
    try:
        told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        entry = Entry(**told)
    except FileNotFoundError:  # complete just now
        return None
    except (OSError, ValueError, TypeError) as error:
        _LOG.debug("%s is no entry of the register: %s", path, error)
        return None
    texts = (entry.kind, entry.destination, entry.begun, entry.host)
    known = entry.version == _VERSION and all(isinstance(text, str) for text in texts)
    return entry if known else None


@contextmanager
def _tolerant() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        _LOG.warning("The register of runs cannot be written, so this one is not in it: %s", error)
