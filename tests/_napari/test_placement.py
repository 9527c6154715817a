"""Results lie where their input lies, also when axes drop or pixels change size."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image

from napari_tilewise._napari.layers.placement import Placement
from napari_tilewise.operations.spec.pixel_positions import UNMOVED, Sampling

TURNED = {
    "scale": (4, 2, 3),
    "translate": (1, 5, -7),
    "rotate": [[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]],
    "shear": (0, 0, 0.3),
    "affine": np.array([[1, 0, 0, 2], [0, 1, 0.1, 3], [0, 0, 1, 4], [0, 0, 0, 1.0]]),
    "units": ("um", "nm", "nm"),
    "axis_labels": ("z", "y", "x"),
}


@pytest.fixture
def source():
    return Image(np.zeros((6, 20, 30)), **TURNED)


def test_everything_is_kept(source):
    copy = Image(np.zeros((6, 20, 30)), **Placement.of(source).arguments())
    for point in ((0, 0, 0), (5, 7, 11)):
        np.testing.assert_allclose(copy.data_to_world(point), source.data_to_world(point))
    assert copy.axis_labels == source.axis_labels
    assert copy.units == source.units
    np.testing.assert_allclose(copy.scale, source.scale)


def test_larger_pixels_cover_the_same_extent(source):
    samplings = [UNMOVED, Sampling(2, 0.5), Sampling(3, 1)]
    placed = Placement.of(source).sampled(samplings)
    copy = Image(np.zeros((6, 10, 10)), **placed.arguments())
    for ours, theirs in (((0, -0.5, -0.5),) * 2, ((5, 9.5, 9.5), (5, 19.5, 29.5))):
        np.testing.assert_allclose(copy.data_to_world(ours), source.data_to_world(theirs))


def test_dropped_axis(source):
    copy = Image(np.zeros((20, 30)), **Placement.of(source).for_axes([1, 2]).arguments())
    world = source.data_to_world((0, 7, 11))
    np.testing.assert_allclose(copy.data_to_world((7, 11)), world[1:])
    assert copy.axis_labels == ("y", "x")


def test_channels_in_front(source):
    placed = Placement.of(source).with_axis(0, "c")
    copy = Image(np.zeros((3, 6, 20, 30)), **placed.arguments())
    np.testing.assert_allclose(
        copy.data_to_world((2, 3, 7, 11)), [2, *source.data_to_world((3, 7, 11))]
    )
    assert copy.axis_labels == ("c", "z", "y", "x")
