"""Derivatives of Gaussians and ridge filters against SciPy and scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage as ndi
from skimage import feature, filters

from napari_tilewise.kernels import KERNELS
from napari_tilewise.kernels.smoothing.ridge_filters import eigenvalues, hessian
from napari_tilewise.kernels.smoothing.volume_eigenvalues import volume_eigenvalues
from napari_tilewise.operations.filters.ridges import EIGENVALUES, hessian_eigenvalues
from tests.kernels.comparing import compare, equal, image_of, shape_of

MODES = ("reflect", "nearest", "mirror", "wrap", "constant")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_derivatives(dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng(len(dtype))
    for trial in range(40):
        ndim = (2, 1, 3)[trial % 3]
        image = image_of(rng, shape_of(rng, ndim, 100 if ndim < 3 else 17), dtype)
        compare(
            "scipy.ndimage.gaussian_filter",
            ndi.gaussian_filter,
            image,
            tuple(float(s) for s in rng.choice([0, 0.5, 1, 2.5], ndim)),
            order=tuple(int(o) for o in rng.integers(0, 4, ndim)),
            mode=MODES[trial % 5],
            cval=float(rng.choice([0, 1.5])),
            truncate=float(rng.choice([4, 8, 100])) if trial % 4 == 0 else 4.0,
        )


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "uint16", "bool", "int16"])
def test_ridges(dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([1, len(dtype)])
    for trial in range(16):
        image = image_of(rng, shape_of(rng, 2, 70), dtype)
        image = np.clip(image, -1, 1) if image.dtype.kind == "f" else image
        params = {
            "sigmas": ([1], [2, 4], range(1, 4), (0.7, 1.5))[trial % 4],
            "black_ridges": bool(rng.integers(2)),
            "mode": MODES[trial % 5],
        }
        compare("skimage.filters.sato", filters.sato, image, **params)
        params["beta"] = float(rng.choice([0.5, 0.8]))
        precision = np.float32 if dtype == "float32" else np.float64
        params["gamma"] = (None, 15, 0.5, precision(3.7))[trial // 4 % 4]
        compare("skimage.filters.frangi", filters.frangi, image, **params)
        compare("skimage.filters.hessian", filters.hessian, image, **params)
        del params["beta"], params["gamma"]
        params["alpha"] = (None, 0.2, -0.4)[trial % 3]
        compare("skimage.filters.meijering", filters.meijering, image, **params)


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int32"])
def test_ridges_in_volumes(dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([3, len(dtype)])
    for trial in range(6):
        image = image_of(rng, shape_of(rng, 3, 17), dtype)
        image = np.clip(image, -1, 1) if image.dtype.kind == "f" else image
        params = {
            "sigmas": ([1], [2, 4], (0.7, 1.5))[trial % 3],
            "black_ridges": bool(rng.integers(2)),
            "mode": MODES[trial % 5],
        }
        compare("skimage.filters.sato", filters.sato, image, **params)
        compare("skimage.filters.meijering", filters.meijering, image, **params)
        params |= {"alpha": float(rng.choice([0.5, 0.3])), "gamma": (None, 15)[trial % 2]}
        compare("skimage.filters.frangi", filters.frangi, image, **params)
        if dtype.startswith("float"):
            border = params["mode"], 0.5
            compare(EIGENVALUES, hessian_eigenvalues, image, 1.5, *border)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("content", ["any", "wide", "sparse", "few levels", "blank"])
def test_volume_eigenvalues(dtype: str, content: str, instruction_set: str) -> None:
    rng = np.random.default_rng([4, len(dtype)])
    lines = rng.normal(size=(6, 5003))
    if content == "wide":
        lines *= 10.0 ** rng.integers(-37, 30, lines.shape)
    elif content == "sparse":
        lines *= rng.random(lines.shape) < 0.6
    elif content == "few levels":
        lines = np.round(2 * lines) / 4
    elif content == "blank":
        lines = np.where(rng.random(5003) < 0.9, 0.0, lines) * rng.choice([-1, 1], 5003)
    if dtype == "float64" and content == "wide":  # beyond what LAPACK takes without scaling
        lines *= 10.0 ** rng.choice([-150, 0, 130], 5003)
    lines = [line.astype(dtype) for line in lines]
    matrices = np.empty((5003, 3, 3), dtype)
    for line, (i, j) in zip(lines, ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)), strict=True):
        matrices[:, i, j] = matrices[:, j, i] = line
    with np.errstate(over="ignore"):
        expected = np.linalg.eigvalsh(matrices)[:, ::-1].T
        result = volume_eigenvalues(lines)
    # Zeros keep their signs.
    assert result.tobytes() == np.ascontiguousarray(expected).tobytes()


def test_hessian(instruction_set: str) -> None:
    rng = np.random.default_rng(2)
    image = rng.random((30, 40)).astype("f4")
    for sigma in (1, 2.5):
        expected = feature.hessian_matrix(
            image, sigma, mode="nearest", use_gaussian_derivatives=True
        )
        elements = hessian(image, sigma, "nearest", 0)
        for element, other in zip(elements, expected, strict=True):
            equal(element, other)
        equal(eigenvalues(elements), feature.hessian_matrix_eigvals(expected))
        compare(EIGENVALUES, hessian_eigenvalues, image, sigma, "nearest", 0)


def test_what_is_left_to_the_function(instruction_set: str) -> None:
    image = np.ones((9, 9), "f4")
    sato, frangi = KERNELS["skimage.filters.sato"], KERNELS["skimage.filters.frangi"]
    assert sato.accepts(image)
    assert not sato.accepts(image, sigmas=np.arange(1, 3))
    assert not sato.accepts(np.ones((3, 3, 3, 3), "f4"))
    assert not sato.accepts(image.astype("f2"))
    assert not frangi.accepts(image, gamma=np.float64(15))
    image[2, 2] = np.inf
    assert not sato.accepts(image)
    assert not KERNELS["scipy.ndimage.gaussian_filter"].accepts(image, 1)
