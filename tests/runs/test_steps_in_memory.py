"""A small image goes through a recipe in one call per step, with the bits of the pipeline."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from skimage import data

import napari_tilewise as tw
from napari_tilewise.engine.at_once import step_at_once, whole_image
from napari_tilewise.engine.at_once.bound_call import SMALL
from napari_tilewise.engine.at_once.step_at_once import image_of_step
from napari_tilewise.engine.session import Session
from napari_tilewise.engine.source import ArraySource
from napari_tilewise.pipeline.bind import Pipeline, bind_recipe, recipe_images
from napari_tilewise.recipe import Step
from napari_tilewise.runs import small_run, steps_in_memory
from napari_tilewise.runs.steps_in_memory import (
    AT_ONCE,
    SmallImage,
    computed_in_memory,
    note_time,
)

if TYPE_CHECKING:
    from pathlib import Path

COINS = data.coins()[:120, :150]
WAVES = np.sin(np.arange(90 * 100).reshape(90, 100) / 97).astype(np.float32)
NAN = np.where(WAVES > 0.99, np.float32(np.nan), WAVES)

RECIPES: dict[str, Any] = {
    "labels": [("filters.gaussian", {"sigma": 2}), "filters.threshold_otsu", "measure.label"],
    "pinned": [("filters.median", {}), ("filters.unsharp_mask", {"radius": 2})],
    "local": ["filters.threshold_local"],
    "triangle": ["filters.threshold_triangle", "segmentation.clear_border"],
    "variation": [("restoration.denoise_tv_chambolle", {"max_num_iter": 5})],
    "objects": [
        "filters.threshold_li",
        ("morphology.remove_small_holes", {"max_size": 9}),
        ("morphology.binary_opening", {}),
        "measure.label",
        ("segmentation.expand_labels", {"distance": 3}),
    ],
    "shape": [("transform.rescale", {"scale": 0.5}), "filters.sobel"],
    "two images": [
        ("filters.median", {}),
        Step("filters.threshold_otsu", name="mask"),
        Step("measure.label", name="markers"),
        Step(
            "segmentation.watershed",
            inputs={"image": "source", "markers": "markers", "mask": "mask"},
        ),
    ],
}


def bound(recipe: Any, image: np.ndarray) -> Pipeline:
    recipe = tw.Recipe.of(recipe)
    return bind_recipe(recipe, recipe_images(recipe, image, None), Session(workers=1))


@pytest.mark.parametrize("image", [COINS, COINS.astype(np.uint16), WAVES], ids=["u1", "u2", "f4"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_bits_are_those_of_the_pipeline(recipe: str, image: np.ndarray) -> None:
    pipeline = bound(RECIPES[recipe], image)
    small = computed_in_memory(pipeline, image)
    assert small is not None
    pulled = pipeline.on(ArraySource(image))
    expected = pulled.last.read(tuple(slice(0, n) for n in pulled.last.shape))
    np.testing.assert_array_equal(small.pixels, expected, strict=True)
    assert small.values.keys() == pulled.recorded().keys()
    for name, value in pulled.recorded().items():
        np.testing.assert_array_equal(small.values[name], value, strict=True)


@pytest.mark.parametrize(
    ("recipe", "image"),
    [
        ("filters.threshold_otsu", NAN),  # refused: the pipeline says why
        (
            "restoration.unwrap_phase",
            WAVES,
        ),  # takes the whole image, of which there may be too much
        ("filters.threshold_multiotsu", COINS.astype(np.uint16)),  # its table is larger
        ("color.rgb2gray", np.stack([COINS] * 3, -1)),
    ],
)
def test_what_has_to_be_pulled_is_left_to_the_pipeline(recipe: str, image: np.ndarray) -> None:
    assert computed_in_memory(bound(recipe, image), image) is None


def test_steps_on_later_images_are_calls_like_those_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small = COINS[:60, :70].copy()
    pipeline = bound(RECIPES["labels"], small)
    first = computed_in_memory(pipeline, small)
    for name in ("image_of_one_tile", "computed_at_once"):
        module = step_at_once if name == "computed_at_once" else steps_in_memory
        monkeypatch.setattr(module, name, None)
    later = computed_in_memory(pipeline, small[::-1].copy())
    assert first is not None
    assert later is not None
    assert later.values == first.values


def test_a_kernel_beside_others_uses_one_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    large = np.tile(COINS, (3, 3))
    assert large.size > SMALL
    monkeypatch.setattr(whole_image, "_threads", None)  # what would use them all
    call = bound("measure.label", large).stacks[0]
    assert image_of_step(call.call, large, {}, call.part) is not None


def test_a_step_that_an_interrupt_would_wait_for_is_pulled() -> None:
    large, results = np.tile(COINS, (4, 4)), list[bool]()
    pipeline = bound("filters.gaussian", large)

    def compute() -> None:
        results.append(computed_in_memory(pipeline, large) is None)

    compute()
    thread = threading.Thread(target=compute)
    thread.start()
    thread.join(60)
    note_time(pipeline, 2 * AT_ONCE)
    compute()
    assert results == [True, False, True]
    note_time(pipeline, AT_ONCE / 2)  # of another image of this shape
    compute()
    assert results[-1] is False


@pytest.mark.parametrize("backend", ["threading", "serial"])
def test_items_of_a_batch_are_computed_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    results: list[SmallImage | None] = []

    def counted(pipeline: Pipeline, pixels: np.ndarray) -> SmallImage | None:
        results.append(computed_in_memory(pipeline, pixels))
        return results[-1]

    monkeypatch.setattr(small_run, "computed_in_memory", counted)
    for number in range(4):
        tifffile.imwrite(tmp_path / f"{number}.tif", np.roll(COINS, number))
    report = tw.batch(RECIPES["labels"], tmp_path, tmp_path / "out", backend=backend, n_jobs=2)
    assert report.done == 4
    assert len(results) == 4
    assert None not in results
