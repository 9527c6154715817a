"""Levels of a growing Zarr that Zarr writes: of its second version, and in shards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from numcodecs import Blosc
from zarr.codecs import ZstdCodec

from napari_tilewise.io.writers.level_files import compression, other_level
from napari_tilewise.io.zarr_chunk_files import chunk_files_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_tilewise.grid import Position, Region
    from napari_tilewise.io.image import ZarrArray
    from napari_tilewise.io.writers.level_files import LevelLayout
    from napari_tilewise.types import Array


class ZarrGroup:
    """The group of an image.

    Parameters
    ----------
    folder
        Its folder.
    zarr_format
        Version of Zarr.
    """

    def __init__(self, folder: Path, zarr_format: int) -> None:
        self._folder = folder
        self._is_first = zarr_format == 2
        self._group = zarr.open_group(folder, mode="a", zarr_format=2 if self._is_first else 3)

    def update_attributes(self, attributes: Mapping[str, object]) -> None:
        """Set some of the attributes; others stay.

        Parameters
        ----------
        attributes
            The attributes.
        """
        self._group.update_attributes(dict(attributes))

    def level(self, name: str, layout: LevelLayout) -> ZarrLevel:
        """Return a level, which is created unless it is there.

        Parameters
        ----------
        name
            Its name.
        layout
            What it is on disk.

        Raises
        ------
        DestinationUnwritable
            When another array is there.
        """
        old = self._group.get(name)
        if not isinstance(old, zarr.Array):
            return ZarrLevel(self._new(name, layout))
        descriptions = [
            f"{level.shape} {level.dtype} in chunks of {level.chunks}" for level in (old, layout)
        ]
        if descriptions[0] != descriptions[1]:
            raise other_level(self._folder, *descriptions)
        return ZarrLevel(old)

    def _new(self, name: str, layout: LevelLayout) -> ZarrArray:
        own: dict[str, Any]
        if self._is_first:
            # Every reader of Zarr 2 knows Blosc, and compatibility is why 0.4 is requested.
            compressor = Blosc(cname="lz4", clevel=5)
            keys = {"name": "v2", "separator": "/"}
            own = {"compressors": compressor, "chunk_key_encoding": keys}
        else:
            compressors = ZstdCodec(**compression(layout.dtype))
            own = {"compressors": compressors, "dimension_names": layout.axes}
            own["shards"] = layout.shards
        return self._group.create_array(
            name,
            shape=layout.shape,
            chunks=layout.chunks,
            dtype=layout.dtype,
            fill_value=0,
            **own,
        )


class ZarrLevel:
    """A level that is a Zarr array.

    Parameters
    ----------
    array
        The array.
    """

    def __init__(self, array: ZarrArray) -> None:
        self._array = array
        self._files = chunk_files_of(array, array.store)
        self.shape, self.dtype = array.shape, array.dtype
        self.chunks, self.shards = array.chunks, array.shards

    def chunk_key(self, position: Position) -> str:
        """Return the name of a chunk's file, or a shard's, in the folder of the level.

        Parameters
        ----------
        position
            The chunk, or the shard.
        """
        key: str = self._array.metadata.encode_chunk_key(position)
        return key

    def write(self, region: Region, block: Array) -> None:
        """Write a box of whole chunks, or whole shards.

        Parameters
        ----------
        region
            The box.
        block
            Its pixels.
        """
        if self._files is None:
            self._array[region] = block
        else:
            self._files.write(region, block)

    def read(self, region: Region) -> Array:
        """Return the pixels of a box.

        Parameters
        ----------
        region
            The box.
        """
        pixels = None if self._files is None else self._files.read(region)
        return np.asarray(self._array[region]) if pixels is None else pixels

    def __getitem__(self, key: Any) -> Array:
        return np.asarray(self._array[key])
