"""A small image stays in memory until it is complete; then all of its Zarr is written at once.

Zarr opens, reads and writes each document and each chunk by itself, which takes longer than a
small image does; the bytes on disk are the same.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import numpy as np
from numcodecs.zstd import Zstd

from napari_tilewise.engine.system.disk import writing
from napari_tilewise.grid import Grid
from napari_tilewise.io.chunk_files import whole_chunk
from napari_tilewise.io.image import KEY
from napari_tilewise.io.writers.level_files import (
    DOCUMENT,
    array_document,
    chunk_key,
    compression,
    group_document,
)
from napari_tilewise.io.writers.output_layout import VERSIONS
from napari_tilewise.io.writers.staging import create_beside, hidden_name
from napari_tilewise.io.writers.staging_zarr import StagingZarr

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_tilewise.grid import Position, Region
    from napari_tilewise.io.metadata.image_metadata import ImageMetadata
    from napari_tilewise.io.writers.level_files import WrittenLevel
    from napari_tilewise.io.writers.output_layout import OutputLayout
    from napari_tilewise.types import Array, DType


_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
"""A file that is not there is created."""


class MemoryLevel:
    """A level of a pyramid in memory, as much like a Zarr array as writers need.

    Parameters
    ----------
    shape, chunks
        Lengths of the level and of its chunks.
    dtype
        Data type of the pixels.
    """

    shards = None

    def __init__(self, shape: tuple[int, ...], chunks: tuple[int, ...], dtype: DType) -> None:
        self.shape, self.chunks, self.dtype = shape, chunks, dtype
        self._pixels: Array | None = None

    def __getitem__(self, key: Any) -> Array:
        pixels: Array = self._array[key]
        return pixels

    def read(self, region: Region) -> Array:
        """Return the pixels of a box.

        Parameters
        ----------
        region
            The box.
        """
        return self[region]

    def write(self, region: Region, block: Array) -> None:
        """Take the pixels of a box.

        Parameters
        ----------
        region
            The box.
        block
            Its pixels.
        """
        if self._pixels is None and block.shape == self.shape:
            self._pixels = block  # all of it; nobody writes to it before it is on disk
        else:
            self._array[region] = block

    def chunk_key(self, position: Position) -> str:
        """Return the name that a chunk's file will have in the folder of the level.

        Parameters
        ----------
        position
            The chunk.
        """
        return chunk_key(position)

    @property
    def _array(self) -> Array:
        if self._pixels is None:
            self._pixels = np.zeros(self.shape, self.dtype)
        return self._pixels


class SmallZarr(StagingZarr):
    """The levels of a small image, in memory; the staging folder gets them at the end.

    See `StagingZarr`. It cannot be resumed: nothing of it is on disk before.
    """

    is_on_disk = False

    def _new_staging(self) -> Path:
        return hidden_name(self.path)

    def _create(self) -> None:
        self.levels = [
            MemoryLevel(shape, self._chunks_of(shape), self.dtype) for shape in self.shapes
        ]
        self._written = []

    @property
    def is_in_place(self) -> bool:
        """Whether nothing that was written is gone: before the end, nothing is."""
        return True

    def complete(self, attributes: Mapping[str, object]) -> None:
        """Write the levels and the attributes.

        Parameters
        ----------
        attributes
            The attributes of the format, written beside the record.
        """
        with writing(self.path):
            staging = str(self.staging)
            create_beside(self.path, lambda: os.mkdir(staging))
            for number, level in enumerate(self.levels):
                self._write_level(os.path.join(staging, str(number)), level)
            group = group_document({**attributes, KEY: self.record})
            _write(os.path.join(staging, DOCUMENT), group)

    def _write_level(self, folder: str, level: WrittenLevel) -> None:
        os.mkdir(folder)
        _write(os.path.join(folder, DOCUMENT), array_document(self._level_layout(level.shape)))
        folders = set[str]()
        grid = Grid(level.shape, level.chunks)
        codec = Zstd(**compression(level.dtype))
        for position in grid.positions():
            block = whole_chunk(level[grid.region(position)], level.chunks)
            block = np.ascontiguousarray(block, level.dtype.newbyteorder("<"))
            if not block.view(np.uint8).any():  # an absent chunk is one of zeros
                continue
            names = ("c", *map(str, position))
            for depth in range(1, len(names)):
                parent = os.path.join(folder, *names[:depth])
                if parent not in folders:
                    os.mkdir(parent)
                    folders.add(parent)
            _write(os.path.join(folder, *names), codec.encode(block))


def _write(path: str, content: bytes) -> None:
    file = os.open(path, _NEW, 0o666)
    try:
        if os.write(file, content) != len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(file)


def staged(
    path: Path, image: ImageMetadata, layout: OutputLayout, resume: Path | None
) -> StagingZarr:
    """Return what holds an image until it is complete.

    Parameters
    ----------
    path, image, layout, resume
        See `StagingZarr`.
    """
    is_plain = layout.ome_zarr == VERSIONS[0] and layout.shards is None
    is_small = (
        layout.is_small and is_plain and resume is None and image.native_dtype.kind in "biufc"
    )
    return (SmallZarr if is_small else StagingZarr)(path, image, layout, resume=resume)
