"""Objects that a function labels tile by tile: found once, numbered whatever the tiles."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import pytest
from scipy import ndimage as ndi
from skimage import measure, segmentation

import napari_tilewise as tw
from napari_tilewise import errors
from napari_tilewise.functions.instances import numbered
from napari_tilewise.operations import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def declared() -> Iterator[Callable[..., str]]:
    """Return what declares a function and returns its key; the declaration is gone afterwards."""
    keys = []

    def declare(function: Any, **options: Any) -> str:
        before = set(OPERATIONS)
        tw.operation(**options)(function)
        (key,) = set(OPERATIONS) - before
        keys.append(key)
        return key

    yield declare
    OPERATIONS.forget(*keys)


def discs(shape: tuple[int, int], radius: int, seed: int = 0) -> np.ndarray:
    """Return touching discs on a jittered grid, each with its own grey level."""
    rng = np.random.default_rng(seed)
    y, x = np.ogrid[: shape[0], : shape[1]]
    image = np.zeros(shape, np.uint8)
    level = 1
    for row in range(radius, shape[0], 2 * radius):
        for column in range(radius, shape[1], 2 * radius):
            cy, cx = row + rng.integers(-1, 2), column + rng.integers(-1, 2)
            inside = (y - cy) ** 2 + (x - cx) ** 2 <= radius**2
            image[inside & (image == 0)] = level = level % 250 + 1
    return image


def by_level(image: np.ndarray) -> np.ndarray:
    """Label areas of one grey level, with ids that depend on what is seen of the image."""
    labels = measure.label(image, connectivity=1)
    return (labels.max() + 1 - labels) * (labels > 0) * 3


def by_threshold(image: np.ndarray) -> np.ndarray:
    """Label what is bright."""
    return ndi.label(image > 0.5)[0]


@pytest.mark.parametrize("tiles", [(40, 40), (37, 61), (23, 200), (150, 130)])
def test_touching_objects_are_found_once_whatever_the_tiles(
    declared: Callable[..., str], tiles: tuple[int, int]
) -> None:
    image = discs((150, 130), 6)
    key = declared(by_level, output="instances", halo=14)
    expected = numbered(by_level(image))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = tw.apply(key, image, tiles=tiles)
    assert result.dtype == np.int32
    np.testing.assert_array_equal(result, expected)
    lazy = tw.apply(key, da.from_array(image, chunks=50), tiles=tiles)
    np.testing.assert_array_equal(lazy[20:90, 33:70].compute(), expected[20:90, 33:70])


def test_a_watershed_of_touching_objects(declared: Callable[..., str]) -> None:
    noise = np.random.default_rng(3).random((160, 140))

    def cells(image: np.ndarray) -> np.ndarray:
        markers = ndi.label(image < 0.01)[0]
        distances = ndi.distance_transform_edt(markers == 0)
        return segmentation.watershed(distances + image, markers, mask=distances < 5)

    key = declared(cells, output="instances", halo=40)
    whole, tiled = cells(noise), tw.apply(key, noise, tiles=(47, 53))
    assert tiled.max() == whole.max()
    np.testing.assert_array_equal(tiled, numbered(whole))


def test_longer_objects_are_joined_by_overlap_and_reported(declared: Callable[..., str]) -> None:
    image = np.zeros((120, 120))
    image[10:110, 20] = image[60, 20:100] = image[10:110, 40] = 1  # one object, longer than a tile
    image[5, 100:110] = 1
    image[0:120, 60:62] = 0
    key = declared(by_threshold, output="instances", halo=4)
    with pytest.warns(UserWarning, match="of 3 objects, 2 are longer than the halo; the parts"):
        result = tw.apply(key, image, tiles=30)
    np.testing.assert_array_equal(result, numbered(by_threshold(image)))


def test_the_whole_image_and_volumes(declared: Callable[..., str]) -> None:
    rng = np.random.default_rng(1)
    volume = ndi.gaussian_filter(rng.random((30, 40, 35)), 1) > 0.53
    key = declared(by_threshold, output="instances", halo=None)
    np.testing.assert_array_equal(tw.apply(key, volume), numbered(by_threshold(volume)))
    OPERATIONS.forget(key)
    key = declared(by_threshold, output="instances", halo=(12, 12, 12))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = tw.apply(key, volume, tiles=(13, 17, 20))
    np.testing.assert_array_equal(result, numbered(by_threshold(volume)))


def test_a_colour_image(declared: Callable[..., str]) -> None:
    def coloured(image: np.ndarray, channel_axis: int = -1) -> np.ndarray:
        return by_level(image.max(channel_axis))

    image = discs((90, 80), 5)
    key = declared(coloured, output="instances", halo=12)
    result = tw.apply(key, np.stack([image, image // 2], -1), tiles=32)
    np.testing.assert_array_equal(result, numbered(by_level(image)))


def test_the_same_ids_in_every_tile_are_refused(declared: Callable[..., str]) -> None:
    image = (discs((150, 130), 6) % 5) / 4
    key = declared(by_threshold, output="labels", halo=14)
    with pytest.raises(errors.InvalidFunction, match="Declare output='instances'"):
        tw.apply(key, image, tiles=50)


def test_classes_are_labels(declared: Callable[..., str]) -> None:
    def classes(image: np.ndarray) -> np.ndarray:
        return np.digitize(ndi.uniform_filter(image.astype(int), 3), [50, 100])

    image = discs((150, 130), 6)
    key = declared(classes, output="labels", halo=1)
    np.testing.assert_array_equal(tw.apply(key, image, tiles=40), classes(image))


def test_a_function_that_is_not_the_same_twice_is_refused(declared: Callable[..., str]) -> None:
    rng = np.random.default_rng(0)

    def unsteady(image: np.ndarray) -> np.ndarray:
        return ndi.label(rng.random(image.shape) < 0.2)[0]

    key = declared(unsteady, output="instances", halo=2)
    lazy = tw.apply(key, da.zeros((80, 80), chunks=40), tiles=40)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lazy.compute()
        with pytest.raises(errors.OperationFailed, match="expected the same labels"):
            lazy.compute()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"halo": 0}, "instances with halo=0: expected a halo of at least the length"),
        ({"halo": 9, "dtype": int}, "instances are int32"),
    ],
)
def test_what_instances_cannot_be(
    declared: Callable[..., str], options: dict[str, Any], says: str
) -> None:
    with pytest.raises(errors.InvalidFunction, match=says):
        declared(by_threshold, output="instances", **options)
