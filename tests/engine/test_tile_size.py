"""Tile lengths that the engine chooses."""

from __future__ import annotations

from itertools import product

import dask.array as da
import numpy as np
import pytest
from skimage import exposure, transform

import napari_tilewise as tw
from napari_tilewise.engine.tile_size import choose_tile


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("exposure.adjust_gamma", {}),
        ("filters.gaussian", {"sigma": (0, 0, 3)}),
        ("filters.gaussian", {"sigma": 2}),
    ],
)
@pytest.mark.parametrize("workers", [1, 2, 64])
def test_tiles_lie_within_volumes_of_any_shape(name, params, workers):
    """Also where there are fewer pixels than workers."""
    for shape in product((1, 2, 3, 40), repeat=3):
        call = tw.OPERATIONS[name].call(shape, np.dtype(np.float64), params)
        tile = choose_tile(call, "auto", None, workers=workers)
        assert all(1 <= length <= n for length, n in zip(tile, shape, strict=True))


@pytest.mark.parametrize("ndim", [3, 4, 5])
def test_a_volume_of_one_pixel_is_computed(ndim):
    image = np.full((1,) * ndim, 3.0)
    expected = exposure.rescale_intensity(image)
    np.testing.assert_array_equal(tw.apply("exposure.rescale_intensity", image), expected)


@pytest.mark.parametrize(
    ("name", "shape", "params"),
    [
        ("transform.warp_polar", (512, 512), {"radius": 20000}),
        ("transform.rescale", (700, 700), {"scale": 50}),
        ("transform.resize", (600, 500), {"output_shape": (50000, 40000)}),
        ("transform.resize", (3, 600), {"output_shape": (30000, 600)}),
        ("ndimage.zoom", (90, 90, 90), {"zoom": 9}),
        (
            "filters.rank.windowed_histogram",
            (900, 900),
            {"footprint": np.ones((3, 3)), "n_bins": 256},
        ),
    ],
)
def test_a_tile_of_a_result_far_larger_than_its_image_is_no_larger_than_others(name, shape, params):
    image = da.zeros(shape, dtype=np.uint8)
    result = tw.apply(name, image, **params)
    assert np.prod(result.chunksize) <= max(np.prod(image.chunksize), 2**21) * 4


def test_tiles_of_a_result_are_parts_of_what_a_tile_makes():
    image = np.random.default_rng(0).random((300, 260))
    params = {"radius": 9000, "output_shape": (500, 3000)}
    result = tw.apply("transform.warp_polar", image, **params)
    np.testing.assert_array_equal(result, transform.warp_polar(image, **params))
