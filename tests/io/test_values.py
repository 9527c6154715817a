"""Tables, points and scalars: every digit, complete or absent."""

import csv
import json

import numpy as np
import pytest

from napari_tilewise.errors import DestinationExists, DestinationUnwritable
from napari_tilewise.io.values import write_value


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
    with pytest.raises(DestinationUnwritable, match=r"use \.json"):
        write_value(tmp_path / "t.csv", 3.5)
    with pytest.raises(DestinationUnwritable, match=r"\.csv or \.json"):
        write_value(tmp_path / "t.xlsx", 3.5)
    with pytest.raises(DestinationUnwritable, match="a folder"):
        write_value(tmp_path, 3.5)
