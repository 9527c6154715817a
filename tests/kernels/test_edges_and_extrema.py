"""Edge magnitudes and local extrema against scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage as ndi
from skimage import filters, morphology

from napari_tilewise.kernels import KERNELS
from napari_tilewise.operations.feature.canny import THINNING, thinned_magnitude
from tests.kernels.comparing import compare, image_of, shape_of

GREY = ("uint8", "uint16", "float32", "float64")
MODES = ("reflect", "nearest", "mirror", "wrap", "constant")


@pytest.mark.parametrize("dtype", [*GREY, "bool", "int8", "int32", "uint64"])
@pytest.mark.parametrize("name", ["sobel", "scharr", "prewitt", "farid"])
def test_edges(name: str, dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([1, len(dtype), len(name)])
    for trial in range(30):
        ndim = (2, 2, 3)[trial % 3]
        shape = shape_of(rng, ndim, 150 if ndim == 2 else 17)
        image = image_of(rng, shape, dtype, special=trial % 5 == 0)
        axes = (None, None, 0, ndim - 1, (0, 1))
        compare(
            f"skimage.filters.{name}",
            getattr(filters, name),
            image,
            mask=None if trial % 4 else rng.random(shape) < 0.9,
            axis=axes[trial % 5],
            mode=MODES[trial % 5],
            cval=float(rng.choice([0, 2.5])),
        )


@pytest.mark.parametrize("dtype", [*GREY, "int8", "int16", "int32", "uint32", "bool"])
@pytest.mark.parametrize("name", ["local_maxima", "local_minima"])
def test_extrema(name: str, dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([2, len(dtype), len(name)])
    for trial in range(50):
        ndim = (2, 2, 3, 1)[trial % 4]
        shape = shape_of(rng, ndim, 100 if ndim < 3 else 17)
        image = image_of(rng, shape, dtype)
        if trial % 3 == 0:
            image = rng.integers(0, 3, shape).astype(dtype)
        connectivity = None if trial % 2 else int(rng.integers(1, ndim + 1))
        footprint = ndi.generate_binary_structure(ndim, connectivity or ndim)
        compare(
            f"skimage.morphology.{name}",
            getattr(morphology, name),
            image,
            connectivity=connectivity,
            footprint=footprint if trial % 5 == 0 else None,
            indices=bool(rng.integers(2)),
            allow_borders=bool(rng.integers(2)) or min(shape) < 3,
        )


def test_infinite_extrema(instruction_set: str) -> None:
    image = np.random.default_rng(3).choice([-np.inf, -0.0, 0.0, 1, np.inf], (30, 40))
    compare("skimage.morphology.local_maxima", morphology.local_maxima, image)
    compare("skimage.morphology.local_minima", morphology.local_minima, image)


def test_plateaus(instruction_set: str) -> None:
    # Few levels in blocks: plateaus that wind, and touch each other and the border.
    rng = np.random.default_rng(5)
    for trial in range(30):
        ndim, dtype = (2, 3, 1)[trial % 3], GREY[trial % 4]
        image = rng.integers(0, 2 + trial % 4, rng.integers(1, 14 if ndim < 3 else 7, ndim))
        for axis in range(ndim):
            image = np.repeat(image, int(rng.integers(1, 4)), axis)
        connectivity = int(rng.integers(1, ndim + 1))
        for name in ("local_maxima", "local_minima"):
            function = getattr(morphology, name)
            path = f"skimage.morphology.{name}"
            compare(path, function, image.astype(dtype), connectivity=connectivity)


def test_what_is_left_to_the_function(instruction_set: str) -> None:
    sobel = KERNELS["skimage.filters.sobel"]
    image = np.ones((5, 5), "f4")
    assert sobel.accepts(image)
    assert not sobel.accepts(image, mask=image)
    assert not sobel.accepts(image.astype("f2"))
    assert not sobel.accepts(image, mode=("reflect", "wrap"))
    maxima = KERNELS["skimage.morphology.local_maxima"]
    assert maxima.accepts(image)
    assert not maxima.accepts(image, footprint=np.eye(3))
    assert not maxima.accepts(image[:2], allow_borders=False)
    image[2, 2] = np.nan
    assert not maxima.accepts(image)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_thinned_edges(dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([4, len(dtype)])
    for trial in range(40):
        image = image_of(rng, shape_of(rng, 2, 100), dtype)
        if trial % 3 == 0:
            image = ndi.gaussian_filter(image, 1)
        mask = None
        if trial % 2:  # none of the pixels at the border
            mask = np.zeros(image.shape, bool)
            mask[1:-1, 1:-1] = rng.random(image.shape)[1:-1, 1:-1] > 0.2
        low = float(rng.choice([0, 0.1, 2, 1e-50]))
        compare(THINNING, thinned_magnitude, image, mask, low)
    image[0] = np.nan
    assert not KERNELS[THINNING].accepts(image, None, 0.1)
