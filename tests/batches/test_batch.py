"""Batches: every item is accounted for, whatever it holds and wherever it is done."""

from __future__ import annotations

import json
import threading
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
import zarr
from skimage import data, filters, measure

import napari_tilewise as tw
from napari_tilewise.batches import (
    BatchDone,
    BatchStarted,
    ItemDone,
    ItemStarted,
    each_item,
    items_of,
)
from napari_tilewise.errors import (
    BatchFailed,
    DestinationUnwritable,
    InvalidAxes,
    InvalidImage,
    InvalidParameter,
    InvalidRecipe,
    SourceNotFound,
)
from napari_tilewise.io.readers.natural_order import natural
from napari_tilewise.io.readers.open_image import open_image
from tests.batches import functions

if TYPE_CHECKING:
    from pathlib import Path

RECIPE = [("filters.gaussian", {"sigma": 1}), "filters.threshold_otsu"]


@pytest.fixture
def plates(tmp_path: Path) -> Path:
    """Twelve crops of an image in two folders."""
    folder = tmp_path / "plates"
    for number in range(12):
        path = folder / ("a", "b")[number % 2] / f"cell{number}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, crop(number))
    return folder


def crop(number: int) -> np.ndarray:
    return data.camera()[100 : 132 + number, 30 * number : 30 * number + 40]


def mask(image: np.ndarray) -> np.ndarray:
    smooth = filters.gaussian(image, sigma=1)
    return smooth > filters.threshold_otsu(smooth)


def pixels(path: Any) -> np.ndarray:
    return np.asarray(open_image(path).data[...])


def by_number(report: Any) -> dict[int, dict[str, Any]]:
    return {int(row["item"].removeprefix("cell")): row for row in report.rows}


@pytest.mark.parametrize("backend", ["serial", "threading", "loky", "auto"])
def test_every_backend_gives_scikit_images_answer(
    plates: Path, tmp_path: Path, backend: str
) -> None:
    out = tmp_path / "out"
    report = tw.batch(RECIPE, plates / "**" / "*.tif", out, backend=backend, n_jobs=2)
    assert str(report) == "12 done, 0 failed, 0 skipped"
    for number, row in by_number(report).items():
        assert row["output"] == str(out / "ab"[number % 2] / f"cell{number}.ome.zarr")
        np.testing.assert_array_equal(pixels(row["output"]), mask(crop(number)))
        smooth = filters.gaussian(crop(number), sigma=1)
        assert row["step 2: filters.threshold_otsu"] == filters.threshold_otsu(smooth)
        assert row["seconds"] > 0
        assert row["peak_memory"] > 2**20


def test_items_come_in_natural_order(plates: Path) -> None:
    result = [item.stem for item in items_of(plates)]
    assert result == [f"cell{n}" for n in (0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11)]
    (plates / "notes.txt").write_text("no image")
    (plates / ".hidden.tif").write_text("no image")
    assert len(items_of(plates)) == 12


