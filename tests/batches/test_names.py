"""Names that meet: what users call numbers, images and outputs never takes anything's place."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

import napari_tilewise as tw
from napari_tilewise.batches import items_of
from napari_tilewise.errors import BatchFailed, InvalidParameter, SourceNotFound
from napari_tilewise.recipe import Step
from tests.batches import functions

if TYPE_CHECKING:
    from pathlib import Path

FILM = np.arange(2 * 6 * 7, dtype=np.uint8).reshape(2, 6, 7)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    for name, plane in zip("ab", FILM, strict=True):
        tifffile.imwrite(folder / f"{name}.tif", plane)
    return folder


def run(what: Any, source: Any, folder: Path | None = None, **options: Any) -> Any:
    report = tw.batch(what, source, folder, backend="serial", **options)
    assert (report.failed, report.cancelled) == (0, 0)
    return report


def stems(source: Any) -> list[str]:
    return [item.stem for item in items_of(source)]


@pytest.mark.parametrize("to_files", [False, True])
def test_numbers_stand_beside_the_reports_own_columns(tmp_path: Path, to_files: bool) -> None:
    folder = tmp_path / "out" if to_files else None
    report = run(functions.own_names, FILM, folder, over="t", axes="tyx")
    for t, row in enumerate(report.rows):
        assert (row["item"], row["status"], row["error"], row["t"]) == (
            f"image_t{t}", "done", None, t,
        )  # fmt: skip
        assert (row["error (result)"], row["item (result)"]) == (2.5, "z")
        assert (row["t (result)"], row["status (result)"]) == (FILM[t].max(), 7)
        assert row["status (result) (result)"] == 1
    if folder is not None:
        with (folder / "report.csv").open() as file:
            assert [row["status"] for row in csv.DictReader(file)] == ["done", "done"]


@pytest.mark.parametrize("to_files", [False, True])
def test_columns_stand_beside_the_items_name(tmp_path: Path, to_files: bool) -> None:
    folder = tmp_path / "out" if to_files else None
    report = run(functions.own_table, FILM, folder, over="t", axes="tyx")
    rows = list(report.table)
    assert [row["item (result)"] for row in rows] == FILM.ravel().tolist()
    assert [row["t (result)"] for row in rows] == FILM.ravel().tolist()
    assert [row["error"] for row in rows] == FILM.ravel().tolist()  # no column of the table's own
    assert [row["item"] for row in rows] == ["image_t0"] * 42 + ["image_t1"] * 42
    assert [row["t"] for row in rows] == [0] * 42 + [1] * 42


def test_a_step_may_be_called_as_a_column(source: Path) -> None:
    report = run(tw.Recipe([Step("filters.threshold_otsu", name="status")]), source)
    (value,) = {name for name in report.rows[0] if "status" in name} - {"status"}
    assert report.rows[0]["status"] == "done"
    assert report.rows[0][value] == tw.apply("filters.threshold_otsu", FILM[0])


@pytest.mark.parametrize("name", ["2024-01-01T12:00:00", "well\\1", "a:b\\c"])
def test_images_may_be_called_as_the_file_system_lets_them(source: Path, name: str) -> None:
    tifffile.imwrite(source / f"{name}.tif", FILM[0])
    report = run("util.invert", source, source / "out")
    assert str(source / "out" / f"{name}.ome.zarr") in {row["output"] for row in report.rows}
    assert (source / "out" / f"{name}.ome.zarr").is_dir()
    assert run("util.invert", source, source / "out").skipped == 3


@pytest.mark.parametrize("template", ["c:{stem}", "x\\{stem}", "{stem}:{index}"])
def test_templates_hold_no_drive_and_no_backslash(source: Path, template: str) -> None:
    with pytest.raises(InvalidParameter, match="name="):
        tw.batch("util.invert", source, source / "out", name=template)


@pytest.mark.parametrize(
    ("only", "shown"), [({7}, "7;"), ({0, -1}, "-1;"), (range(99), ": 2, 3, 4, 5, 6, ...;")]
)
def test_numbers_of_no_items_are_refused(source: Path, only: Any, shown: str) -> None:
    with pytest.raises(InvalidParameter, match=r"only=.* 2 items, 0 to 1") as said:
        tw.batch("util.invert", source, source / "out", only=only)
    assert shown in str(said.value)
    assert not (source / "out").exists()


def test_names_that_differ_by_case_are_one_where_the_file_system_says_so(tmp_path: Path) -> None:
    for folder, name in (("x", "cell"), ("y", "CELL")):
        (tmp_path / folder).mkdir()
        tifffile.imwrite(tmp_path / folder / f"{name}.tif", FILM[0])
    items = [tmp_path / "x" / "cell.tif", tmp_path / "y" / "CELL.tif"]
    (tmp_path / "Out").mkdir()
    if not (tmp_path / "oUT").exists():
        assert run("util.invert", items, tmp_path / "Out").done == 2
        (tmp_path / "oUT").symlink_to("Out")  # as such a file system answers
    with pytest.raises(InvalidParameter, match=r"both be written.*name="):
        tw.batch("util.invert", items, tmp_path / "Out" / "new")


def test_outputs_of_another_batch_are_no_items(source: Path, tmp_path: Path) -> None:
    run("util.invert", source, source / "one")
    with pytest.warns(BatchFailed):
        tw.batch("util.invert", source, source / "one", over="y", backend="serial")
    run("filters.sobel", FILM, source / "deep" / "two", over="t", axes="tyx")
    assert stems(source) == ["a", "b"]
    assert run("filters.sobel", source, source / "three").done == 2
    tifffile.imwrite(source / "one" / "c.tif", FILM[0])  # no batch's
    assert stems(source) == stems(source / "**" / "*.tif") == ["a", "b", "c"]
    with pytest.raises(SourceNotFound, match="batches"):
        items_of(source / "**" / "a*.zarr")


def test_outputs_are_items_where_they_are_asked_for(source: Path, tmp_path: Path) -> None:
    run("util.invert", source, tmp_path / "out" / "one", name="{index}/{stem}")
    assert stems(tmp_path / "out" / "one") == ["a", "b"]
    assert stems(tmp_path / "out" / "*" / "*" / "*.zarr") == ["a", "b"]
    assert run("filters.sobel", tmp_path / "out" / "one", tmp_path / "two").done == 2


def test_outputs_amid_their_sources_are_no_items_whatever_came_later(source: Path) -> None:
    run("util.invert", source, source)
    for name in "ab":
        tifffile.imwrite(source / f"{name}.tif", FILM[0] + 1)
    with pytest.warns(BatchFailed):
        assert tw.batch("util.invert", source, source, backend="serial").failed == 2
    assert [item.input for item in items_of(source)] == [str(source / f"{n}.tif") for n in "ab"]


def test_an_unknown_field_of_any_characters_is_named_in_one_sentence(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((4, 4), np.uint8))
    with pytest.raises(InvalidParameter, match=r"unknown field \{st\\nem\}: expected") as caught:
        tw.batch("filters.sobel", tmp_path / "a.npy", tmp_path / "out", name="{st\nem}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "template", ["{stem:{x}}", "{stem:{index.a}}", "{stem:99999999999}", "{", "{index:\n03d}"]
)
def test_fields_that_cannot_be_filled_in_are_refused_in_a_sentence(source: Path, template: str):
    with pytest.raises(InvalidParameter, match="cannot be filled in") as caught:
        tw.batch("filters.sobel", source, source / "out", name=template)
    assert "\n" not in str(caught.value)
