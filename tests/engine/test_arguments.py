"""Every argument of scikit-image's: arrays for the result, former names, histograms made before."""

from __future__ import annotations

import warnings
from typing import Any

import dask.array as da
import numpy as np
import pytest
from skimage import (
    data,
    exposure,
    feature,
    filters,
    measure,
    morphology,
    restoration,
    segmentation,
    transform,
)
from skimage.util import invert

import napari_tilewise as tw
from napari_tilewise.operations.spec.docstrings import signature
from napari_tilewise.operations.spec.kinds import Output
from napari_tilewise.recipe import Recipe
from tests.strategies import typical

COINS = data.coins()[:90, :120]
TAKES_OUT = [n for n, op in tw.OPERATIONS.items() if "out" in signature(op.raw_function)]


def arguments(name: str) -> tuple[np.ndarray, dict[str, Any]]:
    """Return an image and parameters that the operation takes."""
    op = tw.OPERATIONS[name]
    image = COINS if "u" in op.limits.dtypes else COINS > 120
    if op.output is Output.LABELS and "f" not in op.limits.dtypes:
        image = morphology.label(COINS > 120)
    required = {
        p.name: typical(p.spec, image, 2, None) for p in op.parameters.values() if p.required
    }
    return image, required


@pytest.mark.parametrize("name", list(tw.OPERATIONS))
def test_every_parameter_is_taken(name: str) -> None:
    """As itself, by its present name, or left out where it changes no pixel."""
    op = tw.OPERATIONS[name]
    _, *parameters = signature(op.raw_function).values()
    given = {p.name: p.default for p in parameters if p.name not in op.specs and p.name != "out"}
    assert set(op.modern(given)) <= set(op.specs)


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


def test_the_former_name_of_the_number_of_threads() -> None:
    params = {"func": filters.gaussian, "max_shifts": 2, "func_kw": {"sigma": 2.0}}
    expected = restoration.cycle_spin(COINS, workers=1, **params)
    for workers in ({"workers": 1}, {"num_workers": 1}):
        found = tw.apply("restoration.cycle_spin", COINS, **params, **workers)
        np.testing.assert_array_equal(found, expected)
    with pytest.raises(tw.TilewiseError, match="Give workers only"):
        tw.apply("restoration.cycle_spin", COINS, **params, workers=1, num_workers=1)


def test_central_moments_take_no_notice_of_other_keywords() -> None:
    expected = measure.moments_central(COINS, cr=3, order=2)
    found = tw.apply("measure.moments_central", COINS, cr=3, order=2, tiles=40)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_only_a_numpy_image_is_filled_in_place() -> None:
    params = {"seed_point": (3, 3), "new_value": 9, "tolerance": 30}
    found = tw.apply("segmentation.flood_fill", COINS, in_place=False, tiles=40, **params)
    np.testing.assert_array_equal(found, segmentation.flood_fill(COINS, **params))
    image = COINS.copy()
    assert tw.apply("morphology.flood_fill", image, in_place=True, tiles=40, **params) is image
    np.testing.assert_array_equal(image, found)
    with pytest.raises(tw.TilewiseError, match="only a NumPy image"):
        tw.apply("morphology.flood_fill", da.from_array(COINS), in_place=True, **params)


TREES = [n for n, op in tw.OPERATIONS.items() if "tree_traverser" in op.specs]


@pytest.mark.parametrize("connectivity", [1, 2])
@pytest.mark.parametrize("name", TREES)
def test_a_component_tree_made_before(name: str, connectivity: int) -> None:
    """The tree tells what is connected, not the parameter."""
    of = invert(COINS) if name.endswith("closing") else COINS
    parent, tree_traverser = tw.apply("morphology.max_tree", of, connectivity=connectivity)
    function = getattr(morphology, name.removeprefix("morphology."))
    expected = function(COINS, parent=parent, tree_traverser=tree_traverser)
    params = {"parent": parent, "tree_traverser": tree_traverser}
    np.testing.assert_array_equal(tw.apply(name, COINS, tiles=40, **params), expected)
    params["parent"] = da.from_array(parent)  # as `max_tree` of a lazy image is
    lazy = tw.apply(name, da.from_array(COINS), tiles=40, **params)
    assert isinstance(lazy, da.Array)
    np.testing.assert_array_equal(lazy.compute(), expected)
    np.testing.assert_array_equal(
        tw.apply(name, COINS, parent=parent, tiles=40), function(COINS, parent=parent)
    )


