"""Boundaries drawn on colour images, which the property test does not know to draw."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from scipy import ndimage as ndi
from skimage import data, segmentation

import napari_tilewise as tw


@pytest.mark.parametrize("mode", ["thick", "inner", "outer", "subpixel"])
@pytest.mark.parametrize("outline", [None, (1, 0, 0)])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_boundaries_on_colours(mode: str, outline: object, dtype: str) -> None:
    image = data.astronaut()[:150, 20:131]
    image = image if dtype == "uint8" else (image / 255).astype(dtype)
    labels = ndi.label(ndi.gaussian_filter(image[..., 0].astype(float), 2) > image[..., 0].mean())[
        0
    ]
    params = {"label_img": labels, "mode": mode, "outline_color": outline}
    expected = segmentation.mark_boundaries(image, **params)
    found = tw.apply("segmentation.mark_boundaries", image, tiles=(37, 23), **params)
    assert found.dtype == expected.dtype
    limit = 0 if mode != "subpixel" else 1e-14 if dtype == "uint8" else 2.0**-23
    np.testing.assert_allclose(found, expected, rtol=0, atol=limit)
    lazy = tw.apply("segmentation.mark_boundaries", da.from_array(image, chunks=64), **params)
    np.testing.assert_allclose(lazy[30:40, 20:90].compute(), expected[30:40, 20:90], atol=limit)
