"""Items of one tile are computed in memory, and nobody can tell from the outputs."""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from skimage import data

import napari_tilewise as tw
from napari_tilewise.io.image import KEY
from napari_tilewise.provenance.record import read
from napari_tilewise.runs import small_run
from napari_tilewise.runs.planner import make_plan

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
