"""Writing OME-Zarr: valid, exact, complete or absent."""

import errno
import json
import os
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
import zarr

from napari_tilewise.errors import (
    DestinationExists,
    DestinationUnwritable,
    InvalidAxes,
    SourceUnreadable,
    TilewiseError,
)
from napari_tilewise.grid import Grid
from napari_tilewise.io.info import image_info
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.io.writers import partial_output as ownership
from napari_tilewise.io.writers.ome_zarr_layout import default_chunks
from napari_tilewise.io.writers.partial_output import unfinished
from napari_tilewise.io.writers.pyramid import halve
from napari_tilewise.io.writers.staging import same_location
from tests.io.writing import new_writer

RNG = np.random.default_rng(0)
RECIPE = {"steps": [{"operation": "filters.gaussian", "parameters": {"sigma": np.float64(2)}}]}


def fill(writer, image, workers=2):
    grid = Grid(image.shape, writer.chunks)
    with ThreadPoolExecutor(workers) as pool:
        regions = [grid.region(position) for position in grid.positions()]
        list(pool.map(lambda region: writer.write(region, image[region]), regions))
        for level in range(1, len(writer.pyramid_levels())):
            list(pool.map(lambda task: task(), writer.pyramid_tasks(level)))


def make(path, image, axes, **options):
    writer = new_writer(path, shape=image.shape, dtype=image.dtype, axes=tuple(axes), **options)
    fill(writer, image)
    return writer.finish()


@pytest.fixture
def plane():
    return RNG.integers(0, 60000, (1501, 2100)).astype(np.uint16)


def test_round_trip_of_pixels_and_metadata(tmp_path, plane):
    path = make(
        tmp_path / "image.ome.zarr",
        plane,
        "yx",
        scale=(0.5, 0.25),
        units=("micrometer", "nanometer"),
        chunks=(256, 300),
        record={"recipe": RECIPE, "versions": {"scikit-image": "0.26"}},
    )
    image = open_image(path)
    np.testing.assert_array_equal(image.data[:], plane)
    assert image.axes == ("y", "x")
    assert image.scale == (0.5, 0.25)
    assert image.units == ("micrometer", "nanometer")
    assert image.recipe["steps"][0]["parameters"] == {"sigma": 2.0}
    assert image.data.chunks == (256, 300)
    assert not image.labels
    assert open_image(path, level=2).scale == (2.0, 1.0)
    for below, level in pairwise(image.levels):
        np.testing.assert_array_equal(level[:], halve(below[:], (True, True), average=True))
    assert [level.shape for level in image.levels] == [(1501, 2100), (751, 1050), (376, 525)]
    own = zarr.open_group(path, mode="r").attrs["napari-tilewise"]
    assert own["complete"] is True
    assert own["versions"] == {"scikit-image": "0.26"}


@pytest.fixture
def models():
    return pytest.importorskip("ome_zarr_models.v05")


@pytest.mark.parametrize("axes", ["yx", "zyx", "cyx", "tyx", "tzyx", "czyx", "tczyx", "qyx"])
@pytest.mark.parametrize("labels", [False, True])
def test_valid_by_the_models_of_ome_zarr(tmp_path, models, axes, labels):
    image = RNG.integers(0, 9, (2,) * (len(axes) - 2) + (30, 40)).astype(np.int32)
    path = make(tmp_path / "a.zarr", image, axes, labels=labels, units=("pixel",) * len(axes))
    group = zarr.open_group(path, mode="r")
    model = (models.ImageLabel if labels else models.Image).from_zarr(group)
    assert [axis.name for axis in model.attributes.ome.multiscales[0].axes] == list(axes)
    assert ("image-label" in group.attrs["ome"]) == labels
    assert open_image(path).labels == labels
    assert group["0"].metadata.dimension_names == tuple(axes)


@pytest.mark.parametrize(("axes", "stored"), [("yxc", "cyx"), ("zcyx", "czyx"), ("xy", "yx")])
def test_axes_are_stored_in_the_order_of_the_format(tmp_path, models, axes, stored):
    shape = {"c": 3, "z": 4, "y": 50, "x": 60}
    image = RNG.random([shape[axis] for axis in axes])
    sizes = {"c": 1.0, "z": 4.0, "y": 3.0, "x": 2.0}
    chunks = tuple({"c": 3, "z": 2, "y": 20, "x": 30}[axis] for axis in axes)
    scale = tuple(sizes[axis] for axis in axes)
    path = make(tmp_path / "a.zarr", image, axes, scale=scale, chunks=chunks)
    models.Image.from_zarr(zarr.open_group(path, mode="r"))
    out = open_image(path)
    assert "".join(out.axes) == stored
    assert out.scale == tuple(sizes[axis] for axis in stored)
    moved = image.transpose([axes.index(axis) for axis in stored])
    np.testing.assert_array_equal(out.data[:], moved)


def test_axes_that_the_format_cannot_hold(tmp_path):
    for axes in (("c", "x"), ("q", "c", "y", "x")):
        with pytest.raises(InvalidAxes, match="OME-Zarr holds"):
            new_writer(tmp_path / "a.zarr", shape=(4,) * len(axes), dtype="u1", axes=axes)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("dtype", "labels"), [("i4", True), ("?", False), ("?", True)])
