"""Every argument of scikit-image's: arrays for the result, former names, histograms made before."""

from __future__ import annotations

import warnings
from typing import Any

import dask.array as da
import numpy as np
import pytest
from skimage import data, exposure, filters, morphology, restoration

import napari_tilewise as tw
from napari_tilewise.operations.docs import signature
from napari_tilewise.recipe import Recipe
from tests.strategies import typical

COINS = data.coins()[:90, :120]
TAKES_OUT = [n for n, op in tw.OPERATIONS.items() if "out" in signature(op.raw_function)]


def arguments(name: str) -> tuple[np.ndarray, dict[str, Any]]:
    """Return an image and parameters that the operation takes."""
    op = tw.OPERATIONS[name]
    image = COINS if "u" in op.dtypes else COINS > 120
    if name == "morphology.remove_objects_by_distance":
        image = morphology.label(COINS > 120)
    required = {
        p.name: typical(p.spec, image, 2, None) for p in op.parameters.values() if p.required
    }
    return image, required


@pytest.mark.parametrize("name", TAKES_OUT)
def test_a_result_goes_into_the_array_that_is_given(name: str) -> None:
    image, params = arguments(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = tw.apply(name, image, tiles=50, **params)
        out = np.empty_like(expected)
        assert tw.apply(name, image, tiles=50, out=out, **params) is out
        np.testing.assert_array_equal(out, expected)
        with pytest.raises(tw.TilewiseError, match="the result's"):
            tw.apply(name, image, out=np.empty((3, 3), out.dtype), **params)
        with pytest.raises(tw.TilewiseError, match="two NumPy arrays"):
            tw.apply(name, da.from_array(image), out=out, **params)


@pytest.mark.parametrize("size", [0, 1, 2, 20, 20.5, 64])
def test_small_pieces_by_their_former_names(size: float) -> None:
    mask = COINS > 120
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        objects = morphology.remove_small_objects(mask, min_size=size)
        holes = morphology.remove_small_holes(mask, area_threshold=size)
    found = tw.apply("morphology.remove_small_objects", mask, min_size=size, tiles=40)
    np.testing.assert_array_equal(found, objects)
    found = tw.apply("morphology.remove_small_holes", da.from_array(mask), area_threshold=size)
    np.testing.assert_array_equal(found.compute(), holes)


def test_a_former_name_is_kept_in_a_recipe_by_its_present_one() -> None:
    recipe = Recipe([("morphology.remove_small_objects", {"min_size": 20})])
    assert recipe == Recipe([("morphology.remove_small_objects", {"max_size": 20})])
    with pytest.raises(tw.TilewiseError, match="Give max_size only"):
        tw.apply("morphology.remove_small_objects", COINS > 9, min_size=2, max_size=2)


def test_how_many_threads_scikit_image_would_take_changes_nothing() -> None:
    expected = restoration.rolling_ball(COINS, radius=6)
    np.testing.assert_array_equal(
        tw.apply("restoration.rolling_ball", COINS, radius=6, workers=3, tiles=40), expected
    )


def test_a_range_of_scales_is_said_as_sigmas() -> None:
    found = tw.apply("filters.frangi", COINS, scale_range=(1, 4), scale_step=1.5, tiles=40)
    np.testing.assert_array_equal(found, filters.frangi(COINS, sigmas=(1, 2.5)))


@pytest.mark.parametrize("name", ["otsu", "yen", "isodata", "minimum", "multiotsu"])
def test_a_threshold_of_a_histogram_made_before(name: str) -> None:
    hist = exposure.histogram(filters.gaussian(COINS, sigma=2), nbins=64)
    function = getattr(filters, f"threshold_{name}")
    expected = function(COINS, hist=hist)
    found = tw.apply(f"filters.threshold_{name}", COINS, hist=hist, tiles=40)
    assert type(found) is type(expected)
    np.testing.assert_array_equal(found, expected)
    lazy = tw.apply(f"filters.threshold_{name}", da.from_array(COINS), hist=hist)
    np.testing.assert_array_equal(lazy.compute(), expected)
    with pytest.raises(tw.TilewiseError, match="an array of counts"):
        tw.apply(f"filters.threshold_{name}", COINS, hist="image")
