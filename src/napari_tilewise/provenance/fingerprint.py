"""Fingerprints show whether a source has changed, from a few MiB of it, whatever its size.

They depend on bytes, names and sizes only, never on times or paths: a copy has the same one.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from contextvars import ContextVar
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_tilewise.errors import SourceNotFound
from napari_tilewise.io.image import Image, is_zarr_array
from napari_tilewise.io.readers.checked_arrays import read_error
from napari_tilewise.io.readers.file_series import is_series, series_files
from napari_tilewise.io.readers.locations import file_of, home_path, path_of_url
from napari_tilewise.provenance import fingerprint_samples

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SAMPLED = "blake2b-1"
"""Scheme of a fingerprint of sampled bytes."""
NAMED = "name-1"
"""Scheme of a fingerprint of only the name of an array, its shape and its data type."""


_taken: ContextVar[dict[str, str] | None] = ContextVar("taken", default=None)
"""The fingerprints of URLs that were taken in a block of `taken_once`."""


def fingerprint(source: object) -> str:
    """Return a short text that stays the same as long as the source does; a copy has the same one.

    - A file: its size, its first and last MiB and 32 evenly spaced blocks of 16 KiB.
    - A series of files: names and sizes of all, the contents of 16 evenly spaced ones as above.
    - A folder: names and sizes of its files (where there are more than 8192, of so many evenly
      spaced ones at each depth), the contents of up to 64 files of Zarr metadata and of 16 evenly
      spaced chunks.
    - A Zarr at a URL: the metadata and 16 evenly spaced chunks, in some twenty requests.
    - A NumPy array or a Zarr in memory: shape, data type and 32 (16) evenly spaced blocks.
    - Any other array (dask, a remote Zarr's): shape, data type and name, with the
      scheme ``name-1:``. Nothing is read or computed.

    Files, folders and arrays of up to 4 MiB are read completely. In larger ones, *a change between
    the samples that changes no size is not noticed*: a few pixels painted over in an uncompressed
    file, or in a chunk that compresses to the same size. Metadata that do not concern pixels count
    too, and so does the storage: the same image as a file, as a folder, at a URL and in memory has
    four fingerprints. ``name-1:`` notices a change of pixels only if the name changes.

    Parameters
    ----------
    source
        A source that `open_image` takes.

    Raises
    ------
    SourceNotFound
        When nothing exists at the path or URL.
    SourceUnreadable
        When the source cannot be read.
    """
    location = source_location(source)
    if location is None:
        array: Any = source.data if isinstance(source, Image) else source
        samples = fingerprint_samples.of_array(array)
        if samples is None:
            return _digest(NAMED, "array", fingerprint_samples.of_name(array))
        return _digest(SAMPLED, "array", samples)
    if "://" in location:
        taken = _taken.get()
        if taken is not None and location in taken:
            return taken[location]
        text = _digest(SAMPLED, "url", fingerprint_samples.of_url(location))
        if taken is not None:
            taken[location] = text
        return text
    if is_series(location):
        return _digest(SAMPLED, "series", fingerprint_samples.of_files(series_files(location)))
    path = Path(file_of(location))  # a dataset has the fingerprint of its file
    try:
        if path.is_dir():
            return _digest(SAMPLED, "folder", fingerprint_samples.of_folder(path))
        return _digest(SAMPLED, "file", fingerprint_samples.of_file(path))
    except FileNotFoundError:
        raise SourceNotFound(
            f"There is nothing at {location!r}; check the spelling of the path."
        ) from None
    except OSError as error:
        raise read_error(error, location) from error


@contextmanager
def taken_once(*, anew: bool = False) -> Iterator[None]:
    """Take the fingerprint of each URL once in the block, as it takes some twenty requests.

    Parameters
    ----------
    anew
        Whether those that were taken in a block around this one are taken again.
    """
    around = _taken.get()
    token = _taken.set({} if anew or around is None else around)
    try:
        yield
    finally:
        _taken.reset(token)


def source_location(source: object) -> str | None:
    """Return the absolute path or the URL of a source; None for an array in memory.

    Parameters
    ----------
    source
        A source that `open_image` takes.
    """
    if isinstance(source, Image):
        return source_location(source.name) if source.format != "array" else None
    if is_zarr_array(source):
        from napari_tilewise.io.readers.zarr_arrays import array_location

        return array_location(source)
    if not isinstance(source, (str, os.PathLike)):
        return None
    text = str(os.fspath(source))
    if text.startswith("file:"):
        return str(Path(path_of_url(text)).absolute())
    return text if "://" in text else os.path.abspath(home_path(text))


def _digest(scheme: str, kind: str, samples: Iterable[object]) -> str:
    """Return the fingerprint of samples: bytes, or anything that JSON can hold."""
    digest = blake2b(kind.encode(), digest_size=16)
    for sample in samples:
        data = sample if isinstance(sample, bytes) else _text(sample).encode()
        digest.update(len(data).to_bytes(8, "little"))  # "ab", "c" is not "a", "bc"
        digest.update(data)
    return f"{scheme}:{digest.hexdigest()}"


def _text(sample: object) -> str:
    return json.dumps(sample, sort_keys=True, default=str)
