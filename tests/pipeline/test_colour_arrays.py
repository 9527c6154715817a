"""Colour arrays without names of axes run as `apply` does, whoever computes the tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import napari_tilewise as tw
from napari_tilewise.engine.session import Session
from napari_tilewise.pipeline.bind import bind_recipe, recipe_images
from napari_tilewise.recipe import Recipe
from napari_tilewise.recipe.step import Step
from tests.executors.pickled_pool import Pickled

if TYPE_CHECKING:
    from pathlib import Path

RGB = np.random.default_rng(0).integers(0, 255, (96, 128, 3)).astype(np.uint8)
RGBA = np.concatenate([RGB, RGB[..., :1]], -1)
PICTURES = {"color.rgb2gray": RGB, "color.rgb2hsv": RGB, "color.rgb2hed": RGB,
            "color.rgba2rgb": RGBA, "segmentation.slic": RGB[:48, :48]}  # fmt: skip


@pytest.mark.parametrize("name", PICTURES)
def test_tiles_of_other_processes_are_those_of_the_plan(name: str, tmp_path: Path) -> None:
    picture, out = PICTURES[name], tmp_path / "a.npy"
    tw.run(name, picture, out, executor=Pickled(), memory="4 GiB")
    np.testing.assert_array_equal(np.load(out), tw.apply(name, picture))


@pytest.mark.parametrize("name", PICTURES)
def test_tiles_without_the_channels_are_bound(name: str) -> None:
    images = recipe_images(Recipe.of(name), PICTURES[name], {})
    pipeline = bind_recipe(Recipe.of(name), images, Session(1), tiles=(16, 24))
    assert pipeline.last.node_grid.tile == (16, 24)


def test_tiles_without_implied_channels_are_bound() -> None:
    recipe = Recipe(
        [Step("segmentation.mark_boundaries", inputs={"label_img": "labels"})], ["labels"]
    )
    labels = np.ones(RGB.shape[:2], np.int64)
    pipeline = bind_recipe(
        recipe, recipe_images(recipe, RGB, {"labels": labels}), Session(1), tiles=(16, 24)
    )
    assert pipeline.last.node_grid.tile == (16, 24)


def test_a_written_picture_has_a_channel_axis(tmp_path: Path) -> None:
    result = tw.run("color.rgb2hsv", RGB, tmp_path / "a.ome.zarr", executor="serial",
                    memory="4 GiB")  # fmt: skip
    image = tw.open(result.path)
    assert image.axes == ("c", "y", "x")
    np.testing.assert_array_equal(np.moveaxis(image.data[:], 0, -1), tw.apply("color.rgb2hsv", RGB))


def test_a_batch_of_pictures(tmp_path: Path) -> None:
    report = tw.batch("color.rgb2gray", [RGB, RGB[:50]], tmp_path / "out", backend="serial")
    assert [row["status"] for row in report.rows] == ["done", "done"]
