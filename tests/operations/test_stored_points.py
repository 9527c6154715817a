"""Points and contours that outgrow their share of memory are files, with the same numbers."""

from __future__ import annotations

import gc
import json
import tempfile
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from skimage import feature, measure

import napari_tilewise as tw
from napari_tilewise.axes import AxisSelection
from napari_tilewise.engine.build import StackLayout, build
from napari_tilewise.engine.checkpoints import pass_results
from napari_tilewise.engine.passes import reductions
from napari_tilewise.engine.passes.joined_planes import in_memory
from napari_tilewise.engine.session import Session
from napari_tilewise.errors import Cancelled
from napari_tilewise.io.plain_data import to_plain
from napari_tilewise.io.writers.json_pieces import json_pieces
from napari_tilewise.operations.measure import contour_assembly
from napari_tilewise.operations.shared import sorted_rows, stored_columns, stored_contours
from napari_tilewise.operations.shared.stored_columns import ColumnStore, ColumnWriter, StoredColumn
from napari_tilewise.operations.shared.stored_contours import StoredContours

if TYPE_CHECKING:
    from pathlib import Path

LIMIT = 2**13
"""Bytes for what reductions hold: less than the points of any image here take."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of temporary files, with few rows a group."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    for module in (stored_columns, sorted_rows, stored_contours):
        monkeypatch.setattr(module, "GROUP", 128)
    monkeypatch.setattr(stored_columns.row_groups, "__defaults__", (128,))
    monkeypatch.setattr(contour_assembly, "PART", 32)
    monkeypatch.setattr(contour_assembly, "BLOCK", 16)
    monkeypatch.setattr(reductions, "UNNOTICED", 0)
    monkeypatch.setattr("napari_tilewise.engine.system.total_limits.UNNOTICED", 0)
    return tmp_path / "temporary"


def stored(name: str, image: Any, params: dict[str, Any], **layout: Any) -> Any:
    """Return a result of an operation that may hold little in memory."""
    tiles = layout.pop("tiles", 24)
    session = Session(2, tables=LIMIT)
    stack = build(tw.OPERATIONS[name], image, params, session, StackLayout(tiles=tiles, **layout))
    return stack.stored_value()


def noise(kind: str, shape: tuple[int, ...] = (60, 70)) -> np.ndarray:
    """Return an image with many peaks: of few values or many, with ties, NaN or plateaus."""
    generator = np.random.default_rng(4)
    match kind:
        case "ties":
            return generator.integers(0, 6, shape).astype(np.uint8)
        case "signed":
            return generator.integers(-99, 99, shape).astype(np.int16)
        case "plateaus":
            return np.kron(noise("ties", (shape[0] // 10, shape[1] // 10)), np.ones((10, 10), "u1"))
    return generator.random(shape).astype(np.float32)


DENSE = {"footprint": np.ones((3, 3)), "exclude_border": False}


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("ties", {"min_distance": 1}),
        ("signed", {"min_distance": 1, "num_peaks": 100}),
        ("plateaus", {"min_distance": 3, **DENSE}),
        ("ties", {"min_distance": 4, "p_norm": 2, **DENSE}),
        ("float", {"min_distance": 3, "p_norm": 1, "num_peaks": 90, **DENSE}),
        ("ties", {"min_distance": 2, "p_norm": 2.5, "threshold_abs": 1, **DENSE}),
    ],
)
def test_peaks_that_outgrow_their_share_are_the_same(
    kind: str, params: dict[str, Any], folder: Path
) -> None:
    image = noise(kind)
    expected = feature.peak_local_max(image, **params)
    points = stored("feature.peak_local_max", image, params)
    assert isinstance(points, StoredColumn)
    assert points.dtype == expected.dtype
    np.testing.assert_array_equal(points, expected)
    del points
    gc.collect()
    assert not list(folder.rglob("*.column"))


@pytest.mark.parametrize("indices", [True, False])
def test_corners_that_outgrow_their_share_are_the_same(indices: bool, folder: Path) -> None:
    image = noise("ties")
    params = {"min_distance": 2, "footprint": np.ones((3, 3)), "threshold_rel": 0.1, "p_norm": 2}
    expected = feature.corner_peaks(image, **params)
    if not indices:
        mask = tw.apply("feature.corner_peaks", image, **params, indices=False)
        np.testing.assert_array_equal(mask, feature.corner_peaks(image, **params, indices=False))
        return
    points = stored("feature.corner_peaks", image, params)
    assert isinstance(points, StoredColumn)
    np.testing.assert_array_equal(points, expected)
    fewer = stored("feature.corner_peaks", image, {**params, "num_peaks": 9})
    np.testing.assert_array_equal(fewer, expected[:9])


def winding(shape: tuple[int, int] = (50, 40)) -> np.ndarray:
    """Return one contour that winds through all of the image, and few others."""
    image = np.zeros(shape)
    image[::4] = 1
    image[2::8, -2:] = image[1::8, -2:] = image[3::8, -2:] = 1
    image[6::8, :2] = image[5::8, :2] = image[7::8, :2] = 1
    return image


CONTOURS = {
    "noise": (noise("float"), 0.5),
    "ties": (noise("ties"), 3),  # many segments meet in one point
    "plateaus": (noise("plateaus"), 2.0),
    "winding": (winding(), 0.25),
    "stripes": (np.tile([0.0, 1, 0, 1, 1], (60, 5)), 0.5),
}
"""Images, and levels; by name."""


@pytest.mark.parametrize("name", CONTOURS)
@pytest.mark.parametrize("orientation", ["low", "high"])
def test_contours_that_outgrow_their_share_are_the_same(
    name: str, orientation: str, folder: Path
) -> None:
    image, level = CONTOURS[name]
    params = {"level": level, "positive_orientation": orientation}
    expected = measure.find_contours(image, **params)
    contours = stored("measure.find_contours", image, params)
    assert isinstance(contours, StoredContours)
    assert len(contours) == len(expected)
    for contour, whole in zip(contours, expected, strict=True):
        np.testing.assert_array_equal(contour, whole)
    for number in (0, len(expected) // 2, -1):
        np.testing.assert_array_equal(contours[number], expected[number])
    for contour, whole in zip(in_memory(contours), expected, strict=True):
        np.testing.assert_array_equal(contour, whole)
    del contours, contour
    gc.collect()
    assert not list(folder.rglob("*.column"))


RUNS: dict[str, dict[str, Any]] = {
    "feature.peak_local_max": {"min_distance": 2, "threshold_abs": 1},
    "measure.find_contours": {"level": 2.5},
}
"""Parameters by operation."""


@pytest.mark.parametrize("suffix", ["csv", "json"])
@pytest.mark.parametrize("name", RUNS)
def test_a_run_writes_and_resumes_points_on_disk(
    name: str, suffix: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pass_results, "INTERVAL", 0.0)
    monkeypatch.setattr("napari_tilewise.runs.planner.LONGEST_TILE", {2: 24})
    monkeypatch.setattr("napari_tilewise.runs.planner.SHORTEST_TILE", {2: 24})
    image = noise("ties")
    np.save(tmp_path / "a.npy", image)
    cancel = threading.Event()
    step, outputs = (name, RUNS[name]), [tmp_path / f"{n}.{suffix}" for n in ("a", "b")]
    expected = tw.run(step, tmp_path / "a.npy", outputs[0], workers=1).value
    monkeypatch.setattr(reductions, "ColumnStore", lambda limit, folder: ColumnStore(LIMIT, folder))

    def listen(event: Any) -> None:
        if type(event).__name__ == "TileDone" and event.done >= event.tiles - 1:
            cancel.set()

    with pytest.raises(Cancelled):
        tw.run(step, tmp_path / "a.npy", outputs[1], workers=1, progress=listen, cancel=cancel)
    result = tw.run(step, tmp_path / "a.npy", outputs[1], workers=1)
    assert isinstance(result.value, StoredColumn | StoredContours)
    np.testing.assert_equal(in_memory(result.value), expected)
    if suffix == "csv":
        assert outputs[0].read_bytes() == outputs[1].read_bytes()
    else:
        values = [json.loads(path.read_text())["value"] for path in outputs]
        assert values[0] == values[1]
    del result
    gc.collect()
    assert not list(tmp_path.rglob("*.column"))


STACKS: dict[str, tuple[Any, dict[str, Any]]] = {
    "measure.regionprops_table": (
        measure.label(noise("ties", (3, 60, 60)) > 4, connectivity=1),
        {"properties": ("label", "area", "bbox", "centroid")},
    ),
    "feature.peak_local_max": (noise("signed", (3, 60, 60)), {"min_distance": 1}),
    "measure.find_contours": (noise("ties", (3, 40, 40)), {"level": 2.5}),
}
"""Stacks of planes, and parameters; by operation."""


@pytest.mark.parametrize("name", STACKS)
def test_planes_are_joined_on_disk_where_all_outgrow_their_share(name: str, folder: Path) -> None:
    stack, params = STACKS[name]
    layout: dict[str, Any] = {"spatial": "yx", "axes": "tyx"}
    expected = tw.apply(name, stack, **params, **layout)
    value = stored(name, stack, params, axes=AxisSelection(("t", "y", "x"), (1, 2)))
    columns = value.values() if isinstance(value, dict) else [value]
    assert all(isinstance(column, StoredColumn | StoredContours) for column in columns)
    np.testing.assert_equal(in_memory(value), expected)
    del value, columns
    gc.collect()
    assert not list(folder.rglob("*.column"))


def test_columns_of_planes_take_the_type_that_holds_all(folder: Path) -> None:
    store = ColumnStore(0)
    values = [np.arange(3, dtype=np.int32), np.array([0.5]), np.array(["longer"]), ["a"]]
    for parts in (values[:2], values[2:], [values[0], np.array([None], object)]):
        writer = ColumnWriter(store)
        for part in parts:
            writer.append({"x": np.asarray(part)})
        column = writer.columns()["x"]
        expected = np.concatenate(parts)
        assert column.dtype == expected.dtype
        assert isinstance(column, np.ndarray) == column.dtype.hasobject
        np.testing.assert_array_equal(column, expected)
    assert len(list(folder.rglob("*.column"))) == 2


@pytest.mark.parametrize(
    "value",
    [
        {"label": np.arange(5), "name": np.array(["a", 'b"']), "none": np.array([None, 1])},
        np.array([[0.5, np.nan], [1, 1e300]]),
        [np.arange(6.0).reshape(3, 2), np.empty((0, 2))],
        {"a": {}, "b": [], "c": [1, [2, {"d": 3}]], "e": np.empty((0, 2)), "f": True},
        np.array([1 + 2j, 3]),
        2.5,
    ],
)
def test_json_in_pieces_is_the_same_text(value: Any) -> None:
    expected = json.dumps(to_plain(value), indent=2)
    assert "".join(json_pieces(value)) == expected
