"""The Gaussian's kernel against scikit-image's function."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage as ndi
from skimage import filters
from skimage.filters import _unsharp_mask

from napari_tilewise.kernels import KERNELS
from napari_tilewise.kernels.threads import several_threads
from tests.kernels.comparing import compare, image_of, shape_of

MODES = ("nearest", "reflect", "mirror", "wrap", "constant")
TYPES = ("uint8", "uint16", "float32", "float64", "bool", "int16", "int32", "uint64")


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("ndim", [1, 2, 3, 4])
def test_gaussian(dtype: str, ndim: int, instruction_set: str) -> None:
    rng = np.random.default_rng([ndim, len(dtype), len(instruction_set)])
    for trial in range(60 if ndim == 2 else 15):
        image = image_of(rng, shape_of(rng, ndim, 150 if ndim < 3 else 17), dtype, trial % 4 == 0)
        sigma = tuple(rng.choice([0, 0.3, 1, 1.7, 2, 5, 9], ndim))
        params = {
            "sigma": sigma if trial % 2 else float(rng.choice([0, 0.5, 1, 2, 5])),
            "mode": MODES[trial % 5],
            "cval": float(rng.choice([0, 1.5, -2])),
            "preserve_range": bool(rng.integers(2)),
            "truncate": float(rng.choice([4, 1, 2.5])),
        }
        compare("skimage.filters.gaussian", filters.gaussian, image, **params)


@pytest.mark.parametrize("mode", MODES)
def test_wide_images_are_cut_into_strips(mode: str, instruction_set: str) -> None:
    rng = np.random.default_rng(3)
    for shape, sigma in (((70, 5003), 8), ((40, 2501), 20), ((3, 20, 4099), (1, 2, 3))):
        for dtype in ("uint16", "float32"):
            image = image_of(rng, shape, dtype)
            compare("skimage.filters.gaussian", filters.gaussian, image, sigma=sigma, mode=mode)


@pytest.mark.parametrize("mode", MODES)
def test_threads_share_an_image(mode: str, instruction_set: str) -> None:
    rng = np.random.default_rng(8)
    wide, tall, volume, thin = (300, 500), (2000, 70), (40, 60, 61), (30, 5003)
    several = {wide: (2, (3, 0), (0, 3), 20), tall: (5,), thin: (1.5,)}
    several[volume] = 1.5, (2, 0, 1), (0, 2, 1), (0, 0, 3), (2, 0, 0), (2, 3, 0)
    for shape, sigmas in several.items():
        for number, sigma in enumerate(sigmas):
            image = image_of(rng, shape, TYPES[(number + len(shape)) % len(TYPES)])
            params = {"sigma": sigma, "mode": mode, "cval": 1.5}
            with several_threads(2):
                compare("skimage.filters.gaussian", filters.gaussian, image, **params)
    image = image_of(rng, wide, "int16")
    with several_threads(3):
        compare("skimage.filters.unsharp_mask", filters.unsharp_mask, image)
        for name in ("sobel", "farid"):
            function = getattr(filters, name)
            compare(f"skimage.filters.{name}", function, image, mode=mode)
            compare(f"skimage.filters.{name}", function, image[None].repeat(2, 0), mode=mode)


@pytest.mark.parametrize("channel_axis", [0, 1, -1])
def test_channels_and_out(channel_axis: int, instruction_set: str) -> None:
    rng = np.random.default_rng(5)
    image = image_of(rng, (9, 17, 12), "float32")
    for sigma in (2, (1, 2), (1, 0, 2)):
        compare(
            "skimage.filters.gaussian",
            filters.gaussian,
            image,
            sigma=sigma,
            channel_axis=channel_axis,
        )
    for out in (np.empty(image.shape, "f4"), np.empty(image.shape[::-1], "f4").T, image.copy()):
        result = KERNELS["skimage.filters.gaussian"].run(image, 1.5, out=out)
        assert result is out
        np.testing.assert_array_equal(out, filters.gaussian(image, 1.5))
    same = image.copy()
    KERNELS["skimage.filters.gaussian"].run(same, 1.5, out=same)
    np.testing.assert_array_equal(same, filters.gaussian(image, 1.5))


def test_what_is_left_to_the_function(instruction_set: str) -> None:
    kernel = KERNELS["skimage.filters.gaussian"]
    image = np.zeros((8, 8), "f4")
    assert not kernel.accepts(image.astype("f2"))
    assert not kernel.accepts(image.astype("c8"))
    assert not kernel.accepts(image, sigma=-1)
    assert not kernel.accepts(image, sigma=(1, 2, 3))
    assert not kernel.accepts(image, sigma=np.nan)
    assert not kernel.accepts(image, mode="unheard of")
    assert not kernel.accepts(image, out=np.zeros((8, 8), "f8"))


@pytest.mark.parametrize("dtype", TYPES)
def test_what_is_made_of_gaussians(dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([9, len(dtype)])
    sharpen = _unsharp_mask._unsharp_mask_single_channel
    for trial in range(15):
        ndim = (2, 2, 3)[trial % 3]
        image = image_of(rng, shape_of(rng, ndim, 70 if ndim == 2 else 17), dtype)
        mode = MODES[trial % 5]
        block = (3, 11, (5,) * ndim)[trial % 3]
        compare(
            "skimage.filters.threshold_local",
            filters.threshold_local,
            image,
            block_size=block,
            offset=(0, 2.5)[trial % 2],
            mode=mode,
            param=(None, 1.5)[trial % 2],
        )
        if dtype not in ("bool", "int16", "int32", "uint64"):
            compare(
                "skimage.filters.threshold_local",
                filters.threshold_local,
                image,
                block_size=(3, 5, (3,) * ndim)[trial % 3],
                method="median",
                offset=(0, 2.5)[trial % 2],
                mode=mode,
                cval=trial % 3,
            )
        compare(
            "skimage.filters.difference_of_gaussians",
            filters.difference_of_gaussians,
            image,
            low_sigma=(1, (1.5,) * ndim)[trial % 2],
            high_sigma=(None, 3)[trial % 2],
            mode=mode,
        )
        if image.dtype.kind == "f":
            limits = (None, [0.0, 1.0], [-1.0, 1.0])[trial % 3]
            path = "skimage.filters._unsharp_mask._unsharp_mask_single_channel"
            compare(path, sharpen, image, (1.0, 2.5)[trial % 2], 1.5, limits)
        compare(
            "skimage.filters.unsharp_mask",
            filters.unsharp_mask,
            image,
            radius=(1, 2.5)[trial % 2],
            amount=(1.5, -2, 0)[trial % 3],
            preserve_range=trial % 4 == 0,
        )
    kernel = KERNELS["skimage.filters.unsharp_mask"]
    assert not kernel.accepts(image, channel_axis=-1)
    assert not kernel.accepts(np.zeros((9, 9), "f2"))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_correlations_along_one_axis(dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([10, len(dtype)])
    for trial in range(40):
        ndim = (1, 2, 3)[trial % 3]
        shape = shape_of(rng, ndim, 70 if ndim < 3 else 17)
        image = image_of(rng, shape, dtype, trial % 4 == 0)
        half = rng.standard_normal(int(rng.integers(0, 5)))
        middle = rng.standard_normal(1)
        # sums of pairs, differences of pairs, one by one
        weights = (
            np.concatenate([half, middle, half[::-1]]),
            np.concatenate([half, middle * 0, -half[::-1]]),
            rng.standard_normal(2 * len(half) + 1),
        )[trial % 3]
        axis = int(rng.integers(-ndim, ndim))
        mode, cval = MODES[trial % 5], float(rng.choice([0, 1.5]))
        path = "scipy.ndimage.correlate1d"
        compare(path, ndi.correlate1d, image, weights, axis, mode=mode, cval=cval)
        compare("scipy.ndimage.sobel", ndi.sobel, image, axis, mode=mode, cval=cval)
    kernel = KERNELS["scipy.ndimage.correlate1d"]
    assert not kernel.accepts(image, [1, 1])
    assert not kernel.accepts(image, [1, 2, 1], origin=1)
    assert not kernel.accepts(np.full(9, 2**30, "i4"), [1, 2, 1])  # the sum is of no 32 bits
    assert not kernel.accepts(image.astype("i8"), [1, 2, 1])
