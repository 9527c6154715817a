"""Paths in data that others may have written: they lead into a folder, never out of it."""

from __future__ import annotations

import os
from pathlib import PurePosixPath

NO_NAMES = ("", ".", "..")
"""What is no name of a file or a folder."""


def is_inside(path: object) -> bool:
    """Return whether a path leads into the folder that it is relative to.

    Parameters
    ----------
    path
        A path with ``/``; anything but a text leads nowhere.
    """
    if not isinstance(path, str) or "\0" in path:
        return False
    if os.name == "nt" and any(character in path for character in "\\:"):
        return False
    pure = PurePosixPath(path)
    return bool(pure.parts) and not pure.is_absolute() and ".." not in pure.parts
