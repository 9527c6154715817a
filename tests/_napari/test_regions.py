"""A region limits an operation, a measurement or, through the recipe, a batch."""

from __future__ import annotations

import threading

import dask.array as da
import numpy as np
import pytest
import skimage as ski
from skimage import data
from tests._napari.conftest import TIMEOUT

import napari_tilewise as tw
from napari_tilewise._napari.layers import layer_record, object_table
from napari_tilewise._napari.layers.regions import region_of
from napari_tilewise._napari.preview.outlines import outlines
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


OUTLINES = {
    "polygon": np.array([[40, 60], [150, 80], [120, 200], [60, 150]], float),
    "ellipse": RECTANGLE,
    "rectangle": np.array([[40, 130], [95, 60], [150, 130], [95, 200]], float),
}


def drawn(kind):
    """Return where scikit-image draws an outline."""
    if kind == "ellipse":
        centre, (rows, columns) = RECTANGLE.mean(axis=0), np.ogrid[:303, :384]
        radii = np.ptp(RECTANGLE, axis=0) / 2
        y, x = rows - centre[0], columns - centre[1]
        return (y / radii[0]) ** 2 + (x / radii[1]) ** 2 <= 1
    return ski.draw.polygon2mask(COINS.shape, OUTLINES[kind])


@pytest.mark.parametrize(
    ("kind", "is_lazy"),
    [("polygon", True), ("ellipse", False), ("rectangle", False), ("labels", True)],
)
def test_objects_are_measured_inside_the_outline(viewer, panel, coins, run, kind, is_lazy):
    labels = ski.measure.label(ski.morphology.remove_small_objects(COINS > 110, max_size=60))
    data = da.from_array(labels, chunks=100) if is_lazy else labels
    layer = viewer.add_labels(data, name="labels", scale=SCALE, translate=TRANSLATE)
    if kind == "labels":
        inside = drawn("polygon")[::2, ::3]
        region = viewer.add_labels(inside.astype(int), scale=np.multiply(SCALE, (2, 3)),
                                   translate=TRANSLATE)  # fmt: skip
        steps = ((303, 2), (384, 3))
        rows, columns = (np.floor(np.arange(n) / step + 0.5).astype(int) for n, step in steps)
        inside = inside[np.ix_(rows.clip(0, 151), columns.clip(0, 127))]
    else:
        inside = drawn(kind)
        region = draw(viewer, OUTLINES[kind], kind)
    panel.target.layer_box.value = layer
    panel.target.region_box.value = region
    measured = run("measure.regionprops_table", layer=layer, intensity_image=coins,
                   properties=("label", "num_pixels", "intensity_mean"))  # fmt: skip
    expected = ski.measure.regionprops_table(
        labels * inside, COINS, properties=("label", "num_pixels", "intensity_mean")
    )
    table = object_table.of(measured)
    for name, column in expected.items():
        np.testing.assert_array_equal(table.columns[name], column)
    operations = [step.operation for step in layer_record.of(measured).recipe.steps]
    assert operations[:2] == ["util.crop", "numpy.multiply"]


def test_the_inside_of_a_path_is_its_box_and_the_panel_says_so(viewer, panel, coins, qtbot):
    layer = viewer.add_labels(ski.measure.label(COINS > 110), scale=SCALE, translate=TRANSLATE)
    region = draw(viewer, RECTANGLE, "path")
    panel.target.layer_box.value = layer
    panel.target.region_box.value = region
    panel.choose("measure.regionprops_table")
    panel.form.set_values({"properties": ("label",)})
    panel.run()
    qtbot.waitUntil(lambda: not panel.runner.is_running, timeout=TIMEOUT)
    assert "its inside is not known" in panel.message.text()
    expected = np.unique(layer.data[PART])
    measured = viewer.layers[-1]
    np.testing.assert_array_equal(object_table.of(measured).labels, expected[expected > 0])


