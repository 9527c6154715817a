"""Results of passes are stored as data: they come back as they were, and no file runs code."""

from __future__ import annotations

import io
import json
import os
import pickle
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_tilewise.engine.checkpoints.pass_results import (
    read_value,
    text_value,
    value_text,
    write_value,
)
from napari_tilewise.engine.stored import stored_values
from napari_tilewise.engine.stored.stored_values import FORMAT, InvalidStoredValue, NotStorable
from napari_tilewise.grid import Grid
from napari_tilewise.operations.shared.collected import Collected
from napari_tilewise.operations.shared.combined import _Totals
from napari_tilewise.operations.shared.stored_columns import ColumnStore, ColumnWriter, StoredColumn

HERE = Path()


def again(value: Any, folder: Path = HERE) -> Any:
    """Return a value as it is after it was stored."""
    file = io.BytesIO()
    stored_values.dump(value, file.write, folder)
    file.seek(0)
    return stored_values.load(file, folder)


def assert_alike(found: Any, expected: Any) -> None:
    """Assert that two values are of the same types and bits."""
    assert type(found) is type(expected)
    if isinstance(expected, dict):
        assert_alike(list(found.items()), list(expected.items()))
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for item, other in zip(found, expected, strict=True):
            assert_alike(item, other)
    elif isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype
        assert found.flags.f_contiguous == (expected.flags.f_contiguous and expected.size > 0) or (
            found.flags.c_contiguous
        )
        assert found.shape == expected.shape
        assert found.tobytes() == expected.tobytes()
        assert found.flags.writeable
    else:
        assert repr(found) == repr(expected)


DTYPES = ["?", "u1", "<i8", ">f4", "<f8", "<c16", "U3", "S2", "<M8[s]", [("a", "<i4"), ("b", "?")]]
ARRAYS = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(np.dtype(dtype), hnp.array_shapes(min_dims=0, min_side=0, max_side=3))
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(),
    st.complex_numbers(),
    ARRAYS,
    ARRAYS.filter(np.size).map(lambda array: array.reshape(-1)[0]),
    st.builds(slice, st.none() | st.integers(), st.none() | st.integers()),
    st.sampled_from([np.add, np.float32, np.dtype(">u2"), range(3, 9, 2), frozenset({4})]),
)
KEYS = st.none() | st.integers() | st.text() | st.tuples(st.integers(), st.integers())
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=4)
    ),
    max_leaves=12,
)


@given(value=VALUES)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    assert_alike(again(value), value)


def test_order_in_memory_and_shared_arrays_come_back() -> None:
    transposed, shared = np.asfortranarray(np.arange(12.0).reshape(3, 4)), np.arange(5)
    first, second, third = again([transposed, shared, {"same": shared}])
    assert first.flags.f_contiguous
    np.testing.assert_array_equal(first, transposed)
    assert third["same"] is second


def test_objects_of_the_package_come_back() -> None:
    """Attributes, items of containers, and arrays of Python's objects."""
    parts = Collected(np.arange(4), np.eye(2), overhead=3)
    totals = _Totals([parts, Grid((40, 30), (16, 16))])
    other, grid = again(totals)
    assert type(again(totals)) is _Totals
    assert (grid.shape, grid.tile) == ((40, 30), (16, 16))
    assert other.nbytes == parts.nbytes
    np.testing.assert_equal(other.joined(), parts.joined())
    objects = np.array([[1, 2.5], ["a", None]], object)
    np.testing.assert_array_equal(again(objects), objects)


def test_columns_in_files_come_back_where_they_are(tmp_path: Path) -> None:
    writer = ColumnWriter(ColumnStore(100, tmp_path / "a.rows"))
    writer.append({"x": np.arange(9)})
    (column,) = writer.columns().values()
    found = again(column, tmp_path)
    assert isinstance(found, StoredColumn)
    assert found.path == column.path
    np.testing.assert_array_equal(found, np.arange(9))
    temporary = ColumnWriter(ColumnStore(100))
    temporary.append({"x": np.arange(9)})
    (column,) = temporary.columns().values()
    assert_alike(again(column, tmp_path), np.arange(9))


@pytest.mark.parametrize("value", [print, partial(int, "3"), object(), io.BytesIO(), lambda: 0])
def test_what_is_not_data_is_not_stored(value: Any, tmp_path: Path) -> None:
    with pytest.raises(NotStorable):
        again([1, {"a": value}])
    write_value(tmp_path / "a.found", (value,))
    assert list(tmp_path.iterdir()) == []
    assert value_text((value,), tmp_path) is None


class Evil:
    """Unpickling it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    """Neither a file with the right checksum nor a line of the journal is read as a pickle."""
    data = pickle.dumps((Evil(tmp_path / "made"),))
    for content in (data, FORMAT + len(data).to_bytes(8, "big") + data):
        path = tmp_path / "a.found"
        path.write_bytes(zlib.crc32(content).to_bytes(4, "big") + content)
        assert read_value(path) is None
        text = stored_values.base64.b85encode(zlib.compress(content)).decode()
        assert text_value(text, tmp_path) is None
    assert not (tmp_path / "made").exists()


INSTANCE = "operations.shared.collected:Collected"


@pytest.mark.parametrize(
    "tree",
    [
        {"instance": ["operations.shared.stored_columns:StoredColumn", None, {"path": "/etc"}]},
        {"instance": ["operations.shared.collected:np", None, {}]},
        {"instance": ["io.readers.open_image:open_image", None, {}]},
        {"instance": ["..os:path", None, {}]},
        {"instance": [INSTANCE, None, {"__class__": 3}]},
        {"instance": [INSTANCE, None, {"__dict__": {"dict": []}}]},
        {"column": [{"store": [9, None]}, "../secret", "'|u1'", [6]]},
        {"column": [{"store": [9, None]}, "link", "'|u1'", [6]]},
        {"column": [{"store": [9, None]}, "missing", "'|u1'", [6]]},
        {"store": [9, "/tmp"]},
        {"array": ["'<f8'", [2**40], False]},
        {"array": ["'<f8'", [-1], False]},
        {"array": ["'|O'", [1], False]},
        {"array": ["__import__('os')", [1], False]},
        {"same array": 0},
        {"ufunc": "load"},
        {"no such tag": 1},
        {"tuple": [], "list": []},
        {"tuple": 3},
    ],
    ids=str,
)
def test_a_file_decides_about_nothing_but_data(tree: Any, tmp_path: Path) -> None:
    """What no value of ours looks like is refused, and no other file is looked at."""
    folder = tmp_path / "run"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    text = json.dumps(tree).encode()
    file = io.BytesIO(FORMAT + len(text).to_bytes(8, "big") + text)
    with pytest.raises(InvalidStoredValue):
        stored_values.load(file, folder)


@given(data=st.binary(max_size=60), cut=st.integers(0, 200), flip=st.integers(0, 200))
def test_damaged_files_are_refused(data: bytes, cut: int, flip: int) -> None:
    """Whatever the bytes, the answer is a value or `InvalidStoredValue`."""
    file = io.BytesIO()
    stored_values.dump((3, np.arange(4), {"a": slice(1, 2)}, np.float32(2)), file.write, HERE)
    whole = bytearray(file.getvalue())
    whole[flip % len(whole)] ^= 1 << (cut % 8)
    for content in (data, FORMAT + data, bytes(whole), file.getvalue()[:cut]):
        try:
            stored_values.load(io.BytesIO(content), HERE)
        except InvalidStoredValue:
            continue
