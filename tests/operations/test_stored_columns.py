"""Tables that outgrow their share of memory are files, with the same numbers."""

from __future__ import annotations

import gc
import pickle
import tempfile
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zarr
from skimage import measure

import napari_tilewise as tw
from napari_tilewise.engine.build import StackLayout, build
from napari_tilewise.engine.checkpoints import pass_results
from napari_tilewise.engine.checkpoints.pass_results import read_value, write_value
from napari_tilewise.engine.passes import reductions
from napari_tilewise.engine.session import Session
from napari_tilewise.errors import Cancelled
from napari_tilewise.operations.measure import region_table
from napari_tilewise.operations.measure.region_sums import ObjectParts
from napari_tilewise.operations.shared import sorted_rows, stored_columns
from napari_tilewise.operations.shared.stored_columns import ColumnStore, ColumnWriter, StoredColumn

if TYPE_CHECKING:
    from pathlib import Path

LIMIT = 2**14
"""Bytes for tables: less than the objects of `labels` take."""
PROPERTIES = ("label", "bbox", "area", "centroid", "extent", "intensity_mean", "intensity_max")
COMPUTED = ("perimeter", "moments_hu", "eccentricity")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of temporary files, with tables of few rows a group."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(stored_columns, "GROUP", 64)
    monkeypatch.setattr(sorted_rows, "GROUP", 64)
    monkeypatch.setattr(stored_columns.row_groups, "__defaults__", (64,))
    monkeypatch.setattr(reductions, "UNNOTICED", 0)
    monkeypatch.setattr("napari_tilewise.engine.system.total_limits.UNNOTICED", 0)
    return tmp_path / "temporary"


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the bytes that totals held after each tile, and before they were stored."""
    sizes: list[int] = []
    extend = ObjectParts.extend

    def watched(total: Any, part: Any) -> Any:
        total = extend(total, part)
        sizes.append(total.nbytes)
        return total

    monkeypatch.setattr(ObjectParts, "extend", watched)
    return sizes


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    """Return some 1,700 objects, many across tiles, with labels in no order."""
    generator = np.random.default_rng(5)
    mask = np.kron(generator.random((80, 80)) > 0.6, np.ones((3, 3), bool))
    whole = measure.label(mask, connectivity=1)
    numbers = generator.permutation(np.arange(1, 4 * whole.max()))[: whole.max()]
    return np.concatenate([[0], numbers])[whole]


@pytest.fixture(scope="module")
def intensity() -> np.ndarray:
    return np.random.default_rng(6).integers(0, 60000, (240, 240)).astype("u2")


def table_of(labels: np.ndarray, intensity: np.ndarray, names: tuple[str, ...], limit: int) -> Any:
    params = {"intensity_image": intensity, "properties": names}
    session = Session(2, tables=limit)
    op = tw.OPERATIONS["measure.regionprops_table"]
    return build(op, labels, params, session, StackLayout(tiles=24)).stored_value()


def expect(table: Any, labels: np.ndarray, intensity: np.ndarray, names: tuple[str, ...]) -> None:
    expected = measure.regionprops_table(labels, intensity_image=intensity, properties=names)
    assert list(table) == list(expected)
    for name, column in expected.items():
        assert table[name].dtype == column.dtype
        np.testing.assert_array_equal(np.asarray(table[name]), column)


@pytest.mark.parametrize("names", [PROPERTIES, (*PROPERTIES, *COMPUTED)])
def test_a_table_that_outgrows_its_share_is_the_same(
    names: tuple[str, ...],
    labels: np.ndarray,
    intensity: np.ndarray,
    folder: Path,
    held: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(region_table, "OBJECTS", 300)
    limit = 2**17 if len(names) > len(PROPERTIES) else LIMIT
    table = table_of(labels, intensity, names, limit)
    assert max(held) < limit
    assert all(isinstance(column, StoredColumn) for column in table.values())
    expect(table, labels, intensity, names)
    del table
    gc.collect()
    assert not list(folder.rglob("*.column"))
    table = table_of(labels, intensity, names, 2**30)
    assert all(isinstance(column, np.ndarray) for column in table.values())
    expect(table, labels, intensity, names)
    assert not list(folder.iterdir())


def test_a_run_writes_and_resumes_what_it_stored(
    labels: np.ndarray,
    folder: Path,
    held: list[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pass_results, "INTERVAL", 0.0)
    monkeypatch.setattr(reductions, "ColumnStore", lambda limit, folder: ColumnStore(LIMIT, folder))
    monkeypatch.setattr("napari_tilewise.runs.planner.LONGEST_TILE", {2: 24})
    monkeypatch.setattr("napari_tilewise.runs.planner.SHORTEST_TILE", {2: 24})
    zarr.create_array(tmp_path / "labels.zarr", data=labels, chunks=(24, 24))
    cancel, tiles = threading.Event(), []

    def listen(event: Any) -> None:
        if type(event).__name__ == "TileDone":
            tiles.append(event.done)
            if event.done >= 60:
                cancel.set()

    def run(**options: Any) -> Any:
        step = ("measure.regionprops_table", {"properties": PROPERTIES[:5]})
        return tw.run(step, tmp_path / "labels.zarr", tmp_path / "table.csv", workers=1, **options)

    with pytest.raises(Cancelled):
        run(progress=listen, cancel=cancel)
    done = len(tiles)
    tiles.clear()
    cancel.clear()
    run(progress=lambda event: listen(event) or cancel.clear())
    assert max(held) < LIMIT
    assert tiles[0] > done > 0
    expected = measure.regionprops_table(labels, properties=PROPERTIES[:5])
    rows = np.genfromtxt(tmp_path / "table.csv", delimiter=",", names=True, deletechars="")
    for name, column in expected.items():
        np.testing.assert_array_equal(rows[name], column)
    gc.collect()
    assert not list(tmp_path.rglob("*.column"))


def test_columns_outlast_pickling(folder: Path, tmp_path: Path) -> None:
    rows = np.arange(300.0).reshape(100, 3)
    for store in (ColumnStore(0), ColumnStore(0, tmp_path / "lasting")):
        writer = ColumnWriter(store)
        for start in range(0, 100, 30):
            writer.append({"rows": rows[start : start + 30], "number": np.arange(100)[start:][:30]})
        columns = writer.columns()
        assert len(columns["rows"]) == 100
        np.testing.assert_array_equal(columns["rows"][95:200], rows[95:])
        np.testing.assert_array_equal(columns["rows"][rows[:, 0] > 200], rows[rows[:, 0] > 200])
        packed = pickle.dumps(columns)
        assert (len(packed) < 2000) == store.is_lasting
        copy = pickle.loads(packed)
        np.testing.assert_array_equal(np.asarray(copy["rows"]), rows)
        if store.is_lasting:
            path = tmp_path / "pass.found"
            write_value(path, columns)
            assert path.stat().st_size < 2000
            np.testing.assert_array_equal(np.asarray(read_value(path)["rows"]), rows)
            columns["number"].path.write_bytes(b"short")
            assert read_value(path) is None
