"""Measurements over labels and percentiles, where the property tests draw too little."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pytest
from scipy import ndimage as ndi

import napari_tilewise.ndimage as tiled_ndi
from tests.sources import ArrayLike

TYPES = ("u1", "i1", "u2", "i4", "u8", "f4", "f8")
QUANTITIES: tuple[Any, ...] = (0, 100, 99, 33.3, np.float64(12.5), [1, 50, 99.9])


@pytest.mark.parametrize("dtype", TYPES)
def test_percentiles_are_numpys_to_the_bit_and_type(dtype: str) -> None:
    rng = np.random.default_rng(0)
    image = (rng.normal(size=(37, 41)) * 50).astype(np.int64).astype(dtype)
    for q in QUANTITIES:
        expected = np.percentile(image, q)
        result = np.asarray(tiled_ndi.percentile(da.from_array(image, chunks=11), q))
        assert result.dtype == np.asarray(expected).dtype
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("name", ["sum", "mean", "variance", "minimum", "maximum", "median"])
def test_ids_in_any_order_repeated_and_missing(name: str) -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(-2, 9, (60, 50)) * 10**6
    image = rng.integers(0, 1000, labels.shape).astype(np.uint16)
    index = np.array([3, -1, 3, 99, 8, 0]) * 10**6
    with np.errstate(invalid="ignore"):
        expected = getattr(ndi, name)(image, labels, index)
    lazy = (da.from_array(array, chunks=17) for array in (image, labels))
    result = getattr(tiled_ndi, name)(*lazy, index)
    # Of a missing id SciPy's median is that of other pixels.
    found = np.isin(index, labels) if name == "median" else np.full(len(index), True)
    np.testing.assert_allclose(result[found], expected[found], rtol=1e-12)


def test_a_scalar_of_a_lazy_image_is_lazy() -> None:
    source = ArrayLike(np.arange(600, dtype=np.uint16).reshape(20, 30), (7, 9))
    mean = tiled_ndi.mean(source)
    high = tiled_ndi.percentile(source, 99)
    assert source.reads == []
    assert float(mean) == 299.5
    assert float(high) == np.percentile(np.arange(600), 99)