def test_labels_and_masks_are_never_averaged(tmp_path, models, dtype, labels):
    image = RNG.integers(0, 2 if dtype == "?" else 1000, (3, 1025, 30)).astype(dtype)
    path = make(tmp_path / "a.zarr", image, "zyx", labels=labels, chunks=(2, 100, 30))
    levels = open_image(path).levels
    assert len(levels) == 2
    np.testing.assert_array_equal(levels[1][:], image[:, ::2, ::2])
    assert open_image(path).labels == labels
    models.Image.from_zarr(zarr.open_group(path, mode="r"))


def test_without_pyramid(tmp_path, plane):
    assert len(open_image(make(tmp_path / "a.zarr", plane, "yx", pyramid=False)).levels) == 1


def test_nothing_under_the_final_name_before_the_end(tmp_path, plane):
    path = tmp_path / "a.zarr"
    writer = new_writer(path, shape=plane.shape, dtype=plane.dtype, axes=("y", "x"))
    fill(writer, plane)
    assert not path.exists()
    assert writer.staging.name.startswith(".a.zarr.partial-")
    assert "ome" not in zarr.open_group(writer.staging, mode="r").attrs
    with pytest.raises(SourceUnreadable, match="unfinished"):
        open_image(writer.staging)
    assert image_info(writer.staging)["complete"] is False
    writer.abort()
    assert list(tmp_path.iterdir()) == []


def test_existing_output_is_kept_until_the_new_one_is_complete(tmp_path, plane):
    path = make(tmp_path / "a.zarr", plane, "yx")
    options = {"shape": (10, 10), "dtype": "u1", "axes": ("y", "x")}
    with pytest.raises(DestinationExists, match="overwrite=True"):
        new_writer(path, **options)
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]
    writer = new_writer(path, overwrite=True, **options)
    np.testing.assert_array_equal(open_image(path).data[:], plane)
    writer.abort()
    np.testing.assert_array_equal(open_image(path).data[:], plane)
    make(path, plane[:10, :10], "yx", overwrite=True)
    np.testing.assert_array_equal(open_image(path).data[:], plane[:10, :10])
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]


def test_output_that_appeared_meanwhile_is_not_replaced(tmp_path, plane):
    path = tmp_path / "a.zarr"
    writer = new_writer(path, shape=plane.shape, dtype=plane.dtype, axes=("y", "x"))
    make(path, plane[:5, :5], "yx")
    with pytest.raises(DestinationExists):
        writer.finish()
    assert open_image(path).data.shape == (5, 5)


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_only_a_zarr_is_ever_overwritten(tmp_path, kind):
    path, precious = tmp_path / "a.zarr", tmp_path / "precious"
    precious.mkdir()
    (precious / "zarr.json").write_text("{}")
    if kind == "folder":
        path.mkdir()
        (path / "thesis.txt").write_text("mine")
    elif kind == "file":
        path.write_text("mine")
    else:
        path.symlink_to(precious)
    with pytest.raises(DestinationUnwritable, match="not a Zarr"):
        new_writer(path, shape=(4, 4), dtype="u1", axes=("y", "x"), overwrite=True)
    assert len(list(tmp_path.iterdir())) == 2
    assert (precious / "zarr.json").exists()


def test_destination_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    options = {"shape": (4, 4), "dtype": "u1", "axes": ("y", "x")}
    with pytest.raises(DestinationUnwritable, match=r"file/a\.zarr"):
        new_writer(tmp_path / "file" / "a.zarr", **options)
    with pytest.raises(DestinationUnwritable, match="URL"):
        new_writer("s3://bucket/a.zarr", **options)
    with pytest.raises(DestinationUnwritable, match=r"expected one of \.ome\.zarr, "):
        new_writer(tmp_path / "a.jp2", **options)
    nested = new_writer(tmp_path / "new" / "folder" / "a.ome.zarr", **options)
    assert nested.finish().is_dir()


def test_full_disk_is_said_so(tmp_path, monkeypatch):
    writer = new_writer(tmp_path / "a.zarr", shape=(4, 4), dtype="u1", axes=("y", "x"))

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(DestinationUnwritable, match=r"no space is left \(\d.* free\); make room"):
        writer.write((slice(0, 4), slice(0, 4)), np.ones((4, 4), "u1"))
    writer.abort()


def test_source_is_never_written_to(tmp_path, plane):
    path = make(tmp_path / "a.zarr", plane, "yx")
    options = {"shape": (4, 4), "dtype": "u1", "axes": ("y", "x"), "overwrite": True}
    for source in (path, path / "0", zarr.open_array(path / "0", mode="r")):
        with pytest.raises(DestinationUnwritable, match="a source itself"):
            new_writer(path, sources=[source], **options)
    assert same_location(tmp_path / "x" / ".." / "a.zarr", path)
    assert same_location(path / "inside.zarr", path)
    assert not same_location(tmp_path / "a.zarr2", path)
    assert same_location(open_image(path), path)
    assert not same_location(plane, path)


