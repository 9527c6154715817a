"""Items of one tile are computed in memory, and nobody can tell from the outputs."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter, OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from skimage import data

import napari_tilewise as tw
from napari_tilewise.engine.checkpoints.checkpoint import Checkpoint
from napari_tilewise.errors import BatchFailed, DestinationExists
from napari_tilewise.io.image import KEY
from napari_tilewise.io.readers import tiff_header
from napari_tilewise.io.writers.staging import publish
from napari_tilewise.provenance.record import read
from napari_tilewise.runs import small_run
from napari_tilewise.runs.planner import make_plan
from napari_tilewise.runs.resume import checkpoint_folder

if TYPE_CHECKING:
    from pathlib import Path

CHAIN = [("filters.gaussian", {"sigma": 1}), "filters.threshold_otsu", "measure.label"]
RECIPES: dict[str, Any] = {
    "labels": CHAIN,
    "color": "color.rgb2hsv",
    "table": [*CHAIN, ("measure.regionprops_table", {"properties": ("label", "area")})],
    "number": "measure.shannon_entropy",
    "random": "util.random_noise",
}


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """Three images of two shapes."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number, side in enumerate((90, 90, 70)):
        tifffile.imwrite(
            folder / f"{number}.tif", np.roll(data.astronaut()[:side, :100], number, 0),
            photometric="rgb", resolution=(20, 20), resolutionunit="CENTIMETER",
        )  # fmt: skip
    return folder


def contents(path: Path) -> dict[str, Any]:
    """Return all bytes of an output, its documents without what differs between two runs."""
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    result: dict[str, Any] = {}
    for file in files:
        if file.suffix == ".json":
            document = json.loads(file.read_text())
            document.get("attributes", {}).pop(KEY, None)
            document.pop("consolidated_metadata", None)  # earlier releases of zarr name none
            result[str(file.relative_to(path))] = document
        else:
            result[str(file.relative_to(path))] = file.read_bytes()
    return result


