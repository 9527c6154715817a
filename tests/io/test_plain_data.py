"""Every value becomes data that JSON holds, the same wherever it is written."""

import json
import math
from enum import Enum
from pathlib import PurePosixPath

import numpy as np
import pytest
import zarr

import napari_tilewise as tw
from napari_tilewise.io.plain_data import plain_mapping, to_plain


class Color(Enum):
    RED = 1


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (None, None),
        (True, True),
        (np.True_, True),
        (7, 7),
        (np.uint8(7), 7),
        (np.float32(0.5), 0.5),
        (np.array(3), 3),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        ((1, (2, np.int64(3))), [1, [2, 3]]),
        ({"a": (1, np.float64(2.0)), 3: None}, {"a": [1, 2.0], "3": None}),
        (1 + 2j, {"real": 1.0, "imag": 2.0}),
        (np.complex64(1j), {"real": 0.0, "imag": 1.0}),
        ("text", "text"),
        (PurePosixPath("a/b"), "a/b"),
        (Color.RED, "Color.RED"),
    ],
)
def test_values_become_plain(value, plain):
    result = to_plain(value)
    assert result == plain
    assert type(result) is type(plain)
    assert json.loads(json.dumps(result)) == plain


def test_nan_and_infinity_stay_floats():
    numbers = to_plain(np.array([np.nan, np.inf, -np.inf]))
    assert isinstance(numbers, list)
    assert math.isnan(numbers[0])
    assert numbers[1:] == [math.inf, -math.inf]


def test_a_mapping_within_a_mapping():
    assert plain_mapping({"values": {"t": np.float64(1)}}) == {"values": {"t": 1.0}}


def test_what_a_library_says_in_lines_is_one(tmp_path):
    path = tmp_path / "a.zarr"
    zarr.create_array(path, data=np.zeros((4, 4), np.uint8))
    document = json.loads((path / "zarr.json").read_text())
    document["shape"] = ["\n", 4]
    (path / "zarr.json").write_text(json.dumps(document))
    with pytest.raises(tw.TilewiseError) as caught:
        tw.open(path)
    assert "\n" not in str(caught.value)
