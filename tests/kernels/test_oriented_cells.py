"""Histograms of oriented gradients against scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import feature

from napari_tilewise.kernels import KERNELS
from tests.kernels.comparing import compare, image_of

PATH = "skimage.feature.hog"


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64", "bool", "int16"])
def test_descriptors(dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([1, len(dtype), np.dtype(dtype).itemsize])
    for trial in range(16):
        cells, blocks = rng.integers(1, 10, 2), rng.integers(1, 4, 2)
        shape = np.maximum(cells * blocks + rng.integers(0, 40, 2), 2)
        image = image_of(rng, shape, dtype)
        if trial % 4 == 0:  # gradients whose angles are borders of bins
            image = rng.integers(0, 3, shape).astype(dtype)
        compare(
            PATH,
            feature.hog,
            image,
            orientations=int(rng.choice([1, 2, 4, 7, 8, 9, 12, 18, 36, 64])),
            pixels_per_cell=tuple(cells.tolist()),
            cells_per_block=tuple(blocks.tolist()),
            block_norm=("L1", "L1-sqrt", "L2", "L2-Hys")[int(rng.integers(4))],
            feature_vector=bool(trial % 2),
            transform_sqrt=trial % 3 == 0 and bool(image.min() >= 0),
        )


def test_angles_next_to_borders(instruction_set: str) -> None:
    # Gradients of every direction in steps of a few rounding errors around the borders.
    rng = np.random.default_rng(2)
    angles = np.deg2rad(np.repeat(np.arange(0, 360, 10), 40) + rng.normal(0, 1e-14, 1440))
    image = np.zeros((3 * len(angles), 4))
    image[2::3, 1], image[1::3, 2] = np.sin(angles), np.cos(angles)
    image *= rng.choice([1e-300, 1e-20, 1, 1e20], len(image))[:, None]
    for orientations in (3, 9, 18):
        compare(PATH, feature.hog, image, orientations, (3, 1), (1, 1), "L1")


def test_what_is_left_to_the_function(instruction_set: str) -> None:
    kernel, image = KERNELS[PATH], np.ones((30, 30))
    assert kernel.accepts(image)
    assert not kernel.accepts(image, visualize=True)
    assert not kernel.accepts(-image, transform_sqrt=True)
    assert not kernel.accepts(image[:9])
    assert not kernel.accepts(np.full((30, 30), np.inf))
