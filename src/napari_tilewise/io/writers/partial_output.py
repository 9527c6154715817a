"""An output that is not finished grows in a folder of its own, which says whose it is.

What nobody owns any more can be gone on with.
"""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING

import psutil

from napari_tilewise.io.image import KEY
from napari_tilewise.io.readers.zarr_arrays import is_zarr
from napari_tilewise.io.writers import staging as stage

if TYPE_CHECKING:
    from pathlib import Path

OWNER = "owner"
"""The name of the owner in the metadata."""

_live: set[Path] = set()
"""What writers of this process own."""


def owner() -> dict[str, int | str]:
    """Return who owns what this process writes."""
    return {"pid": os.getpid(), "host": socket.gethostname()}


def claim(staging: Path) -> None:
    """Have this process own a staging folder.

    Parameters
    ----------
    staging
        The folder.
    """
    _live.add(staging)


def release(staging: Path) -> None:
    """Have this process own a staging folder no longer.

    Parameters
    ----------
    staging
        The folder.
    """
    _live.discard(staging)


def unfinished(path: str | os.PathLike[str]) -> list[Path]:
    """Return the staging folders of a destination that no living run owns, the newest first.

    Parameters
    ----------
    path
        The final name.
    """
    return [p for p in stage.partials(stage.local_path(path)) if not _is_owned(p)]


def is_whole(staging: Path, levels: int) -> bool:
    """Return whether a staging folder has the metadata that it began with.

    What Zarr made again of a folder that was removed meanwhile holds chunks alone.

    Parameters
    ----------
    staging
        The folder.
    levels
        How many levels it began with.
    """
    return all(map(is_zarr, (staging, *(staging / str(level) for level in range(levels)))))


def _is_owned(staging: Path) -> bool:
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
        return True  # no way to know
    return pid != os.getpid() and psutil.pid_exists(pid)
