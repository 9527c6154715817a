"""A journal is a file of JSON lines that only grows, each with its checksum.

What a process has written survives it. A last line that it left half written is dropped; a line
that is damaged is reported and never believed.
"""

from __future__ import annotations

import json
import logging
import os
import time
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from napari_tilewise.engine.system.disk import append, writing
from napari_tilewise.engine.system.file_names import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from io import FileIO
    from pathlib import Path

    from napari_tilewise.types import Parameters

JournalEntry: TypeAlias = "dict[str, Any]"
"""One line of a journal, as plain data."""

_LOG = logging.getLogger(__name__)
_CHECKSUM = ', "crc32": "%08x"}'
"""How a line ends: its checksum is the last key, so that the file stays JSON Lines."""
_CHECKSUM_LENGTH = len(_CHECKSUM % 0)
_BLOCK = 4096
"""How many bytes at a time a file is searched for its last end of line."""
_PREFIX_LENGTH = 9
"""Length of the checksum and the space before a line of a run's journal of release 0.1."""


class JournalLine(NamedTuple):
    """One line of a journal."""

    number: int
    """Its number, from 1."""
    start: int
    """Offset in bytes of the line's first byte."""
    end: int
    """Offset in bytes of the line's end."""
    entry: JournalEntry | None
    """The entry; None where the line is torn or damaged."""
    is_torn: bool
    """Whether the line has no end: its process was killed while it wrote."""


class Journal:
    """Adds entries to a journal.

    Parameters
    ----------
    path
        The file. A torn last line in it is cut off.
    sync_interval
        Seconds between two times that the entries are forced to the disk; None leaves this to the
        system, which does it within half a minute.

    Raises
    ------
    DestinationUnwritable
        When the file cannot be opened for writing.
    """

    def __init__(self, path: Path, *, sync_interval: float | None = None) -> None:
        self.path = path
        self._sync_interval = sync_interval
        self._synced = 0.0
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b", buffering=0)
            _cut_torn_line(self._file)
            self._own = _identity(os.fstat(self._file.fileno()))
            self._name = os.fspath(path)

    @property
    def is_gone(self) -> bool:
        """Whether the file was removed or moved away while the journal is open."""
        try:
            return _identity(os.stat(self._name)) != self._own
        except (FileNotFoundError, NotADirectoryError):
            return True

    def append(self, entry: Parameters) -> int:
        """Write one entry, so that it survives this process; return the offset of its line.

        Parameters
        ----------
        entry
            Plain data; whatever JSON does not know is written as its text.

        Raises
        ------
        DestinationUnwritable
            When the disk does not take it; the journal is then as it was before.
        """
        return self._write(_line(entry))

    def append_object(self, text: str) -> int:
        """Write one entry as `append` does, where the caller has it as JSON.

        Parameters
        ----------
        text
            An object, as `json.dumps` writes it.
        """
        return self._write(_line_of(text))

    def _write(self, line: bytes) -> int:
        now = time.monotonic()
        with writing(self.path):
            start = self._file.seek(0, os.SEEK_END)
            append(self._file, line, start)
            if self._sync_interval is not None and now - self._synced > self._sync_interval:
                os.fsync(self._file.fileno())
                self._synced = now
        return start

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_lines(path: Path) -> Iterator[JournalLine]:
    """Yield the lines of a journal; none where there is no such file.

    Parameters
    ----------
    path
        The file.
    """
    try:
        file = path.open("rb")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return
    end, has_checksums = 0, False
    with file:
        for number, line in enumerate(file, start=1):
            start, end = end, end + len(line)
            is_torn = not line.endswith(b"\n")
            entry, is_checked = (None, False) if is_torn else _parse(line[:-1])
            if entry is not None and not is_checked and has_checksums:
                entry = None  # only the journals of release 0.1 have lines without a checksum
            has_checksums = has_checksums or is_checked
            yield JournalLine(number, start, end, entry, is_torn)


