"""Chunk files of a Zarr on this machine, read and written without Zarr's own machinery.

Zarr hands each chunk to an event loop in another thread and to a pool of threads, and parses each
selection: a millisecond, in which a small tile is computed several times. A chunk that is a file of
its own, in one of the usual codecs, is a file that is read and decoded. Everything else is Zarr's.
"""

from __future__ import annotations

import errno
import os
import struct
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
from numcodecs import LZ4, Blosc, GZip, Zlib, Zstd
from zarr.codecs import BloscCodec, BytesCodec, GzipCodec, ZstdCodec
from zarr.storage import LocalStore

from napari_tilewise.engine.system.file_names import remove, replace
from napari_tilewise.grid import Grid, extent, intersect, within
from napari_tilewise.types import native_dtype

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from zarr.abc.store import Store

    from napari_tilewise.grid import Position, Region
    from napari_tilewise.io.image import ZarrArray
    from napari_tilewise.types import Array, DType

MOST_CHUNKS = 4
"""Chunks of a box that is read here: of more, Zarr decodes several at a time."""
BLOSC_HEADER = 16
"""Bytes of a Blosc chunk's header."""
_REGULAR = ("RegularChunkGrid", "RegularChunkGridMetadata")  # as releases of Zarr name it
_FORMAT_2 = (Blosc, GZip, LZ4, Zlib, Zstd)


class ChunkFiles:
    """The chunk files of an array of numbers.

    Parameters
    ----------
    array
        The array.
    folder
        Its folder.
    stored
        Data type of the pixels in the files, in their byte order.
    codec
        Encodes and decodes a file; None: files hold the pixels as they are.
    """

    def __init__(self, array: ZarrArray, folder: str, stored: DType, codec: Any) -> None:
        self._folder, self._stored, self._codec = folder, stored, codec
        self._dtype = native_dtype(stored)
        self._fill = array.metadata.fill_value
        self._grid = Grid(array.shape, array.chunks)
        self._key: Callable[[Position], str] = array.metadata.encode_chunk_key

    @classmethod
    def of(cls, array: ZarrArray, store: Store) -> Self | None:
        """Return the chunk files of an array; None where they are Zarr's to read and write.

        Parameters
        ----------
        array
            The array.
        store
            Its store; of a store of another kind nothing is known.
        """
        if type(store) is not LocalStore or not array.ndim or array.dtype.kind not in "biufc":
            return None
        metadata: Any = array.metadata
        grid = type(getattr(metadata, "chunk_grid", None)).__name__
        if grid not in _REGULAR or metadata.fill_value is None:
            return None
        codec = _format_3(array) if metadata.zarr_format == 3 else _format_2(array)
        return None if codec is None else cls(array, str(store.root / array.path), *codec)

    def read(self, region: Region, absent: Callable[[], None] | None = None) -> Array | None:
        """Return the pixels of a box; None where Zarr should read it.

        Parameters
        ----------
        region
            The box, within the image.
        absent
            Called where a chunk has no file, and is one of fill values.
        """
        positions = list(islice(self._grid.covering(region), MOST_CHUNKS + 1))
        if not 0 < len(positions) <= MOST_CHUNKS:
            return None
        pixels = np.empty(extent(region), self._dtype)
        for position in positions:
            box = self._grid.region(position)
            common = intersect(box, region)
            chunk = self._decoded(position)
            if chunk is None and absent is not None:
                absent()
            part = self._fill if chunk is None else chunk[within(common, box)]
            pixels[within(common, region)] = part
        return pixels

    def _decoded(self, position: Position) -> Array | None:
        """Return a chunk; None where it has no file."""
        key = self._key(position)
        try:
            with open(f"{self._folder}/{key}", "rb", buffering=0) as file:
                content = file.read()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        if isinstance(self._codec, Blosc):
            check_blosc_length(key, content[:BLOSC_HEADER], len(content))
        decoded = content if self._codec is None else self._codec.decode(content)
        return np.frombuffer(decoded, self._stored).reshape(self._grid.tile)

    def write(self, region: Region, block: Array) -> None:
        """Write a box of whole chunks; one of zeros has no file, as 0 is the fill value.

        Parameters
        ----------
        region
            The box.
        block
            Its pixels, in the data type of the array.
        """
        for position in self._grid.covering(region):
            path = f"{self._folder}/{self._key(position)}"
            chunk = whole_chunk(block[within(self._grid.region(position), region)], self._grid.tile)
            chunk = np.ascontiguousarray(chunk, self._stored)
            if chunk.view(np.uint8).any():
                _replace(path, chunk if self._codec is None else self._codec.encode(chunk))
            else:
                remove(Path(path))


def whole_chunk(pixels: Array, chunk: tuple[int, ...]) -> Array:
    """Return pixels at the end of an image with the zeros that fill their chunk.

    Parameters
    ----------
    pixels
        The pixels.
    chunk
        Lengths of a chunk.
    """
    missing = [(0, c - n) for c, n in zip(chunk, pixels.shape, strict=True)]
    return np.pad(pixels, missing) if any(after for _, after in missing) else pixels


def check_blosc_length(key: str, header: bytes, length: int) -> None:
    """Raise `ValueError` if a Blosc chunk is not as long as its header says: it was cut short.

    Parameters
    ----------
    key
        The chunk's key.
    header
        The first bytes of the chunk.
    length
        Number of its bytes.
    """
    declared = struct.unpack_from("<I", header, 12)[0] if len(header) == BLOSC_HEADER else -1
    if declared != length:
        says = f"its header says {declared}" if declared >= 0 else "too short for a header"
        raise ValueError(f"the chunk {key!r} is {length} bytes long, {says}")


def _format_3(array: ZarrArray) -> tuple[DType, Any] | None:
    """Return the data type in the files and their codec; None where the codecs are others."""
    metadata: Any = array.metadata
    serializer, *compressors = metadata.codecs
    if type(serializer) is not BytesCodec or len(compressors) > 1 or metadata.storage_transformers:
        return None
    endian = serializer.endian
    stored = array.dtype if endian is None else array.dtype.newbyteorder(endian.value)
    if not compressors:
        return stored, None
    (compressor,) = compressors
    if type(compressor) is ZstdCodec:
        return stored, Zstd(level=compressor.level, checksum=compressor.checksum)
    if type(compressor) is GzipCodec:
        return stored, GZip(level=compressor.level)
    return (stored, Blosc()) if type(compressor) is BloscCodec else None  # read, not written


def _format_2(array: ZarrArray) -> tuple[DType, Any] | None:
    """Return the data type in the files and their codec; None where the codecs are others."""
    metadata: Any = array.metadata
    if metadata.filters or metadata.order != "C":
        return None
    codec = metadata.compressor
    return None if codec is not None and type(codec) not in _FORMAT_2 else (array.dtype, codec)


def _replace(path: str, content: Any) -> None:
    """Write a file under another name and give it its own: it never holds a part."""
    growing = f"{path}.{uuid4().hex}.partial"
    try:
        file = open(growing, "xb", buffering=0)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        file = open(growing, "xb", buffering=0)
    try:
        with file:
            length = memoryview(content).nbytes
            if file.write(content) != length:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(Path(growing), Path(path))
    except BaseException:
        with suppress(OSError):
            os.unlink(growing)
        raise
