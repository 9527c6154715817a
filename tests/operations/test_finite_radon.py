"""Gathered rows are added in scikit-image's order, so that sums of floats have the same bits."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import transform

import napari_tilewise as tw


@pytest.mark.parametrize("length", [1, 2, 7, 31])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float32", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_sums_are_those_of_rolled_rows(length: int, dtype: str, order: str) -> None:
    noise = np.random.default_rng(length).uniform(0, 250, (length + 1, length))
    sums = noise.astype(dtype, order=order)
    np.testing.assert_array_equal(tw.apply("transform.frt2", sums[1:]), transform.frt2(sums[1:]))
    if sums.dtype.kind in "bu":
        np.testing.assert_array_equal(tw.apply("transform.ifrt2", sums), transform.ifrt2(sums))
