"""SciPy's geometry tile by tile: the property tests draw splines more often than what is tiled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import ndimage as ndi

import napari_tilewise as tw
from tests.sources import ArrayLike

CALLS: dict[str, list[dict[str, Any]]] = {
    "shift": [{"shift": (2.5, -7.25)}, {"shift": -3}],
    "zoom": [{"zoom": (1.7, 0.6)}, {"zoom": 0.45, "grid_mode": True}],
    "rotate": [{"angle": 31.5}, {"angle": -90, "reshape": False}],
    "affine_transform": [
        {"matrix": [[0.9, 0.3], [-0.2, 1.1]], "offset": (3, -4.5), "output_shape": (31, 44)},
        {"matrix": [1.3, 0.7], "offset": 2},
    ],
}


@pytest.mark.filterwarnings("ignore:It is recommended to use mode")  # SciPy, of grid_mode
@pytest.mark.parametrize("mode", ["constant", "nearest"])
@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("name", CALLS)
def test_tiles_have_the_whole_images_bits(name: str, order: int, mode: str) -> None:
    rng = np.random.default_rng(0)
    for params in CALLS[name]:
        for dtype in ("uint8", "float64", "bool"):
            image = (rng.random((53, 37)) * 2).astype(dtype)
            options = {**params, "order": order, "mode": mode, "cval": 1}
            expected = getattr(ndi, name)(image, **options)
            result = tw.apply(f"ndimage.{name}", image, tiles=(12, 9), **options)
            assert result.dtype == expected.dtype
            np.testing.assert_array_equal(result, expected)


def test_a_view_reads_its_part_of_the_image() -> None:
    image = np.random.default_rng(0).random((400, 400))
    source = ArrayLike(image, (20, 20))
    result = tw.apply("ndimage.zoom", source, zoom=0.5, order=1, tiles=20)
    view = result[40:60, 40:60].compute()
    np.testing.assert_array_equal(view, ndi.zoom(image, 0.5, order=1)[40:60, 40:60])
    assert all(60 <= read[0].start and read[0].stop <= 140 for read in source.reads)
