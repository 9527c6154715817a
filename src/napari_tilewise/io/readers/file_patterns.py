"""Which paths match a pattern: each once, whatever symbolic links lead to their folders.

A folder whose name holds ``[`` is that folder where it exists.
"""

from __future__ import annotations

import glob
import os
from pathlib import Path
from typing import TYPE_CHECKING

from napari_tilewise.io.readers.zarr_folders import is_zarr

if TYPE_CHECKING:
    from collections.abc import Iterator

_ANY_DEPTH = "**"


def fixed_folder(pattern: str) -> str:
    """Return the folder of a pattern below which it varies.

    Parameters
    ----------
    pattern
        A pattern whose first folders may have names with ``[``, which exist.
    """
    folder, remainder = "", pattern
    while True:
        part, slash, rest = remainder.partition(os.sep)
        candidate = f"{folder}{part}{slash}"
        if not slash or (glob.has_magic(part) and not os.path.isdir(candidate)):
            return folder
        folder, remainder = candidate, rest


def matches(pattern: str) -> Iterator[Path]:
    """Yield the paths that match a pattern, each once.

    Parameters
    ----------
    pattern
        As of `glob.glob`; ``**`` stands for any folders, each visited once.
    """
    base = fixed_folder(pattern)
    rest = pattern[len(base) :]
    seen: set[str] = set()
    for path in _below(base, f"{rest}{os.sep}*" if rest.endswith(_ANY_DEPTH) else rest):
        if path not in seen:
            seen.add(path)
            yield Path(path)


def _below(base: str, pattern: str) -> Iterator[str]:
    """Yield the paths below a folder that match a pattern."""
    head, any_depth, tail = pattern.partition(f"{_ANY_DEPTH}{os.sep}")
    if not any_depth:
        yield from glob.glob(glob.escape(base) + pattern)
        return
    for start in glob.glob(glob.escape(base) + head) if head else [base]:
        for folder in each_folder(Path(start or os.curdir)):
            inner = os.path.join(folder, "") if start or folder != Path(os.curdir) else ""
            yield from _below(inner, tail)


def each_folder(folder: Path, visited: set[tuple[int, int]] | None = None) -> Iterator[Path]:
    """Yield a folder and all below it, each once; a Zarr is an image, not a folder.

    Parameters
    ----------
    folder
        The folder.
    visited
        Identities of the folders that were visited.
    """
    visited = set() if visited is None else visited
    if not is_new(folder, visited):
        return
    yield folder
    try:
        inner = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        return
    for path in inner:
        if path.is_dir() and not is_zarr(path):
            yield from each_folder(path, visited)


def is_new(folder: Path, visited: set[tuple[int, int]]) -> bool:
    """Return whether a folder was not visited yet, and note that it was.

    Parameters
    ----------
    folder
        The folder.
    visited
        Identities of the folders that were visited.
    """
    try:
        status = folder.stat()
    except OSError:
        return False
    identity = (status.st_dev, status.st_ino)
    if identity in visited:
        return False
    visited.add(identity)
    return True
