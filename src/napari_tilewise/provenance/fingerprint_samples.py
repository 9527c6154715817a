"""The samples of a fingerprint: evenly spaced blocks of large sources, all of small ones.

Each function yields samples: bytes, or plain data such as names and sizes.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.grid import Grid
from napari_tilewise.io.image import is_zarr_array
from napari_tilewise.io.network import is_of_network, network_error, patiently
from napari_tilewise.io.readers.zarr_folders import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import zarr

    from napari_tilewise.io.image import ZarrArray
    from napari_tilewise.types import Array, ArrayLike

WHOLE = 4 * 2**20
"""Most bytes of a source that is read completely."""
END = 2**20
"""Bytes read at either end of a larger file."""
BLOCK, BLOCKS = 2**14, 32
"""Bytes of a block, and the number of evenly spaced blocks."""
FILES, DEPTH = 2**13, 32
"""Most files of a folder that are listed at each depth, and most depths."""
METADATA, CHUNKS = 64, 16
"""Most files of metadata, and most evenly spaced chunks, that are read."""

_METADATA = {"zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"}
_LITTER = {".DS_Store", "Thumbs.db", "desktop.ini"}  # what file managers leave behind


def spaced(count: int, most: int) -> list[int]:
    """Return up to `most` of the numbers below `count`, evenly spaced, both ends among them.

    Parameters
    ----------
    count
        Number of numbers.
    most
        Most numbers to return.
    """
    if count <= most:
        return list(range(count))
    return [number * (count - 1) // max(1, most - 1) for number in range(most)]


def of_file(path: Path) -> Iterator[object]:
    """Yield a file's size, ends and evenly spaced blocks.

    Parameters
    ----------
    path
        The file.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        yield size
        for start, stop in _spans(size):
            file.seek(start)
            yield file.read(stop - start)


def of_files(files: Sequence[str]) -> Iterator[object]:
    """Yield the names and sizes of files, and samples of evenly spaced ones.

    Parameters
    ----------
    files
        Their paths, in order.
    """
    yield [(os.path.basename(file), os.stat(file).st_size) for file in files]
    for number in spaced(len(files), CHUNKS):
        yield from of_file(Path(files[number]))


