"""Parts of images: one that has none such costs a row, and each is made again from its record."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
import zarr

import napari_tilewise as tw
from napari_tilewise.batches import items_of
from napari_tilewise.errors import BatchFailed, InvalidAxes, InvalidParameter
from napari_tilewise.provenance.record import read
from napari_tilewise.runs.rerun import NotRepeatable, rerun

if TYPE_CHECKING:
    from pathlib import Path

FILM = np.random.default_rng(0).integers(0, 999, (2, 24, 30), dtype=np.uint16)
TABLE = ["filters.threshold_otsu", "measure.label", ("measure.regionprops_table", {})]


def statuses(report: Any) -> dict[str, str]:
    return {row["item"]: row["error"] or row["status"] for row in report.rows}


@pytest.mark.parametrize(
    ("odd", "options", "says"),
    [
        (FILM[0, :10, :10], {"window": (20, 20)}, "window=(20, 20)"),
        (FILM[0], {"over": "t", "axes": "tyx"}, "axes='tyx' names 3 axes"),
        (FILM[0, 0], {"over": 2}, "over=2: there is no axis 2"),
        (FILM[:0], {"over": 0}, "over=0: there is no position"),
        (FILM[0, :5], {"window": (9, 9), "axes": "tyx"}, "axes='tyx'"),
    ],
)
@pytest.mark.parametrize("name", ["a", "z"])
def test_an_image_without_such_parts_costs_one_row(
    tmp_path: Path, odd: np.ndarray, options: dict[str, Any], says: str, name: str
) -> None:
    np.save(
        tmp_path / "film.npy", FILM if "window" not in options or "axes" in options else FILM[0]
    )
    np.save(tmp_path / f"{name}.npy", odd)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BatchFailed)  # some cannot be stored whole
        tw.batch("util.invert", {name: odd}, tmp_path / "out", backend="serial")
    for _ in range(2):
        report = tw.batch("util.invert", tmp_path, tmp_path / "out", backend="serial", **options)
        result = statuses(report)
        assert says in result.pop(name)
        assert report.failed == 1
        assert len(result) > 0
        assert all(item.startswith("film_") for item in result)
    (tmp_path / "film.npy").unlink()
    (tmp_path / "broken.tif").write_bytes(b"II*\0")
    with pytest.raises((InvalidAxes, InvalidParameter)) as said:
        tw.batch("util.invert", tmp_path, tmp_path / "not", **options)
    assert f"{name}.npy" in str(said.value)
    assert says in str(said.value)
    assert not (tmp_path / "not").exists()


def test_unreadable_images_alone_are_rows(tmp_path: Path) -> None:
    (tmp_path / "broken.tif").write_bytes(b"II*\0")
    assert [item.stem for item in items_of(tmp_path, over="t")] == ["broken"]


@pytest.mark.parametrize(
    "options",
    [
        {"over": "t", "axes": "tyx"},
        {"window": (10, 20), "step": (9, 7), "axes": "tyx", "spatial": "yx"},
        {"over": 0, "window": (10, None)},
        {"axes": "tyx"},
    ],
)
@pytest.mark.parametrize("recipe", [["filters.sobel", "filters.threshold_otsu"], TABLE])
@pytest.mark.parametrize("suffix", ["npy", "zarr"])
def test_parts_are_made_again(
    tmp_path: Path, options: dict[str, Any], recipe: list[Any], suffix: str
) -> None:
    path = tmp_path / f"film.{suffix}"
    if suffix == "npy":
        np.save(path, FILM)
    else:
        zarr.create_array(path, data=FILM, chunks=(1, 8, 8))
    report = tw.batch(recipe, path, tmp_path / "out", backend="serial", **options)
    assert report.failed == 0
    again = rerun(report.rows[-1]["output"], workers=1, executor="serial", allow_outside=True)
    assert (again.identical, again.notes) == (True, ())
    if suffix == "npy":
        np.save(path, FILM + 1)
        assert "has changed" in rerun(report.rows[-1]["output"], allow_outside=True).notes[0]


def test_a_record_says_which_part(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "film.tif", FILM, metadata={"axes": "TYX"})
    options: dict[str, Any] = {"over": "t", "window": 20, "backend": "serial"}
    report = tw.batch("util.invert", tmp_path / "film.tif", tmp_path / "out", **options)
    told = read(report.rows[1]["output"])["source"]
    assert told["part"] == [1, [0, 20], [0, 20]]
    assert told["part_of"]["location"] == str(tmp_path / "film.tif")
    (tmp_path / "later").mkdir()
    (tmp_path / "film.tif").rename(tmp_path / "later" / "film.tif")
    (tmp_path / "out").rename(tmp_path / "later" / "out")
    later = tmp_path / "later" / "out" / "film_t1_y0_x0.ome.zarr"
    assert rerun(later, allow_outside=True).identical


def test_parts_of_arrays_in_memory_are_said_to_be_so(tmp_path: Path) -> None:
    array = zarr.array(FILM)
    report = tw.batch("util.invert", array, tmp_path, over=0, backend="serial")
    with pytest.raises(NotRepeatable, match=r"array in memory \(zarr\.\w+ of shape \(2, 24, 30\)"):
        rerun(report.rows[0]["output"])
