"""Levels of a growing Zarr of the third version, and its metadata, without Zarr's own machinery.

Importing Zarr takes longer than a small image does. What is on disk is what Zarr would write.
"""

from __future__ import annotations

import json
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numcodecs.zstd import Zstd

from napari_tilewise.engine.system.file_names import replace
from napari_tilewise.errors import DestinationUnwritable
from napari_tilewise.grid import Grid
from napari_tilewise.io.chunk_files import ChunkFiles, Encoding
from napari_tilewise.io.indented_json import indented

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_tilewise.grid import Position, Region
    from napari_tilewise.io.image import ZarrArray
    from napari_tilewise.io.plain_data import Metadata
    from napari_tilewise.types import Array, DType

DOCUMENT = "zarr.json"
"""Name of the metadata of a group and of an array."""
_LEVELS = {"f": -3, "c": -3}
"""Zstandard's level by kind of data type: the digits of fractions hardly compress, and looking for
what repeats in them takes longer than computing and writing them does."""
_USUAL_LEVEL = 1


class LevelLayout(NamedTuple):
    """What a level of a pyramid is on disk."""

    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    shards: tuple[int, ...] | None
    dtype: DType
    axes: tuple[str, ...]
    """The names of its axes."""


class WrittenLevel(Protocol):
    """A level that is written, and read back."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels along each axis."""

    @property
    def chunks(self) -> tuple[int, ...]:
        """Pixels of a chunk along each axis."""

    @property
    def shards(self) -> tuple[int, ...] | None:
        """Pixels of a shard along each axis; None: every chunk is a file of its own."""

    @property
    def dtype(self) -> DType:
        """Data type of the pixels."""

    def chunk_key(self, position: Position) -> str:
        """Return the name of a chunk's file, or a shard's, in the folder of the level."""

    def write(self, region: Region, block: Array) -> None:
        """Write a box of whole chunks, or whole shards."""

    def read(self, region: Region) -> Array:
        """Return the pixels of a box."""

    def __getitem__(self, key: Any, /) -> Array: ...


def compression(dtype: DType) -> dict[str, Any]:
    """Return the options of Zstandard for chunks of a data type.

    Parameters
    ----------
    dtype
        Data type of the pixels.

    Returns
    -------
    dict
        With its checksum: unlike Blosc, a chunk cut short or flipped is always noticed.
    """
    return {"level": _LEVELS.get(dtype.kind, _USUAL_LEVEL), "checksum": True}


