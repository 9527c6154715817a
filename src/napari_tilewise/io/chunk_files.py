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
from dataclasses import dataclass
from itertools import count, islice
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
from numcodecs import Blosc

from napari_tilewise.engine.system.file_names import remove, replace
from napari_tilewise.grid import Grid, extent, intersect, within
from napari_tilewise.types import native_dtype

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_tilewise.grid import Position, Region
    from napari_tilewise.types import Array, DType

MOST_CHUNKS = 4
"""Chunks of a box that is read here: of more, Zarr decodes several at a time."""
BLOSC_HEADER = 16
"""Bytes of a Blosc chunk's header."""
_PROCESS = uuid4().hex[:12]
_NUMBERS = count()


@dataclass(frozen=True)
class Encoding:
    """How the pixels of an array of numbers are in its chunk files."""

    stored: DType
    """Data type of the pixels in the files, in their byte order."""
    codec: Any
    """Encodes and decodes a file; None: files hold the pixels as they are."""
    fill: Any
    """The value of the pixels of a chunk without a file."""
    key: Callable[[Position], str]
    """Returns the name of a chunk's file in the array's folder."""


class ChunkFiles:
    """The chunk files of an array of numbers.

    Parameters
    ----------
    grid
        Its chunks.
    folder
        Its folder.
    encoding
        How the pixels are in the files.
    """

    def __init__(self, grid: Grid, folder: str, encoding: Encoding) -> None:
        self._folder, self._stored, self._codec = folder, encoding.stored, encoding.codec
        self._dtype = native_dtype(encoding.stored)
        self._fill, self._key = encoding.fill, encoding.key
        self._grid = grid

    def read(self, region: Region, absent: Callable[[], None] | None = None) -> Array | None:
        """Return the pixels of a box; None where Zarr should read it.

        Parameters
        ----------
        region
            The box, within the image.
        absent
            Called where a chunk has no file, and is one of fill values.
        """
        single = self._grid.position_of(region)
        if single is not None:
            return self._whole(single, region, absent)
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

    def _whole(
        self, position: Position, region: Region, absent: Callable[[], None] | None
    ) -> Array:
        """Return the pixels of one chunk, up to the end of the image."""
        pixels = np.empty(extent(region), self._dtype)
        chunk = self._decoded(position)
        if chunk is None and absent is not None:
            absent()
        if chunk is None:
            pixels[...] = self._fill
        elif chunk.shape == pixels.shape:
            pixels[...] = chunk
        else:
            pixels[...] = chunk[tuple([slice(n) for n in pixels.shape])]
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
        single = self._grid.position_of(region)
        if single is not None:
            self._write_chunk(single, block)
            return
        for position in self._grid.covering(region):
            self._write_chunk(position, block[within(self._grid.region(position), region)])

    def _write_chunk(self, position: Position, pixels: Array) -> None:
        path = f"{self._folder}/{self._key(position)}"
        chunk = np.ascontiguousarray(whole_chunk(pixels, self._grid.tile), self._stored)
        if not has_pixels(chunk.view(np.uint8)):
            remove(path)
        else:
            _replace(path, chunk if self._codec is None else self._codec.encode(chunk))


def has_pixels(block: Array) -> bool:
    """Return whether not all pixels are 0, which the first lines mostly show.

    Parameters
    ----------
    block
        The pixels.
    """
    return bool(block[:1].any()) or bool(block.any())


def whole_chunk(pixels: Array, chunk: tuple[int, ...]) -> Array:
    """Return pixels at the end of an image with the zeros that fill their chunk.

    Parameters
    ----------
    pixels
        The pixels.
    chunk
        Lengths of a chunk.
    """
    if pixels.shape == chunk:
        return pixels
    return np.pad(pixels, [(0, c - n) for c, n in zip(chunk, pixels.shape, strict=True)])


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


def _replace(path: str, content: Any) -> None:
    """Write a file under another name and give it its own: it never holds a part."""
    # A name that no other process takes, nor one that is forked from this.
    growing = f"{path}.{_PROCESS}-{os.getpid()}-{next(_NUMBERS)}.partial"
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
        replace(growing, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(growing)
        raise
