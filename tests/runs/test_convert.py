"""Converting: one streaming pass, in bounded memory, complete or not at all, with its history."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

import napari_tilewise as tw
from napari_tilewise.cli import main
from napari_tilewise.engine.events import RunResumed, TileDone
from napari_tilewise.errors import (
    Cancelled,
    DestinationExists,
    DestinationUnwritable,
    InvalidAxes,
)
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.provenance import record as provenance
from napari_tilewise.runs.convert import convert
from napari_tilewise.runs.rerun import Repetition

IMAGE = np.random.default_rng(0).integers(0, 60000, (1200, 1500)).astype(np.uint16)
FILES = ["a.ome.tif", "a.tif", "a.npy", "a.png", "a.ome.zarr"]


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source.tif"
    tifffile.imwrite(path, IMAGE, tile=(256, 256), compression="zlib")
    return path


def entries(folder):
    """Return what stands in a folder, the records beside files apart."""
    return sorted(p.name for p in folder.iterdir() if not p.name.endswith(".provenance.json"))


@pytest.mark.parametrize("name", FILES)
def test_run_writes_every_format_and_its_record(source, tmp_path, name):
    out = tmp_path / "out"
    recipe = [("filters.threshold_otsu", {}), ("morphology.dilation", {})]
    path = tw.run(recipe, source, out / name).path
    image, record = open_image(path), provenance.read(path)
    assert list(record["values"]) == ["step 1: filters.threshold_otsu"]
    assert record["source"]["location"] == str(source)
    assert entries(out) == [name]
    mask = IMAGE > record["values"]["step 1: filters.threshold_otsu"]
    expected = tw.apply("morphology.dilation", mask)
    np.testing.assert_array_equal(np.asarray(image.data[...]), expected)
    levels = [np.asarray(level[...]) for level in image.levels]
    assert len(levels) == (2 if name in ("a.ome.tif", "a.ome.zarr") else 1)
    np.testing.assert_array_equal(levels[-1], expected[:: len(levels), :: len(levels)])


def test_a_converted_result_remembers_how_it_was_made(source, tmp_path):
    first = tw.run("filters.gaussian", source, tmp_path / "first.ome.zarr").path
    second = convert(first, tmp_path / "second.ome.tif").path
    record = provenance.read(second)
    assert record["recipe"] == provenance.read(first)["recipe"]
    assert record["converted_from"]["location"] == str(first)
    assert Repetition.of(second).run().identical
    half = convert(first, tmp_path / "half.ome.zarr", level=1).path
    assert provenance.read(half)["recipe"]["steps"][0]["operation"] == "napari_tilewise.copy"
    assert Repetition.of(half).run().identical


@pytest.mark.parametrize("name", FILES)
def test_cancelled_in_the_middle_and_gone_on_with(source, tmp_path, name):
    cancel, told = threading.Event(), []

    def stop(event):
        if isinstance(event, TileDone) and event.done == event.tiles:
            cancel.set()  # the first pass is complete; what follows is not

    out = tmp_path / "out"
    with pytest.raises(Cancelled):
        convert(source, out / name, progress=stop, cancel=cancel)
    assert not (out / name).exists()
    path = convert(source, out / name, progress=told.append).path
    assert [event for event in told if isinstance(event, RunResumed)]
    np.testing.assert_array_equal(np.asarray(open_image(path).data[...]), IMAGE)
    assert entries(out) == [name]


@pytest.mark.parametrize("name", FILES)
def test_an_old_file_is_replaced_only_when_asked_and_complete(source, tmp_path, name):
    path = convert(source, tmp_path / name).path
    with pytest.raises(DestinationExists, match="overwrite"):
        convert(IMAGE[:40, :50], path)
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        convert(IMAGE[:40, :50], path, overwrite=True, cancel=cancel)
    np.testing.assert_array_equal(np.asarray(open_image(path).data[...]), IMAGE)
    convert(IMAGE[:40, :50], path, overwrite=True)
    assert open_image(path).data.shape == (40, 50)
    assert entries(tmp_path) == sorted([name, "source.tif"])


def test_a_folder_or_a_link_is_never_overwritten(source, tmp_path):
    (tmp_path / "folder.ome.tif").mkdir()
    (tmp_path / "precious.tif").write_bytes(source.read_bytes())
    (tmp_path / "link.ome.tif").symlink_to(tmp_path / "precious.tif")
    for name in ("folder.ome.tif", "link.ome.tif"):
        with pytest.raises(DestinationUnwritable, match="expected a file or nothing"):
            convert(source, tmp_path / name, overwrite=True)
    with pytest.raises(DestinationUnwritable, match="a source itself"):
        convert(source, source, overwrite=True)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "precious.tif"), IMAGE)


def test_axes_are_asked_for_where_nobody_knows(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 3, 4, 5), "u1"))
    with pytest.raises(InvalidAxes, match="axes="):
        convert(tmp_path / "a.npy", tmp_path / "a.ome.zarr")
    path = convert(tmp_path / "a.npy", tmp_path / "a.ome.zarr", axes="tcyx").path
    assert open_image(path).axes == tuple("tcyx")


def test_labels_said_to_be_labels_are_not_averaged(source, tmp_path):
    path = convert(source, tmp_path / "a.ome.tif", labels=True).path
    image = open_image(path)
    assert image.labels
    np.testing.assert_array_equal(image.levels[1][:], IMAGE[::2, ::2])


def test_a_shard_is_a_tile(source, tmp_path):
    path = tw.run("util.invert", source, tmp_path / "a.ome.zarr", shards=True).path
    array = zarr.open_array(path / "0", mode="r")
    assert array.shards is not None
    assert array.shards != array.chunks
    np.testing.assert_array_equal(array[:], ~IMAGE)
    assert provenance.read(path)["layout"] == {"shards": True}


def test_from_the_shell(source, tmp_path, capsys):
    target = str(tmp_path / "a.ome.zarr")
    assert main(["convert", str(source), target, "--ome-zarr", "0.4", "--memory", "2GiB"]) == 0
    assert capsys.readouterr().out.strip() == target
    assert open_image(target).format == "ome-zarr 0.4"
    assert main(["convert", target, str(tmp_path / "a.jp2")]) == 1
    assert "expected one of .ome.zarr" in capsys.readouterr().err
    assert main(["convert", str(source), target]) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert main(["run", "util.invert", target, str(tmp_path / "b.ome.tif")]) == 0
    assert main(["info", str(tmp_path / "b.ome.tif")]) == 0
    assert "util.invert" in capsys.readouterr().out


PEAK = """
import sys
from napari_tilewise.runs.convert import convert
from napari_tilewise.engine.system.resident import peak_resident
stated = convert(sys.argv[1], sys.argv[2], memory="480 MiB", workers=2).planned_memory
print(stated, peak_resident())
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.ome.tif", "a.ome.zarr"])
def test_memory_stays_within_what_was_stated(tmp_path, name):
    path = tmp_path / "source.zarr"
    array = zarr.create_array(path, shape=(12288, 20480), chunks=(1024, 1024), dtype="u2")
    array[5000:9000, 5000:9000] = 1000
    command = [sys.executable, "-c", PEAK, str(path), str(tmp_path / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path.cwd())
    stated, peak = map(int, done.stdout.split())
    assert peak <= stated < array.nbytes
    image = open_image(tmp_path / name)
    assert [level.shape for level in image.levels] == [(12288 >> k, 20480 >> k) for k in range(6)]
    column = np.where(np.arange(1000, 2000) < 1250, 0, 1000)
    np.testing.assert_array_equal(image.levels[2][1000:2000, 1300], column)
