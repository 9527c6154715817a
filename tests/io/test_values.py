"""Tables, points and scalars: every digit, complete or absent."""

import csv
import json

import numpy as np
import pytest

import napari_tilewise as tw
from napari_tilewise.errors import DestinationExists, DestinationUnwritable, InvalidImage
from napari_tilewise.io.writers.values import write_value
from tests.io.writing import new_writer


def read(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_table_keeps_every_digit(tmp_path):
    table = {"label": np.array([1, 2]), "mean": np.array([0.1 + 0.2, 1e-300])}
    rows = read(write_value(tmp_path / "new" / "table.csv", table))
    assert rows == [["label", "mean"], ["1", "0.30000000000000004"], ["2", "1e-300"]]


def test_points_and_contours(tmp_path):
    points = np.array([[1, 2, 3], [4, 5, 6]])
    rows = read(write_value(tmp_path / "points.csv", points))
    assert rows == [["axis-0", "axis-1", "axis-2"], ["1", "2", "3"], ["4", "5", "6"]]
    assert read(write_value(tmp_path / "none.csv", points[:0])) == [rows[0]]
    contours = [points[:1, :2] + 0.5, points[:, :2] + 0.5]
    assert read(write_value(tmp_path / "contours.csv", contours))[2] == ["1", "1.5", "2.5"]


@pytest.mark.parametrize(
    ("value", "along", "expected"),
    [
        (3.5, None, [["value"], ["3.5"]]),
        (np.float64(3.5), (), [["value"], ["3.5"]]),
        (np.array(7), None, [["value"], ["7"]]),
        (True, None, [["value"], ["True"]]),
        (np.array([1, 2]), "t", [["t", "value"], ["0", "1"], ["1", "2"]]),
        (
            np.array([[0.5, 1.5], [2.5, 3.5]]),
            "tc",
            [["t", "c", "value"], ["0", "0", "0.5"], ["0", "1", "1.5"], ["1", "0", "2.5"],
             ["1", "1", "3.5"]],
        ),
        (
            np.array([[1, 2], [3, 4]]),
            "t",
            [["t", "value-0", "value-1"], ["0", "1", "2"], ["1", "3", "4"]],
        ),
        (np.zeros((0, 2)), "tc", [["t", "c", "value"]]),
    ],
)  # fmt: skip
def test_scalars_as_rows(tmp_path, value, along, expected):
    assert read(write_value(tmp_path / "t.csv", value, along=along)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(np.float32(0.1), 0.10000000149011612), (np.array(7), 7), (np.array([1, 2]), [1, 2])],
)
def test_scalars(tmp_path, value, expected):
    path = write_value(tmp_path / "t.json", value, provenance={"recipe": {"steps": []}})
    content = json.loads(path.read_text())
    assert content == {"value": expected, "napari-tilewise": {"recipe": {"steps": []}}}


def test_overwriting_is_asked_for(tmp_path):
    path = write_value(tmp_path / "t.json", 1)
    with pytest.raises(DestinationExists, match=r"t\.json"):
        write_value(path, 2)
    assert json.loads(path.read_text())["value"] == 1
    write_value(path, 2, overwrite=True)
    assert json.loads(path.read_text())["value"] == 2
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = write_value(tmp_path / "t.csv", {"a": [1]})
    with pytest.raises(DestinationUnwritable, match="lengths"):
        write_value(path, {"a": [1], "b": [1, 2]}, overwrite=True)
    assert read(path) == [["a"], ["1"]]
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written(tmp_path):
    unequal = (np.zeros((3, 4)), np.zeros(4), np.zeros(3))
    for value in (np.zeros(3), np.zeros((2, 2, 2)), unequal, {"a": [[1], [1, 2]]}):
        with pytest.raises(DestinationUnwritable, match=r"write 't\.json'"):
            write_value(tmp_path / "t.csv", value)
    with pytest.raises(DestinationUnwritable, match=r"\.csv or \.json"):
        write_value(tmp_path / "t.xlsx", 3.5)
    with pytest.raises(DestinationUnwritable, match="a folder"):
        write_value(tmp_path, 3.5)


class Unread:
    """An image of which no pixel may be read."""

    shape = (40, 40)
    dtype = np.dtype(bool)

    def __getitem__(self, region):
        raise AssertionError("It was read.")


@pytest.mark.parametrize(
    ("operation", "name", "remedy"),
    [
        ("measure.shannon_entropy", "late.ome.zarr", r"\.csv or \.json"),
        ("exposure.histogram", "late.npy", r"\.csv or \.json"),
        ("exposure.histogram", "late.csv", r"late\.json"),
        ("transform.hough_line", "late.csv", r"late\.json"),
        ("filters.gaussian", "late.json", r"\.ome\.zarr"),
    ],
)
def test_a_wrong_destination_is_refused_before_anything_is_read(tmp_path, operation, name, remedy):
    with pytest.raises(DestinationUnwritable, match=remedy):
        tw.run(operation, Unread(), tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("axes", ["yx", "tyx", "tcyx"])
def test_scalars_of_stacks(tmp_path, axes):
    image = np.random.default_rng(0).random((2, 3, 8, 9)[-len(axes) :])
    done = tw.run("measure.shannon_entropy", image, tmp_path / "t.csv", axes=axes, spatial="yx")
    rows = read(done.path)
    assert rows[0] == [*axes[:-2], "value"]
    positions = [list(map(str, at)) for at in np.ndindex(image.shape[:-2])]
    assert [row[:-1] for row in rows[1:]] == positions
    assert [float(row[-1]) for row in rows[1:]] == np.ravel(done.value).tolist()


@pytest.mark.parametrize(("dtype", "converts"), [("int64", False), ("float16", True)])
def test_labels_are_not_scaled_away(tmp_path, dtype, converts):
    with pytest.raises(InvalidImage, match=r"\.ome\.zarr") as refused:
        new_writer(tmp_path / "a.ome.tif", shape=(4, 4), dtype=dtype, axes="yx")
    assert ("img_as_float32" in str(refused.value)) is converts