@pytest.mark.parametrize(
    ("region", "shape"),
    [
        ((slice(0, 5), slice(0, 8)), (5, 8)),
        ((slice(4, 8), slice(0, 8)), (4, 8)),
        ((slice(0, 8), slice(0, 8)), (8, 7)),
    ],
)
def test_blocks_that_are_not_whole_chunks_are_refused(tmp_path, region, shape):
    writer = new_writer(
        tmp_path / "a.zarr", shape=(20, 20), dtype="u1", axes=("y", "x"), chunks=(8, 8)
    )
    with pytest.raises(TilewiseError, match="write "):
        writer.write(region, np.zeros(shape, "u1"))
    with pytest.raises(TilewiseError, match="uint8"):
        writer.write((slice(0, 8), slice(16, 20)), np.zeros((8, 4), "i8"))
    writer.write((slice(0, 20), slice(16, 20)), np.zeros((20, 4), "u1"))
    writer.abort()


def test_interrupted_output_is_found_and_resumed(tmp_path):
    path = tmp_path / "a.zarr"
    image = RNG.integers(0, 99, (40, 40)).astype("u1")
    options = {"shape": image.shape, "dtype": "u1", "axes": ("y", "x"), "chunks": (20, 40)}
    writer = new_writer(path, **options)
    writer.write((slice(0, 20), slice(0, 40)), image[:20])
    (writer.staging / "0" / "c" / "1.partial").write_text("a killed writer's")
    assert unfinished(path) == []  # its run lives
    writer.close()
    assert unfinished(path) == [writer.staging]
    second = new_writer(path, resume=writer.staging, **options)
    second.write((slice(20, 40), slice(0, 40)), image[20:])
    np.testing.assert_array_equal(open_image(second.finish()).data[:], image)
    assert list(path.rglob("*.partial")) == []


def test_output_of_another_living_run_is_not_resumed(tmp_path, monkeypatch):
    path = tmp_path / "a.zarr"
    writer = new_writer(path, shape=(4, 4), dtype="u1", axes=("y", "x"))
    writer.close()
    monkeypatch.setattr(ownership.os, "getpid", lambda: -1)
    assert unfinished(path) == []
    monkeypatch.setattr(ownership.psutil, "pid_exists", lambda pid: False)
    assert unfinished(path) == [writer.staging]


def test_resuming_another_image_is_refused_and_leaves_it(tmp_path):
    path = tmp_path / "a.zarr"
    writer = new_writer(path, shape=(4, 4), dtype="u1", axes=("y", "x"))
    writer.close()
    with pytest.raises(DestinationUnwritable, match="start anew"):
        new_writer(path, shape=(5, 4), dtype="u1", axes=("y", "x"), resume=writer.staging)
    assert writer.staging.exists()


@pytest.mark.parametrize("damage", [slice(0, -9), slice(0, 0)])
def test_our_own_chunks_notice_damage(tmp_path, plane, damage):
    path = make(tmp_path / "a.zarr", plane, "yx")
    chunk = path / "0" / "c" / "1" / "2"
    content = bytearray(chunk.read_bytes())
    flipped = bytes(content[:-200]) + bytes([content[-200] ^ 1]) + bytes(content[-199:])
    for bad in (bytes(content[damage]), flipped):
        chunk.write_bytes(bad)
        with pytest.raises(SourceUnreadable, match=r"512:1024, 1024:1536\].*a\.zarr"):
            open_image(path).data[512:1024, 1024:1536]


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", "i8", "f8"])
def test_a_task_holds_little_more_than_the_pixels_it_halves(tmp_path, dtype):
    writer = new_writer(
        tmp_path / "a.zarr", shape=(1201, 1201), dtype=dtype, axes=("y", "x"), chunks=(601, 601)
    )
    noise = RNG.integers(0, 100, (1201, 1201)).astype(dtype)
    fill(writer, noise)
    task = writer.pyramid_tasks(1)[0]
    tracemalloc.start()
    try:
        task()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The source, its padded copy, a wide copy with its pair sums, and chunks that are encoded.
    wide = max(8, noise.itemsize)
    halving = noise.size * (2 * noise.itemsize + 2 * wide + (noise.itemsize + wide) / 2)
    assert peak <= halving + 4 * 601 * 601 * noise.itemsize
    writer.abort()


def test_default_chunks():
    assert default_chunks((4000, 4000), ("y", "x")) == (512, 512)
    assert default_chunks((131072, 131072), ("y", "x")) == (1024, 1024)
    assert default_chunks((5, 3, 99, 900, 900), tuple("tczyx")) == (1, 1, 32, 256, 256)


def test_metadata_are_plain_json(tmp_path, plane):
    path = make(tmp_path / "a.zarr", plane[:9, :9], "yx", record={"threshold": np.float32(0.5)})
    attributes = json.loads((path / "zarr.json").read_text())["attributes"]
    assert attributes["napari-tilewise"]["threshold"] == 0.5
    assert "owner" not in attributes["napari-tilewise"]
