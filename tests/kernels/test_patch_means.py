"""Non-local means against scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import restoration

from napari_tilewise.kernels import KERNELS
from tests.kernels.comparing import compare, image_of

PATH = "skimage.restoration.denoise_nl_means"


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "uint16", "bool", "int16"])
def test_means(dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([1, len(dtype), np.dtype(dtype).itemsize])
    for _ in range(20):
        image = image_of(rng, rng.integers(2, 60, 2), dtype)
        compare(
            PATH,
            restoration.denoise_nl_means,
            image,
            patch_size=int(rng.integers(1, 9)),
            patch_distance=int(rng.integers(0, 13)),
            h=float(rng.choice([0.01, 0.1, 0.8, 40])),
            sigma=float(rng.choice([0, 0.1])),
            preserve_range=bool(rng.integers(2)),
        )


@pytest.mark.parametrize("dtype", ["float32", "uint8", "int32"])
def test_means_of_volumes(dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([3, len(dtype)])
    for trial in range(12):
        image = image_of(rng, rng.integers(2, 12, 3), dtype)
        if trial % 2:
            image = rng.random(image.shape).astype("f4")
        compare(
            PATH,
            restoration.denoise_nl_means,
            image,
            patch_size=int(rng.integers(1, 5)),
            patch_distance=trial % 5 + trial % 2,
            h=float(rng.choice([0.01, 0.1, 0.8, 40])),
            sigma=float(rng.choice([0, 0.1])),
        )


def test_last_bits_of_distances(instruction_set: str) -> None:
    # Large differences in the integral and small ones between patches: every rounding counts, that
    # of what earlier shifts left in the integral included.
    rng = np.random.default_rng(4)
    for shape in ((16, 18), (12, 16, 18)):
        image = 1e3 * rng.integers(0, 2, shape) + rng.normal(0, 0.05, shape)
        compare(PATH, restoration.denoise_nl_means, image, 1, 3, 0.1)


def test_what_is_left_to_the_function(instruction_set: str) -> None:
    kernel, image = KERNELS[PATH], np.ones((30, 30))
    assert kernel.accepts(image)
    assert not kernel.accepts(image, fast_mode=False)
    assert not kernel.accepts(image.astype("i4"), preserve_range=True)
    assert kernel.accepts(np.ones((2, 30, 30)))
    assert not kernel.accepts(image[None])
    assert not kernel.accepts(np.ones((2, 2, 30, 30)))
    assert not kernel.accepts(np.full((30, 30), np.nan))
