"""Numbers of a stack's planes are shown with the plane that each belongs to."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage as ndi
from skimage import data, exposure, feature, measure

from napari_tilewise._napari.layers.layer_record import NumberMeaning
from napari_tilewise._napari.manifest.commands import open_measurements
from napari_tilewise._napari.measurements.plane_numbers import numbers_of_planes

pytestmark = pytest.mark.gui

COINS = data.coins()[:60, :80]
STACK = np.stack([np.stack([COINS // (1 + t + 2 * c) for c in range(3)]) for t in range(2)])
PLANES = {"t": [0, 0, 0, 1, 1, 1], "c": [0, 1, 2, 0, 1, 2]}


@pytest.fixture
def stack(viewer):
    """Return a series of channels, which operations see plane by plane."""
    return viewer.add_image(STACK, name="stack", axis_labels=("t", "c", "y", "x"))


@pytest.fixture
def columns(viewer, stack, run):
    """Return a function that measures each plane, and returns the shown columns by title."""

    def measured(name, **parameters):
        run(name, stack, **parameters)
        shown = open_measurements(viewer).numbers.model.columns
        return {column.title: column.values for column in shown}

    return measured


def test_a_number_of_each_plane_is_a_row(viewer, columns):
    shown = columns("measure.shannon_entropy")
    assert {name: shown[name].tolist() for name in PLANES} == PLANES
    expected = [[measure.shannon_entropy(plane) for plane in volume] for volume in STACK]
    np.testing.assert_array_equal(shown["value"], np.ravel(expected))
    assert open_measurements(viewer).numbers.picture.isVisibleTo(open_measurements(viewer).numbers)


def test_lengths_of_each_plane_are_a_row(columns):
    shown = columns("measure.centroid")
    assert {name: shown[name].tolist() for name in PLANES} == PLANES
    expected = [measure.centroid(plane) for volume in STACK for plane in volume]
    np.testing.assert_array_equal(np.transpose(list(shown.values())[2:]), expected)


def test_parts_of_each_plane_are_a_row(columns):
    shown = columns("ndimage.extrema")
    assert {name: shown[name].tolist() for name in PLANES} == PLANES
    least, most, _, (y, x) = ndi.extrema(STACK[1, 2])
    last = {name: values[5] for name, values in shown.items()}
    assert (last["minimum"], last["maximum"]) == (least, most)
    assert (last["maximum position-0 (px)"], last["maximum position-1 (px)"]) == (y, x)


def test_a_few_numbers_of_each_plane_are_a_row():
    meaning = NumberMeaning(planes=(("t", 2), ("c", 1)))
    columns = numbers_of_planes([np.array([1, 2]), np.array([3, 4])], (), meaning).columns
    shown = {column.title: column.values.tolist() for column in columns}
    assert shown == {"t": [0, 1], "c": [0, 0], "value-0": [1, 3], "value-1": [2, 4]}


def test_many_numbers_of_each_plane_are_a_sentence(columns):
    shown = columns("feature.graycomatrix", distances="1", angles="0")
    assert {name: shown.pop(name).tolist() for name in PLANES} == PLANES
    expected = feature.graycomatrix(COINS, [1], [0])
    text = f"{expected.dtype} numbers of shape {expected.shape}"
    assert {name: values.tolist() for name, values in shown.items()} == {"value": [text] * 6}


def test_a_curve_of_each_plane_is_a_column(columns):
    shown = columns("exposure.histogram")
    counts, centers = exposure.histogram(STACK[1, 0])
    np.testing.assert_array_equal(shown["hist (t 1, c 0)"][: len(counts)], counts)
    np.testing.assert_array_equal(shown["bin centers (t 1, c 0)"][: len(centers)], centers)
    assert len(shown) == 2 * 6
