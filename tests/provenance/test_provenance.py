"""The record of an output: plain data that says what made it, wherever it is kept."""

import json
import os
import shutil
from datetime import UTC, datetime
from importlib.metadata import version

import numpy as np
import pytest
import tifffile
import zarr

import napari_tilewise as tw
from napari_tilewise.errors import DestinationExists, SourceNotFound, SourceUnreadable
from napari_tilewise.io.image import KEY
from napari_tilewise.io.info import image_info as info
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.io.writers.values import write_value
from napari_tilewise.provenance import record
from napari_tilewise.provenance.fingerprint import fingerprint
from tests.io.writing import new_writer

SMOOTH = tw.Recipe([("filters.gaussian", {"sigma": (1, 2)})])


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 4000, (60, 70), dtype=np.uint16)


@pytest.fixture
def source(tmp_path, image):
    path = tmp_path / "data" / "source.tif"
    path.parent.mkdir()
    tifffile.imwrite(path, image)
    return path


def test_what_it_holds(tmp_path, source, image):
    before = datetime.now(UTC).replace(microsecond=0)
    made = record.record(
        SMOOTH, record.RunSources(source, {"mask": image}, ("y", "x"), (-2, -1)),
        values={"t": np.float32(0.5)}, output=tmp_path / "out" / "a.ome.zarr",
    )  # fmt: skip
    assert json.loads(json.dumps(made)) == made
    assert tw.Recipe.from_dict(made["recipe"]) == SMOOTH
    assert "not_repeatable" not in made
    assert made["versions"].keys() == {
        "napari-tilewise",
        "scikit-image",
        "numpy",
        "scipy",
        "python",
    }
    assert made["versions"]["numpy"] == version("numpy")
    assert made["source"] == {
        "kind": "file",
        "location": str(source),
        "from_output": "../data/source.tif",
        "fingerprint": fingerprint(source),
    }
    assert made["inputs"]["mask"] == {
        "kind": "array",
        "type": "numpy.ndarray",
        "shape": [60, 70],
        "dtype": "uint16",
        "fingerprint": fingerprint(image),
    }
    assert made["run"] == {"axes": ["y", "x"], "spatial": [-2, -1]}
    assert made["values"] == {"t": 0.5}
    assert before <= datetime.fromisoformat(made["time"]) <= datetime.now(UTC)


def test_sources(tmp_path, monkeypatch, image, source):
    monkeypatch.chdir(source.parent)

    def told(thing, name=None, **options):
        sources = record.RunSources(thing, name=name)
        return record.record(SMOOTH, sources, **options)["source"]

    assert told("source.tif") == told(source) == told(source.as_uri()) == told(open_image(source))
    array = zarr.create_array(tmp_path / "a.zarr", data=image)
    assert told(array)["kind"] == "folder"
    assert told(array) == told(tmp_path / "a.zarr")
    url = "memory://provenance/a.zarr"
    zarr.create_array(url, data=image, overwrite=True)
    assert (told(url)["kind"], told(url)["location"]) == ("url", url)
    assert told(image, name="coins")["name"] == "coins"
    quick = told("https://nowhere.invalid/a.zarr", fingerprints=False)
    assert quick["fingerprint"] is None


def test_a_level_of_a_pyramid(tmp_path):
    path = tw.run("util.invert", np.zeros((20, 1500), "u1"), tmp_path / "a.ome.zarr").path
    assert record.describe_source(open_image(path, level=1))["level"] == 1
    assert "level" not in record.describe_source(open_image(path))


@pytest.mark.parametrize(
    ("step", "what"),
    [
        (("measure.regionprops_table", {"intensity_image": np.zeros((60, 70))}), "an image"),
        (("measure.block_reduce", {"block_size": 2, "func": np.mean}), "a function"),
    ],
)
def test_what_no_record_can_hold_is_flagged(image, step, what):
    made = record.record(tw.Recipe([step]), record.RunSources(image))
    assert json.loads(json.dumps(made)) == made
    assert what in made["not_repeatable"]
    assert step[0] in made["not_repeatable"]


