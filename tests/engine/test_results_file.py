"""Results of passes in a file: every kind of value is the same when it is read."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_tilewise.engine.passes.results_file import ResultsFile, held_bytes
from napari_tilewise.operations.shared.stored_columns import ColumnStore, ColumnWriter

if TYPE_CHECKING:
    from typing import Any

VALUES = st.recursive(
    st.integers() | st.text() | st.binary(max_size=2**12) | st.none(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
)


@given(st.lists(VALUES, max_size=6), st.data())
def test_results_are_read_in_any_order(values: list[Any], data: st.DataObject) -> None:
    file = ResultsFile()
    results = [file.put(value) for value in values]
    for number in data.draw(st.permutations(range(len(values)))):
        assert results[number].load() == values[number]


def test_more_than_stays_in_memory_is_read_again() -> None:
    file = ResultsFile()
    arrays = [np.full(2**18, number, np.int64) for number in range(4)]
    results = [file.put({"array": array}) for array in arrays]
    for array, result in zip(arrays, results, strict=True):
        np.testing.assert_array_equal(result.load()["array"], array)


def test_columns_in_files_are_not_copied() -> None:
    writer = ColumnWriter(ColumnStore(0))
    writer.append({"area": np.arange(1000)})
    columns = writer.columns()
    file = ResultsFile()
    result = file.put(columns)
    assert result.load()["area"] is columns["area"]
    assert held_bytes(columns) == 0
    assert result.start == 0
    assert file.put(None).start < len(pickle.dumps(np.arange(1000)))


def test_arrays_count_wherever_they_are() -> None:
    class Total:
        def __init__(self) -> None:
            self.rows = [np.zeros(8), {"x": (np.zeros(4, np.uint8),)}]

    assert held_bytes(Total()) == 68
    assert held_bytes(np.float32(1)) == 4
    assert held_bytes("text") == 0
