"""An output at a URL grows in a local folder, and is sent from there.

Object stores have no folder that takes its final name in one step. So the metadata of the output,
without which it is no Zarr, comes last: what was sent in part never looks finished. Chunks are sent
as they are computed. A run that is interrupted, while it computes or while it sends, resumes from
the local folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from napari_tilewise.engine.system.fetchers import FETCHERS
from napari_tilewise.errors import (
    DestinationExists,
    DestinationUnreachable,
    DestinationUnwritable,
    MissingExtra,
)
from napari_tilewise.io.network import NEAR, is_transient, patiently
from napari_tilewise.io.plain_data import plain_mapping
from napari_tilewise.io.readers.zarr_folders import MARKERS
from napari_tilewise.io.writers.chunk_sender import ChunkSender, SentChunks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import TypeVar

    from napari_tilewise.io.writers.image_writer import ImageWriter

    T = TypeVar("T")

FOLDER = "NAPARI_TILEWISE_OUTBOX"
"""The environment variable that names another folder for outputs that are sent."""
SUFFIXES = (".ome.zarr", ".zarr")
_ROOT = (*MARKERS, ".zattrs", ".zmetadata")
_READ_ONLY = ("http", "https")


def checked_outbox(destination: object) -> Outbox | None:
    """Return where an output for a URL is completed; None for a destination on this machine.

    Parameters
    ----------
    destination
        A path or a URL.

    Raises
    ------
    DestinationExists, DestinationUnwritable
        When nothing can be written at the URL; before anything is computed.
    """
    if not isinstance(destination, str) or "://" not in destination:
        return None
    if destination.partition("://")[0] in NEAR - {"memory"}:
        return None
    outbox = Outbox(destination)
    outbox.check()
    return outbox


class Outbox:
    """The folder of one output, and the URL that it is sent to.

    Parameters
    ----------
    url
        The output's final name.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._name = self.url.rpartition("/")[2]
        configured = os.environ.get(FOLDER)
        folder = platformdirs.user_cache_path("napari-tilewise") / "outbox"
        digest = hashlib.blake2b(self.url.encode(), digest_size=8).hexdigest()
        self.path = (Path(configured) if configured else folder) / digest / self._name
        """The complete output on this machine."""
        self._sent = SentChunks(self.path.parent / "sent")

    def check(self) -> None:
        """Refuse a URL that cannot be written, before anything is computed.

        Raises
        ------
        DestinationExists
            When something is there.
        DestinationUnwritable
            When it cannot be written, or is of another format than OME-Zarr.
        """
        protocol = self.url.partition("://")[0]
        if protocol in _READ_ONLY or not self._name.lower().endswith(SUFFIXES):
            raise DestinationUnwritable(
                f"{self.url!r} cannot be written: expected an OME-Zarr (NAME.ome.zarr) at a URL "
                "that can be written, such as s3:// or gs://; write to a path and copy the result "
                "there."
            )
        files, root = self._files()
        if self._try(lambda: files.exists(root)) and not self._is_ours(files, root):
            raise DestinationExists(
                f"{self.url!r} exists, and a run replaces nothing at a URL: give another "
                "destination, or remove it yourself."
            )
        probe = f"{root.rpartition('/')[0]}/.{self._name}.probe"
        self._try(lambda: files.pipe_file(probe, b"napari-tilewise"))
        self._try(lambda: files.rm_file(probe))

    def _is_ours(self, files: Any, root: str) -> bool:
        """Return whether a run that was killed sent what is there: chunks, and no metadata."""
        if self._sent.owner is None:
            return False
        return not any(self._try(partial(files.exists, f"{root}/{name}")) for name in _ROOT)

    @contextmanager
    def sending(self, writer: ImageWriter) -> Iterator[ChunkSender]:
        """Send chunks within the block, as they are written; nothing stays there after an error.

        Parameters
        ----------
        writer
            Writes the output on this machine.
        """
        files, root = self._files()
        if self._sent.owner not in (None, writer.staging.name):
            self._try(partial(self._remove, files, root))  # of a run that is not resumed
        sender = ChunkSender(writer.zarr, self._sent, partial(self._put, files, root))
        try:
            yield sender
        except BaseException as error:
            sender.close()
            self._withdraw(files, root, error)
            raise
        sender.close()

    def holds(self, history: Mapping[str, object]) -> bool:
        """Return whether the output is complete on this machine, and only has to be sent.

        Another output, complete or not, is removed.

        Parameters
        ----------
        history
            The record of how the output is computed.
        """
        if not self.path.exists():
            return False
        from napari_tilewise.io.readers.zarr_arrays import open_node, own_metadata

        stored = own_metadata(open_node(str(self.path)))
        if "not_repeatable" not in history and _decisive(stored, history) == _decisive(
            history, history
        ):
            return True
        shutil.rmtree(self.path)
        return False

    def send(self) -> str:
        """Send the output, remove it from this machine, and return its URL.

        Raises
        ------
        DestinationUnwritable
            When it cannot be sent; nothing is left there that looks finished.
        """
        paths = sorted(path for path in self.path.rglob("*") if self._is_unsent(path))
        last = [path for path in paths if path.parent == self.path and path.name in _ROOT]
        files, root = self._files()
        try:
            self._send(files, root, [path for path in paths if path not in set(last)])
            self._send(files, root, sorted(last, key=lambda path: path.name in MARKERS))
        except BaseException as error:
            self._withdraw(files, root, error)
            raise
        shutil.rmtree(self.path.parent)
        return self.url

    def _is_unsent(self, path: Path) -> bool:
        return path.is_file() and not self._sent.holds_file(path.relative_to(self.path))

    def _put(self, files: Any, root: str, path: Path, name: str) -> None:
        self._try(partial(files.put_file, str(path), f"{root}/{name}"))

    def _send(self, files: Any, root: str, paths: list[Path]) -> None:
        def put(path: Path) -> None:
            self._put(files, root, path, path.relative_to(self.path).as_posix())

        pool = ThreadPoolExecutor(FETCHERS, thread_name_prefix="tilewise-send")
        try:
            for _ in pool.map(put, paths):
                pass
        finally:
            pool.shutdown(cancel_futures=True)

    def _withdraw(self, files: Any, root: str, error: BaseException) -> None:
        try:
            patiently(partial(self._remove, files, root))
        except Exception as second:  # noqa: BLE001 - said with the error that is raised
            error.add_note(f"Parts of the output, without its metadata, stay there: {second}")

    def _remove(self, files: Any, root: str) -> None:
        """Remove what is sent, and the note of it."""
        files.invalidate_cache()
        with suppress(FileNotFoundError):
            files.rm(root, recursive=True)
        self._sent.path.unlink(missing_ok=True)
        self._sent = SentChunks(self._sent.path)

    def _files(self) -> tuple[Any, str]:
        """Return the file system of the URL, and the path in it."""
        try:
            from fsspec.core import url_to_fs

            files, root = url_to_fs(self.url)
        except (ImportError, ValueError) as error:
            raise MissingExtra(
                f"{self.url!r} needs a package that is not installed ({error}); "
                "install fsspec and the file system it names."
            ) from error
        return files, root.rstrip("/")

    def _try(self, request: Callable[[], T]) -> T:
        try:
            return patiently(request)
        except Exception as error:
            if is_transient(error):
                raise DestinationUnreachable(
                    f"{self.url!r} cannot be written over the network ({error}): expected a server "
                    "that answers: start again when it does. Finished tiles are not computed again."
                ) from error
            raise DestinationUnwritable(
                f"{self.url!r} cannot be written ({type(error).__name__}: {error}): expected a URL "
                "that you may write to: check the address and the login."
            ) from error


def _decisive(record: Mapping[str, object], keys: Iterable[str]) -> str:
    """Return the part of a record that decides about pixels, as text."""
    entries = {key: record.get(key) for key in keys if key not in ("time", "values")}
    return json.dumps(plain_mapping(entries), sort_keys=True, default=str)