def test_every_kind_of_output_carries_it(tmp_path, source):
    for recipe, name in (
        (SMOOTH, "a.ome.zarr"),
        ("measure.shannon_entropy", "a.json"),
        ("feature.peak_local_max", "a.csv"),
    ):
        path = tw.run(recipe, source, tmp_path / name, axes="yx").path
        result = record.read(path)
        sources = record.RunSources(source, axes="yx")
        expected = record.record(tw.Recipe.of(recipe), sources, output=path)
        times = [datetime.fromisoformat(made["time"]) for made in (result, expected)]
        assert times[0] <= times[1]
        for key, value in expected.items():
            assert key == "time" or result[key] == value
        told = info(path)
        assert told["recipe"] == result["recipe"]
        assert told["made_by"]["source"] == result["source"]
        assert told["made_by"]["versions"] == result["versions"]
        assert told["made_by"].keys() == {"versions", "source", "run", "time"}


def test_info_of_values_elsewhere(tmp_path):
    path = write_value(tmp_path / "t.csv", {"a": [1]})
    with pytest.raises(SourceUnreadable):
        info(path)
    url = "memory://provenance/own.zarr"
    group = zarr.open_group(url, mode="w", attributes={KEY: {"record": 1, "time": "now"}})
    group.create_array("0", data=np.zeros((3, 4)))
    assert info(url)["made_by"] == {"time": "now"}


def test_what_became_known_while_it_was_made(tmp_path):
    writer = new_writer(
        tmp_path / "a.zarr", shape=(4, 4), dtype="u1", axes=("y", "x"), record={"record": 1}
    )
    writer.note(values={"filters.threshold_otsu": np.float64(0.25)})
    result = record.read(writer.finish())
    assert result["values"] == {"filters.threshold_otsu": 0.25}


# The record beside a table


def test_a_table_without_its_own_record_has_none(tmp_path):
    path = write_value(tmp_path / "t.csv", {"a": [1]}, provenance={"record": 1})
    beside = tmp_path / "t.csv.provenance.json"
    assert record.read(path) == {"record": 1} == json.loads(beside.read_text())[KEY]
    write_value(path, {"a": [2]}, overwrite=True)
    assert not beside.exists()


class Unprintable:
    def __str__(self):
        raise ZeroDivisionError

    __repr__ = __str__


def test_a_failed_write_leaves_the_old_record(tmp_path):
    path = write_value(tmp_path / "t.csv", {"a": [1]}, provenance={"record": 1})
    with pytest.raises(ZeroDivisionError):
        write_value(path, {"a": [Unprintable()]}, overwrite=True, provenance={"record": 2})
    assert record.read(path) == {"record": 1}
    assert sorted(os.listdir(tmp_path)) == ["t.csv", "t.csv.provenance.json"]


def test_a_record_whose_table_is_gone_is_in_nobodys_way(tmp_path):
    path = write_value(tmp_path / "t.csv", {"a": [1]}, provenance={"record": 1})
    path.unlink()
    write_value(path, {"a": [2]}, provenance={"record": 1, "time": "later"})
    assert record.read(path)["time"] == "later"


@pytest.mark.parametrize("content", ["{}", "no JSON"])
def test_a_file_of_somebody_else_is_not_overwritten(tmp_path, content):
    beside = tmp_path / "t.csv.provenance.json"
    beside.write_text(content)
    with pytest.raises(DestinationExists, match="provenance"):
        write_value(tmp_path / "t.csv", {"a": [1]}, provenance={"record": 1})
    assert os.listdir(tmp_path) == [beside.name]
    assert beside.read_text() == content
    write_value(tmp_path / "t.csv", {"a": [1]}, True, provenance={"record": 1})
    assert record.read(tmp_path / "t.csv") == {"record": 1}


# What carries none


def test_no_record(tmp_path, source, image):
    write_value(tmp_path / "t.csv", {"a": [1]})
    write_value(tmp_path / "t.json", 3)
    zarr.create_array(tmp_path / "a.zarr", data=image)
    for path in (source, tmp_path, *(tmp_path / name for name in ("t.csv", "t.json", "a.zarr"))):
        with pytest.raises(SourceUnreadable, match="has no record of how it was made"):
            record.read(path)
    with pytest.raises(SourceNotFound, match="nothing"):
        record.read(tmp_path / "nothing.json")


def test_a_later_release_wrote_it(tmp_path):
    path = write_value(tmp_path / "t.json", 3, provenance={"record": 99})
    with pytest.raises(SourceUnreadable, match="99"):
        record.read(path)


def test_a_moved_output_keeps_its_record(tmp_path, source):
    path = tw.run(SMOOTH, source, tmp_path / "a.ome.zarr").path
    before = record.read(path)
    shutil.move(path, tmp_path / "b.ome.zarr")
    assert record.read(tmp_path / "b.ome.zarr") == before
