"""What the passes of a run found is kept in files, for a later run and for other processes.

Each file is whole or not there: it is written under another name, with its checksum.
"""

from __future__ import annotations

import os
import pickle
import time
import zlib
from typing import TYPE_CHECKING, Any

from napari_tilewise.engine import former_names
from napari_tilewise.engine.disk import append, writing

if TYPE_CHECKING:
    from pathlib import Path

    from napari_tilewise.grid import Position

INTERVAL = 5.0
"""Seconds between two notes of how far a gathering pass is."""


class PassResults:
    """What passes of a run found, in the folder of its account: all that another process may see.

    Parameters
    ----------
    folder
        The account's folder.
    """

    is_shared = True
    """Whether this is another process than the one that keeps the account."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def done(self, what: str) -> set[Position]:
        """Return the tiles of a pass that are done, as far as is known here: none.

        Parameters
        ----------
        what
            The pass.
        """
        return set()

    def note(self, what: str, position: Position) -> None:
        """Note nothing: that is for the process that keeps the account.

        Parameters
        ----------
        what
            The pass.
        position
            The tile.
        """

    def found(self, what: str) -> tuple[Any] | None:
        """Return what a pass found, in a tuple; None where it is not done.

        Parameters
        ----------
        what
            The pass.
        """
        found: tuple[Any] | None = unpickled(self._path(what, "found"))
        return found

    def keep(self, what: str, value: Any) -> None:
        """Keep nothing: that is for the process that keeps the account.

        Parameters
        ----------
        what
            The pass.
        value
            What it found.
        """

    def so_far(self, what: str) -> SoFar | None:
        """Return how far a gathering pass is; None where nobody asks.

        Parameters
        ----------
        what
            The pass.
        """
        return None

    def files(self, name: str) -> Path:
        """Return a folder for files that all processes of the run see.

        Parameters
        ----------
        name
            The folder's name.
        """
        folder = self.folder / name
        with writing(folder):
            folder.mkdir(exist_ok=True)
        return folder

    def _path(self, what: str, suffix: str) -> Path:
        return self.folder / f"{what}.{suffix}"


class SoFar:
    """How far a gathering pass is: the contributions merged so far, noted every few seconds."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last = time.monotonic()

    def load(self) -> tuple[int, Any]:
        """Return how many tiles are merged, and their total (None for none)."""
        found = unpickled(self._path)
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
        pickled(self._path, (count, total))
        self._last = time.monotonic()


def pickled(path: Path, value: Any) -> None:
    """Write a value to a file, which is whole or not there, whatever becomes of the machine.

    Parameters
    ----------
    path
        The file.
    value
        The value.
    """
    growing = path.with_name(f"{path.name}.new")
    data = pickle.dumps(value)
    with writing(path):
        try:
            with growing.open("wb", buffering=0) as file:
                append(file, zlib.crc32(data).to_bytes(4, "big") + data)
                os.fsync(file.fileno())
            growing.replace(path)
        except BaseException:
            growing.unlink(missing_ok=True)
            raise


def unpickled(path: Path) -> Any:
    """Return the value that a file holds; None where there is none, or a part of one.

    Parameters
    ----------
    path
        The file.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    if zlib.crc32(data[4:]) != int.from_bytes(data[:4], "big"):
        return None  # cut short when the machine stopped: the pass is done again
    return former_names.loads(data[4:])