def test_a_component_tree_of_another_image_is_refused() -> None:
    parent, order = morphology.max_tree(COINS)

    def opened(image: Any, parent: Any, order: Any, **params: Any) -> Any:
        return tw.apply(
            "morphology.area_opening", image, parent=parent, tree_traverser=order, **params
        )

    with pytest.raises(tw.TilewiseError, match="an array of 64-bit integers"):
        opened(COINS, parent.astype(np.int32), order)
    with pytest.raises(tw.TilewiseError, match="an array of 64-bit integers with one axis"):
        opened(COINS, parent, parent)
    with pytest.raises(tw.TilewiseError, match="one number per pixel"):
        opened(COINS[:50], parent, order)
    stacks = (np.stack([array] * 2) for array in (COINS, parent))
    with pytest.raises(tw.TilewiseError, match="has a tree for each of its images"):
        opened(*stacks, order, spatial=(1, 2))
    with pytest.raises(tw.TilewiseError, match="expected pixel indices"):
        opened(COINS, parent + COINS.size, order)
    with pytest.raises(tw.TilewiseError, match="contiguous"):  # as scikit-image does
        opened(COINS, parent, np.repeat(order, 2)[::2])


def test_probabilities_of_a_random_walker() -> None:
    image = COINS[20:50, :40]
    labels = np.zeros(image.shape)  # scikit-image takes labels of any type, and returns that
    labels[2, 2], labels[15, 15], labels[25, 35] = 1, 2, 3
    found = tw.apply("segmentation.random_walker", image, labels=labels, mode="bf")
    assert found.dtype == labels.dtype
    np.testing.assert_array_equal(found, segmentation.random_walker(image, labels, mode="bf"))
    expected = segmentation.random_walker(image, labels, mode="bf", return_full_prob=True)
    params = {"mode": "bf", "return_full_prob": True}
    for source in (image, da.from_array(image)):
        found = tw.apply("segmentation.random_walker", source, labels=labels, **params)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    stack = np.stack([image, image[::-1]])
    found = tw.apply("segmentation.random_walker", stack, labels=labels, spatial=(1, 2), **params)
    np.testing.assert_array_equal(found[0], expected)
    assert len(found) == len(stack)


def test_corners_as_a_mask_of_every_image() -> None:
    response = np.stack([feature.corner_harris(COINS), feature.corner_harris(COINS[::-1])], axis=1)
    expected = np.stack(
        [feature.corner_peaks(plane, indices=False) for plane in np.moveaxis(response, 1, 0)],
        axis=1,
    )
    for source in (response, da.from_array(response)):
        found = tw.apply("feature.corner_peaks", source, spatial=(0, 2), indices=False, tiles=40)
        assert type(found) is type(source)
        np.testing.assert_array_equal(np.asarray(found), expected)


def test_two_axes_are_added_one_after_the_other() -> None:
    shape = (40, 70, 2, 3)
    with pytest.raises(tw.TilewiseError, match="add them to the image first"):
        tw.apply("transform.resize", COINS, output_shape=shape)
    found = tw.apply("transform.resize", COINS[..., None], output_shape=shape, tiles=(30, 30, 1))
    np.testing.assert_array_equal(found, transform.resize(COINS, shape))


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


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("morphology.diameter_closing", {"parent": np.zeros((90, 90), int)}),
        ("filters.gaussian", {"sigma": np.ones(500)}),
        ("filters.gaussian", {"sigma": list(range(9000))}),
        ("filters.median", {"footprint": [[1] * 400, [1] * 399]}),
        ("exposure.match_histograms", {"channel_axis": list(range(9000))}),
    ],
)
def test_a_long_value_is_not_written_out(name, params):
    def messages():
        for refused in (
            lambda: tw.Recipe([(name, params)]),
            lambda: tw.apply(name, np.zeros((9, 9)), tiles=4, **params),
        ):
            try:
                refused()
            except tw.TilewiseError as error:
                yield str(error)

    texts = list(messages())
    assert texts
    for text in texts:
        assert len(text) < 400
        assert text.count(" has ") <= 1


def test_none_is_not_offered_where_an_image_is_required():
    labels = np.ones((9, 9), int)
    for params in ({}, {"s2": 3}):
        with pytest.raises(TypeError, match=r"expected an array of the image's shape\."):
            tw.apply("segmentation.join_segmentations", labels, **params)
    with pytest.raises(TypeError, match=r"expected an array of the image's shape or None\."):
        tw.apply("filters.laplace", labels / 2, mask=3)
