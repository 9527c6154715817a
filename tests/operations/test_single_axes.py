"""Axes of one pixel: `apply` drops those that scikit-image drops, runs and names keep them."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr

import napari_tilewise as tw
from napari_tilewise.operations.spec.operation import ALL_AXES

if TYPE_CHECKING:
    from pathlib import Path

RNG = np.random.default_rng(0)
SINGLE = [name for name, op in tw.OPERATIONS.items() if op.limits.single is not ALL_AXES]
PARAMS: dict[str, dict[str, Any]] = {
    "feature.corner_orientations": {"corners": np.array([[1, 1], [5, 6]]), "mask": np.ones((3, 3))},
    "restoration.denoise_nl_means": {"patch_size": 3, "patch_distance": 2},
}
SHAPES = [(1, 9), (9, 1), (1, 1), (7, 9, 1), (1, 7, 9), (7, 1, 9), (1, 7, 1, 9), (2, 3, 1)]
WITH_CHANNELS = [((7, 9, 1), -1), ((9, 1, 3), -1), ((3, 1, 9), 0), ((1, 7, 9), 0)]


def original(name: str) -> Any:
    """Return scikit-image's own function."""
    module, _, function = name.rpartition(".")
    return getattr(import_module(f"skimage.{module}"), function)


def assert_same(found: Any, expected: Any) -> None:
    """Assert that images, or lists of them, are equal, their shapes and types included."""
    if isinstance(expected, list):
        assert isinstance(found, list)
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
        return
    found = np.asarray(found)
    assert (found.shape, found.dtype) == (np.shape(expected), expected.dtype)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def check(name: str, image: np.ndarray, **params: Any) -> None:
    """Assert that every way to call an operation gives what scikit-image gives, or none does."""
    params = {**PARAMS.get(name, {}), **params}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tw.apply(name, image, **params)
        except tw.TilewiseError:
            for source in (image, da.from_array(image, chunks=4)):
                with pytest.raises(tw.TilewiseError):
                    tw.apply(name, source, tiles=3, **params)
            return
        expected = original(name)(image.copy(), **params)
        assert_same(tw.apply(name, image, **params), expected)
        assert_same(tw.apply(name, image, tiles=3, **params), expected)
        is_constant = image.min() == image.max()  # returned as it is, which lazy images do not tell
        if not is_constant:
            assert_same(tw.apply(name, da.from_array(image, chunks=4), **params), expected)


@pytest.mark.parametrize("name", SINGLE)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_axes_of_one_pixel_are_dropped_as_by_scikit_image(
    name: str, shape: tuple[int, ...], dtype: str
) -> None:
    check(name, (RNG.random(shape) * (200 if dtype == "uint8" else 1)).astype(dtype))


@pytest.mark.parametrize("name", [name for name in SINGLE if tw.OPERATIONS[name].channel])
@pytest.mark.parametrize(("shape", "axis"), WITH_CHANNELS)
def test_axes_beside_channels_are(name: str, shape: tuple[int, ...], axis: int) -> None:
    check(name, RNG.random(shape), channel_axis=axis)


def test_only_a_third_axis_is_dropped_where_scikit_image_looks_at_two() -> None:
    check("segmentation.felzenszwalb", RNG.random((9, 8, 1, 3)), channel_axis=-1)
    check("segmentation.felzenszwalb", RNG.random((1, 8, 1, 3)), channel_axis=-1)
    check("segmentation.felzenszwalb", RNG.random((1, 8, 3)), channel_axis=-1)


@pytest.mark.parametrize("name", ["restoration.denoise_bilateral", "restoration.denoise_nl_means"])
def test_a_constant_image_keeps_the_axes_that_scikit_image_keeps(name: str) -> None:
    check(name, np.full((1, 9), 7, np.uint8))


def test_what_is_refused_says_why() -> None:
    volume = RNG.random((1, 1, 9))
    with pytest.raises(tw.TilewiseError, match="corner_harris works on 2 spatial axes"):
        tw.apply("feature.corner_harris", volume)
    with pytest.raises(tw.TilewiseError, match="reads memory beside the image"):
        tw.apply("restoration.denoise_tv_bregman", volume)
    with pytest.raises(tw.TilewiseError, match="too small for differences"):
        tw.apply("segmentation.morphological_chan_vese", volume, num_iter=3)


def test_runs_stacks_and_named_axes_keep_them(tmp_path: Path) -> None:
    volume = RNG.random((1, 20, 23)).astype(np.float32)
    expected = original("feature.corner_harris")(volume)
    out = tmp_path / "out.npy"
    tw.run("feature.corner_harris", volume, out, axes="zyx", spatial="zyx")
    np.testing.assert_array_equal(np.load(out), expected[np.newaxis])
    stack = np.stack([volume, volume])
    found = tw.apply("feature.corner_harris", stack, axes="tzyx", spatial="zyx")
    np.testing.assert_array_equal(found, np.stack([expected, expected])[:, np.newaxis])
    named = xr.DataArray(volume, dims=("z", "y", "x"), coords={"z": [3.5]})
    found = tw.apply("feature.corner_harris", named)
    assert dict(found.sizes) == dict(named.sizes)
    assert float(found.z[0]) == 3.5
