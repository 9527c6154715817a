"""Tile lengths that the engine chooses."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from skimage import exposure

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
