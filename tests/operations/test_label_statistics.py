"""Measurements over labels and percentiles, where the property tests draw too little."""

from __future__ import annotations

import warnings
from typing import Any

import dask.array as da
import numpy as np
import pytest
from scipy import ndimage as ndi
from skimage import filters

import napari_tilewise as tw
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
    np.testing.assert_allclose(result, expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "float32"])
@pytest.mark.parametrize("index", [[9], [5, 9], [0, 5]])
def test_the_median_of_a_missing_id_is_scipys(index: list[int], dtype: str) -> None:
    """It is the smallest value of the smallest label, whether the index names that one or not."""
    rng = np.random.default_rng(2)
    labels = rng.integers(1, 8, (23, 17))
    labels[:, 9:] += 1
    image = rng.integers(1, 90, labels.shape).astype(dtype)
    if image.dtype.kind == "f":
        image[::2] = np.nan
    expected = np.asarray(ndi.median(image, labels, index))
    result = np.asarray(tw.apply("ndimage.median", image, labels=labels, index=index, tiles=5))
    assert result.dtype == expected.dtype
    np.testing.assert_array_equal(result, expected)


def test_a_scalar_of_a_lazy_image_is_lazy() -> None:
    source = ArrayLike(np.arange(600, dtype=np.uint16).reshape(20, 30), (7, 9))
    mean = tiled_ndi.mean(source)
    high = tiled_ndi.percentile(source, 99)
    assert source.reads == []
    assert float(mean) == 299.5
    assert float(high) == np.percentile(np.arange(600), 99)


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
@pytest.mark.parametrize("name", ["sum", "mean", "variance", "standard_deviation"])
def test_sums_beyond_64_bits_are_scipys(name: str, dtype: str) -> None:
    """SciPy's sum and mean of one group wrap around; its variance is about the true mean."""
    limits = np.iinfo(dtype)
    choices = np.array([limits.max, limits.max - 9, 0], dtype)
    image = np.random.default_rng(3).choice(choices, (9, 20))
    expected = getattr(ndi, name)(image)
    result = tw.apply(f"ndimage.{name}", image, tiles=4)
    np.testing.assert_allclose(result, expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_a_mean_of_large_integers_does_not_wrap(dtype: str) -> None:
    limits = np.iinfo(dtype)
    choices = np.array([limits.min, limits.max, limits.max - 1, 1], dtype)
    image = np.random.default_rng(4).choice(choices, (9, 20), p=(0.1, 0.4, 0.4, 0.1))
    result = tw.apply("filters.threshold_mean", da.from_array(image, chunks=4)).compute()
    np.testing.assert_allclose(result, filters.threshold_mean(image), rtol=1e-14)


@pytest.mark.parametrize("q", [0, 1, 1.0, [0, 1], np.float64(1), np.array([1, 0])], ids=str)
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "float32", "float64"])
def test_a_whole_quantile_is_a_pixel_as_it_is(q: Any, dtype: str) -> None:
    """NumPy then interpolates nothing: not its type, not infinity, not a mask."""
    image = np.random.default_rng(0).integers(0, 2, (9, 11)).astype(dtype)
    if image.dtype.kind == "f":
        image[2, 3], image[4, :2] = -np.inf, np.inf
    with np.errstate(invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = np.quantile(image, q)
        except TypeError:
            with pytest.raises(tw.TilewiseError):
                tw.apply("ndimage.quantile", image, q=q, tiles=4)
            return
        for tiles in ("auto", 4):
            found = tw.apply("ndimage.quantile", image, q=q, tiles=tiles)
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("tiles", ["auto", 17])
@pytest.mark.parametrize("scale", [1, 200, -300])
@pytest.mark.parametrize(
    "name", ["sum", "mean", "variance", "standard_deviation", "minimum", "maximum", "median"]
)
def test_half_precision_is_summed_as_by_scipy(name: str, scale: int, tiles: Any) -> None:
    """A sum of all pixels overflows there; those of several labels are of double precision."""
    rng = np.random.default_rng(0)
    image = (rng.random((40, 50)) * scale).astype(np.float16)
    labels = rng.integers(0, 4, image.shape)
    operation = tw.OPERATIONS[f"ndimage.{name}"]
    limit = operation.accuracy.limit(image.dtype)
    for params in ({}, {"labels": labels}, {"labels": labels, "index": [1, 3]}):
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = np.asarray(getattr(ndi, name)(image, **params))
            found = np.asarray(tw.apply(operation.name, image, tiles=tiles, **params))
        assert found.dtype == expected.dtype
        scale_of_result = np.abs(expected[np.isfinite(expected)]).max(initial=1)
        np.testing.assert_allclose(
            found.astype(float), expected.astype(float), rtol=0, atol=limit * float(scale_of_result)
        )
