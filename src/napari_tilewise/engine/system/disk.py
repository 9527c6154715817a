"""What the system says about a disk becomes an error that names the place and the remedy.

A full disk, a file-size limit, a folder that somebody removed: whoever writes does it within
`writing`, and what goes wrong is a `DestinationUnwritable` in one sentence.
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from napari_tilewise.errors import DestinationUnwritable, TilewiseError
from napari_tilewise.sizes import format_size

if TYPE_CHECKING:
    from io import FileIO
    from types import TracebackType

ELSEWHERE = "give a destination on another disk"
"""What helps where a disk does not: the usual remedy."""

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
_GONE = {errno.ENOENT, errno.ENOTDIR, errno.ESTALE}


class writing:
    """Turn what the system says about a failed write into `DestinationUnwritable`.

    Parameters
    ----------
    path
        What is written, which the message names.
    elsewhere
        How to have it written to another place.
    """

    __slots__ = ("_elsewhere", "_path")

    def __init__(self, path: Path, elsewhere: str = ELSEWHERE) -> None:
        self._path, self._elsewhere = path, elsewhere

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Raise what the system said in words."""
        if isinstance(error, OSError) and not isinstance(error, TilewiseError):
            reason = _reason(self._path, error, self._elsewhere)
            raise DestinationUnwritable(
                f"{str(self._path)!r} cannot be written: {reason}."
            ) from error


def _reason(path: Path, error: OSError, elsewhere: str) -> str:
    """Return what went wrong, what was expected and what helps."""
    said = error.strerror or str(error)
    if error.errno in _NO_SPACE:
        free = free_bytes(path)
        amount = "an unknown number of bytes" if free is None else format_size(free)
        return f"no space is left ({amount} free); make room, or {elsewhere}"
    if error.errno == errno.EFBIG:
        return (
            "a file is larger than the system or the file system allows; raise the limit "
            f"(ulimit -f), or {elsewhere}"
        )
    ancestor = next((p for p in path.parents if os.path.lexists(p)), path)
    if error.errno in _GONE and not ancestor.is_dir():
        return f"{str(ancestor)!r} is not a folder; expected one there, so change the path"
    if error.errno in _GONE and not _is_refused(path, error):
        return (
            f"a folder that was there is gone ({said}); somebody removed or moved it, so leave it "
            "in place and start again"
        )
    return (
        f"{said}; expected a folder that you may write to, so change its permissions, or "
        f"{elsewhere}"
    )


def _is_refused(path: Path, error: OSError) -> bool:
    """Return whether a system that says "no such file" does not let one be created there."""
    missing = Path(str(error.filename))
    return missing in (path, *path.parents) and missing.parent.is_dir()


def free_bytes(path: Path) -> int | None:
    """Return how many bytes are free where a path is or will be; None where nobody knows.

    Parameters
    ----------
    path
        A file or folder that need not exist yet.
    """
    parent = next((p for p in (path, *path.parents) if p.exists()), Path("/"))
    try:
        return shutil.disk_usage(parent).free
    except OSError:
        return None


def append(file: FileIO, data: bytes | memoryview, end: int | None = None) -> None:
    """Add data to the end of an unbuffered file: all of them, or nothing.

    Parameters
    ----------
    file
        The file, open for appending.
    data
        What is added.
    end
        Where the file ends, if the caller has it.
    """
    before = os.fstat(file.fileno()).st_size if end is None else end
    remaining = memoryview(data)
    try:
        while remaining:
            remaining = remaining[
                file.write(remaining) :
            ]  # a disk that is nearly full takes a part
    except OSError:
        os.ftruncate(file.fileno(), before)
        raise


def reserve(path: Path) -> None:
    """Have the disk hold room for all bytes of a file that will be written through a memory map.

    A mapped page that finds no room ends the process (SIGBUS) instead of raising.

    Parameters
    ----------
    path
        The file, of its full length.
    """
    size = path.stat().st_size
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, size)
        return
    free = free_bytes(path)
    if free is not None and free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
