"""Every kind of result becomes what napari has for it, or numbers kept with the layer."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image, Labels, Points, Shapes, Surface
from qtpy.QtWidgets import QApplication
from skimage import data, feature, filters, measure, segmentation

pytestmark = pytest.mark.gui

COINS = data.coins()[:150, :200]


@pytest.fixture
def coins(viewer):
    return viewer.add_image(COINS, name="coins", contrast_limits=(0, 255), scale=(2, 3))


def test_contours_become_shapes_where_the_image_lies(viewer, coins, run):
    made = run("measure.find_contours", level="120.5")
    expected = measure.find_contours(COINS, 120.5)
    assert isinstance(made, Shapes)
    assert len(made.data) == len(expected)
    np.testing.assert_allclose(made.data[0], expected[0], rtol=1e-6)
    np.testing.assert_array_equal(made.scale, (2, 3))


def test_several_images_become_several_layers(viewer, coins, run):
    before = len(viewer.layers)
    run("feature.corner_foerstner", sigma=2.0)
    made = list(viewer.layers)[before:]
    assert [type(layer) for layer in made] == [Image, Image]
    for layer, expected in zip(made, feature.corner_foerstner(COINS, sigma=2), strict=True):
        np.testing.assert_array_equal(layer.data, expected)
    assert made[0].name.endswith(" 1")
    assert made[1].name.endswith(" 2")


def test_points_keep_what_stands_behind_their_coordinates(viewer, coins, run):
    made = run("feature.blob_dog", max_sigma=10.0, threshold=0.1)
    expected = feature.blob_dog(COINS, max_sigma=10, threshold=0.1)
    assert isinstance(made, Points)
    np.testing.assert_allclose(made.data, expected[:, :2])
    np.testing.assert_allclose(made.features["sigma (px)"], expected[:, 2])
    assert (made.border_width < 0.2 * made.size.max()).all()
    assert np.ptp(made.border_width) == 0, "a ring around a large blob is as thin as others"


def test_a_number_is_shown_once_and_kept_with_its_layer(viewer, coins, run, panel, notes):
    assert run("measure.shannon_entropy") is None
    expected = measure.shannon_entropy(COINS)
    assert list(panel.numbers.numbers.values()) == [str(expected)]
    assert not notes
    assert str(expected) not in panel.message.text()
    kept = coins.metadata["napari-tilewise"]["values"]["measure.shannon_entropy"]
    assert kept[0] == expected


def test_single_numbers_are_a_table_until_the_next_result(viewer, coins, run, panel):
    run("measure.shannon_entropy")
    expected = measure.shannon_entropy(COINS)
    assert panel.numbers.numbers == {"Shannon entropy of coins": str(expected)}
    panel.numbers.copy.click()
    assert QApplication.clipboard().text() == f"Shannon entropy of coins\t{expected}"
    run("filters.threshold_otsu", layer=coins)
    threshold = filters.threshold_otsu(COINS)
    assert list(panel.numbers.numbers.values()) == [str(threshold)]
    run("filters.gaussian", layer=coins)
    assert not panel.numbers.isVisibleTo(panel)


def test_a_histogram_is_kept_whole(viewer, coins, run, panel):
    assert run("feature.graycomatrix", distances="1", angles="0") is None
    kept = coins.metadata["napari-tilewise"]["values"]["feature.graycomatrix"][0]
    np.testing.assert_array_equal(kept, feature.graycomatrix(COINS, [1], [0]))
    assert "in the metadata of 'coins'" in panel.message.text()


def test_a_mesh_becomes_a_surface(viewer, run):
    volume = filters.gaussian(np.pad(np.ones((6, 7, 8)), 3), sigma=1)
    viewer.add_image(volume, name="ball", contrast_limits=(0, 1))
    viewer.dims.ndisplay = 3
    made = run("measure.marching_cubes", level="0.5")
    vertices, faces, _, _ = measure.marching_cubes(volume, 0.5)
    assert isinstance(made, Surface)
    np.testing.assert_array_equal(made.data[0], vertices)
    np.testing.assert_array_equal(made.data[1], faces)


def test_a_second_image_is_chosen_among_the_layers(viewer, coins, run):
    labels = measure.label(COINS > 120)
    markers = viewer.add_labels(np.where(labels < 9, labels, 0), name="markers")
    made = run("segmentation.watershed", coins, markers=markers)
    expected = segmentation.watershed(COINS, np.where(labels < 9, labels, 0))
    assert isinstance(made, Labels)
    np.testing.assert_array_equal(made.data, expected)


def test_blobs_and_distances_say_what_they_measure(viewer, run):
    """A blob's sigma is in pixels and in the unit; an image of distances says so in its tooltip."""
    place = {"scale": (0.5, 0.5), "units": ("um", "um")}
    image = viewer.add_image(data.coins(), name="coins", **place)
    blobs = run("feature.blob_log", image, max_sigma=8, num_sigma=2)
    features = blobs.features
    assert list(features) == ["sigma (µm)", "sigma (px)"]
    np.testing.assert_allclose(features["sigma (µm)"], features["sigma (px)"] / 2)
    mask = viewer.add_labels((data.coins() > 120).astype(int), name="mask", **place)
    distances = run("ndimage.distance_transform_edt", mask)
    assert "Values: distances in pixels; 1 px = 0.5 µm" in distances.get_source_str()
    distances = run("ndimage.distance_transform_edt", mask, sampling=0.5)
    assert "Values: distances by the pixel size that was set (µm)" in distances.get_source_str()
    assert "Values" not in run("filters.gaussian", image).get_source_str()


def test_a_few_numbers_are_said_in_their_units(viewer, run, panel):
    place = {"scale": (0.5, 0.25), "units": ("um", "um")}
    image = viewer.add_image(COINS, name="coins", **place)
    run("measure.centroid", image)
    y, x = measure.centroid(COINS)
    expected = f"axis-0 {y / 2:.6g} µm ({y:.6g} px), axis-1 {x / 4:.6g} µm ({x:.6g} px)"
    assert expected in panel.message.text()
    run("measure.moments", image)
    assert "16 numbers" in panel.message.text()
    masks = np.stack([COINS > 100, COINS > 150]).astype(float)
    place = {"scale": (10, 0.5, 0.5), "units": ("s", "um", "um"), "axis_labels": ("t", "y", "x")}
    run("measure.perimeter", viewer.add_image(masks, name="masks", **place))
    first, second = (measure.perimeter(mask) for mask in masks > 0)
    expected = (f"perimeter {n / 2:.6g} µm ({n:.6g} px)" for n in (first, second))
    assert ", ".join(expected) in panel.message.text()


def test_a_surface_lies_on_its_volume_whatever_its_spacing(viewer, run):
    """The layer has the size of pixels: vertices that have it too are not stretched twice."""
    volume = np.zeros((12, 14, 10))
    volume[4:8, 5:9, 3:7] = 1
    layer = viewer.add_image(volume, name="cube", scale=(2, 1, 1), units=("um",) * 3)
    plain = run("measure.marching_cubes", layer, level=0.5)
    spaced = run("measure.marching_cubes", layer, level=0.5, spacing=(2, 1, 1))
    np.testing.assert_allclose(spaced.extent.world, plain.extent.world)
