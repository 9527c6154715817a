"""An unfinished output is a staging folder that names its owner, a process on a host.

A staging folder without a living owner can be resumed.
"""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING

import psutil

from napari_tilewise.io.image import KEY
from napari_tilewise.io.readers.zarr_folders import is_zarr
from napari_tilewise.io.writers import staging as stage

if TYPE_CHECKING:
    from pathlib import Path

OWNER = "owner"
"""Key of the owner in the metadata."""

_live: set[Path] = set()
"""The staging folders of this process."""


def owner() -> dict[str, int | str]:
    """Return the owner of the outputs that this process writes."""
    return {"pid": os.getpid(), "host": socket.gethostname()}


def claim(staging: Path) -> None:
    """Make this process the owner of a staging folder.

    Parameters
    ----------
    staging
        The folder.
    """
    _live.add(staging)


def release(staging: Path) -> None:
    """End this process's ownership of a staging folder.

    Parameters
    ----------
    staging
        The folder.
    """
    _live.discard(staging)


def unfinished(path: str | os.PathLike[str]) -> list[Path]:
    """Return the staging folders of a destination that no living process owns, the newest first.

    Parameters
    ----------
    path
        The final name.
    """
    return [p for p in stage.partials(stage.local_path(path)) if not is_owned(p)]


def is_whole(staging: Path, levels: int) -> bool:
    """Return whether a staging folder still has the metadata that it was created with.

    If it is removed during a run, Zarr creates a new one that holds nothing but chunks.

    Parameters
    ----------
    staging
        The folder.
    levels
        Number of levels that it was created with.
    """
    folders = (os.path.join(staging, str(level)) for level in range(levels))
    return is_zarr(staging) and all(map(is_zarr, folders))


def is_owned(staging: Path) -> bool:
    """Return whether a process that is alive, or may be, writes to a staging folder.

    Parameters
    ----------
    staging
        The folder.
    """
    if staging in _live:
        return True
    try:
        if (staging / ".zattrs").is_file():
            attributes = json.loads((staging / ".zattrs").read_text())
        else:
            attributes = json.loads((staging / "zarr.json").read_text())["attributes"]
        owner = attributes[KEY][OWNER]
        pid, host = int(owner["pid"]), owner["host"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    if host != socket.gethostname():
        return True  # cannot be known: assumed alive
    return pid != os.getpid() and psutil.pid_exists(pid)
