"""What was clicked is a recipe: replayed on the source it gives each layer's pixels again."""

from __future__ import annotations

import numpy as np
import pytest
import skimage as ski
from napari.layers import Labels

from napari_tilewise._napari.layers import layer_record, object_table
from napari_tilewise.pipeline.apply_recipe import apply_recipe
from napari_tilewise.provenance.fingerprint import fingerprint
from napari_tilewise.recipe import Recipe

pytestmark = pytest.mark.gui

COINS = ski.data.coins()


@pytest.fixture
def coins(viewer):
    return viewer.add_image(COINS, name="coins")


def stored(layer):
    return layer.metadata["napari-tilewise"]


def replay(layer, image, **inputs):
    record = layer_record.of(layer)
    results = apply_recipe(Recipe.from_dict(stored(layer)["recipe"]), image, inputs=inputs)
    return results[record.part or 0].value


def same(layer, image, **inputs):
    """Compare a layer with its recipe's result, type included but for how napari shows it."""
    record, expected = layer_record.of(layer), replay(layer, image, **inputs)
    found = np.asarray(layer.data)
    if record.channels_first:
        found = np.moveaxis(found, 0, -1)
    if record.is_mask:
        assert expected.dtype == bool
        expected = expected.astype(np.uint8)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def operations(layer):
    return [step.operation for step in layer_record.of(layer).recipe.steps]


def test_clicks_become_steps_from_the_first_image(coins, run):
    for name, params in (
        ("filters.gaussian", {"sigma": 2}),
        ("filters.threshold_otsu", {}),
        ("measure.label", {}),
    ):
        made = run(name, **params)
        same(made, COINS)
    assert operations(made) == ["filters.gaussian", "filters.threshold_otsu", "measure.label"]
    assert stored(made)["source"] == {"name": "coins", "id": str(coins.unique_id)}
    assert dict(layer_record.of(made).recipe.steps[0].parameters) == {"sigma": 2}
    smooth = ski.filters.gaussian(COINS, sigma=2)
    expected = ski.measure.label(smooth > ski.filters.threshold_otsu(smooth))
    np.testing.assert_array_equal(made.data, expected)


def test_provenance_tells_the_source_and_the_versions(coins, run):
    run("filters.gaussian", sigma=2)
    told = stored(run("filters.threshold_otsu"))["provenance"]
    assert told["source"]["name"] == "coins"
    assert told["source"]["shape"] == list(COINS.shape)
    assert told["source"]["fingerprint"] == fingerprint(COINS)
    assert told["versions"]["scikit-image"] == ski.__version__


def test_a_renamed_source_is_still_the_source(viewer, coins, run):
    made = run("filters.gaussian")
    coins.name = "something else"
    assert layer_record.of(made).source.find(viewer.layers) is coins
    viewer.layers.remove(coins)
    assert layer_record.of(made).source.find(viewer.layers) is None


def test_a_source_opened_again_is_found_by_its_file(viewer, run, tmp_path):
    path = tmp_path / "coins.png"
    ski.io.imsave(path, COINS)
    (first,) = viewer.open(path, plugin="napari")
    made = run("filters.gaussian")
    assert stored(made)["source"]["path"] == str(path)
    viewer.layers.remove(first)
    (again,) = viewer.open(path, plugin="napari")
    assert layer_record.of(made).source.find(viewer.layers) is again


def test_masks_go_on_as_booleans(coins, run):
    mask = run("filters.threshold_otsu")
    assert mask.data.dtype == np.uint8
    made = run("util.invert")
    np.testing.assert_array_equal(made.data, COINS <= ski.filters.threshold_otsu(COINS))
    same(made, COINS)


def test_a_mask_that_an_operation_takes_for_labels_is_a_new_beginning(coins, run):
    mask = run("filters.threshold_otsu")
    assert run("measure.regionprops_table", properties=("label", "area")) is None
    record = object_table.of(mask).recipe
    assert [step.operation for step in record.recipe.steps] == ["measure.regionprops_table"]
    assert record.source.name == mask.name
    assert mask.features["area"].tolist()[1:] == [np.count_nonzero(mask.data)]
    assert operations(mask) == ["filters.threshold_otsu"], "the mask has its own recipe"


