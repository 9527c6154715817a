"""What the files behind an array were like: equal tokens at two moments mean equal pixels.

Names, sizes and times of all files are compared, and no pixel is read. A file that was written a
moment ago has no token: it could change again within the resolution of the file system's clock.
"""

from __future__ import annotations

import os
import sys
import time
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_FILES = 2**17
"""Number of files that are looked at: some tenths of a second."""
SETTLED = 2 * 10**9
"""Nanoseconds for which no file may have changed."""


def files_token(array: Any) -> str | None:
    """Return a token of the files of a local array; None where they are not all known.

    Parameters
    ----------
    array
        Any array, or one that has the array which it reads as `array`: a Zarr's, or one that
        names its `files` and which array of these it is.
    """
    stored = getattr(array, "array", array)
    folder, name_in_files = _folder(stored), getattr(array, "name_in_files", None)
    if folder is not None:
        name, files = f"{folder}\0{stored.metadata.to_dict()}", _files(folder)
    elif name_in_files is not None:
        name = f"{name_in_files}\0{array.shape} {array.dtype}"
        files = ((os.path.abspath(path), os.stat(path)) for path in array.files)
    else:
        return None
    digest = blake2b(name.encode(), digest_size=16)
    newest = 0
    try:
        for number, (name, status) in enumerate(files):
            if number >= MOST_FILES:
                return None
            changed = max(status.st_mtime_ns, status.st_ctime_ns)
            newest = max(newest, changed)
            digest.update(f"{name}\0{status.st_size} {changed} {status.st_ino}\n".encode())
    except OSError:
        return None
    return None if time.time_ns() - newest < SETTLED else digest.hexdigest()


def _folder(array: Any) -> Path | None:
    """Return the folder of a Zarr array on this machine."""
    zarr: Any = sys.modules.get("zarr")
    if zarr is None or not isinstance(array, zarr.Array):
        return None
    store = array.store
    while isinstance(store, zarr.storage.WrapperStore):
        store = store._store
    return Path(store.root) / array.path if isinstance(store, zarr.storage.LocalStore) else None


def _files(folder: str | Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield all files below a folder, in order."""
    with os.scandir(folder) as entries:
        listed = sorted(entries, key=lambda entry: entry.name)
    for entry in listed:
        if entry.is_dir():
            yield from _files(entry.path)
        else:
            yield entry.path, entry.stat()
