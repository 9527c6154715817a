"""Chunk files that are read and written without Zarr hold what Zarr reads and writes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numcodecs
import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, GzipCodec, ZstdCodec
from zarr.storage import LocalStore, MemoryStore, WrapperStore

import napari_tilewise as tw
from napari_tilewise.errors import SourceChanged, SourceUnreadable
from napari_tilewise.io.readers.checked_stores import CheckedZarr, checked
from napari_tilewise.io.zarr_chunk_files import chunk_files_of

if TYPE_CHECKING:
    from pathlib import Path

RNG = np.random.default_rng(0)
BOXES = ((0, 32, 0, 32), (96, 100, 64, 70), (10, 50, 5, 60), (0, 100, 0, 70), (96, 100, 0, 1))
LAYOUTS: dict[str, dict[str, Any]] = {
    "zstd": {"compressors": ZstdCodec(level=1, checksum=True)},
    "gzip": {"compressors": GzipCodec()},
    "blosc": {"compressors": BloscCodec(cname="zstd", shuffle="bitshuffle")},
    "none": {"compressors": None},
    "big endian": {"serializer": BytesCodec(endian="big")},
    "2 zstd": {"zarr_format": 2, "compressors": numcodecs.Zstd()},
    "2 blosc": {"zarr_format": 2, "compressors": numcodecs.Blosc(cname="lz4")},
    "2 zlib": {"zarr_format": 2, "compressors": numcodecs.Zlib()},
    "2 lz4": {"zarr_format": 2, "compressors": numcodecs.LZ4()},
    "2 none": {"zarr_format": 2, "compressors": None},
    "folders": {"zarr_format": 2, "chunk_key_encoding": {"name": "v2", "separator": "/"}},
    "v2 names": {"chunk_key_encoding": {"name": "v2", "separator": "."}},
}
OTHERS: dict[str, dict[str, Any]] = {
    "sharded": {"shards": (64, 64)},
    "two codecs": {"compressors": [ZstdCodec(), Crc32cCodec()]},
    "transposed": {"filters": [zarr.codecs.TransposeCodec(order=(1, 0))]},
    "2 filter": {"zarr_format": 2, "filters": [numcodecs.Delta(dtype="<u2")]},
    "2 columns": {"zarr_format": 2, "order": "F"},
}


def _array(path: Path, dtype: str = "uint16", **layout: Any) -> zarr.Array[Any]:
    """Return an array of 4 x 3 chunks; one has no file."""
    array = zarr.create_array(path, shape=(100, 70), chunks=(32, 32), dtype=dtype, **layout)
    pixels = RNG.integers(0, 99, array.shape).astype(dtype)
    pixels[32:64, 32:64] = array.fill_value
    array[:] = pixels
    return array


@pytest.mark.parametrize("layout", LAYOUTS)
def test_reads_what_zarr_reads(tmp_path: Path, layout: str) -> None:
    array = _array(tmp_path / "a.zarr", **LAYOUTS[layout])
    files = chunk_files_of(array, array.store)
    assert files is not None
    for y, y_end, x, x_end in BOXES:
        box = slice(y, y_end), slice(x, x_end)
        pixels = files.read(box)
        assert (pixels is None) == (y_end - y == 100)  # Zarr decodes many chunks together
        if pixels is not None:
            np.testing.assert_array_equal(pixels, array[box], strict=True)
            assert pixels.flags.writeable
            assert pixels.base is None


@pytest.mark.parametrize("dtype", ["bool", "int8", ">i4", "float16", ">f8", "complex64", "uint64"])
def test_reads_every_type_of_number_and_fill_value(tmp_path: Path, dtype: str) -> None:
    array = _array(tmp_path / "a.zarr", dtype, fill_value=1, zarr_format=2)
    reader = checked(array, "a")
    box = slice(30, 60), slice(40, 70)
    np.testing.assert_array_equal(reader[box], array[box].astype(reader.dtype), strict=True)


@pytest.mark.parametrize("layout", OTHERS)
def test_leaves_other_layouts_to_zarr(tmp_path: Path, layout: str) -> None:
    array = _array(tmp_path / "a.zarr", **OTHERS[layout])
    assert chunk_files_of(array, array.store) is None
    np.testing.assert_array_equal(checked(array, "a")[3:40, 5:70], array[3:40, 5:70])


def test_leaves_stores_of_other_kinds_to_zarr(tmp_path: Path) -> None:
    class Own(LocalStore):
        """A store of somebody else, which may count or change what is read."""

    _array(tmp_path / "a.zarr")
    for store in (Own(tmp_path / "a.zarr"), WrapperStore(LocalStore(tmp_path / "a.zarr"))):
        array = zarr.open_array(store, mode="r")
        assert chunk_files_of(array, array.store) is None
    memory = zarr.create_array(MemoryStore(), shape=(8, 8), dtype="u1")
    assert chunk_files_of(memory, memory.store) is None


@pytest.mark.parametrize("layout", ["zstd", "none", "2 blosc", "folders"])
@pytest.mark.parametrize("dtype", ["bool", "uint16", "float32", "complex128"])
def test_writes_the_bytes_that_zarr_writes(tmp_path: Path, layout: str, dtype: str) -> None:
    pixels = RNG.integers(0, 2, (100, 70)).astype(dtype)
    pixels[32:64, 32:64] = 0
    if dtype == "float32":
        pixels[:32, :32] = -0.0
    contents = []
    for name in "ab":
        array = _array(tmp_path / name, dtype, **LAYOUTS[layout])
        files = chunk_files_of(array, array.store)
        assert files is not None
        if name == "a":
            array[:] = pixels
        else:
            for box in ((slice(0, 64), slice(0, 70)), (slice(64, 100), slice(0, 70))):
                files.write(box, np.asfortranarray(pixels[box]))
        paths = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        contents.append([(str(p.relative_to(tmp_path / name)), p.read_bytes()) for p in paths])
    assert contents[0] == contents[1]


def test_a_chunk_that_becomes_zeros_loses_its_file(tmp_path: Path) -> None:
    array = _array(tmp_path / "a.zarr")
    files = chunk_files_of(array, array.store)
    assert files is not None
    box = slice(0, 32), slice(0, 32)
    for _ in range(2):
        files.write(box, np.zeros((32, 32), np.uint16))
        assert not (tmp_path / "a.zarr" / "c" / "0" / "0").exists()
    files.write(box, np.ones((32, 32), np.uint16))
    assert (array[box] == 1).all()


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array = _array(tmp_path / "a.zarr")
    files = chunk_files_of(array, array.store)
    assert files is not None
    before = array[:]

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="No space"):
        files.write((slice(0, 32), slice(0, 32)), np.full((32, 32), 7, np.uint16))
    np.testing.assert_array_equal(array[:], before)
    assert not list((tmp_path / "a.zarr").rglob("*.partial"))


@pytest.mark.parametrize("layout", ["zstd", "gzip", "blosc", "none", "2 zlib", "2 lz4", "2 blosc"])
def test_a_chunk_cut_short_is_noticed(tmp_path: Path, layout: str) -> None:
    array = _array(tmp_path / "a.zarr", **LAYOUTS[layout])
    reader = checked(array, "here.zarr")
    path = tmp_path / "a.zarr" / array.metadata.encode_chunk_key((1, 2))
    path.write_bytes(path.read_bytes()[:-5])
    assert isinstance(reader, CheckedZarr)
    with pytest.raises(SourceUnreadable, match=r"\[32:64, 64:70\].*here.zarr"):
        reader[32:64, 64:70]
    reader[0:32, 0:32]


def test_a_source_that_is_gone_is_no_fill_value(tmp_path: Path) -> None:
    reader = checked(_array(tmp_path / "a.zarr"), "a")
    assert (reader[32:64, 32:64] == 0).all()
    (tmp_path / "a.zarr").rename(tmp_path / "b.zarr")
    with pytest.raises(SourceChanged, match="removed or renamed"):
        reader[0:32, 0:32]


def test_small_tiles_are_read_and_written_without_zarr(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    array = _array(tmp_path / "a.zarr")
    calls = []
    for name in ("__getitem__", "__setitem__"):
        monkeypatch.setattr(zarr.Array, name, lambda *_: calls.append(1))
    tw.run("util.invert", tmp_path / "a.zarr", tmp_path / "b.ome.zarr", workers=2)
    monkeypatch.undo()
    assert not calls
    inverted = zarr.open_array(tmp_path / "b.ome.zarr" / "0")
    np.testing.assert_array_equal(inverted[:], 65535 - array[:])
