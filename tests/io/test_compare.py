"""Outputs compared: the same values are identical, and every other value is counted."""

import json
import math

import numpy as np
import pytest
import zarr

from napari_tilewise.engine.session import Session
from napari_tilewise.errors import SourceUnreadable
from napari_tilewise.io.compare import Difference, compare_images, compare_values
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.io.writers.values import write_value
from tests.io.writing import new_writer


def make(path, image, **options):
    options = {"axes": "yx", "chunks": (16, 16), **options}
    writer = new_writer(path, shape=image.shape, dtype=image.dtype, **options)
    for position in np.ndindex(*(-(-n // 16) for n in image.shape)):
        region = tuple(
            slice(16 * p, min(16 * (p + 1), n)) for p, n in zip(position, image.shape, strict=True)
        )
        writer.write(region, image[region])
    for level in range(1, len(writer.pyramid_levels())):
        for task in writer.pyramid_tasks(level):
            task()
    return writer.finish()


def compared(tmp_path, old, new, **options):
    paths = make(tmp_path / "a.zarr", old), make(tmp_path / "b.zarr", new, **options)
    return compare_images(*map(open_image, paths), Session())


@pytest.mark.parametrize("dtype", ["u1", "i2", "u8", "i8", "f4", "f8", "c16", "bool"])
def test_every_differing_pixel_is_counted(tmp_path, dtype):
    old = np.random.default_rng(0).integers(0, 2, (40, 50)).astype(dtype)
    assert compared(tmp_path / "1", old, old.copy()).identical
    new = old.copy()
    for at in ((0, 0), (39, 49), (20, 3)):
        new[at] = not new[at]
    result = compared(tmp_path / "2", old, new)
    assert (result.differing, result.total, result.largest) == (3, old.size, 1)
    assert str(result) == "3 of 2000 pixels differ, by 1 at most"


def test_large_integers_differ_by_one(tmp_path):
    old = np.full((4, 4), 2**63, np.uint64)
    result = compared(tmp_path, old, old + np.uint64(1))
    assert (result.differing, result.largest) == (16, 1)


def test_values_not_bits(tmp_path):
    old = np.array([[np.nan, 0.0, np.inf, -np.inf]])
    new = np.array([[np.nan, -0.0, np.inf, -np.inf]])
    assert compared(tmp_path / "1", old, new).identical
    result = compared(tmp_path / "2", old, np.array([[1.0, 0, -np.inf, -np.inf]]))
    assert (result.differing, result.largest) == (2, math.inf)
    result = compared(tmp_path / "3", old, np.array([[1.0, 0, np.inf, -np.inf]]))
    assert str(result) == "1 of 4 pixels differ"


def test_other_shape_type_and_metadata(tmp_path):
    old = np.zeros((20, 30), "u1")
    result = compared(tmp_path / "1", old, old.T)
    assert str(result) == "the shape was (20, 30), now (30, 20)"
    result = compared(tmp_path / "2", old, old.astype("u2"))
    assert str(result) == "the type was uint8, now uint16"
    result = compared(tmp_path / "3", old, old, scale=(1.0, 2.0), labels=True)
    assert str(result) == "scale was (1.0, 1.0), now (1.0, 2.0); labels was False, now True"
    result = compared(tmp_path / "4", old, old, axes="zy")
    assert str(result) == "axes was 'yx', now 'zy'"


def test_images_without_names_of_axes(tmp_path):
    for name, image in (("a", np.zeros((2, 3, 4, 5))), ("b", np.ones((2, 3, 4, 5)))):
        np.save(tmp_path / f"{name}.npy", image)
    a, b = (open_image(tmp_path / f"{name}.npy") for name in "ab")
    assert compare_images(a, a, Session()).identical
    assert str(compare_images(a, b, Session())) == "120 of 120 pixels differ, by 1 at most"


def test_smaller_levels(tmp_path):
    old = np.zeros((30, 1500), "u1")
    paths = [make(tmp_path / name, old) for name in ("a.zarr", "b.zarr")]
    zarr.open_array(paths[0] / "1", mode="r+")[3, 4] = 7
    result = compare_images(*map(open_image, paths), Session())
    assert not result.identical
    assert str(result) == "level 1 of the pyramid: 1 of 11250 pixels differ, by 7 at most"
    assert not compared(tmp_path / "2", old, old, pyramid=False).identical


# Values


def values(tmp_path, old, new, suffix):
    paths = [tmp_path / f"{name}{suffix}" for name in "ab"]
    for path, value in zip(paths, (old, new), strict=True):
        write_value(path, value, overwrite=True, provenance={"time": str(path)})
    return compare_values(*paths)


TABLE = {"label": [1, 2], "area": [2.5, float("nan")], "what": ["a", "b"]}


@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_tables(tmp_path, suffix):
    assert values(tmp_path, TABLE, TABLE, suffix).identical
    result = values(tmp_path, TABLE, {**TABLE, "area": [2.75, 3.0]}, suffix)
    assert (result.differing, result.largest) == (2, 0.25)
    result = values(tmp_path, TABLE, {**TABLE, "what": ["a", "c"]}, suffix)
    assert "1 of" in str(result)
    assert math.isnan(result.largest)
    fewer = {name: column[:1] for name, column in TABLE.items()}
    for other in (fewer, {"label": [1, 2]}, {**TABLE, "more": [1, 2]}, {}):
        assert not values(tmp_path, TABLE, other, suffix).identical
        assert not values(tmp_path, other, TABLE, suffix).identical


@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_integers_that_no_float_tells_apart(tmp_path, suffix):
    result = values(tmp_path, {"label": [2**60]}, {"label": [2**60 + 1]}, suffix)
    assert (result.differing, result.largest) == (1, 1)


def test_where_values_part(tmp_path):
    result = values(tmp_path, np.zeros((2, 2)), np.zeros((3, 2)), ".csv")
    assert str(result) == "the end became row 3, column axis-0"
    result = values(tmp_path, 1.5, [1.5], ".json")
    assert str(result) == "value became value[0]"
    result = values(tmp_path, 1.5, None, ".json")
    assert str(result) == "1 of 1 values differ"


def test_what_is_no_file_of_values(tmp_path):
    good = write_value(tmp_path / "a.json", 1)
    bad = tmp_path / "b.json"
    for text in ("{", json.dumps([1])):
        bad.write_text(text)
        with pytest.raises(SourceUnreadable, match=r"b\.json"):
            compare_values(good, bad)
    table = tmp_path / "c.csv"
    table.write_bytes(b"a\n\xff\n")
    with pytest.raises(SourceUnreadable, match=r"c\.csv"):
        compare_values(table, table)


def test_counting_with_and_without_sizes():
    result = Difference("values")
    result.count(1, 2)
    result.count(0, 5, 9.0)
    assert math.isnan(result.largest)
    result.count(2, 2, 3.0)
    result.count(1, 1)
    assert (result.differing, result.total, result.largest) == (4, 10, 3.0)
