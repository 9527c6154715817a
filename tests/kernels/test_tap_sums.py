"""Correlations with small kernels, along one axis and with all at once, against SciPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import ndimage as ndi
from skimage import filters

from napari_tilewise.kernels import KERNELS
from tests.kernels.comparing import compare, image_of, shape_of

TYPES = ("uint8", "uint16", "int8", "int16", "int32", "float32", "float64")
MODES = ("reflect", "nearest", "mirror", "wrap", "constant")


def _in_range(image: np.ndarray) -> np.ndarray:
    """Return an image, integers of 32 bits so small that sums of some hundred still are."""
    return image // 2**12 if image.dtype == np.int32 else image


def _weights(rng: np.random.Generator, shape: tuple[int, ...], floats: bool) -> np.ndarray:
    """Return a kernel that fits an image, some of its weights zero."""
    lengths = [int(rng.integers(1, min(n, 6) + 1)) for n in shape]
    weights = rng.normal(0, 3, lengths) if floats else rng.integers(-3, 4, lengths)
    return np.asarray(weights * (rng.random(lengths) < 0.8))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", ["correlate", "convolve"])
def test_any_kernel(name: str, dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([1, len(dtype), len(name)])
    for trial in range(50):
        ndim = (2, 2, 3, 1)[trial % 4]
        shape = shape_of(rng, ndim, 150 if ndim < 3 else 17)
        weights = _weights(rng, shape, floats=trial % 2 == 0)
        origins = [int(rng.integers(-(k // 2), (k + 1) // 2)) for k in weights.shape]
        compare(
            f"scipy.ndimage.{name}",
            getattr(ndi, name),
            _in_range(image_of(rng, shape, dtype, special=trial % 5 == 0)),
            weights,
            mode=MODES[trial % 5],
            cval=float(rng.choice([0, 2.5])),
            origin=origins if trial % 3 == 0 else 0,
        )


def _border(rng: np.random.Generator, trial: int) -> dict[str, Any]:
    return {"mode": MODES[trial % 5], "cval": float(rng.choice([0, 2.5]))}


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", ["correlate1d", "convolve1d", "sobel", "prewitt", "laplace"])
def test_along_axes(name: str, dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([2, len(dtype), len(name)])
    for trial in range(30):
        ndim = (2, 2, 3, 1)[trial % 4]
        image = _in_range(image_of(rng, shape_of(rng, ndim, 150 if ndim < 3 else 17), dtype))
        params = _border(rng, trial)
        if name != "laplace":
            params["axis"] = int(rng.integers(-ndim, ndim))
        if name.endswith("1d"):
            params["weights"] = rng.normal(0, 2, int(rng.integers(0, 4)) * 2 + 1)
        compare(f"scipy.ndimage.{name}", getattr(ndi, name), image, **params)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(
    "name",
    ["gaussian_filter", "gaussian_filter1d", "gaussian_laplace", "gaussian_gradient_magnitude"],
)
def test_gaussians(name: str, dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([3, len(dtype), len(name)])
    is_whole = dtype[0] != "f"
    if is_whole and name in ("gaussian_laplace", "gaussian_gradient_magnitude"):
        assert not KERNELS[f"scipy.ndimage.{name}"].accepts(np.ones((9, 9), dtype), sigma=1)
        return
    for trial in range(20):
        ndim = (2, 2, 3, 1)[trial % 4]
        image = _in_range(image_of(rng, shape_of(rng, ndim, 100 if ndim < 3 else 17), dtype))
        params = {"sigma": float(rng.choice([0.3, 1, 2.5])), **_border(rng, trial)}
        if name == "gaussian_filter1d":
            params["axis"] = int(rng.integers(-ndim, ndim))
        if name.startswith("gaussian_filter"):
            params["truncate"] = float(rng.choice([2, 4]))
            params["order"] = 0 if is_whole else int(rng.integers(0, 3))
        compare(f"scipy.ndimage.{name}", getattr(ndi, name), image, **params)


@pytest.mark.parametrize("dtype", [*TYPES, "bool", "uint64"])
@pytest.mark.parametrize("name", ["laplace", "roberts", "roberts_pos_diag", "roberts_neg_diag"])
def test_edges(name: str, dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([4, len(dtype), len(name)])
    for trial in range(20):
        ndim = 2 if name != "laplace" else (2, 3, 1)[trial % 3]
        least = 3 if name == "laplace" else 2
        shape = tuple(max(least, n) for n in shape_of(rng, ndim, 150 if ndim < 3 else 17))
        compare(
            f"skimage.filters.{name}",
            getattr(filters, name),
            image_of(rng, shape, dtype, special=trial % 5 == 0),
            mask=None if trial % 4 else rng.random(shape) < 0.9,
        )


@pytest.mark.parametrize("dtype", TYPES)
def test_gabor(dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([5, len(dtype)])
    for trial in range(12):
        shape = tuple(int(n) for n in rng.integers(40, 90, 2))
        compare(
            "skimage.filters.gabor",
            filters.gabor,
            _in_range(image_of(rng, shape, dtype, special=trial % 5 == 0)),
            frequency=float(rng.uniform(0.2, 0.8)),
            theta=float(rng.uniform(0, 3)),
            offset=float(rng.choice([0, 1])),
            **_border(rng, trial),
        )


def test_what_is_left_to_the_function(instruction_set: str) -> None:
    correlate = KERNELS["scipy.ndimage.correlate"]
    image = np.ones((5, 5), "f4")
    assert correlate.accepts(image, np.ones((3, 3)))
    assert not correlate.accepts(image, np.ones((7, 3)))  # wider than the image
    assert not correlate.accepts(image, np.ones((3, 3), complex))
    assert not correlate.accepts(image, np.ones((3, 3)), origin=2)
    assert not correlate.accepts(image, np.ones((3, 3)), mode=("wrap", "wrap"))
    assert not correlate.accepts(image.astype("i8"), np.ones((3, 3)))
    assert not correlate.accepts(np.full((5, 5), 2**29, "i4"), np.ones((3, 3)))
    assert not correlate.accepts(image.astype("u2"), np.full((3, 3), 1e5))  # beyond 32 bits
    assert not KERNELS["skimage.filters.laplace"].accepts(image, mask=image)
    assert not KERNELS["scipy.ndimage.gaussian_filter"].accepts(image, sigma=1, radius=2)