def test_volume_plane_by_plane(viewer, run, panel):
    volume = np.random.default_rng(0).random((5, 40, 50))
    layer = viewer.add_image(volume, name="volume")
    first = run("filters.gaussian", sigma=2)
    made = run("filters.sobel")
    assert [step.spatial for step in layer_record.of(made).recipe.steps] == [(-2, -1)] * 2
    same(first, volume)
    same(made, volume)
    panel.target.layer_box.value = layer
    panel.target.process_box.value = "volume"
    whole = run("filters.gaussian", layer, sigma=(1, 2, 2))
    assert layer_record.of(whole).recipe.steps[0].spatial is None
    same(whole, volume)


def test_named_axes_are_recorded_by_their_letters(viewer, run):
    stack = np.random.default_rng(0).random((2, 3, 40, 50))
    viewer.add_image(stack, name="stack", axis_labels=("t", "c", "y", "x"))
    made = run("filters.gaussian", sigma=2)
    assert layer_record.of(made).recipe.steps[0].spatial == "yx"
    same(made, stack)
    turned = np.moveaxis(np.concatenate(stack), 0, -1)
    viewer.add_image(turned, name="turned", axis_labels=("y", "x", "t"))
    made = run("filters.gaussian", sigma=2)
    assert layer_record.of(made).recipe.steps[0].spatial == (-3, -2)
    same(made, turned)


def test_colours(viewer, run):
    cat = ski.data.cat()
    viewer.add_image(cat, name="cat")
    smooth = run("filters.gaussian", sigma=2)
    assert dict(layer_record.of(smooth).recipe.steps[0].parameters) == {
        "sigma": 2,
        "channel_axis": -1,
    }
    same(smooth, cat)
    mask = run("filters.threshold_otsu")
    assert mask.data.shape == (3, *cat.shape[:2])
    same(mask, cat)
    labels = run("measure.label")
    assert labels.data.shape == (3, *cat.shape[:2])
    same(labels, cat)
    gray = run("color.rgb2gray", smooth)
    assert not layer_record.of(gray).recipe.steps[-1].parameters
    same(gray, cat)
    same(run("filters.threshold_otsu", gray), cat)


def test_a_further_image_of_the_same_source_brings_its_steps(viewer, coins, run):
    smooth = run("filters.gaussian", coins, sigma=1)
    mask = run("filters.threshold_otsu", smooth)
    edges = run("filters.sobel", smooth)
    eroded = run("morphology.erosion", mask)
    markers = run("measure.label", eroded)
    made = run("segmentation.watershed", edges, markers=markers, mask=mask)
    same(made, COINS)
    names = operations(made)
    assert sorted(names) == sorted(
        ["filters.gaussian", "filters.sobel", "filters.threshold_otsu", "morphology.erosion",
         "measure.label", "segmentation.watershed"]
    )  # fmt: skip
    assert "inputs" not in stored(made)


def test_a_step_on_the_source_itself_with_what_was_result_of_it(coins, run):
    mask = run("filters.threshold_otsu", coins)
    labels = run("measure.label", mask)
    made = run("segmentation.watershed", coins, markers=labels, mask=mask)
    same(made, COINS)
    assert operations(made)[-1] == "segmentation.watershed"
    assert len(operations(made)) == 3


def test_a_table_with_the_source_as_intensities(coins, run):
    labels = run("measure.label", run("filters.threshold_otsu", coins))
    run(
        "measure.regionprops_table", labels, properties=("label", "intensity_mean"),
        intensity_image=coins,
    )  # fmt: skip
    recipe = object_table.of(labels).recipe.recipe
    assert recipe.steps[-1].inputs == {"intensity_image": "source"}
    (expected,) = apply_recipe(recipe, COINS)
    np.testing.assert_array_equal(
        labels.features["intensity_mean"][1:], expected.value["intensity_mean"]
    )
    grown = run("segmentation.expand_labels", labels, distance=3)
    assert "measure.regionprops_table" not in operations(grown)
    same(grown, COINS)


