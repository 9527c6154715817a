"""Results are new layers of the right type, in the right place, named, with their recipe."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import skimage as ski
from napari.layers import Image, Labels, Points

from napari_tilewise import OPERATIONS
from napari_tilewise._napari.jobs import job_run
from napari_tilewise.recipe import Recipe

pytestmark = pytest.mark.gui

PLACED = {
    "scale": (0.5, 0.25),
    "translate": (10, 20),
    "rotate": 30,
    "shear": (0.2,),
    "affine": np.array([[1, 0.1, 3], [0, 1, 4], [0, 0, 1.0]]),
    "units": ("um", "um"),
    "axis_labels": ("y", "x"),
}


@pytest.fixture(scope="module")
def coins():
    return ski.data.coins()


@pytest.fixture
def source(viewer, coins):
    return viewer.add_image(coins, name="coins", colormap="magenta", **PLACED)


def same_location(one, other, *points):
    for point in points or ((0, 0), (100, 200)):
        np.testing.assert_allclose(one.data_to_world(point), other.data_to_world(point))
    assert one.units == other.units
    assert one.axis_labels == other.axis_labels


def test_image(source, run, coins):
    made = run("filters.gaussian", sigma=3)
    assert type(made) is Image
    assert made.name == "coins - Gaussian"
    np.testing.assert_array_equal(made.data, ski.filters.gaussian(coins, sigma=3))
    same_location(made, source)
    assert made.colormap.name == "magenta"
    low, high = made.contrast_limits
    assert 0 <= low < high <= 1
    stored = made.metadata["napari-tilewise"]
    assert stored["source"] == {"name": "coins", "id": str(source.unique_id)}
    (step,) = Recipe.from_dict(stored["recipe"]).steps
    name, params = step.operation, dict(step.parameters)
    assert name == "filters.gaussian"
    assert params["sigma"] == 3
    assert source.data is coins or np.array_equal(source.data, coins)


def test_names_are_unique(source, run):
    names = [run("filters.gaussian", source).name for _ in range(3)]
    assert names == ["coins - Gaussian", "coins - Gaussian [1]", "coins - Gaussian [2]"]


def test_threshold_gives_its_mask(source, run, coins):
    made = run("filters.threshold_otsu")
    assert type(made) is Labels
    np.testing.assert_array_equal(made.data > 0, coins > ski.filters.threshold_otsu(coins))
    same_location(made, source)


def test_labels_and_their_table(viewer, run, coins):
    mask = viewer.add_labels((coins > 120).astype(np.uint8), name="mask", **PLACED)
    made = run("measure.label")
    assert type(made) is Labels
    np.testing.assert_array_equal(made.data, ski.measure.label(mask.data))
    assert run("measure.regionprops_table", made, properties=("label", "area")) is None
    expected = ski.measure.regionprops_table(
        made.data, properties=("label", "area"), spacing=PLACED["scale"]
    )
    np.testing.assert_array_equal(made.features["area"][1:], expected["area"])
    np.testing.assert_array_equal(made.features["label"][1:], expected["label"])


def test_labels_stay_labels(viewer, run, coins):
    labels = ski.measure.label(coins > 120)
    layer = viewer.add_labels(labels, name="labels")
    made = run("morphology.remove_small_objects", max_size=100)
    assert type(made) is Labels
    np.testing.assert_array_equal(
        made.data, ski.morphology.remove_small_objects(labels, max_size=100)
    )
    same_location(made, layer)


def test_points(source, run, coins):
    made = run("feature.peak_local_max", min_distance=20)
    assert type(made) is Points
    expected = ski.feature.peak_local_max(coins, min_distance=20)
    assert sorted(map(tuple, made.data)) == sorted(map(tuple, expected))
    same_location(made, source)


@pytest.mark.parametrize(
    ("name", "params", "factor"),
    [
        ("transform.rescale", {"scale": 0.5}, 2),
        ("transform.downscale_local_mean", {"factors": (3, 3)}, 3),
    ],
)
def test_pixels_of_another_size_cover_the_same_place(source, run, coins, name, params, factor):
    made = run(name, **params)
    assert made.data.shape[0] < coins.shape[0]
    same_location(made, made)
    np.testing.assert_allclose(made.data_to_world((-0.5, -0.5)), source.data_to_world((-0.5, -0.5)))
    ends = [np.array(layer.data.shape) - 0.5 for layer in (made, source)]
    np.testing.assert_allclose(made.data_to_world(ends[0]), source.data_to_world(ends[1]))


def test_rgb_stays_rgb(viewer, run):
    cat = ski.data.cat()
    layer = viewer.add_image(cat, name="cat", scale=(2, 2))
    made = run("filters.gaussian", sigma=2)
    assert made.rgb
    np.testing.assert_array_equal(made.data, ski.filters.gaussian(cat, sigma=2, channel_axis=-1))
    same_location(made, layer)


def test_rgb_out_of_range_comes_as_channels(viewer, run):
    cat = ski.data.cat()
    viewer.add_image(cat, name="cat")
    made = run("filters.gaussian", sigma=2, preserve_range=True)
    assert not made.rgb
    assert made.data.shape == (3, *cat.shape[:2])
    assert made.ndim == 3


def test_rgb_to_gray(viewer, run):
    cat = ski.data.cat()
    layer = viewer.add_image(cat, name="cat", scale=(2, 3), axis_labels=("y", "x"))
    made = run("color.rgb2gray")
    assert not made.rgb
    np.testing.assert_array_equal(made.data, ski.color.rgb2gray(cat))
    same_location(made, layer)


def test_colours_that_are_not_there_are_asked_for(source, run, notes):
    assert run("color.rgb2gray") is None
    assert "needs colours" in notes[-1].message


def test_mask_of_rgb_has_channels_in_front(viewer, run):
    cat = ski.data.cat()
    layer = viewer.add_image(cat, name="cat", scale=(2, 3))
    made = run("filters.threshold_otsu")
    assert type(made) is Labels
    assert made.data.shape == (3, *cat.shape[:2])
    np.testing.assert_allclose(made.scale, (1, *layer.scale))


def test_time_and_channels_are_never_blurred(viewer, run, coins):
    stack = np.stack([coins, coins[::-1], coins[:, ::-1], 255 - coins]).reshape(2, 2, *coins.shape)
    viewer.add_image(stack, name="stack", axis_labels=("t", "c", "y", "x"))
    made = run("filters.gaussian", sigma=2)
    for index in np.ndindex(2, 2):
        np.testing.assert_array_equal(made.data[index], ski.filters.gaussian(stack[index], sigma=2))
    assert made.axis_labels == ("t", "c", "y", "x")


def test_plane_by_plane_or_volume(viewer, run, panel):
    volume = np.random.default_rng(0).random((8, 40, 50))
    layer = viewer.add_image(volume, name="volume")
    assert panel.target.process_box.choices == ("plane by plane", "volume")
    planes = run("filters.gaussian", sigma=2)
    np.testing.assert_array_equal(planes.data[3], ski.filters.gaussian(volume[3], sigma=2))
    panel.target.layer_box.value = layer
    panel.target.process_box.value = "volume"
    whole = run("filters.gaussian", layer, sigma=(1, 2, 2))
    np.testing.assert_array_equal(whole.data, ski.filters.gaussian(volume, sigma=(1, 2, 2)))


def test_contrast_follows_narrow_limits_of_the_input(viewer, run):
    data = np.random.default_rng(0).integers(100, 4000, (200, 200)).astype(np.uint16)
    viewer.add_image(data, name="dim", contrast_limits=(100, 4000))
    made = run("filters.gaussian", sigma=0.3)
    np.testing.assert_allclose(made.contrast_limits, (100 / 65535, 4000 / 65535), rtol=1e-6)


class Counted:
    """An array that counts what is read of it."""

    def __init__(self, array, chunks):
        self.array, self.shape, self.dtype, self.ndim = array, array.shape, array.dtype, array.ndim
        self.chunks = chunks
        self.read = 0

    def __getitem__(self, key):
        found = self.array[key]
        self.read += found.size
        return found


@pytest.fixture
def stack(coins):
    return np.stack([np.roll(coins, i * 10, axis=0) for i in range(12)])


def test_lazy_stays_lazy_and_adding_it_computes_nothing(viewer, run, panel, qtbot, stack):
    counted = Counted(stack, (1, *stack.shape[1:]))
    lazy = da.from_array(counted, chunks=counted.chunks, name=False)
    viewer.add_image(lazy, name="lazy", contrast_limits=(0, 255))
    viewer.dims.set_current_step(0, 5)
    counted.read = 0
    reads = []
    panel.runner.finished.connect(lambda *_: reads.append(counted.read))
    viewer.layers.events.inserted.connect(lambda _: reads.append(counted.read))
    made = run("filters.gaussian", sigma=2)
    assert isinstance(made.data, da.Array)
    assert counted.read == reads[0] == reads[-1], "adding the layer read pixels"
    assert counted.read <= 2 * stack[0].size, "more than the shown plane was computed"
    np.testing.assert_array_equal(np.asarray(made.data[7]), ski.filters.gaussian(stack[7], sigma=2))


def test_lazy_colours(viewer, run):
    cat = ski.data.cat()
    viewer.add_image(da.from_array(cat, chunks=(100, 100, 3)), rgb=True, name="cat")
    made = run("filters.gaussian", sigma=2)
    assert made.rgb
    assert isinstance(made.data, da.Array)
    expected = ski.filters.gaussian(cat, sigma=2, channel_axis=-1)
    np.testing.assert_array_equal(np.asarray(made.data), expected)


def test_a_chain_pulls_through_what_is_behind_a_lazy_layer(viewer, run, stack):
    viewer.add_image(da.from_array(stack, chunks=(1, 100, 100)), contrast_limits=(0, 255))
    run("filters.gaussian", sigma=1)
    made = run("filters.gaussian", sigma=2)
    once = ski.filters.gaussian(stack[4], sigma=1)
    np.testing.assert_array_equal(np.asarray(made.data[4]), ski.filters.gaussian(once, sigma=2))


def test_memory_maps_stay_on_disk(viewer, run, stack, tmp_path):
    np.save(tmp_path / "stack.npy", stack)
    viewer.add_image(np.load(tmp_path / "stack.npy", mmap_mode="r"), contrast_limits=(0, 255))
    assert isinstance(run("filters.gaussian").data, da.Array)


def test_pyramid_in_memory(viewer, run, coins):
    levels = [coins, coins[::2, ::2], coins[::4, ::4]]
    layer = viewer.add_image(levels, multiscale=True, name="pyramid", contrast_limits=(0, 255))
    made = run("filters.gaussian", sigma=2)
    assert made.multiscale
    assert [np.shape(level) for level in made.data] == [np.shape(level) for level in levels]
    expected = ski.filters.gaussian(coins, sigma=2)
    np.testing.assert_array_equal(made.data[0], expected)
    np.testing.assert_allclose(made.data[1][5, 7], expected[10:12, 14:16].mean())
    same_location(made, layer)
    mask = run("filters.threshold_otsu", layer)
    np.testing.assert_array_equal(mask.data[1], mask.data[0][::2, ::2])


def test_stored_pyramid(viewer, run, coins):
    levels = [da.from_array(coins[::s, ::s], chunks=64) for s in (1, 2)]
    layer = viewer.add_image(levels, multiscale=True, name="pyramid", contrast_limits=(0, 255))
    made = run("filters.gaussian", sigma=2)
    assert made.multiscale
    assert all(isinstance(level, da.Array) for level in made.data)
    np.testing.assert_array_equal(np.asarray(made.data[0]), ski.filters.gaussian(coins, sigma=2))
    same_location(made, layer)


def test_stored_pyramid_of_labels_is_never_averaged(viewer, run, coins):
    labels = ski.measure.label(coins > 110)
    levels = [da.from_array(labels[::s, ::s], chunks=64) for s in (1, 2)]
    viewer.add_labels(levels, multiscale=True, name="objects")
    made = run("morphology.erosion")
    np.testing.assert_array_equal(np.asarray(made.data[0]), ski.morphology.erosion(labels))
    np.testing.assert_array_equal(made.data[1], made.data[0][::2, ::2])


def test_stored_pyramid_of_colours(viewer, run):
    cat = ski.data.cat()
    levels = [da.from_array(cat[::s, ::s], chunks=(64, 64, 3)) for s in (1, 2)]
    viewer.add_image(levels, multiscale=True, rgb=True, name="cat")
    made = run("filters.gaussian", sigma=2)
    assert made.rgb
    assert all(level.shape[-1] == 3 for level in made.data)
    np.testing.assert_array_equal(
        np.asarray(made.data[0]), ski.filters.gaussian(cat, sigma=2, channel_axis=-1)
    )


def test_single_scale_too_large_to_show_comes_as_a_pyramid(viewer, run, coins, monkeypatch):
    monkeypatch.setattr(job_run, "LARGE", 10_000)
    layer = viewer.add_image(da.from_array(coins, chunks=64), contrast_limits=(0, 255))
    made = run("filters.gaussian", sigma=2)
    assert made.multiscale
    np.testing.assert_array_equal(np.asarray(made.data[0]), ski.filters.gaussian(coins, sigma=2))
    same_location(made, layer)


def test_further_images_are_layers(viewer, run, coins):
    intensity = viewer.add_image(coins, name="coins")
    labels = viewer.add_labels(ski.measure.label(coins > 120), name="labels")
    run(
        "measure.regionprops_table",
        labels,
        properties=("label", "intensity_mean"),
        intensity_image=intensity,
    )
    expected = ski.measure.regionprops_table(
        labels.data, coins, properties=("label", "intensity_mean")
    )
    np.testing.assert_allclose(labels.features["intensity_mean"][1:], expected["intensity_mean"])
    stored = labels.metadata["napari-tilewise"]["objects"]["record"]
    assert stored["inputs"] == {"coins": {"name": "coins", "id": str(intensity.unique_id)}}
    (step,) = stored["recipe"]["steps"]
    assert step["inputs"] == {"intensity_image": "coins"}
    assert "intensity_image" not in step["parameters"]


def test_every_operation_shows_its_form_and_says_what_it_promises(panel, viewer, coins):
    viewer.add_image(coins, name="coins")
    for name, op in OPERATIONS.items():
        panel.choose(name)
        assert panel.operation is op
        libraries = ("scikit-image", "SciPy", "NumPy")
        assert any(library in panel.kind.text() for library in libraries) or op.note
        assert panel.summary.text()