class GroupFile:
    """The metadata of the group of an image.

    Parameters
    ----------
    folder
        Its folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def update_attributes(self, attributes: Mapping[str, object]) -> None:
        """Set some of the attributes; others stay.

        Parameters
        ----------
        attributes
            The attributes.
        """
        path = self._folder / DOCUMENT
        earlier = json.loads(path.read_bytes())["attributes"] if path.exists() else {}
        _write(path, group_document({**earlier, **attributes}))

    def level(self, name: str, layout: LevelLayout) -> LevelFiles:
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
        path = self._folder / name / DOCUMENT
        document = array_document(layout)
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            _write(path, document)
        else:
            _check_same(self._folder, json.loads(path.read_bytes()), json.loads(document))
        return LevelFiles(path.parent, layout)


class LevelFiles:
    """A level whose chunks are files, as much like a Zarr array as writers need.

    Parameters
    ----------
    folder
        Its folder, with its metadata.
    layout
        What it is on disk.
    """

    shards = None

    def __init__(self, folder: Path, layout: LevelLayout) -> None:
        self._folder = folder
        self.shape, self.chunks, self.dtype = layout.shape, layout.chunks, layout.dtype
        encoding = Encoding(
            layout.dtype.newbyteorder("<"),
            Zstd(**compression(layout.dtype)),
            layout.dtype.type(0),
            chunk_key,
        )
        self._files = ChunkFiles(Grid(self.shape, self.chunks), str(folder), encoding)

    def chunk_key(self, position: Position) -> str:
        """Return the name of a chunk's file in the folder of the level.

        Parameters
        ----------
        position
            The chunk.
        """
        return chunk_key(position)

    def write(self, region: Region, block: Array) -> None:
        """Write a box of whole chunks.

        Parameters
        ----------
        region
            The box.
        block
            Its pixels.
        """
        self._files.write(region, block)

    def read(self, region: Region) -> Array:
        """Return the pixels of a box.

        Parameters
        ----------
        region
            The box.
        """
        pixels = self._files.read(region)
        if pixels is None:  # of many chunks, of which Zarr decodes several at a time
            pixels = np.asarray(self._array[region])
        return pixels

    def __getitem__(self, key: Any) -> Array:
        """Return the pixels of a selection of whole numbers and slices without a step."""
        box = tuple(
            slice(*part.indices(n)[:2]) if isinstance(part, slice) else slice(part, part + 1)
            for part, n in zip(key, self.shape, strict=True)
        )
        within = tuple(slice(None) if isinstance(part, slice) else 0 for part in key)
        return self.read(box)[within]

    @cached_property
    def _array(self) -> ZarrArray:
        import zarr

        return zarr.open_array(self._folder, mode="r")


def chunk_key(position: Position) -> str:
    """Return the name of a chunk's file in the folder of a level.

    Parameters
    ----------
    position
        The chunk.
    """
    return "/".join(("c", *map(str, position)))


def group_document(attributes: Mapping[str, object]) -> bytes:
    """Return the metadata of a group, as Zarr writes them.

    Parameters
    ----------
    attributes
        Its attributes.
    """
    return _encoded({"attributes": attributes, "zarr_format": 3, "node_type": "group"})


@lru_cache(maxsize=64)  # the images of a batch have the same
def array_document(layout: LevelLayout) -> bytes:
    """Return the metadata of a level without shards, as Zarr writes them.

    Parameters
    ----------
    layout
        What it is on disk.
    """
    dtype = layout.dtype
    zero = dtype.type(0).item()
    is_one_byte = dtype.itemsize == 1
    encoding = {"name": "bytes"} | ({} if is_one_byte else {"configuration": {"endian": "little"}})
    return _encoded(
        {
            "shape": layout.shape,
            "data_type": dtype.name,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": layout.chunks}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": [0.0, 0.0] if dtype.kind == "c" else zero,
            "codecs": [encoding, {"name": "zstd", "configuration": compression(dtype)}],
            "attributes": {},
            "dimension_names": layout.axes,
            "zarr_format": 3,
            "node_type": "array",
            "storage_transformers": [],
        }
    )


def _check_same(staging: Path, old: Metadata, new: Metadata) -> None:
    """Refuse to continue a level of another shape, data type or encoding."""
    is_same = all(old[key] == new[key] for key in ("shape", "data_type", "chunk_grid"))
    names = [[codec["name"] for codec in document["codecs"]] for document in (old, new)]
    if not is_same or names[0] != names[1]:
        raise other_level(staging, *map(_description, (old, new)))


def _description(document: Metadata) -> str:
    chunks = document["chunk_grid"].get("configuration", {}).get("chunk_shape", ())
    shape = tuple(document["shape"])
    return f"{shape} {document['data_type']} in chunks of {tuple(chunks)}"


def other_level(staging: Path, stored: str, expected: str) -> DestinationUnwritable:
    """Return the error for an unfinished output that holds another image.

    Parameters
    ----------
    staging
        The staging folder.
    stored, expected
        What it holds, and what was expected.
    """
    return DestinationUnwritable(
        f"The unfinished {str(staging)!r} holds {stored}; expected {expected}: start anew."
    )


def _write(path: Path, content: bytes) -> None:
    """Write a file under another name and give it its own: it never holds a part."""
    growing = path.with_name(f"{path.name}.partial")
    growing.write_bytes(content)
    replace(growing, path)


def _encoded(document: Mapping[str, object]) -> bytes:
    return indented(document).encode()
