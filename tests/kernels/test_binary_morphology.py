"""Erosion and dilation of masks against SciPy and scikit-image."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import numpy as np
import pytest
from scipy import ndimage as ndi
from skimage import morphology

from napari_tilewise.kernels import KERNELS
from tests.kernels.comparing import compare, image_of, shape_of

NAMES = ("binary_erosion", "binary_dilation", "binary_opening", "binary_closing")


def _structure(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return a structure that fits an image, of even or odd sizes, with holes or without."""
    lengths = [int(rng.integers(1, max(2, min(n, 8)))) for n in shape]
    structure = rng.random(lengths) < rng.choice([0.5, 0.9, 1.1])
    structure[tuple(int(rng.integers(n)) for n in lengths)] = True
    return structure


def _quietly(name: str, image: np.ndarray, **params: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # deprecated
        return getattr(morphology, name)(image, **params)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "float32"])
@pytest.mark.parametrize("name", NAMES)
def test_masks(name: str, dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([1, len(dtype), len(name)])
    for trial in range(40):
        ndim = (2, 2, 3, 1)[trial % 4]
        shape = tuple(max(4, n) for n in shape_of(rng, ndim, 150 if ndim < 3 else 17))
        image = image_of(rng, shape, dtype, special=trial % 5 == 0)
        if trial % 2:
            image = (rng.random(shape) < 0.9).astype(dtype)
        structure = None if trial % 7 == 0 else _structure(rng, shape)
        params = {
            "iterations": (1, 1, 2, 5, 40)[trial % 5],
            "border_value": int(rng.integers(2)),
        }
        # Repetitions of SciPy's own write beyond arrays.
        function = partial(getattr(ndi, name), brute_force=True)
        compare(f"scipy.ndimage.{name}", function, image, structure=structure, **params)
        footprint = structure
        if structure is not None and trial % 3 == 0:
            footprint = ((structure, 1), (np.ones((1,) * (ndim - 1) + (3,), np.uint8), 2))
        mode = ("ignore", "min", "max")[trial % 3]
        function = partial(_quietly, name)
        compare(f"skimage.morphology.{name}", function, image, footprint=footprint, mode=mode)


def test_what_is_left_to_the_function(instruction_set: str) -> None:
    erosion = KERNELS["scipy.ndimage.binary_erosion"]
    mask = np.ones((5, 5), bool)
    assert erosion.accepts(mask)
    assert not erosion.accepts(mask, mask=mask)
    assert not erosion.accepts(mask, iterations=0)
    assert not erosion.accepts(mask, origin=1)
    assert not erosion.accepts(mask, np.ones((7, 7)))
    assert not erosion.accepts(mask, np.zeros((3, 3)))
    assert not erosion.accepts(mask.astype(complex))
    assert not KERNELS["skimage.morphology.binary_opening"].accepts(mask, mode="reflect")
