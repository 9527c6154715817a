"""A small image stays in memory until it is complete; then all of its Zarr is written at once.

Zarr opens, reads and writes each document and each chunk by itself, which takes longer than a
small image does; the bytes on disk are the same.
"""

from __future__ import annotations

import errno
import json
import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from numcodecs.zstd import Zstd
from zarr.storage import MemoryStore

from napari_tilewise.engine.system.disk import writing
from napari_tilewise.grid import Grid
from napari_tilewise.io.chunk_files import ChunkFiles, whole_chunk
from napari_tilewise.io.image import KEY
from napari_tilewise.io.writers.output_layout import VERSIONS
from napari_tilewise.io.writers.staging_zarr import StagingZarr, compression, create_level

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_tilewise.grid import Region
    from napari_tilewise.io.metadata.image_metadata import ImageMetadata
    from napari_tilewise.io.writers.output_layout import OutputLayout
    from napari_tilewise.types import Array, DType

_GROUP = {"zarr_format": 3, "node_type": "group"}


class MemoryLevel:
    """A level of a pyramid in memory, as much like a Zarr array as writers need.

    Parameters
    ----------
    shape, chunks
        Lengths of the level and of its chunks.
    dtype
        Data type of the pixels.
    """

    def __init__(self, shape: tuple[int, ...], chunks: tuple[int, ...], dtype: DType) -> None:
        self.shape = shape
        self.chunks = chunks
        self.dtype = dtype
        self._pixels: Array | None = None

    def __getitem__(self, key: Any) -> Array:
        pixels: Array = self._array[key]
        return pixels

    def __setitem__(self, key: Region, block: Array) -> None:
        if self._pixels is None and block.shape == self.shape:
            self._pixels = block  # all of it; nobody writes to it before it is on disk
        else:
            self._array[key] = block

    @property
    def _array(self) -> Array:
        if self._pixels is None:
            self._pixels = np.zeros(self.shape, self.dtype)
        return self._pixels


class SmallZarr(StagingZarr):
    """The levels of a small image, in memory; the staging folder gets them at the end.

    See `StagingZarr`. It cannot be resumed: nothing of it is on disk before.
    """

    def _create(self) -> None:
        self.levels = [
            MemoryLevel(shape, self._chunks_of(shape), self.dtype) for shape in self.shapes
        ]
        self._files: list[ChunkFiles | None] = [None] * len(self.levels)
        self._written = []

    @property
    def is_in_place(self) -> bool:
        """Whether the staging folder still exists; somebody may remove it during the run."""
        return self.staging.is_dir()

    def complete(self, attributes: Mapping[str, object]) -> None:
        """Write the levels and the attributes.

        Parameters
        ----------
        attributes
            The attributes of the format, written beside the record.
        """
        self.check_in_place()
        with writing(self.path):
            staging = str(self.staging)
            for number, level in enumerate(self.levels):
                self._write_level(os.path.join(staging, str(number)), level)
            group = {"attributes": {**attributes, KEY: self.record}, **_GROUP}
            _write(os.path.join(staging, "zarr.json"), json.dumps(group).encode())

    def _write_level(self, folder: str, level: MemoryLevel) -> None:
        document = _level_document(level.shape, level.chunks, level.dtype, self.axis_names)
        os.mkdir(folder)
        _write(os.path.join(folder, "zarr.json"), document)
        folders = set[str]()
        grid = Grid(level.shape, level.chunks)
        chosen = compression(level.dtype)
        codec = Zstd(level=chosen.level, checksum=chosen.checksum)
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
    with open(path, "xb", buffering=0) as file:
        if file.write(content) != len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@lru_cache(maxsize=64)
def _level_document(
    shape: tuple[int, ...], chunks: tuple[int, ...], dtype: DType, axes: tuple[str, ...]
) -> bytes:
    """Return the metadata of a level, as Zarr writes them."""
    documents: dict[str, Any] = {}
    group = zarr.open_group(MemoryStore(documents), mode="w", zarr_format=3)
    create_level(group, "0", (shape, chunks, None), dtype, axes)
    document: bytes = documents["0/zarr.json"].to_bytes()
    return document


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
