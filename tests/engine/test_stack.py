"""Looped axes: every plane is its own image, nothing is blurred or gathered across planes."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pytest
from skimage import color, data, exposure, filters, measure, morphology

import napari_tilewise as tw
from napari_tilewise.errors import InvalidAxes, InvalidImage


@pytest.fixture(scope="module")
def stack() -> np.ndarray:
    """Time, channel, y, x: planes of very different brightness."""
    planes = [data.camera()[:90, :120], data.coins()[:90, :120], data.brick()[:90, :120]]
    return np.stack([[plane // (i + 1), plane // 3] for i, plane in enumerate(planes)])


def test_each_plane_is_filtered_alone(stack: np.ndarray) -> None:
    found = tw.apply("filters.gaussian", stack, sigma=3, axes="tcyx", spatial="yx", tiles=50)
    for t, c in np.ndindex(3, 2):
        np.testing.assert_array_equal(found[t, c], filters.gaussian(stack[t, c], sigma=3))


def test_each_plane_has_its_own_threshold(stack: np.ndarray) -> None:
    found = tw.apply("filters.threshold_otsu", stack, axes="tcyx", spatial="yx")
    assert found.shape == (3, 2)
    for t, c in np.ndindex(3, 2):
        assert found[t, c] == filters.threshold_otsu(stack[t, c])


def test_any_axes_may_be_the_spatial_ones(stack: np.ndarray) -> None:
    found = tw.apply("filters.sobel", stack, spatial=(0, 3), tiles=(2, 41))
    for c, y in np.ndindex(2, 90):
        np.testing.assert_array_equal(found[:, c, y, :], filters.sobel(stack[:, c, y, :]))


def test_labels_start_anew_in_each_plane(stack: np.ndarray) -> None:
    found = tw.apply("measure.label", stack > 60, spatial="yx", tiles=30)
    for t, c in np.ndindex(3, 2):
        np.testing.assert_array_equal(found[t, c], measure.label(stack[t, c] > 60))


def test_tables_say_which_plane(stack: np.ndarray) -> None:
    labels = tw.apply("measure.label", stack > 60, spatial="yx")
    table = tw.apply(
        "measure.regionprops_table", labels, properties=("area",), axes="tcyx", spatial="yx"
    )
    assert list(table) == ["t", "c", "area"]
    here = (table["t"] == 2) & (table["c"] == 0)
    expected = measure.regionprops_table(labels[2, 0], properties=("area",))
    np.testing.assert_array_equal(table["area"][here], expected["area"])


def test_colours_of_a_film() -> None:
    film = np.stack([data.astronaut()[:60, :70], data.astronaut()[100:160, 100:170]])
    found = tw.apply("color.rgb2gray", film, spatial=(1, 2), tiles=33)
    np.testing.assert_array_equal(found[1], color.rgb2gray(film[1]))


def test_a_mask_of_one_plane_serves_all(stack: np.ndarray) -> None:
    mask = data.camera()[:90, :120] > 50
    found = tw.apply("filters.sobel", stack, mask=mask, spatial="yx", tiles=40)
    np.testing.assert_array_equal(found[1, 1], filters.sobel(stack[1, 1], mask=mask))


def test_wrong_axes_are_named(stack: np.ndarray) -> None:
    with pytest.raises(InvalidAxes, match="tyx"):
        tw.apply("filters.gaussian", stack, axes="tyx")
    with pytest.raises(InvalidImage, match="2 spatial axes"):
        tw.apply("filters.roberts", stack)
    with pytest.raises(InvalidImage, match="channel_axis=7"):
        tw.apply("filters.gaussian", stack, channel_axis=7)
    with pytest.raises(InvalidImage, match="mask has shape"):
        tw.apply("filters.sobel", stack, mask=np.ones((3, 3), bool))


def test_one_picture_serves_all_planes_whatever_its_shape() -> None:
    """Its red, green and blue are no axis of the stack, although it has as many axes."""
    rng = np.random.default_rng(0)
    labels = measure.label(rng.random((40, 50)) > 0.6)
    stack, picture = np.stack([labels, labels[::-1]]), rng.random((40, 50, 3))
    found = tw.apply("color.label2rgb", stack, image=picture, axes="tyx", spatial="yx", tiles=30)
    expected = [color.label2rgb(plane, picture) for plane in stack]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("wrap", [np.asarray, lambda array: da.from_array(array, chunks=17)])
@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("exposure.adjust_gamma", exposure.adjust_gamma),
        ("exposure.equalize_hist", exposure.equalize_hist),
        ("morphology.erosion", morphology.erosion),
        ("filters.median", filters.median),
    ],
)
def test_bytes_in_another_machines_order(name: str, function: Any, wrap: Any) -> None:
    image = np.random.default_rng(0).random((40, 50)).astype(np.float32)
    found = np.asarray(tw.apply(name, wrap(image.astype(">f4")), tiles=20))
    expected = function(image)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