@pytest.mark.parametrize("name", ["{stem}", "{stem}.ome.tif", "{stem}.npy"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_outputs_are_those_of_a_run(sources: Path, tmp_path: Path, recipe: str, name: str) -> None:
    steps, out = tw.Recipe.of(RECIPES[recipe]), tmp_path / "out"
    report = tw.batch(steps, sources, out, backend="serial", name=name)
    assert report.done == 3, [row["error"] for row in report.rows]
    for row in report.rows:
        if row["output"] is None:
            assert recipe == "number"
            continue
        output = out / row["output"]
        expected = tmp_path / "runs" / output.name
        tw.run(steps, row["input"], expected, workers=1)
        ours, theirs = dict(read(output)), dict(read(expected))
        for entries in (ours, theirs):
            entries.pop("time"), entries["source"].pop("from_output")
        if recipe != "random":  # every destination has a seed of its own
            assert ours == theirs
            if output.is_dir():
                assert contents(output) == contents(expected)
    names = {path.name for path in out.iterdir() if path.name.startswith(".")}
    assert not names, "nothing is left beside the outputs"


def test_a_kind_of_image_is_planned_once(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = []

    def counted(request: Any, *args: Any, **options: Any) -> Any:
        shapes.append(request.source.data.shape)
        return make_plan(request, *args, **options)

    monkeypatch.setattr(small_run, "make_plan", counted)
    monkeypatch.setattr(small_run, "_plans", OrderedDict())
    tw.batch(CHAIN, sources, tmp_path / "out", backend="serial", spatial="yx")
    assert shapes == [(90, 100, 3), (70, 100, 3)]
    monkeypatch.setattr(small_run, "resident", lambda: 2**50)  # the process has grown
    tw.batch(CHAIN, sources, tmp_path / "again", backend="serial", spatial="yx")
    assert len(shapes) == 5


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often files and folders were synced, created and renamed."""
    counts: Counter[str] = Counter()

    def counting(name: str) -> Any:
        function = getattr(os, name)

        def call(*args: Any, **options: Any) -> Any:
            counts[name] += 1
            return function(*args, **options)

        return call

    for name in ("fsync", "mkdir", "rename", "replace", "rmdir"):
        monkeypatch.setattr(os, name, counting(name))
    return counts


GREY = [("color.rgb2gray", {}), *CHAIN]


@pytest.mark.parametrize("name", ["{stem}.ome.tif", "{stem}.npy", "{stem}.ome.zarr"])
def test_an_item_costs_no_sync_and_one_name(
    sources: Path, tmp_path: Path, calls: Counter[str], name: str
) -> None:
    several = [sources / "0.tif", sources / "1.tif"]
    tw.batch(GREY, several[:1], tmp_path / "out", backend="serial", name=name)
    before = Counter(calls)
    report = tw.batch(GREY, several, tmp_path / "out", backend="serial", name=name)
    assert [report.done, report.skipped] == [1, 1]
    once = calls - before
    before = Counter(calls)
    tw.batch(GREY, several, tmp_path / "out", backend="serial", name=name)
    item = once - (calls - before)  # without what a batch of no new item does
    names = 2 if name.endswith(".npy") else 1  # its record lies beside it
    assert item["fsync"] == item["rmdir"] == 0
    assert item["rename"] + item["replace"] == names
    assert item["mkdir"] == (4 if name.endswith(".zarr") else 0)


def test_an_output_that_a_power_failure_left_empty_is_written_again(
    sources: Path, tmp_path: Path
) -> None:
    out, name = tmp_path / "out", "{stem}.ome.tif"
    tw.batch(GREY, sources, out, backend="serial", name=name)
    expected = (out / "1.ome.tif").read_bytes()
    (out / "1.ome.tif").write_bytes(b"")
    (out / "2.ome.tif").write_bytes(b"of somebody else")
    report = tw.batch(GREY, sources, out, backend="serial", name=name)
    assert [row["status"] for row in report.rows] == ["skipped", "done", "skipped"]
    assert len((out / "1.ome.tif").read_bytes()) == len(expected)
    assert (out / "2.ome.tif").read_bytes() == b"of somebody else"


def test_images_of_one_shape_have_the_names_of_their_own_channels(tmp_path: Path) -> None:
    pixels = np.indices((2, 40, 50))[2].astype(np.uint16)
    names = {"a": ["DAPI", "GFP"], "b": ["Cy5", "Cy3"]}
    for stem, channels in names.items():
        metadata = {"axes": "CYX", "Channel": {"Name": channels}}
        tifffile.imwrite(tmp_path / f"{stem}.ome.tif", pixels, metadata=metadata)
    recipe = ("measure.regionprops_table", {"properties": ("label", "area")})
    out = tmp_path / "out"
    tw.batch(recipe, tmp_path / "*.tif", out, backend="serial", spatial="yx", name="{stem}")
    for stem, channels in names.items():
        with next(out.glob(f"{stem}*.csv")).open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert list(dict.fromkeys(row["channel"] for row in rows)) == channels


def test_an_item_whose_output_another_run_writes_is_refused(sources: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    checkpoint = Checkpoint(checkpoint_folder(out / "0.ome.zarr"), "key", {})
    try:
        with pytest.raises(BatchFailed, match="Another run is writing to the same destination"):
            tw.batch(RECIPES["labels"], [sources / "0.tif"], out, n_jobs=1)
    finally:
        checkpoint.remove()
    report = tw.batch(RECIPES["labels"], [sources / "0.tif"], out, n_jobs=1)
    assert [row["status"] for row in report.rows] == ["done"]


def test_the_slower_of_two_outputs_of_one_name_says_that_it_exists(tmp_path: Path) -> None:
    path, stagings = tmp_path / "a.zarr", [tmp_path / "b", tmp_path / "c"]
    for staging in stagings:
        (staging / "0").mkdir(parents=True)

    class Slow(type(path)):  # type: ignore[misc]
        """A path that looks vacant once more after another output took it."""

        def exists(self, **options: Any) -> bool:
            publish(stagings[0], path, overwrite=False)
            return False

    with pytest.raises(DestinationExists):
        publish(stagings[1], Slow(path), overwrite=False)
    assert stagings[1].is_dir()


def test_files_of_one_header_cost_the_pages_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, opened = tmp_path / "in", list[str]()
    folder.mkdir()
    for number in range(9):
        pixels = np.roll(data.camera()[:37, :41], number, 0)
        tifffile.imwrite(folder / f"{number}.tif", pixels)
    build = tifffile.TiffFile.__init__

    def counted(self: tifffile.TiffFile, file: Any, *args: Any, **options: Any) -> None:
        opened.append(str(file))
        build(self, file, *args, **options)

    monkeypatch.setattr(tifffile.TiffFile, "__init__", counted)
    monkeypatch.setattr(tiff_header, "_alike", OrderedDict())
    report = tw.batch(tw.Recipe(CHAIN), folder, tmp_path / "out", backend="serial")
    assert report.done == 9
    assert len(opened) == 1