def _spans(size: int) -> list[tuple[int, int]]:
    if size <= WHOLE:
        return [(0, size)]
    blocks = [(i * BLOCK, (i + 1) * BLOCK) for i in spaced(size // BLOCK, BLOCKS)]
    return [(0, END), *blocks, (size - END, size)]


def of_folder(root: Path) -> Iterator[object]:
    """Yield names and sizes of a folder's files, then the contents of a sample of them.

    Parameters
    ----------
    root
        The folder.
    """
    listing = sorted((name, size) for name, size, _ in walk(root, "", FILES))
    yield listing
    files = {name: size for name, size in listing if not name.endswith("/")}
    metadata = [name for name in files if name.rpartition("/")[2] in _METADATA]
    metadata.sort(key=lambda name: (name.count("/"), name))  # the outermost first
    chunks = sorted(files.keys() - set(metadata))
    if sum(files.values()) > WHOLE:
        metadata = metadata[:METADATA]
        chunks = [chunks[i] for i in spaced(len(chunks), CHUNKS)]
    for name in (*metadata, *chunks):
        yield name
        yield from of_file(root / name)


def walk(root: Path, below: str, most: int) -> Iterator[tuple[str, int, int]]:
    """Yield files with size and time, and folders (``name/``) with their numbers of entries.

    Tables beside the pixels of a Zarr are left out. Of a folder with more than `most` entries,
    evenly spaced ones are listed; the folders in it share the remainder of `most`.

    Parameters
    ----------
    root
        The folder.
    below
        The folder in it that is listed: empty, or its name and a ``/``.
    most
        Most entries to list.

    Yields
    ------
    tuple of str and 2 int
        The name, the size in bytes or the number of entries, and the time of the last change of
        the content in nanoseconds (0 for a folder).
    """
    with os.scandir(root / below) as entries:
        listed = sorted((e for e in entries if not _is_litter(e.name)), key=lambda e: e.name)
    if not below and any(entry.name in _METADATA for entry in listed):
        listed = [entry for entry in listed if entry.name != TABLES]  # measured of the pixels
    yield below or "/", len(listed), 0
    if len(listed) > most:
        metadata = [entry for entry in listed if entry.name in _METADATA]
        others = [entry for entry in listed if entry.name not in _METADATA]
        listed = metadata + [others[i] for i in spaced(len(others), max(1, most - len(metadata)))]
    folders = []
    for entry in listed:
        if entry.is_dir():
            folders.append(f"{below}{entry.name}/")
        else:
            status = entry.stat()
            yield below + entry.name, status.st_size, status.st_mtime_ns
    share = max(1, (most - len(listed)) // max(1, len(folders)))
    for folder in folders if below.count("/") < DEPTH else ():
        yield from walk(root, folder, share)


def _is_litter(name: str) -> bool:
    return name in _LITTER or name.startswith("._")


def of_url(url: str) -> Iterator[object]:
    """Yield the metadata of a Zarr at a URL and evenly spaced chunks of its finest level.

    Parameters
    ----------
    url
        A URL that zarr and fsspec can open.
    """
    from napari_tilewise.io.readers.zarr_arrays import open_node

    node = open_node(url)
    yield node.metadata.to_dict()
    levels = list(levels_of(node))
    for array in levels:
        yield array.metadata.to_dict()
    for array in levels[:1]:
        positions = _positions(Grid(array.shape, array.shards or array.chunks))
        keys = map(array.metadata.encode_chunk_key, positions)
        paths = ["/".join(filter(None, (array.path, key))) for key in keys]
        try:
            yield from patiently(partial(_fetch, url, paths))
        except Exception as error:
            if is_of_network(error, url):
                raise network_error(error, repr(url)) from error
            raise


def levels_of(node: zarr.Group | ZarrArray) -> Iterator[ZarrArray]:
    """Yield the arrays of a Zarr's pyramid, the finest first; the arrays of a group without one.

    Parameters
    ----------
    node
        An open array or group.
    """
    from napari_tilewise.io.readers.zarr_arrays import ome_metadata

    if is_zarr_array(node):
        yield node
        return
    multiscales = ome_metadata(node).get("multiscales") or [{}]
    datasets = multiscales[0].get("datasets") or [{"path": key} for key in node.array_keys()]
    for dataset in datasets:
        array = node.get(dataset["path"])
        if is_zarr_array(array):
            yield array


def _positions(grid: Grid) -> Iterator[tuple[int, ...]]:
    for number in spaced(len(grid), CHUNKS):
        yield tuple(int(i) for i in np.unravel_index(number, grid.counts))


def _fetch(url: str, keys: Sequence[str]) -> list[bytes]:
    """Return the first MiB of each chunk; no bytes of one that was never written."""
    from fsspec.core import url_to_fs

    files, root = url_to_fs(url)
    paths = [f"{root.rstrip('/')}/{key}" for key in keys]
    answers = files.cat_ranges(paths, 0, END, on_error="return")
    for answer in answers:
        if isinstance(answer, Exception) and not isinstance(answer, FileNotFoundError):
            raise answer
    # Not every server respects the end.
    return [b"" if isinstance(answer, Exception) else answer[:END] for answer in answers]


def of_array(array: object) -> Iterator[object] | None:
    """Return samples of an array in memory; None for an array that may be slow to read.

    Parameters
    ----------
    array
        Anything with `shape`, `dtype` and slicing.
    """
    if is_zarr_array(array):
        from zarr.storage import MemoryStore

        return _of_zarr(array) if isinstance(array.store, MemoryStore) else None
    if hasattr(array, "__array_interface__"):  # NumPy's, or one that shares its memory
        pixels = np.asarray(array)
        return None if pixels.dtype.hasobject else _of_numpy(pixels)
    return None


def of_name(array: ArrayLike) -> Iterator[object]:
    """Yield the type, name, shape and data type of an array, which is not read.

    Parameters
    ----------
    array
        Anything with `shape` and `dtype`.
    """
    name = getattr(array, "name", None) or getattr(array, "store_path", "")
    yield [kind_of(array), str(name), [int(n) for n in array.shape], str(array.dtype)]


def kind_of(array: object) -> str:
    """Return the type of an array, such as ``"numpy.ndarray"``.

    Parameters
    ----------
    array
        Any object.
    """
    return f"{type(array).__module__.partition('.')[0]}.{type(array).__name__}"


def _of_numpy(pixels: Array) -> Iterator[object]:
    """Yield blocks of pixels in C order, whatever their order in memory."""
    order = pixels.dtype.newbyteorder("<")
    yield [list(pixels.shape), order.str]
    if pixels.nbytes <= WHOLE:
        yield pixels.astype(order, copy=False).tobytes()
        return
    length = max(1, BLOCK // order.itemsize)
    line = pixels.reshape(-1) if pixels.flags.c_contiguous else pixels.flat
    for number in spaced(-(-pixels.size // length), BLOCKS):
        block = line[number * length : (number + 1) * length]
        yield block.astype(order, copy=False).tobytes()


def _of_zarr(array: ZarrArray) -> Iterator[object]:
    if array.nbytes <= WHOLE:
        yield from _of_numpy(np.asarray(array[...]))
        return
    yield [list(array.shape), str(array.dtype)]
    grid = Grid(array.shape, array.chunks)
    for position in _positions(grid):
        yield from _of_numpy(np.asarray(array[grid.region(position)]))
