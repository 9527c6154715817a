"""Paths without links: that of a folder is looked up once, and checked when it is asked for again.

Python follows links name by name, which takes a dozen calls of the system for each of the thousands
of outputs of one folder.
"""

from __future__ import annotations

import os

MOST = 256
"""Folders that a process remembers."""

_real: dict[str, str] = {}


def real_folder(folder: str) -> str:
    """Return the path of a folder without links.

    Parameters
    ----------
    folder
        Its path; it need not exist.
    """
    real = _real.get(folder)
    if real is not None and _is_same(folder, real):
        return real
    real = os.path.realpath(folder)
    if _is_same(folder, real):
        if len(_real) >= MOST:
            _real.clear()
        _real[folder] = real
    return real


def real_path(path: str) -> str:
    """Return the path of a file or folder without links.

    Parameters
    ----------
    path
        Its path; it need not exist.
    """
    folder, name = os.path.split(path)
    if name in ("", os.curdir, os.pardir) or os.path.islink(path):
        return os.path.realpath(path)
    return os.path.join(real_folder(folder or os.curdir), name)


def _is_same(folder: str, real: str) -> bool:
    """Return whether two paths lead to one folder, which is there."""
    try:
        return os.path.samestat(os.stat(folder), os.stat(real))
    except (OSError, ValueError):
        return False
