"""One run at a time uses a checkpoint: it holds a file in the folder locked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from napari_tilewise.engine.system.disk import writing
from napari_tilewise.errors import DestinationBusy

if TYPE_CHECKING:
    from pathlib import Path

LOCK = "lock"
"""Name of the file that the run that uses a checkpoint holds locked."""


def locked(folder: Path) -> FileLock:
    """Lock a checkpoint and return the lock; the system lifts it however the process ends.

    Parameters
    ----------
    folder
        The checkpoint's folder, which is created if it is missing.

    Raises
    ------
    DestinationBusy
        When another run that is alive uses the checkpoint.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK, blocking=False)
        try:
            lock.acquire()
        except Timeout:
            raise _busy(folder) from None
    return lock


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
