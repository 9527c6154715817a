"""A region limits an operation, a measurement or, through the recipe, a batch."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import skimage as ski
from skimage import data

import napari_tilewise as tw
from napari_tilewise._napari.layers import layer_record, object_table
from napari_tilewise._napari.layers.regions import region_of
from napari_tilewise.pipeline.apply_recipe import apply_recipe

pytestmark = pytest.mark.gui

COINS = data.coins()
PART = np.s_[40:151, 60:201]
RECTANGLE = np.array([[39.6, 59.7], [39.6, 200.3], [150.2, 200.3], [150.2, 59.7]])
"""In pixels; the centres of those of `PART` are in it."""
SCALE, TRANSLATE = (0.5, 0.25), (10, -20)


@pytest.fixture
def coins(viewer):
    return viewer.add_image(COINS, name="coins", contrast_limits=(0, 255), scale=SCALE,
                            translate=TRANSLATE)  # fmt: skip


def draw(viewer, vertices, kind="rectangle"):
    """Draw a shape over the coins, in world coordinates."""
    world = vertices * SCALE + TRANSLATE
    return viewer.add_shapes([world], shape_type=kind, name="here")


def check_crop(layer, expected):
    np.testing.assert_array_equal(np.asarray(layer.data), expected)
    np.testing.assert_allclose(layer.scale, SCALE)
    corner = np.array([PART[0].start, PART[1].start])
    np.testing.assert_allclose(layer.translate, corner * SCALE + TRANSLATE)


def test_a_rectangle_crops_exactly(viewer, panel, coins, run):
    region = draw(viewer, RECTANGLE)
    panel.target.region_box.value = region
    result = run("filters.threshold_otsu", layer=coins)
    part = COINS[PART]
    check_crop(result, part > ski.filters.threshold_otsu(part))


def test_the_recipe_crops_too(viewer, panel, coins, run):
    panel.target.region_box.value = draw(viewer, RECTANGLE)
    result = run("filters.gaussian", layer=coins, sigma=3)
    expected = ski.filters.gaussian(COINS[PART], sigma=3)
    check_crop(result, expected)
    recipe = layer_record.of(result).recipe
    assert [step.operation for step in recipe.steps] == ["util.crop", "filters.gaussian"]
    (replayed,) = apply_recipe(tw.Recipe.from_dict(recipe.to_dict()), COINS)
    np.testing.assert_array_equal(replayed.value, expected)


def test_a_lazy_stack_is_limited_along_the_displayed_axes(viewer, panel, run):
    stack = np.stack([COINS, COINS[::-1]])
    layer = viewer.add_image(da.from_array(stack, chunks=(1, 64, 64)), contrast_limits=(0, 255),
                             axis_labels=("t", "y", "x"))  # fmt: skip
    region = viewer.add_shapes([RECTANGLE], shape_type="rectangle")
    viewer.dims.set_point(0, 1)
    panel.target.region_box.value = region
    result = run("filters.gaussian", layer=layer)
    expected = np.stack([ski.filters.gaussian(plane[PART]) for plane in stack])
    assert isinstance(result.data, da.Array)
    np.testing.assert_array_equal(np.asarray(result.data), expected)


def test_labels_are_a_region(viewer, panel, coins, run):
    painted = np.zeros(COINS.shape, np.uint8)
    painted[40, 60], painted[150, 200] = 1, 2
    region = viewer.add_labels(painted, scale=SCALE, translate=TRANSLATE)
    viewer.layers.selection.active = coins
    panel.target.region_box.value = region
    check_crop(run("filters.median", layer=coins), ski.filters.median(COINS[PART]))


def test_a_measurement_counts_what_is_in_the_region(viewer, panel, coins, run):
    mask = ski.morphology.remove_small_objects(COINS > 110, max_size=60)
    labels = ski.measure.label(mask)
    layer = viewer.add_labels(labels, name="labels", scale=SCALE, translate=TRANSLATE)
    panel.target.region_box.value = draw(viewer, RECTANGLE)
    measured = run("measure.regionprops_table", layer=layer, properties=("label", "area"))
    table, expected = object_table.of(measured), np.unique(labels[PART])
    np.testing.assert_array_equal(table.labels, expected[expected > 0])
    assert object_table.of(layer) is None  # the whole layer was not measured
    check_crop(measured, labels[PART])


@pytest.mark.parametrize(
    ("vertices", "problem"),
    [(np.empty((0, 4, 2)), "is empty"), (RECTANGLE[None] + 5000, "lies beside 'coins'")],
)
def test_a_region_that_holds_no_pixel_is_refused(viewer, panel, coins, vertices, problem):
    region = viewer.add_shapes(list(vertices), shape_type="rectangle", name="here")
    panel.target.layer_box.value = coins
    panel.target.region_box.value = region
    panel.run()
    assert problem in panel.message.text()
    assert not panel.runner.is_running


def test_selected_shapes_count_and_no_region_is_offered_without_one(viewer, panel, coins):
    assert not panel.target.region_box.native.isVisibleTo(panel)
    region = draw(viewer, RECTANGLE)
    region.add((RECTANGLE + 30) * SCALE + TRANSLATE, shape_type="polygon")
    region.selected_data = {1}
    viewer.layers.selection.active = coins
    assert panel.target.region_box.native.isVisibleTo(panel)
    assert region_of(region, coins, viewer) == {0: slice(70, 181), 1: slice(90, 231)}