def test_a_second_batch_does_what_changed(plates: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    tw.batch(RECIPE, plates, out, backend="serial")
    again = tw.batch(RECIPE, plates, out, backend="serial")
    assert (again.done, again.skipped) == (0, 12)
    assert all(row["step 2: filters.threshold_otsu"] > 0 for row in again.rows)
    tifffile.imwrite(plates / "a" / "cell4.tif", crop(4)[:, ::-1])
    third = tw.batch(RECIPE, plates, out, backend="serial")
    assert str(third) == "0 done, 1 failed, 11 skipped"
    assert "overwrite" in by_number(third)[4]["error"]
    np.testing.assert_array_equal(pixels(out / "a" / "cell4.ome.zarr"), mask(crop(4)))
    left = tw.batch(RECIPE, plates, out, backend="serial", overwrite="skip")
    assert left.skipped == 12
    over = tw.batch(RECIPE, plates, out, backend="serial", overwrite=True)
    assert over.done == 12
    np.testing.assert_array_equal(pixels(out / "a" / "cell4.ome.zarr"), mask(crop(4)[:, ::-1]))
    with pytest.warns(BatchFailed, match="All items failed"):
        other = tw.batch("util.invert", plates, out, backend="serial")
    assert other.failed == 12


def test_a_journal_cut_short_costs_its_last_item(plates: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    tw.batch(RECIPE, plates, out, backend="serial")
    journal = out / "batch.jsonl"
    text = journal.read_text()
    journal.write_text(text[: len(text) - 30])  # killed while it wrote of the last one
    again = tw.batch(RECIPE, plates, out, backend="serial")
    assert (again.done, again.skipped, again.failed) == (1, 11, 0)
    assert all(map(_is_json, journal.read_text().splitlines()))
    journal.write_text("")  # nobody knows now what made these
    with pytest.warns(BatchFailed, match="overwrite=True"):
        assert tw.batch(RECIPE, plates, out, backend="serial").failed == 12


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def test_the_report_says_what_ran(plates: Path, tmp_path: Path) -> None:
    report = tw.batch(RECIPE, plates, tmp_path / "out", backend="serial")
    lines = [json.loads(line) for line in (tmp_path / "out/batch.jsonl").read_text().splitlines()]
    head = lines[0]["batch"]
    assert head["recipe"] == tw.Recipe(RECIPE).to_dict()
    assert "scikit-image" in head["versions"]
    rows = [line for line in lines if "target" in line]
    assert len(rows) == 12
    assert [line["begun"] for line in lines if "begun" in line] == [r["target"] for r in rows]
    assert {"input", "output", "status", "seconds", "peak_memory", "key"} <= rows[0].keys()
    path = report.to_csv(tmp_path / "report.csv")
    assert path.read_text().splitlines()[0].startswith("item,input,output,status,seconds,error")
    assert path.read_bytes() == (tmp_path / "out" / "report.csv").read_bytes()


def test_two_items_never_write_one_file(plates: Path, tmp_path: Path) -> None:
    tifffile.imwrite(plates / "a" / "cell0.tiff", crop(0))
    with pytest.raises(InvalidParameter, match=r"cell0\.tif.*would both be written"):
        tw.batch(RECIPE, plates, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    report = tw.batch(RECIPE, plates, tmp_path / "out", name="{stem}_{index}", backend="serial")
    assert report.done == 13


def test_sources_are_never_written_to(plates: Path) -> None:
    array = zarr.create_array(plates / "x.zarr", data=crop(0))
    with pytest.raises(DestinationUnwritable, match="never written to"):
        tw.batch("util.invert", plates, plates, name="{stem}.zarr")
    np.testing.assert_array_equal(array[:], crop(0))


@pytest.mark.parametrize("name", ["table.csv", "all.ome.zarr", "plain"])
def test_a_file_is_no_destination(plates: Path, tmp_path: Path, name: str) -> None:
    if name == "plain":
        (tmp_path / name).write_text("mine")
    with pytest.raises(DestinationUnwritable, match=rf"{name}'.*a batch writes into a folder"):
        tw.batch(RECIPE, plates, tmp_path / name)
    assert (tmp_path / name).exists() == (name == "plain")


def test_outputs_beside_the_sources_are_no_items(plates: Path) -> None:
    assert tw.batch("util.invert", plates, plates / "inverted", backend="serial").done == 12
    again = tw.batch("util.invert", plates, plates / "inverted", backend="serial")
    assert str(again) == "0 done, 0 failed, 12 skipped"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("{stem}_{recipe}.ome.zarr", "cell0_invert.ome.zarr"),
        ("{index:03}/{stem}", "000/cell0.ome.zarr"),
    ],
)
def test_names_follow_the_template(plates: Path, tmp_path: Path, name: str, expected: str) -> None:
    source = plates / "a" / "cell0.tif"
    report = tw.batch("util.invert", source, tmp_path / "out", name=name, backend="serial")
    assert report.rows[0]["output"] == str(tmp_path / "out" / expected)


@pytest.mark.parametrize("name", ["{steam}", "../{stem}", "/{stem}", "{stem", "{0}", ""])
def test_wrong_templates_are_refused(plates: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidParameter, match="name="):
        tw.batch("util.invert", plates, tmp_path / "out", name=name)


def test_wrong_calls_are_refused_before_anything_is_done(plates: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(SourceNotFound):
        tw.batch("util.invert", tmp_path / "none*.tif", out)
    with pytest.raises(InvalidParameter, match="backend"):
        tw.batch("util.invert", plates, out, backend="cuda")
    with pytest.raises(InvalidParameter, match="n_jobs"):
        tw.batch("util.invert", plates, out, n_jobs=0)
    with pytest.raises(InvalidParameter, match="overwrite"):
        tw.batch("util.invert", plates, out, overwrite="perhaps")
    with pytest.raises(InvalidAxes, match="over"):
        tw.batch("util.invert", np.zeros((3, 4)), over="t")
    with pytest.raises(InvalidParameter, match="window"):
        tw.batch("util.invert", np.zeros((3, 4)), window=5)
    with pytest.raises(InvalidRecipe):
        tw.batch([], plates, out)
    assert not out.exists()


def test_positions_of_a_stack_come_back_as_a_stack() -> None:
    film = np.stack([crop(0), crop(0)[::-1], crop(0)[:, ::-1]])
    report = tw.batch(RECIPE, film, over="t", axes="tyx", backend="threading", n_jobs=2)
    np.testing.assert_array_equal(report.stack, np.stack([mask(plane) for plane in film]))
    assert [row["t"] for row in report.rows] == [0, 1, 2]
    report = tw.batch("filters.gaussian", film, over=1, backend="serial")
    np.testing.assert_array_equal(report.stack[5], filters.gaussian(film[:, 5]))


def test_positions_of_a_file_are_read_alone(tmp_path: Path) -> None:
    film = np.stack([crop(0), crop(0)[::-1]])
    tifffile.imwrite(tmp_path / "film.tif", film, metadata={"axes": "TYX"})
    report = tw.batch(
        RECIPE, tmp_path / "film.tif", tmp_path / "out", over="t", backend="loky", n_jobs=2
    )
    for t, row in enumerate(report.rows):
        assert row["output"] == str(tmp_path / "out" / f"film_t{t}.ome.zarr")
        np.testing.assert_array_equal(pixels(row["output"]), mask(film[t]))


def test_a_broken_file_among_stacks_costs_one_row(tmp_path: Path) -> None:
    for name in "ab":
        tifffile.imwrite(
            tmp_path / f"{name}.tif", np.stack([crop(0)] * 2), metadata={"axes": "TYX"}
        )
    (tmp_path / "broken.tif").write_bytes(b"II*\0")
    report = tw.batch("util.invert", tmp_path, over="t", backend="serial")
    assert [row["status"] for row in report.rows] == [*["done"] * 4, "failed"]
    assert [row["item"] for row in report.rows] == ["a_t0", "a_t1", "b_t0", "b_t1", "broken"]


def test_windows_slide_as_in_view_as_windows(tmp_path: Path) -> None:
    from skimage.util import view_as_windows

    image = data.astronaut()[:60, :50]
    np.save(tmp_path / "a.npy", image)
    expected = view_as_windows(image, (20, 50, 3), step=10).mean(axis=(3, 4, 5)).ravel()
    for source in (image, tmp_path / "a.npy"):
        report = tw.batch(
            functions.mean, source, window=(20, None, None), step=(10, 1, 1), backend="serial"
        )
        np.testing.assert_allclose([row["result"] for row in report.rows], expected)


def test_fields_of_a_plate(tmp_path: Path) -> None:
    root = zarr.open_group(tmp_path / "p.ome.zarr", zarr_format=3)
    wells = [{"path": f"{row}/{column}"} for row in "AB" for column in "12"]
    root.update_attributes({"ome": {"version": "0.5", "plate": {"wells": wells}}})
    for number, well in enumerate(wells):
        group = root.create_group(well["path"])
        group.update_attributes({"ome": {"version": "0.5", "well": {"images": [{"path": "0"}]}}})
        folder = tmp_path / "p.ome.zarr" / well["path"] / "0"
        tw.run("util.invert", 255 - crop(number), folder.with_name("x.ome.zarr"))
        folder.with_name("x.ome.zarr").rename(folder)
    wells.append({"path": "C/1"})  # that is not there
    root.update_attributes({"ome": {"version": "0.5", "plate": {"wells": wells}}})
    report = tw.batch(RECIPE, tmp_path / "p.ome.zarr", tmp_path / "out", backend="serial")
    assert str(report) == "4 done, 1 failed, 0 skipped"
    assert [row["well"] for row in report.rows] == ["A1", "A2", "B1", "B2", "C1"]
    np.testing.assert_array_equal(pixels(tmp_path / "out/p/B1_0.ome.zarr"), mask(crop(2)))


def test_tables_become_one(plates: Path, tmp_path: Path) -> None:
    recipe = [*RECIPE, "measure.label", ("measure.regionprops_table", {"properties": ("area",)})]
    report = tw.batch(recipe, plates, tmp_path / "out", backend="threading", n_jobs=2)
    labels = {n: measure.label(mask(crop(n))) for n in range(12)}
    areas = {n: measure.regionprops_table(labels[n], properties=("area",)) for n in labels}
    result = [(row["item"], row["area"]) for row in report.table]
    order = [int(row["item"].removeprefix("cell")) for row in report.rows]
    assert result == [(f"cell{n}", area) for n in order for area in areas[n]["area"]]
    lines = (tmp_path / "out" / "table.csv").read_text().splitlines()
    assert len(lines) == len(result) + 1
    assert lines[0] == "item,area"
    again = tw.batch(recipe, plates, tmp_path / "out", backend="serial")
    assert again.skipped == 12
    assert list(again.table) == list(report.table)


def test_tables_as_parquet(plates: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    report = tw.batch(functions.table, plates, tmp_path / "out", backend="serial")
    made = parquet.read_table(report.table.to_parquet(tmp_path / "t.parquet")).to_pydict()
    assert made["item"] == [row["item"] for row in report.table]
    assert made["count"] == [row["count"] for row in report.table]
    rows = parquet.read_table(report.to_parquet(tmp_path / "r.parquet")).to_pylist()
    assert [row["input"] for row in rows] == [row["input"] for row in report.rows]


def test_a_missing_extra_is_named(
    plates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    report = tw.batch(functions.mean, plates, backend="serial")
    with pytest.raises(ImportError, match=r"napari-tilewise\[parquet\]"):
        report.to_parquet(tmp_path / "r.parquet")


def test_numbers_are_in_the_rows(plates: Path, tmp_path: Path) -> None:
    report = tw.batch("measure.blur_effect", plates, tmp_path / "out", backend="serial")
    for number, row in by_number(report).items():
        assert row["result"] == measure.blur_effect(crop(number))
        assert row["output"] is None
    assert tw.batch("measure.blur_effect", plates, tmp_path / "out", backend="serial").skipped == 12


def test_results_of_other_shapes_are_not_stacked(plates: Path) -> None:
    report = tw.batch(RECIPE, plates, backend="serial")
    np.testing.assert_array_equal(report.results[1], mask(crop(2)))
    with pytest.raises(InvalidImage, match="cell2"):
        _ = report.stack


def test_a_function_from_a_file(plates: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def twice(image):\n    return image.astype('uint16') * 2\n")
    report = tw.batch(f"{file}:twice", plates, tmp_path / "out", backend="loky", n_jobs=2)
    for number, row in by_number(report).items():
        np.testing.assert_array_equal(pixels(row["output"]), crop(number).astype("uint16") * 2)
    assert tw.batch(f"{file}:twice", plates, tmp_path / "out", backend="serial").skipped == 12


def test_too_large_beside_others_is_done_alone(plates: Path, tmp_path: Path) -> None:
    from napari_tilewise.engine.system.resident import resident

    large = np.zeros((3000, 3000), np.uint8)
    np.save(plates / "large.npy", large)
    # An item that may take a quarter of its share at most is put off; alone it is done.
    limit = resident() + 2 * 30 * 2**20
    report = tw.batch(functions.mean, plates, backend="threading", n_jobs=2, memory=limit)
    assert str(report) == "13 done, 0 failed, 0 skipped"


def test_events_tell_how_far_it_is(plates: Path) -> None:
    told: list[Any] = []
    tw.batch("util.invert", plates, backend="threading", n_jobs=2, progress=told.append)
    assert isinstance(told[0], BatchStarted)
    assert [event.done for event in told if isinstance(event, ItemDone)] == list(range(1, 13))
    assert isinstance(told[-1], BatchDone)


@pytest.mark.parametrize("backend", ["serial", "threading", "auto"])
def test_cancelled_and_gone_on_with(plates: Path, tmp_path: Path, backend: str) -> None:
    cancel, calls = threading.Event(), count()

    def invert(image: np.ndarray) -> np.ndarray:
        if (call := next(calls)) == 2:
            cancel.set()
        elif call > 2:  # begun before the cancel, which may be late: it does not end earlier
            assert cancel.wait(60)
        return 255 - image  # it is dropped if the cancel is seen first

    out = tmp_path / "out"
    first = tw.batch(invert, plates, out, backend=backend, n_jobs=2, cancel=cancel)
    assert 2 <= first.done <= 2 + 3  # two before it, and at most three handed out
    assert first.cancelled == 12 - first.done
    again = tw.batch(invert, plates, out, backend=backend, n_jobs=2)
    assert (again.done, again.skipped) == (12 - first.done, first.done)
    for number, row in by_number(again).items():
        np.testing.assert_array_equal(pixels(row["output"]), 255 - crop(number))
    assert not [path for path in out.rglob("*") if ".partial" in path.name]


def test_the_current_dask_clients_cluster_is_used(plates: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    options = {"processes": False, "n_workers": 1, "threads_per_worker": 2}
    with distributed.Client(**options, dashboard_address=":0"):
        report = tw.batch(RECIPE, plates, tmp_path / "out", backend="dask", n_jobs=2)
    assert str(report) == "12 done, 0 failed, 0 skipped"
    for number, row in by_number(report).items():
        np.testing.assert_array_equal(pixels(row["output"]), mask(crop(number)))


def test_items_can_be_listed_one_after_the_other(plates: Path) -> None:
    result = each_item(plates)
    assert [next(result).stem, next(result).index] == ["cell0", 1]
    (plates / "top.tif").write_bytes((plates / "a" / "cell0.tif").read_bytes())
    assert [item.stem for item in each_item(plates, recursive=False)] == ["top"]


def test_numbers_in_names_are_compared_as_numbers() -> None:
    assert sorted(["a10", "a2", "ab", "a"], key=natural) == ["a", "a2", "a10", "ab"]
    assert sorted(["a10/1", "a2/3", "a2/1"], key=natural) == ["a2/1", "a2/3", "a10/1"]


def test_only_some_items_are_done_and_the_report_keeps_the_others(
    plates: Path, tmp_path: Path
) -> None:
    out, broken = tmp_path / "out", plates / "b" / "cell5.tif"
    kept = broken.read_bytes()
    broken.write_bytes(b"no image")
    items = items_of(plates)
    options: dict[str, Any] = {"backend": "serial", "name": "{index}_{stem}"}
    first = tw.batch(functions.table, items, out, **options)
    (failed,) = [row for row in first.rows if row["status"] == "failed"]
    number = next(item.index for item in items if item.stem == failed["item"])
    broken.write_bytes(kept)
    told: list[Any] = []
    again = tw.batch(functions.table, items, out, only={number}, progress=told.append, **options)
    assert str(again) == "1 done, 0 failed, 11 skipped"
    assert [event.index for event in told if isinstance(event, ItemDone)] == [number]
    assert [row["item"] for row in again.rows] == [row["item"] for row in first.rows]
    assert {row["item"] for row in again.table} == {item.stem for item in items}
    written = (out / "report.csv").read_text()
    assert all(f"{item.stem}," in written for item in items)
    (out / first.rows[0]["output"]).unlink()
    third = tw.batch(functions.table, items, out, only=set(), **options)
    assert (third.cancelled, third.skipped) == (1, 11)


def test_part_of_a_list_keeps_its_names(plates: Path, tmp_path: Path) -> None:
    items = items_of(plates)
    report = tw.batch("util.invert", items[4:6], tmp_path, backend="serial", name="{index}")
    assert [row["output"] for row in report.rows] == [
        str(tmp_path / "a" / "4.ome.zarr"), str(tmp_path / "a" / "5.ome.zarr"),
    ]  # fmt: skip
    twice = tw.batch("util.invert", [items[0], items[0]], backend="serial")
    assert twice.done == 2


@pytest.mark.parametrize("backend", ["serial", "threading", "loky"])
def test_events_tell_what_is_in_work(plates: Path, backend: str) -> None:
    told: list[Any] = []
    tw.batch("util.invert", plates, backend=backend, n_jobs=2, progress=told.append)
    begun = [event.index for event in told if isinstance(event, ItemStarted)]
    assert sorted(begun) == list(range(12))
    for number in begun:
        done = next(e for e in told if isinstance(e, ItemDone) and e.index == number)
        assert told.index(ItemStarted(number)) < told.index(done)


def test_a_function_that_was_changed_is_loaded_again(plates: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    for text in ("return {'low': image.min()}", "return {'high': image.max()}"):
        file.write_text(f"def measure(image):\n    {text}\n")
        report = tw.batch(f"{file}:measure", plates, backend="serial")
        assert text.split("'")[1] in report.rows[0]
