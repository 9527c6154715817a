"""A guard notices that a source was removed or changed while a run read it.

It compares names, sizes and times of files before and after the run, which costs no reading of
pixels: a Zarr without its chunks would otherwise be read as an image of fill values.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, Any

from napari_tilewise.errors import SourceChanged, SourceNotFound, SourceUnreachable, TilewiseError
from napari_tilewise.io.image import Image, is_zarr_array
from napari_tilewise.io.readers.file_series import is_series, series_files
from napari_tilewise.io.readers.locations import file_of
from napari_tilewise.io.readers.zarr_folders import MARKERS, is_zarr
from napari_tilewise.provenance.fingerprint import fingerprint, source_location, taken_once
from napari_tilewise.provenance.fingerprint_samples import FILES, levels_of, walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from napari_tilewise.engine.checkpoints.checkpoint import Checkpoint


@dataclass(frozen=True)
class SourceState:
    """What is compared of a source."""

    entries: Mapping[str, tuple[Any, ...]]
    """Size and time of each file, number of entries of each folder (``name/``), by name."""
    identity: tuple[int, int] | None = field(default=None, compare=False)
    """Number and time of change of a Zarr's metadata file, which a copy does not have."""

    def has_lost_files(self, later: SourceState) -> bool:
        """Return whether files of the source are missing from a later state of it.

        Parameters
        ----------
        later
            The later state.
        """
        return any(
            name not in later.entries or (name.endswith("/") and later.entries[name] < entry)
            for name, entry in self.entries.items()
        )


class SourceGuard:
    """The sources of a run, as they were before it.

    Parameters
    ----------
    sources
        What `open_image` takes. Arrays in memory are not compared.
    """

    def __init__(self, sources: Iterable[object] = ()) -> None:
        self.sources = tuple(sources)
        locations = filter(None, map(guarded_location, self.sources))
        self._before = {location: source_state(location) for location in locations}

    @property
    def identities(self) -> list[list[int]]:
        """What tells the sources that are folders from copies of them, as plain data."""
        states = filter(None, self._before.values())
        return [list(state.identity) for state in states if state.identity is not None]

    def check(self) -> None:
        """Raise `SourceChanged` when a source is no longer what it was."""
        with taken_once(anew=True):
            states = {location: source_state(location) for location in self._before}
        for location, before in self._before.items():
            now = states[location]
            if before is not None and now is None:
                raise SourceChanged(
                    f"The source {location!r} was removed or renamed while it was read; expected "
                    "it to stay until the end: put it back and start again."
                )
            if now != before:
                raise SourceChanged(
                    f"The source {location!r} was changed while it was read; expected the same "
                    "files from start to end: start again when nothing writes to it."
                )

    @contextmanager
    def watch(self, checkpoint: Checkpoint | None) -> Iterator[None]:
        """Check the sources after the block, and keep no tile of pixels that were missing.

        Parameters
        ----------
        checkpoint
            The checkpoint of the run.
        """
        try:
            try:
                yield
            except SourceNotFound:
                self.check()  # a worker that opens the source after it vanished says only this
                raise
            self.check()
        except BaseException as error:
            if checkpoint is not None and not checkpoint.is_gone:
                self._settle(checkpoint, is_changed=isinstance(error, SourceChanged))
            raise

    def _settle(self, checkpoint: Checkpoint, *, is_changed: bool) -> None:
        for location, before in self._before.items():
            try:
                with taken_once(anew=True):
                    now = source_state(location)
            except SourceUnreachable:
                continue  # its pixels were read while it answered
            if before is None or now == before:
                continue
            if now is None:  # renamed: all tiles are right; deleted file by file: some may not be
                checkpoint.add_facts(gone=self.identities)
            elif is_changed or before.has_lost_files(now):
                checkpoint.forget()

    def forget_doubtful(self, checkpoint: Checkpoint) -> None:
        """Forget the tiles of a run whose sources vanished, unless the same files are back.

        Parameters
        ----------
        checkpoint
            The checkpoint of the run that is resumed.
        """
        if checkpoint.facts.get("gone", self.identities) != self.identities:
            checkpoint.forget()


def guarded_location(source: object) -> str | None:
    """Return the path or URL behind a source or a part of one; None for an array in memory.

    Parameters
    ----------
    source
        What `open_image` takes.
    """
    location = source_location(source)
    if location is None and isinstance(source, Image):
        whole = getattr(source.data, "part_of", None)
        return None if whole is None else guarded_location(whole)
    return location


def source_state(location: str) -> SourceState | None:
    """Return what is compared of a source; None where there is nothing to open.

    Parameters
    ----------
    location
        An absolute path or a URL.

    Raises
    ------
    SourceUnreachable
        When the server of a URL does not answer.
    """
    try:
        if "://" in location:
            return SourceState({"": (fingerprint(location),)})
        if is_series(location):
            return SourceState(dict(map(_of_file, series_files(location))))
        file = file_of(location)
        status = os.stat(file)
        if S_ISREG(status.st_mode):
            return SourceState({"": _size_and_time(status)})
        path = Path(file)
        if is_zarr(path):
            return SourceState(dict(_of_zarr(path)), _identity(path))
        if path.is_dir():
            return SourceState(_of_folder(path, "", FILES))
        _, entry = _of_file(path)
    except SourceUnreachable:
        raise  # not a sign that anything is gone
    except (OSError, TilewiseError):
        return None
    return SourceState({"": entry})


def _of_file(path: str | Path) -> tuple[str, tuple[int, int, int]]:
    return str(path), _size_and_time(os.stat(path))


def _size_and_time(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ino


def _of_zarr(root: Path) -> Iterator[tuple[str, tuple[object, ...]]]:
    """Yield the metadata of a Zarr and the files of its levels; labels beside them may change."""
    from napari_tilewise.io.readers.zarr_arrays import ome_metadata, open_node

    node = open_node(str(root))
    if not is_zarr_array(node):
        yield "multiscales", (json.dumps(ome_metadata(node).get("multiscales"), default=str),)
    levels = list(levels_of(node))
    for array in levels:
        yield from _of_folder(root, array.path, FILES // len(levels)).items()


def _of_folder(root: Path, below: str, most: int) -> dict[str, tuple[object, ...]]:
    prefix = f"{below}/" if below else ""
    return {name: (size, time) for name, size, time in walk(root, prefix, most)}


def _identity(root: Path) -> tuple[int, int]:
    status = next(root / marker for marker in MARKERS if (root / marker).is_file()).stat()
    return status.st_ino, status.st_ctime_ns
