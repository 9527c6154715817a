"""Fingerprints tell whether a source is what it was, from a few MiB of it, whatever its size.

They depend on bytes, names and sizes only, never on times or places: a copy has the same one.
"""

from __future__ import annotations

import json
import os
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import zarr
from zarr.storage import LocalStore

from napari_tilewise.errors import SourceNotFound
from napari_tilewise.io.image import Image
from napari_tilewise.io.readers import hdf5
from napari_tilewise.io.readers.guarded import read_error
from napari_tilewise.provenance import fingerprint_samples

if TYPE_CHECKING:
    from collections.abc import Iterable

SAMPLED = "blake2b-1"
"""Scheme of a fingerprint that looked at bytes."""
NAMED = "name-1"
"""Scheme of a fingerprint that knows only what an array is called, its shape and its type."""


def fingerprint(source: object) -> str:
    """Return a short text that stays the same as long as the source, or a copy of it, does.

    - A file: its size, its first and last MiB and 32 evenly spaced blocks of 16 KiB.
    - A folder: names and sizes of its files (where there are more than 8192, of so many evenly
      spaced ones at each depth), the contents of up to 64 files of Zarr metadata and of 16 evenly
      spaced chunks.
    - A Zarr behind a URL: the metadata and 16 evenly spaced chunks, in some twenty requests.
    - A NumPy array or a Zarr in memory: shape, data type and 32 (16) evenly spaced blocks.
    - Any other array (dask, a remote Zarr's): shape, data type and what it is called, with the
      scheme ``name-1:``. Nothing is read or computed.

    Everything is read of files, folders and arrays of up to 4 MiB. Of larger ones, *a change
    between the samples that leaves all sizes alone is not noticed*: a few pixels painted over in an
    uncompressed file, or in a chunk that compresses to the same size. Metadata that do not
    concern pixels do count, and so does how the pixels are stored: the same image as a file, as a
    folder, behind a URL and in memory has four fingerprints. ``name-1:`` notices no change of
    pixels that the name does not tell.

    Parameters
    ----------
    source
        What `open_image` takes.

    Raises
    ------
    SourceNotFound
        When there is nothing at the path or URL.
    SourceUnreadable
        When it cannot be read.
    """
    where = place(source)
    if where is None:
        array = source.data if isinstance(source, Image) else source
        samples = fingerprint_samples.of_array(array)
        if samples is None:
            return _digest(NAMED, "array", fingerprint_samples.of_name(array))
        return _digest(SAMPLED, "array", samples)
    if "://" in where:
        return _digest(SAMPLED, "url", fingerprint_samples.of_url(where))
    path = Path(hdf5.split(where)[0])  # a dataset is as its file is
    try:
        if path.is_dir():
            return _digest(SAMPLED, "folder", fingerprint_samples.of_folder(path))
        return _digest(SAMPLED, "file", fingerprint_samples.of_file(path))
    except FileNotFoundError:
        raise SourceNotFound(
            f"There is nothing at {where!r}; check the spelling of the path."
        ) from None
    except OSError as error:
        raise read_error(error, where) from error


def place(source: object) -> str | None:
    """Return where a source stands: its absolute path, or its URL; None for an array in memory.

    Parameters
    ----------
    source
        What `open_image` takes.
    """
    if isinstance(source, Image):
        # A Zarr in memory is called by an address that only its own process knows.
        known = source.format != "array" and not source.name.startswith("memory://")
        return place(source.name) if known else None
    if isinstance(source, zarr.Array):
        store = source.store
        return str(store.root.absolute() / source.path) if isinstance(store, LocalStore) else None
    if not isinstance(source, (str, os.PathLike)):
        return None
    text = str(os.fspath(source))
    url = urlsplit(text)
    if url.scheme == "file":
        return str(Path(unquote(url.path)).absolute())
    return text if "://" in text else os.path.abspath(Path(text).expanduser())


def _digest(scheme: str, kind: str, samples: Iterable[object]) -> str:
    """Return the fingerprint of samples: bytes, or anything that JSON can tell."""
    digest = blake2b(kind.encode(), digest_size=16)
    for sample in samples:
        data = sample if isinstance(sample, bytes) else _text(sample).encode()
        digest.update(len(data).to_bytes(8, "little"))  # "ab", "c" is not "a", "bc"
        digest.update(data)
    return f"{scheme}:{digest.hexdigest()}"


def _text(sample: object) -> str:
    return json.dumps(sample, sort_keys=True, default=str)
