"""What the files behind an array were like: equal tokens at two moments mean equal pixels.

Names, sizes and times of all files are compared, and no pixel is read. A file that was written a
moment ago has no token: it could change again within the resolution of the file system's clock.
Object stores list an entity tag with each object, which tells its content. A web server lists
nothing, and to ask for each chunk takes as long as to read it: what it serves has no token.
"""

from __future__ import annotations

import os
import sys
import time
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MOST_FILES = 2**17
"""Number of files that are looked at: some tenths of a second."""
MOST_OPENED = 2**10
"""Number of files that are looked at when an array in them is opened."""
MOST_LISTED = 2**13
"""Number of chunks of an array whose objects are listed: a request lists a thousand."""
SETTLED = 2 * 10**9
"""Nanoseconds for which no file may have changed."""
_OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az"}
_TAGS = ("ETag", "etag", "md5Hash")
"""What object stores call what tells an object's content."""
_TIMES = ("LastModified", "last_modified", "updated", "size")
"""What also tells that an object was written: it may have been another one in between."""


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
        return _digest(f"{folder}\0{stored.metadata.to_dict()}", _files(folder))
    if name_in_files is not None:
        # An open file is read as it was, whatever has its name by now.
        opened = array.state_when_opened
        if opened is None or opened != state_of(array.files):
            return None
        return _digest(f"{name_in_files}\0{array.shape} {array.dtype}\0{opened}", ())
    return _listed_token(stored) if hasattr(_store(stored), "fs") else _zip_token(stored)


def state_of(files: Sequence[str]) -> str | None:
    """Return a token of the state of some files; None where they are many, or one has changed now.

    Parameters
    ----------
    files
        Their paths.
    """
    if not 0 < len(files) <= MOST_OPENED:
        return None
    return _digest("", ((os.path.abspath(path), os.stat(path)) for path in files))


def _digest(name: str, files: Iterable[tuple[str, os.stat_result]]) -> str | None:
    """Return a token of a name and of files as they are; None where one has changed just now."""
    digest = blake2b(name.encode(), digest_size=16)
    newest = 0
    try:
        for number, (path, status) in enumerate(files):
            if number >= MOST_FILES:
                return None
            changed = max(status.st_mtime_ns, status.st_ctime_ns)
            newest = max(newest, changed)
            entry = f"{path}\0{status.st_size} {changed} {status.st_ino}\n"
            digest.update(os.fsencode(entry))  # a path may be no UTF-8
    except OSError:
        return None
    return None if time.time_ns() - newest < SETTLED else digest.hexdigest()


def _zip_token(array: Any) -> str | None:
    """Return a token of a Zarr array in a zip file that is open for reading, as its store sees it.

    The store reads the list of the members once, and the open file, whatever has its name by now:
    so does the token.
    """
    store = _store(array)
    zarr: Any = sys.modules.get("zarr")
    file = getattr(store, "_zf", None)
    if file is None or not isinstance(store, zarr.storage.ZipStore) or file.mode != "r":
        return None
    prefix = f"{array.path}/" if array.path else ""
    members = [member for member in file.infolist() if member.filename.startswith(prefix)]
    if len(members) > MOST_FILES:
        return None
    listed = [(part.filename, part.header_offset, part.file_size, part.CRC) for part in members]
    name = f"{store.path}\0{array.metadata.to_dict()}\0{listed}"
    return _digest(name, [(str(store.path), os.fstat(file.fp.fileno()))])


def _listed_token(array: Any) -> str | None:
    """Return a token of a Zarr array in an object store; None where it lists no entity tags."""
    store = _store(array)
    files = store.fs
    protocols = {files.protocol} if isinstance(files.protocol, str) else set(files.protocol)
    if not protocols & _OBJECT_STORES or array.nchunks > MOST_LISTED:
        return None
    from fsspec import filesystem

    root = "/".join(filter(None, (store.path.rstrip("/"), array.path)))
    try:
        files = filesystem(sorted(protocols)[0], **{**files.storage_options, "asynchronous": False})
        files.invalidate_cache()  # a listing that it remembers tells nothing of now
        objects = files.find(root, detail=True)
    except (OSError, ValueError, RuntimeError):
        return None  # whoever reads the chunks says what is wrong
    tags = {
        path: [details.get(key) for key in (*_TAGS, *_TIMES)] for path, details in objects.items()
    }
    if not tags or any(not any(tag[: len(_TAGS)]) for tag in tags.values()):
        return None
    listed = "\n".join(f"{path}\0{tag}" for path, tag in sorted(tags.items()))
    name = f"{sorted(protocols)} {files.storage_options}\0{array.metadata.to_dict()}\0{listed}"
    return _digest(name, ())


def _folder(array: Any) -> Path | None:
    """Return the folder of a Zarr array on this machine."""
    store = _store(array)
    if store is None:
        return None
    zarr: Any = sys.modules["zarr"]
    root: Path | None = None
    if isinstance(store, zarr.storage.LocalStore):
        root = Path(store.root)
    elif isinstance(store, zarr.storage.FsspecStore):  # such as of dask's from_zarr
        files = getattr(store.fs, "sync_fs", store.fs)
        root = Path(store.path) if "file" in files.protocol else None
    return None if root is None else root / str(array.path)


def _store(array: Any) -> Any:
    """Return the store of a Zarr array, without what wraps it; None for another array."""
    zarr: Any = sys.modules.get("zarr")
    if zarr is None or not isinstance(array, zarr.Array):
        return None
    store = array.store
    while isinstance(store, zarr.storage.WrapperStore):
        store = store._store
    return store


def _files(folder: str | Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield all files below a folder, in order."""
    with os.scandir(folder) as entries:
        listed = sorted(entries, key=lambda entry: entry.name)
    for entry in listed:
        if entry.is_dir():
            yield from _files(entry.path)
        else:
            yield entry.path, entry.stat()