def read_entries(path: Path, *, logs: bool = True) -> Iterator[JournalEntry]:
    """Yield the entries of a journal; damaged lines are left out and logged.

    Parameters
    ----------
    path
        The file.
    logs
        Whether damaged lines are logged: once is enough for a file that is read several times.
    """
    for line in read_lines(path):
        if line.entry is not None:
            yield line.entry
        elif logs and not line.is_torn:
            _LOG.warning("Line %d of %s is damaged; it is ignored.", line.number, path)


def leading_entries(
    path: Path, is_valid: Callable[[JournalEntry], bool] = bool
) -> Iterator[JournalEntry]:
    """Yield the entries before the first damaged or torn line.

    Parameters
    ----------
    path
        The file.
    is_valid
        Whether the journal's writer can have written an entry; others count as damaged.
    """
    for line in read_lines(path):
        if line.entry is None or not is_valid(line.entry):
            return
        yield line.entry


def entry_at(path: Path, start: int) -> JournalEntry | None:
    """Return the entry of the line that begins at an offset; None where it is damaged.

    Parameters
    ----------
    path
        The file.
    start
        Offset in bytes, from `Journal.append` or `JournalLine.start`.
    """
    with path.open("rb") as file:
        file.seek(start)
        return _parse(file.readline().rstrip(b"\n"))[0]


def repair(path: Path, is_valid: Callable[[JournalEntry], bool] = bool) -> Iterator[JournalLine]:
    """Yield the lines before the first that is damaged or torn, and cut the file there.

    Parameters
    ----------
    path
        The file.
    is_valid
        See `leading_entries`.
    """
    end, stop = 0, None
    for line in read_lines(path):
        if line.entry is None or not is_valid(line.entry):
            stop = line
            break
        yield line
        end = line.end
    if stop is None:
        return
    if not stop.is_torn:
        _LOG.warning("Line %d of %s is damaged; it and what follows is ignored.", stop.number, path)
    with writing(path):
        os.truncate(path, end)


def rewrite(path: Path, entries: Iterable[Parameters]) -> None:
    """Replace a journal by one of some entries; it is one or the other, whatever happens meanwhile.

    Parameters
    ----------
    path
        The file, which may be read while the entries are asked for.
    entries
        The entries.
    """
    growing = path.with_name(f"{path.name}.new")
    with writing(path):
        with growing.open("wb") as file:
            for entry in entries:
                file.write(_line(entry))
            file.flush()
            os.fsync(file.fileno())
        replace(growing, path)


def _identity(status: os.stat_result) -> tuple[int, int]:
    """Return what tells a file from all others, as `os.path.samestat` does."""
    return status.st_ino, status.st_dev


def _line(entry: Parameters) -> bytes:
    return _line_of(json.dumps(entry, default=str))


def _line_of(text: str) -> bytes:
    return (text[:-1] + _CHECKSUM % zlib.crc32(text.encode()) + "\n").encode()


def _parse(line: bytes) -> tuple[JournalEntry | None, bool]:
    """Return the entry of a line, None where it is damaged, and whether it has a checksum."""
    text, checksum = line[:-_CHECKSUM_LENGTH] + b"}", line[-_CHECKSUM_LENGTH:]
    if line.startswith(b"{") and checksum.startswith(_CHECKSUM[:12].encode()):
        is_intact = checksum == (_CHECKSUM % zlib.crc32(text)).encode()
        return (_object(text) if is_intact else None), True
    if line.startswith(b"{"):
        return _object(line), False
    prefix, text = line[:_PREFIX_LENGTH], line[_PREFIX_LENGTH:]
    return (_object(text) if prefix == b"%08x " % zlib.crc32(text) else None), False


def _object(text: bytes) -> JournalEntry | None:
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


def _cut_torn_line(file: FileIO) -> None:
    """Cut a file after its last end of line."""
    end = position = file.seek(0, os.SEEK_END)
    while position > 0:
        start = max(0, position - _BLOCK)
        file.seek(start)
        newline = file.read(position - start).rfind(b"\n")
        if newline >= 0:
            position = start + newline + 1
            break
        position = start
    if position < end:
        file.truncate(position)
    file.seek(0, os.SEEK_END)
