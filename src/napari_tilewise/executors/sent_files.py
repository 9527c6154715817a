"""Files that one process of a run writes for another, named by what they hold.

They are pickles in the folder of the checkpoint, which others may write to. The name travels
through the pool or the scheduler, as a task does, and ends with a digest of the bytes: a file that
somebody changed or put there is not the one that was named, and is not unpickled.
"""

from __future__ import annotations

import hmac
import socket
from hashlib import blake2b
from typing import TYPE_CHECKING
from uuid import uuid4

from napari_tilewise.errors import SourceUnreadable

if TYPE_CHECKING:
    from pathlib import Path

_DIGEST = 32
"""Bytes of a digest."""


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
        raise SourceUnreadable(
            f"The process on {socket.gethostname()!r} cannot read {str(path)!r} "
            f"({error.strerror}): expected a folder that all workers see under this path. Put the "
            "output, and the source, on a file system that they share."
        ) from error
    if not hmac.compare_digest(_digest(content), name.rpartition("-")[2]):
        raise SourceUnreadable(
            f"{str(path)!r} is not what this run wrote: somebody changed it. Expected a folder "
            "that only you write to, so start the run again in another one."
        )
    return content


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=_DIGEST).hexdigest()
