"""Results of passes outlast the process, for a later run and for other processes.

Each is a file, which is whole or missing: it is written under another name, with its checksum.
A short one is a line of the journal instead, where no other process looks for it: a stack of
ten thousand planes would be as many files, and as many times waiting for the disk. A result that
is not data (see `stored_values`) is not stored: a run that is resumed computes it again.
"""

from __future__ import annotations

import base64
import io
import os
import time
import zlib
from typing import TYPE_CHECKING, Any

from napari_tilewise.engine.stored import stored_values
from napari_tilewise.engine.stored.stored_values import InvalidStoredValue, NotStorable
from napari_tilewise.engine.system.disk import append, writing
from napari_tilewise.engine.system.file_names import replace

if TYPE_CHECKING:
    from collections.abc import Set
    from io import FileIO
    from pathlib import Path

    from napari_tilewise.grid import Position

_CHECKSUM_LENGTH = 4
_PART = 2**20
"""Bytes that are read at a time to check a file."""
_LARGEST_PACKED = 2**16
"""Bytes of a value that may become a line of the journal."""
_LONGEST_TEXT = 2**12
"""Length of its text there: what is longer has a file of its own."""
INTERVAL = 5.0
"""Seconds between two times that the total of a reduction is saved."""


class PassResults:
    """Results of the passes of a run, in the folder of its checkpoint, as workers see them.

    Parameters
    ----------
    folder
        The checkpoint's folder.
    """

    is_shared = True
    """Whether another process writes the checkpoint."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def done(self, name: str) -> Set[Position]:
        """Return the tiles of a pass that are done: none that a worker knows of.

        Parameters
        ----------
        name
            The checkpoint's name of the pass.
        """
        return set()

    def mark_done(self, name: str, position: Position) -> None:
        """Do nothing: the process that writes the checkpoint notes tiles.

        Parameters
        ----------
        name
            The checkpoint's name of the pass.
        position
            The tile's position in the grid.
        """

    def load(self, name: str) -> tuple[Any] | None:
        """Return the result of a pass, in a tuple; None where the pass is not done.

        Parameters
        ----------
        name
            The checkpoint's name of the pass.
        """
        result = read_value(self._path(name, "found"))
        return result if isinstance(result, tuple) and len(result) == 1 else None

    def save(self, name: str, value: Any) -> None:
        """Do nothing: the process that writes the checkpoint saves results.

        Parameters
        ----------
        name
            The checkpoint's name of the pass.
        value
            The result.
        """

    def partial_result(self, name: str) -> PartialResult | None:
        """Return the total of a reduction under way; None in workers, which merge nothing.

        Parameters
        ----------
        name
            The checkpoint's name of the pass.
        """
        return None

    def subfolder(self, name: str) -> Path:
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

    def _path(self, name: str, suffix: str) -> Path:
        return self.folder / f"{name}.{suffix}"


class PartialResult:
    """The contributions to a reduction that are merged, saved every few seconds.

    Parameters
    ----------
    path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last = time.monotonic()
        partial = read_value(path)
        if not isinstance(partial, tuple) or len(partial) != 3:
            partial = (0, None, None)
        count, total, band = partial
        self._merged: tuple[int, Any] = (count, total)
        self._band: int | None = band

    @property
    def folder(self) -> Path:
        """Where rows go that are too many for memory; the file refers to them."""
        return self._path.with_suffix(".rows")

    def band(self, width: int) -> int:
        """Return how many tiles wide the bands are in which the merged tiles were visited.

        Parameters
        ----------
        width
            The width in this run, which holds where no tile is merged yet.
        """
        self._band = self._band or width
        return self._band

    def load(self) -> tuple[int, Any]:
        """Return how many tiles are merged, and their total (None for none)."""
        return self._merged

    def save(self, count: int, total: Any) -> None:
        """Save the total, unless it was saved a moment ago.

        Parameters
        ----------
        count
            Number of tiles that are merged.
        total
            Their contributions, merged.
        """
        if time.monotonic() - self._last < INTERVAL:
            return
        write_value(self._path, (count, total, self._band))
        self._last = time.monotonic()


def write_value(path: Path, value: Any) -> None:
    """Write a value to a file, which is whole or not there, whatever becomes of the machine.

    A value that is not data is not written.

    Parameters
    ----------
    path
        The file.
    value
        The value.
    """
    growing = path.with_name(f"{path.name}.new")
    with writing(path):
        try:
            with growing.open("w+b", buffering=0) as file:
                append(file, bytes(_CHECKSUM_LENGTH))
                stream = _Checked(file)
                stored_values.dump(value, stream.write, path.parent)
                file.seek(0)
                file.write(stream.checksum.to_bytes(_CHECKSUM_LENGTH, "big"))
                os.fsync(file.fileno())
            replace(growing, path)
        except NotStorable:
            growing.unlink(missing_ok=True)
        except BaseException:
            growing.unlink(missing_ok=True)
            raise


def value_text(value: Any, folder: Path) -> str | None:
    """Return a value as a short text; None where it would be long, or is not data.

    Parameters
    ----------
    value
        The value.
    folder
        The checkpoint's folder.
    """
    if getattr(value, "nbytes", 0) > _LARGEST_PACKED:
        return None
    stream = io.BytesIO()
    try:
        stored_values.dump(value, stream.write, folder)
    except NotStorable:
        return None
    if stream.tell() > _LARGEST_PACKED:
        return None
    text = base64.b85encode(zlib.compress(stream.getvalue(), 1)).decode()
    return text if len(text) <= _LONGEST_TEXT else None


def text_value(text: str, folder: Path) -> tuple[Any] | None:
    """Return the value of a text, in a tuple; None where it is not one of this release.

    Parameters
    ----------
    text
        What `value_text` returned.
    folder
        The checkpoint's folder.
    """
    try:
        data = zlib.decompressobj().decompress(base64.b85decode(text), _LARGEST_PACKED)
        return (stored_values.load(io.BytesIO(data), folder),)
    except (ValueError, zlib.error):
        return None  # the pass is done again


class _Checked:
    """A file that a value is written to part by part: no second copy of it is in memory."""

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self.checksum = 0

    def write(self, data: Any) -> int:
        """Add data to the file, and to the checksum."""
        part = memoryview(data).cast("B")
        append(self._file, part)
        self.checksum = zlib.crc32(part, self.checksum)
        return len(part)


def read_value(path: Path) -> Any:
    """Return the value that a file holds; None where there is none, or a part of one.

    Parameters
    ----------
    path
        The file.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return None
    with file:
        expected, checksum = int.from_bytes(file.read(_CHECKSUM_LENGTH), "big"), 0
        while part := file.read(_PART):
            checksum = zlib.crc32(part, checksum)
        if checksum != expected:
            return None  # cut short when the machine stopped: the pass is done again
        file.seek(_CHECKSUM_LENGTH)
        try:
            return stored_values.load(file, path.parent)
        except InvalidStoredValue:
            return None  # another release's, or not ours: the pass is done again
