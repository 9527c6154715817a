"""The metadata of outputs, which are written without Zarr, are those that Zarr writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zarr
from zarr.codecs import ZstdCodec

import napari_tilewise as tw
from napari_tilewise.errors import DestinationUnwritable
from napari_tilewise.io.writers.level_files import GroupFile, LevelLayout, compression
from napari_tilewise.io.writers.zarr_levels import ZarrGroup

if TYPE_CHECKING:
    from pathlib import Path

DTYPES = (
    "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16",
    "float32", "float64", "complex64", "complex128",
)  # fmt: skip


def _layout(dtype: str, shape: tuple[int, ...] = (50, 70)) -> LevelLayout:
    chunks = tuple(min(n, 32) for n in shape)
    return LevelLayout(shape, chunks, None, np.dtype(dtype), tuple("tczyx"[-len(shape) :]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_level_has_the_metadata_that_zarr_writes(tmp_path: Path, dtype: str) -> None:
    layout = _layout(dtype, (1, 50, 70))
    GroupFile(tmp_path).level("0", layout)
    expected = zarr.create_array(
        tmp_path / "1", shape=layout.shape, chunks=layout.chunks, dtype=dtype, fill_value=0,
        compressors=ZstdCodec(**compression(layout.dtype)), dimension_names=layout.axes,
    )  # fmt: skip
    assert zarr.open_array(tmp_path / "0").metadata == expected.metadata
    texts = [(tmp_path / name / "zarr.json").read_text() for name in "01"]
    assert texts[0] == texts[1]


def test_a_group_has_the_metadata_that_zarr_writes(tmp_path: Path) -> None:
    groups = GroupFile(tmp_path / "a"), ZarrGroup(tmp_path / "b", 3)
    (tmp_path / "a").mkdir()
    updates: list[dict[str, Any]] = [
        {"ome": {"version": "0.5", "name": "é"}, "own": {"complete": False, "mean": float("nan")}},
        {"own": {"complete": True}, "more": [1, 2.5, None]},
    ]
    for update in updates:
        for group in groups:
            group.update_attributes(update)
        texts = [(tmp_path / name / "zarr.json").read_text() for name in "ab"]
        assert texts[0] == texts[1]
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.parametrize("dtype", DTYPES)
def test_zarr_reads_what_is_written(tmp_path: Path, dtype: str) -> None:
    level = GroupFile(tmp_path).level("0", _layout(dtype))
    pixels = np.random.default_rng(0).integers(0, 2, level.shape).astype(dtype)
    pixels[32:, :32] = 0
    box = slice(0, 50), slice(0, 70)
    level.write(box, pixels)
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "0")[...], pixels, strict=True)
    for key in (box, (3, slice(None)), (slice(10, 40), slice(33, 70)), (slice(-5, None), 69)):
        np.testing.assert_array_equal(level[key], pixels[key], strict=True)


def test_many_chunks_are_read_by_zarr(tmp_path: Path) -> None:
    level = GroupFile(tmp_path).level("0", _layout("uint16", (300, 300)))
    pixels = np.arange(300 * 300, dtype=np.uint16).reshape(300, 300)
    box = slice(0, 300), slice(0, 300)
    level.write(box, pixels)
    np.testing.assert_array_equal(level[box], pixels)


@pytest.mark.parametrize("other", [_layout("uint8"), _layout("uint16", (50, 71))])
def test_an_unfinished_level_of_another_image_is_refused(
    tmp_path: Path, other: LevelLayout
) -> None:
    for group in (GroupFile(tmp_path), ZarrGroup(tmp_path, 3)):
        group.level("0", _layout("uint16"))
        with pytest.raises(DestinationUnwritable, match=r"holds \(50, 70\) uint16 .* start anew"):
            group.level("0", other)


@pytest.mark.parametrize(
    "options", [{}, {"ome_zarr": "0.4"}, {"shards": True}, {"pyramid": False}], ids=str
)
def test_a_run_writes_the_same_image_in_every_layout(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    image = np.random.default_rng(0).integers(0, 99, (700, 530)).astype(np.uint16)
    tw.run("util.invert", image, tmp_path / "a.ome.zarr", axes="yx", **options)
    stored = tw.open(tmp_path / "a.ome.zarr")
    np.testing.assert_array_equal(stored.data[...], tw.apply("util.invert", image))