def test_a_further_image_is_cropped_too_and_the_recipe_gives_the_same(viewer, panel, coins, run):
    other = viewer.add_image(COINS[::-1], name="other", scale=SCALE, translate=TRANSLATE)
    region = draw(viewer, RECTANGLE)
    panel.target.layer_box.value = coins
    panel.target.region_box.value = region
    result = run("numpy.add", layer=coins, x2=other)
    expected = COINS[PART] + other.data[PART]
    np.testing.assert_array_equal(result.data, expected)
    recipe = layer_record.of(result).recipe
    (replayed,) = apply_recipe(recipe, COINS, inputs=dict.fromkeys(recipe.inputs, other.data))
    np.testing.assert_array_equal(replayed.value, expected)


def test_lazy_labels_are_read_once_and_off_the_windows_thread(viewer, panel, coins, run):
    painted = np.zeros(COINS.shape, np.uint8)
    painted[40, 60], painted[150, 200] = 1, 2
    reads, lock = [], threading.Lock()

    def counted(block):
        with lock:
            reads.append(threading.current_thread())
        return block

    lazy = da.from_array(painted, chunks=101).map_blocks(counted, meta=np.empty((0, 0), np.uint8))
    viewer.layers.clear()
    layer = viewer.add_image(COINS, name="coins", scale=SCALE, translate=TRANSLATE)
    region = viewer.add_labels(lazy, scale=SCALE, translate=TRANSLATE, visible=False)
    viewer.layers.selection.active = layer
    panel.target.region_box.value = region
    reads.clear()
    check_crop(run("filters.median", layer=layer), ski.filters.median(COINS[PART]))
    assert len(reads) == lazy.npartitions
    assert threading.main_thread() not in reads


def test_the_preview_shows_the_region(viewer, panel, coins, qtbot):
    region = draw(viewer, RECTANGLE)
    viewer.layers.selection.active = coins
    panel.choose("filters.threshold_otsu")
    panel.target.region_box.value = region
    panel.preview.bar.on.setChecked(True)
    panel.preview.resume()
    qtbot.waitUntil(lambda: panel.preview.shown.is_shown, timeout=TIMEOUT)
    shown = panel.preview.shown.layer
    corner = np.array([PART[0].start, PART[1].start])
    np.testing.assert_allclose(shown.translate, corner * SCALE + TRANSLATE)
    part = COINS[PART]
    expected = outlines(part > ski.filters.threshold_otsu(part))
    np.testing.assert_array_equal(shown.data, expected)
    panel.preview.bar.on.setChecked(False)


def test_the_preview_says_that_slow_labels_are_left_out_until_their_box_is_found(
    viewer, panel, coins, run, qtbot
):
    painted = np.zeros(COINS.shape, np.uint8)
    painted[40, 60], painted[150, 200] = 1, 2
    lazy = da.from_array(painted, chunks=101)
    region = viewer.add_labels(lazy, name="cells", scale=SCALE, translate=TRANSLATE)
    viewer.layers.selection.active = coins
    panel.choose("filters.gaussian")
    panel.target.region_box.value = region
    panel.preview.bar.on.setChecked(True)
    panel.preview.resume()
    qtbot.waitUntil(lambda: panel.preview.shown.is_shown, timeout=TIMEOUT)
    assert panel.preview.shown.layer.data.shape == COINS.shape
    assert "The region 'cells' is not applied" in panel.preview.bar.note.text()
    check_crop(run("filters.gaussian", layer=coins), ski.filters.gaussian(COINS[PART]))
    viewer.layers.pop()
    panel.form.set_values({"sigma": 2})
    shape = COINS[PART].shape
    qtbot.waitUntil(lambda: panel.preview.shown.layer.data.shape == shape, timeout=TIMEOUT)
    qtbot.waitUntil(lambda: "not applied" not in panel.preview.bar.note.text(), timeout=TIMEOUT)
    panel.preview.bar.on.setChecked(False)


@pytest.mark.parametrize(
    ("vertices", "problem"),
    [
        (np.empty((0, 4, 2)), "is empty"),
        (RECTANGLE[None] + 5000, "lies beside 'coins'"),
        (RECTANGLE[None] * 0 + 15, "has no area"),
        (RECTANGLE[None] * (0, 1) + (15, 0), "has no area"),
    ],
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