def test_another_image_is_an_input_with_a_name(viewer, coins, run):
    other = viewer.add_image(COINS[::-1].copy(), name="2nd image!")
    labels = run("measure.label", run("filters.threshold_otsu", coins))
    made = run("segmentation.watershed", other, markers=labels)
    assert layer_record.of(made).recipe.inputs == ("coins_Label",)
    assert layer_record.of(made).source.name == "2nd image!"
    same(made, other.data, coins_Label=labels.data)
    again = run("segmentation.watershed", made, markers=labels)
    assert layer_record.of(again).recipe.inputs == ("coins_Label",)
    same(again, other.data, coins_Label=labels.data)


def test_one_of_several_results_goes_on(viewer, coins, run):
    run("feature.corner_foerstner", coins, sigma=2.0)
    second = viewer.layers[-1]
    assert layer_record.of(second).part == 1
    same(second, COINS)
    made = run("filters.gaussian", second)
    assert layer_record.of(made).recipe.steps[1].inputs == {"image": "corner_foerstner[1]"}
    same(made, COINS)


def test_one_of_several_results_is_a_further_image(viewer, coins, run):
    run("feature.corner_foerstner", coins, sigma=2.0)
    first, second = viewer.layers[-2:]
    ways = (("corner_foerstner", first), ("corner_foerstner", second), ("gaussian", coins))
    for name, main in ways:  # with what it came with, with itself, with what knows nothing of it
        layer = run("filters.gaussian", coins) if name == "gaussian" else main
        made = run("util.compare_images", layer, image1=second, method="diff")
        recipe = layer_record.of(made).recipe
        assert recipe.inputs == ()
        assert recipe.steps[-1].inputs["image1"] == "corner_foerstner[1]"
        same(made, COINS)
    on_source = run("util.compare_images", coins, image1=second, method="diff")
    assert operations(on_source) == ["feature.corner_foerstner", "util.compare_images"]
    same(on_source, COINS)


def test_what_was_painted_on_begins_anew(viewer, coins, run):
    mask = run("filters.threshold_otsu", coins)
    mask.paint((10, 10), 2)
    assert layer_record.of(mask) is None
    assert "changed by hand" in layer_record.problem(mask)
    labels = run("measure.label", mask)
    assert operations(labels) == ["measure.label"]
    assert layer_record.of(labels).source.id == str(mask.unique_id)
    same(labels, np.asarray(mask.data))


def test_new_data_begin_anew(viewer, coins, run):
    smooth = run("filters.gaussian", coins)
    smooth.data = smooth.data[::-1].copy()
    assert layer_record.of(smooth) is None
    assert operations(run("filters.sobel", smooth)) == ["filters.sobel"]


def test_a_copy_of_a_layer_keeps_its_recipe_to_itself(viewer, coins, run):
    mask = run("filters.threshold_otsu", coins)
    data, state, kind = mask.as_layer_data_tuple()
    copy = viewer.add_layer(Labels(data.copy(), **{**state, "name": "copy"}))
    assert kind == "labels"
    assert layer_record.of(copy) == layer_record.of(mask)
    copy.paint((10, 10), 2)
    assert layer_record.of(copy) is None
    assert layer_record.of(mask) is not None


def test_an_unreadable_recipe_is_told_and_not_used(viewer, coins, run):
    smooth = run("filters.gaussian", coins)
    held = stored(smooth)
    step = {"operation": "filters.no_such_thing"}
    smooth.metadata = {"napari-tilewise": {**held, "recipe": {"version": 2, "steps": [step]}}}
    assert layer_record.of(smooth) is None
    assert "cannot be read" in layer_record.problem(smooth)
    assert operations(run("filters.sobel", smooth)) == ["filters.sobel"]


def test_lazy_results_and_pyramids(viewer, run):
    import dask.array as da

    stack = np.stack([np.roll(COINS, 10 * k, axis=0) for k in range(4)])
    viewer.add_image(da.from_array(stack, chunks=(1, 100, 100)), contrast_limits=(0, 255))
    run("filters.gaussian", sigma=2)
    mask = run("filters.threshold_otsu")
    made = run("measure.label", mask)
    same(made, stack)
    levels = [da.from_array(COINS[::s, ::s], chunks=64) for s in (1, 2)]
    viewer.add_image(levels, multiscale=True, name="pyramid", contrast_limits=(0, 255))
    run("filters.gaussian", sigma=2)
    made = run("filters.threshold_otsu")
    assert made.multiscale
    np.testing.assert_array_equal(np.asarray(made.data[0]), replay(made, COINS).astype(np.uint8))
