"""Files that one process of a run writes for another, named by what they hold.

They are pickles and arrays in the folder of the checkpoint, which others may write to. The name
travels through the pool or the scheduler, as a task does (that of an array in such a pickle), and
ends with a digest of the bytes: a file that somebody changed or put there is not the one that was
named. It is neither unpickled nor computed with.
"""

from __future__ import annotations

import hmac
import socket
from hashlib import blake2b
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np

from napari_tilewise.engine.system.file_names import rename
from napari_tilewise.errors import SourceUnreadable

if TYPE_CHECKING:
    from pathlib import Path

    from napari_tilewise.types import DType

_DIGEST = 32
"""Bytes of a digest."""
_AT_ONCE = 2**24
"""Bytes of an array that are written, or checked, at a time."""


def write_sent(folder: Path, kind: str, content: bytes) -> str:
    """Write a file for another process; return its name.

    Parameters
    ----------
    folder
        The checkpoint's folder.
    kind
        How its name begins.
    content
        What it holds.
    """
    name = f"{kind}-{uuid4().hex[:12]}-{_digest(content)}"
    (folder / name).write_bytes(content)
    return name


def read_sent(folder: Path, name: str) -> bytes:
    """Return the bytes that another process wrote.

    Parameters
    ----------
    folder
        The checkpoint's folder.
    name
        The file's name, as `write_sent` returned it.

    Raises
    ------
    SourceUnreadable
        When this process cannot read the file, or it is not what was written.
    """
    path = folder / name
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error
    _check(path, _digest(content))
    return content


def write_sent_array(folder: Path, kind: str, array: np.ndarray) -> str:
    """Write the pixels of an array for other processes to map; return the file's name.

    Parameters
    ----------
    folder
        The checkpoint's folder.
    kind
        How its name begins.
    array
        The array; of bytes that are no Python objects.
    """
    growing = folder / f"{kind}-{uuid4().hex[:12]}"
    digest = blake2b(digest_size=_DIGEST)
    pixels = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    with growing.open("wb") as file:
        for start in range(0, len(pixels), _AT_ONCE):
            part = pixels[start : start + _AT_ONCE].data
            digest.update(part)
            file.write(part)
    path = growing.with_name(f"{growing.name}-{digest.hexdigest()}")
    rename(growing, path)
    return path.name


def map_sent_array(folder: Path, name: str, dtype: DType, shape: tuple[int, ...]) -> np.ndarray:
    """Map the array that another process wrote, once its bytes are seen to be what was written.

    Parameters
    ----------
    folder
        The checkpoint's folder.
    name
        The file's name, as `write_sent_array` returned it.
    dtype
        The array's data type.
    shape
        Its shape.

    Raises
    ------
    SourceUnreadable
        When this process cannot read the file, or it is not what was written.
    """
    path = folder / name
    digest = blake2b(digest_size=_DIGEST)
    try:
        with path.open("rb") as file:
            while part := file.read(_AT_ONCE):
                digest.update(part)
            _check(path, digest.hexdigest())
            return np.memmap(file, dtype, "r", shape=shape)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> SourceUnreadable:
    return SourceUnreadable(
        f"The process on {socket.gethostname()!r} cannot read {str(path)!r} "
        f"({error.strerror or error}): expected a folder that all workers see under this path. Put "
        "the output, and the source, on a file system that they share."
    )


def _check(path: Path, digest: str) -> None:
    """Refuse a file whose name ends with another digest than that of its bytes."""
    if not hmac.compare_digest(digest, path.name.rpartition("-")[2]):
        raise SourceUnreadable(
            f"{str(path)!r} is not what this run wrote: somebody changed it. Expected a folder "
            "that only you write to, so start the run again in another one."
        )


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=_DIGEST).hexdigest()
