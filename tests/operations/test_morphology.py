"""What the declarations of morphology cannot draw: winding paths, long sweeps, warnings."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from scipy import ndimage as ndi
from skimage import data, morphology

import napari_tilewise as tw


def assert_same(name: str, image: np.ndarray, tiles: Any, **params: Any) -> None:
    """Assert that the tiled result is scikit-image's, dtype and container included."""
    expected = getattr(morphology, name)(image.copy(), **params)
    found = tw.apply(f"morphology.{name}", image, tiles=tiles, **params)
    assert type(found) is type(expected)
    for one, other in zip(np.atleast_1d(found), np.atleast_1d(expected), strict=True):
        assert one.dtype == other.dtype
    np.testing.assert_array_equal(found, expected)


def maze(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Return corridors of different heights, near the density where they wind most."""
    rng = np.random.default_rng(seed)
    return (rng.random(shape) < 0.6) * rng.integers(1, 5, size=shape)


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "float64"])
@pytest.mark.parametrize("shape", [(60, 70), (14, 15, 16)])
def test_reconstruction_follows_winding_paths(shape: tuple[int, ...], dtype: str) -> None:
    mask = maze(shape, 1).astype(dtype)
    seed = np.where(np.random.default_rng(2).random(shape) < 0.01, mask, 0).astype(dtype)
    cross = ndi.generate_binary_structure(len(shape), 1)
    assert_same("reconstruction", seed, 9, mask=mask, footprint=cross)
    assert_same("reconstruction", mask, 9, mask=seed, method="erosion")


@pytest.mark.parametrize("footprint", [[[1, 1, 0]], [[0, 1, 1], [0, 1, 0], [1, 0, 0]]])
def test_reconstruction_with_a_lopsided_footprint(footprint: list[list[int]]) -> None:
    mask = maze((50, 60), 3)
    seed = np.where(np.random.default_rng(4).random(mask.shape) < 0.05, mask, 0)
    assert_same("reconstruction", seed, (11, 13), mask=mask, footprint=np.array(footprint))


def test_reconstruction_refuses_a_seed_above_its_mask() -> None:
    with pytest.raises(tw.TilewiseError, match=r"seed is larger .* in \[\d:\d, \d:\d\]"):
        tw.apply("morphology.reconstruction", np.ones((9, 9)), mask=np.zeros((9, 9)), tiles=4)


@pytest.mark.parametrize("name", ["skeletonize", "thin"])
@pytest.mark.parametrize("tiles", [(40, 50), (7, 400)])
def test_thinning_takes_many_sweeps(name: str, tiles: tuple[int, int]) -> None:
    horse = ~data.horse()[::2, ::2]
    assert_same(name, horse, tiles)
    assert_same(name, np.ones((90, 90), bool), 40)


@pytest.mark.parametrize("code", range(256))
def test_every_neighbourhood_is_thinned_as_scikit_image_does(code: int) -> None:
    ring = [(0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0)]
    mask = np.zeros((3, 3), bool)
    mask[1, 1] = True
    for bit, place in enumerate(ring):
        mask[place] = code >> bit & 1
    assert_same("skeletonize", mask, 2)


@pytest.mark.parametrize("iterations", [0, 1, 7, 8, 9, 16, 19])
def test_thin_stops_after_so_many_iterations(iterations: int) -> None:
    assert_same("thin", np.ones((70, 64), bool), (31, 17), max_num_iter=iterations)


def test_a_flood_runs_one_way_where_its_footprint_does() -> None:
    image = maze((40, 50), 5) > 0
    image[0, 0] = True
    one_way = np.array([[0, 0, 0], [0, 1, 1], [0, 1, 1]])
    assert_same("flood", image, (7, 9), seed_point=(0, 0), footprint=one_way)
    jumps = np.zeros((5, 5), int)
    jumps[2, [0, 2, 4]] = jumps[[0, 4], 2] = 1
    assert_same("flood", image, (7, 9), seed_point=(0, 0), footprint=jumps)


def test_flood_stands_under_both_names() -> None:
    image = data.camera()[::4, ::4]
    params: dict[str, Any] = {"seed_point": (60, 30), "tolerance": 40}
    expected = morphology.flood(image, **params)
    found = tw.apply("segmentation.flood", image, tiles=25, **params)
    np.testing.assert_array_equal(found, expected)
    filled = tw.apply("segmentation.flood_fill", image, tiles=25, new_value=7, **params)
    np.testing.assert_array_equal(filled, np.where(expected, 7, image).astype(image.dtype))


@pytest.mark.parametrize("name", ["local_maxima", "local_minima"])
@pytest.mark.parametrize("allow_borders", [True, False])
def test_extrema_are_plateaus_across_tiles(name: str, allow_borders: bool) -> None:
    plateaus = np.kron(data.camera()[::32, ::32] // 16, np.ones((7, 7), np.uint8))
    assert_same(name, plateaus, 10, allow_borders=allow_borders)
    assert_same(name, plateaus, 10, allow_borders=allow_borders, indices=True)


def test_nan_has_no_place_among_extrema() -> None:
    image = np.random.default_rng(0).random((20, 20))
    image[15, 3] = np.nan
    cases: dict[str, dict[str, Any]] = {
        "local_maxima": {},
        "local_minima": {},
        "max_tree_local_maxima": {},
        "h_maxima": {"h": 0.1},
    }
    for name, params in cases.items():
        with pytest.raises(tw.TilewiseError, match=f"morphology.{name}: .* NaN"):
            tw.apply(f"morphology.{name}", image, tiles=8, **params)


@pytest.mark.parametrize("name", ["erosion", "dilation", "opening", "closing"])
@pytest.mark.parametrize("value", [False, True])
def test_isotropic_filters_without_anything_to_measure_to(name: str, value: bool) -> None:
    for shape in ((40, 30), (12, 13, 14)):
        image = np.full(shape, value)
        assert_same(f"isotropic_{name}", image, 5, radius=6)
        image[(-1,) * len(shape)] = not value
        assert_same(f"isotropic_{name}", image, 5, radius=6)


def test_hulls_of_many_objects_overlap_across_tiles() -> None:
    blobs = data.binary_blobs(120, blob_size_fraction=0.1, volume_fraction=0.3, rng=1)
    assert_same("convex_hull_object", blobs, 17)
    assert_same("convex_hull_object", blobs, (50, 11), connectivity=1)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("remove_small_objects", "Only one label"),
        ("remove_small_holes", "boolean array"),
        ("convex_hull_image", "entirely zero"),
    ],
)
def test_the_user_is_warned_as_by_scikit_image(name: str, message: str) -> None:
    image = np.zeros((20, 20), int)
    if name.startswith("remove"):
        image[4:8, 4:8] = 1
    for function in (
        lambda: getattr(morphology, name)(image),
        lambda: tw.apply(f"morphology.{name}", image, tiles=8),
    ):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            function()
        assert any(message in str(warning.message) for warning in caught)
