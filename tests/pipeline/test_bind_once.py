"""Parameters are bound once per step, and a pipeline is built at most twice."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zarr
from skimage import data

import napari_tilewise as tw
from napari_tilewise.errors import MemoryBudgetExceeded
from napari_tilewise.operations.spec.operation import Operation
from napari_tilewise.pipeline import bind
from napari_tilewise.pipeline.apply_recipe import apply_recipe
from napari_tilewise.runs.tile_time import WORTHWHILE

if TYPE_CHECKING:
    from pathlib import Path

STEPS = [("filters.gaussian", {"sigma": 2}), "filters.threshold_otsu", "measure.label"]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count how often parameters are bound, and steps built."""
    calls: Counter[str] = Counter()

    def counted(owner: Any, name: str) -> None:
        function = getattr(owner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            calls[name] += 1
            return function(*args, **kwargs)

        monkeypatch.setattr(owner, name, call)

    counted(Operation, "bind")
    counted(bind, "build")
    return calls


def assert_bound_once(calls: Counter[str]) -> None:
    """Tell that each of the steps was bound once, and the pipeline built twice at most."""
    assert calls["bind"] == len(STEPS)
    assert len(STEPS) <= calls["build"] <= 2 * len(STEPS)


@pytest.fixture
def source(tmp_path: Path) -> str:
    array = zarr.create_array(
        str(tmp_path / "coins.zarr"), shape=data.coins().shape, chunks=(64, 64), dtype="uint8"
    )
    array[:] = data.coins()
    return str(tmp_path / "coins.zarr")


def test_a_plan(calls: Counter[str], source: str) -> None:
    tw.plan(STEPS, source)
    assert_bound_once(calls)


def test_a_plan_that_no_tile_fits(calls: Counter[str], source: str) -> None:
    with pytest.raises(MemoryBudgetExceeded):
        tw.plan(STEPS, source, memory="1 MiB")
    assert_bound_once(calls)


def test_a_run(calls: Counter[str], source: str, tmp_path: Path) -> None:
    tw.run(STEPS, source, tmp_path / "labels.ome.zarr")
    assert_bound_once(calls)


def test_a_run_of_an_image_whose_pace_is_measured(calls: Counter[str], tmp_path: Path) -> None:
    path = str(tmp_path / "large.zarr")
    pixels = np.tile(data.coins(), (3, 3))
    assert pixels.size > WORTHWHILE
    zarr.create_array(path, data=pixels, chunks=(256, 256))
    tw.run(STEPS, path, tmp_path / "labels.ome.zarr")
    assert_bound_once(calls)
    assert calls["build"] == 2 * len(STEPS)  # for the image, and for the window that is timed


def test_a_recipe_in_memory(calls: Counter[str]) -> None:
    apply_recipe(tw.Recipe(STEPS), data.coins())
    assert_bound_once(calls)


def test_a_recipe_binds_nothing_for_further_images(calls: Counter[str]) -> None:
    recipe = tw.Recipe(STEPS)
    for image in (data.coins(), data.camera()):
        apply_recipe(recipe, image)
    assert calls["bind"] == len(STEPS)
