"""Files and folders get other names, or are removed.

Windows refuses both while any program has the file open, and virus scanners and indexers open each
file that has just been written: there what is refused is tried again for a second.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PAUSES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if os.name == "nt" else ()
"""Seconds before each further attempt."""


def rename(path: Path, to: Path) -> None:
    """Give a file or folder a name that nothing has.

    Parameters
    ----------
    path
        The file or folder.
    to
        Its new name.
    """
    _patiently(lambda: path.rename(to))


def replace(path: str | Path, to: str | Path) -> None:
    """Give a file a name that another file may have, which is then gone.

    Parameters
    ----------
    path
        The file.
    to
        Its new name.
    """
    _patiently(partial(os.replace, path, to))


def remove(path: str | Path) -> None:
    """Remove a file, if it is there.

    Parameters
    ----------
    path
        The file.
    """
    with suppress(FileNotFoundError):
        _patiently(partial(os.unlink, path))


def remove_if_possible(path: Path) -> None:
    """Remove a file that is in nobody's way, unless another program has it open.

    Parameters
    ----------
    path
        The file.
    """
    with suppress(OSError):
        remove(path)


def _patiently(change: Callable[[], object]) -> None:
    for pause in PAUSES:
        try:
            change()
        except PermissionError:
            time.sleep(pause)
        else:
            return
    change()
