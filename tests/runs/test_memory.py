"""A run never takes more resident memory than it states, whatever kind of operation it is of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from skimage import data

from napari_tilewise.operations import OPERATIONS
from napari_tilewise.operations.spec.kinds import Kind
from napari_tilewise.runs.plan import plan
from tests.runs import measured

MIB = 2**20
OPTIONS: dict[str, Any] = {"memory": 700 * MIB, "workers": 2, "executor": "threads"}
NUCLEI: list[Any] = [("filters.gaussian", {"sigma": 2}), "filters.threshold_otsu", "measure.label"]
RECIPES: dict[str, tuple[int, Any]] = {
    "pointwise": (4096, "exposure.adjust_gamma"),
    "neighbourhood": (4096, ("filters.gaussian", {"sigma": 6})),
    "statistic": (4096, "exposure.equalize_hist"),
    "connected": (4096, ["filters.threshold_otsu", "measure.label"]),
    "geometry": (3072, ("transform.rotate", {"angle": 30, "resize": True})),
    "iterative": (2048, ("restoration.denoise_tv_chambolle", {"max_num_iter": 4})),
    "whole": (1536, ("filters.butterworth", {"cutoff_frequency_ratio": 0.1})),
    "kept on disk": (3072, NUCLEI),
    "kept in memory": (2048, NUCLEI),
    "table": (2048, [*NUCLEI, ("measure.regionprops_table", {"properties": ("label", "area")})]),
}
"""Length of a side, and what is run on it; by kind."""

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="/proc tells the peak of one process alone"
)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return what makes a source of a photograph, mirrored up to a side's length."""
    folder = tmp_path_factory.mktemp("source")
    made: dict[int, str] = {}

    def make(side: int) -> str:
        if side not in made:
            moon = data.camera().astype(np.uint16) * 257
            image = np.pad(moon, [(0, side - n) for n in moon.shape], mode="symmetric")
            path = folder / f"{side}.zarr"
            zarr.create_array(path, data=image, chunks=(512, 512), dimension_names=("y", "x"))
            made[side] = str(path)
        return made[side]

    return make


def test_every_kind_is_measured() -> None:
    steps = [recipe if isinstance(recipe, list) else [recipe] for _, recipe in RECIPES.values()]
    names = {step if isinstance(step, str) else step[0] for recipe in steps for step in recipe}
    assert {OPERATIONS[name].kind for name in names} == set(Kind)


@pytest.mark.parametrize(("kind", "in_memory"), [("kept on disk", False), ("kept in memory", True)])
def test_results_are_kept_there(
    kind: str, in_memory: bool, source: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "napari_tilewise.runs.planner.resident", lambda: 200 * MIB
    )  # as a child has
    side, recipe = RECIPES[kind]
    made = plan(recipe, source(side), **OPTIONS, resume=not in_memory)
    assert {one.in_memory for one in made.decisions if one.keep} == {in_memory}


@pytest.mark.slow
@pytest.mark.parametrize("kind", RECIPES)
def test_stated_is_never_less_than_taken(
    kind: str, children: Any, source: Any, tmp_path: Path, record_property: Any
) -> None:
    side, recipe = RECIPES[kind]
    resume = kind != "kept in memory"
    options = {**OPTIONS, "resume": resume}
    suffix = "csv" if kind == "table" else "ome.zarr"
    answer, told = children.Pipe(duplex=False)
    arguments = (told, recipe, source(side), str(tmp_path / f"a.{suffix}"), options)
    process = children.Process(target=measured.run, args=arguments)
    process.start()
    told.close()
    stated, peak, before = answer.recv()
    process.join()
    for name, value in {"stated": stated, "peak": peak, "before": before}.items():
        record_property(name, value)
    assert peak <= stated <= 700 * MIB
    assert peak - before > 10 * MIB  # the run did take memory: there was something to measure


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "budget"), [("threading", 500), ("loky", 1000)])
def test_a_batch_has_one_budget(
    backend: str, budget: int, children: Any, source: Any, tmp_path: Path, record_property: Any
) -> None:
    """Large items are tiled, and those in work together share what the batch may take."""
    sources = {f"item {number}": source(3072) for number in range(3)}
    options = {"memory": budget * MIB, "n_jobs": 2, "backend": backend}
    here, there = children.Pipe()
    step = ("filters.gaussian", {"sigma": 6})
    args = (there, step, sources, str(tmp_path / "made"), options)
    process = children.Process(target=measured.batch, args=args)
    process.start()
    there.close()
    done, most = here.recv()
    process.join()
    record_property("most_mib", most // MIB)
    assert done == len(sources)
    assert most <= budget * MIB


@pytest.mark.slow
def test_results_that_grow_with_objects_keep_to_the_statement(
    children: Any, tmp_path: Path, record_property: Any
) -> None:
    """Half a million objects: their table, its file and its checkpoint are part of the peak."""
    image = np.zeros((4096, 4096), np.uint8)
    image[1::6, 1::6] = 1
    zarr.create_array(tmp_path / "a.zarr", data=image, chunks=(512, 512))
    recipe = ["measure.label", ("measure.regionprops_table", {"properties": ("label", "centroid")})]
    receiver, sender = children.Pipe(duplex=False)
    arguments = (sender, recipe, str(tmp_path / "a.zarr"), str(tmp_path / "a.csv"), OPTIONS)
    process = children.Process(target=measured.run, args=arguments)
    process.start()
    sender.close()
    stated, peak, before = receiver.recv()
    process.join()
    for name, value in {"stated": stated, "peak": peak, "before": before}.items():
        record_property(name, value)
    assert peak <= stated <= 700 * MIB
