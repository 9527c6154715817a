"""The chunk files of a Zarr array, where its store and its codecs are the usual ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numcodecs import LZ4, Blosc, GZip, Zlib, Zstd
from zarr.codecs import BloscCodec, BytesCodec, GzipCodec, ZstdCodec
from zarr.storage import LocalStore

from napari_tilewise.grid import Grid
from napari_tilewise.io.chunk_files import ChunkFiles, Encoding

if TYPE_CHECKING:
    from zarr.abc.store import Store

    from napari_tilewise.io.image import ZarrArray
    from napari_tilewise.types import DType

_REGULAR = ("RegularChunkGrid", "RegularChunkGridMetadata")  # as releases of Zarr name it
_FORMAT_2 = (Blosc, GZip, LZ4, Zlib, Zstd)


def chunk_files_of(array: ZarrArray, store: Store) -> ChunkFiles | None:
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
    if metadata.fill_value is None:
        return None
    codec = _format_3(array) if metadata.zarr_format == 3 else _format_2(array)
    if codec is None:
        return None
    encoding = Encoding(*codec, metadata.fill_value, metadata.encode_chunk_key)
    return ChunkFiles(Grid(array.shape, array.chunks), str(store.root / array.path), encoding)


def _format_3(array: ZarrArray) -> tuple[DType, Any] | None:
    """Return the data type in the files and their codec; None where the codecs are others."""
    metadata: Any = array.metadata
    serializer, *compressors = metadata.codecs
    if type(serializer) is not BytesCodec or len(compressors) > 1 or metadata.storage_transformers:
        return None
    if type(metadata.chunk_grid).__name__ not in _REGULAR:
        return None
    # An enumeration up to zarr 3.1, a string later; in the metadata it is a string.
    endian: Any = serializer.to_dict().get("configuration", {})
    stored = array.dtype.newbyteorder(endian["endian"]) if endian else array.dtype
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
