"""Affine maps against SciPy: every pixel of every part of the result."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy import ndimage as ndi

from napari_tilewise.kernels import KERNELS, threads
from napari_tilewise.kernels.geometry.affine_maps import (
    AffineMap,
    Interpolation,
    MappedTile,
    affine_samples,
    maps_affinely,
)
from tests.kernels.comparing import compare, equal, image_of, shape_of

PATH = "scipy.ndimage.affine_transform"
TYPES = ("uint8", "uint16", "float32", "float64")
MODES = ("constant", "nearest", "reflect", "grid-mirror", "mirror")


def _matrix(rng: np.random.Generator, ndim: int) -> np.ndarray:
    """Return a rotation, a flip, a shear, nearly the identity, whole numbers, or anything."""
    kind = rng.integers(6)
    if kind == 0:
        return np.linalg.qr(rng.normal(size=(ndim, ndim)))[0]
    if kind == 1:
        return np.diag(rng.choice([-1.0, 1.0], ndim))[rng.permutation(ndim)]
    if kind == 2:
        return np.eye(ndim) + np.triu(rng.choice([0, 0.5, -0.25, 0.1], (ndim, ndim)), 1)
    if kind == 3:
        return np.eye(ndim) + rng.choice([0, 1e-16, -1e-16, 2e-15, 1e-9], (ndim, ndim))
    if kind == 4:
        return rng.integers(-2, 3, (ndim, ndim)).astype(float)
    return rng.normal(0, 1.5, (ndim, ndim))


def _offset(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return where the first pixel lies: whole, halves, just off a border, or anywhere near."""
    kind, n = rng.integers(4), np.array(shape)
    if kind == 0:
        return rng.integers(-n, 2 * n).astype(float)
    if kind == 1:
        return rng.integers(-2 * n, 3 * n) / 2
    if kind == 2:
        return rng.choice([0, -0.5, -1e-16, -1e-15, -2e-15, 1e-16, -1], n.shape) + rng.choice(
            [0, 1], n.shape
        ) * (n - 1)
    return rng.uniform(-2 * n, 3 * n)


def _call(rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, Any]:
    ndim, offset = len(shape), _offset(rng, shape)
    matrix, form = _matrix(rng, ndim), rng.integers(4)
    if form == 0:
        return {"matrix": np.column_stack([matrix, offset])}
    if form == 1:
        return {"matrix": np.vstack([np.column_stack([matrix, offset]), [0] * ndim + [1]])}
    if form == 2:
        return {"matrix": matrix.tolist(), "offset": tuple(offset.tolist())}
    return {"matrix": matrix, "offset": float(offset[0])}


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("mode", MODES)
def test_any_map(mode: str, order: int, dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([1, order, *mode.encode(), *dtype.encode()])
    for trial in range(60):
        ndim, largest = ((2, 150), (2, 9), (3, 17))[trial % 3]
        shape = shape_of(rng, ndim, largest)
        params = _call(rng, shape)
        if trial % 4 == 0:
            params["output_shape"] = shape_of(rng, ndim, 70 if ndim < 3 else 17)
        compare(
            PATH,
            ndi.affine_transform,
            image_of(rng, shape, dtype, special=trial % 2 == 0),
            order=order,
            mode=mode,
            cval=float(rng.choice([0, 2.5, -3, 1e6, np.nan, np.inf])),
            output=(None, dtype, np.dtype(dtype))[trial % 3],
            **params,
        )


@pytest.mark.parametrize("dtype", TYPES)
def test_the_sign_of_zero(dtype: str, instruction_set: str) -> None:
    image = np.full((5, 40), -0.0).astype(dtype)
    for order, mode in product((0, 1), MODES):
        params = {"order": order, "mode": mode, "cval": -0.0}
        for matrix in (np.eye(2), np.array([[1, 0.1], [0.2, -1]])):
            expected = ndi.affine_transform(image, matrix, **params)
            result = KERNELS[PATH].run(image, matrix, **params)
            assert result.tobytes() == expected.tobytes()


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("mode", MODES)
def test_parts_have_the_bits_of_the_whole(mode: str, order: int, instruction_set: str) -> None:
    rng = np.random.default_rng([2, order, *mode.encode()])
    for trial in range(30):
        ndim, largest = ((2, 100), (3, 17))[trial % 2]
        image = rng.random(shape_of(rng, ndim, largest))
        matrix, offset = _matrix(rng, ndim), _offset(rng, image.shape)
        affine, sampling = AffineMap.of(matrix, offset, ndim), Interpolation(order, mode, 0.5)
        assert affine is not None
        expected = ndi.affine_transform(image, matrix, offset, order=order, mode=mode, cval=0.5)
        first = tuple(int(rng.integers(0, n)) for n in image.shape)
        rest = [n - k for n, k in zip(image.shape, first, strict=True)]
        shape = tuple(int(rng.integers(1, n + 1)) for n in rest)
        tile = tuple(slice(k, k + n) for k, n in zip(first, shape, strict=True))
        box = _box(image.shape, affine, tile, mode)
        part = MappedTile(image.shape, tuple(span.start for span in box), first, shape)
        assert maps_affinely(image[box], affine, part, sampling)
        equal(affine_samples(image[box], affine, part, sampling), expected[tile])


def _box(
    shape: tuple[int, ...], affine: AffineMap, tile: tuple[slice, ...], mode: str
) -> tuple[slice, ...]:
    """Return the part of the image that a tile is made of; all of it where the border mirrors."""
    if mode not in ("constant", "nearest"):
        return tuple(slice(0, n) for n in shape)
    points = np.stack([axis.ravel() for axis in np.mgrid[tile]])
    places = affine.matrix @ points + affine.offset[:, None]
    low, high = np.floor(places.min(1)) - 2, np.ceil(places.max(1)) + 3
    spans = zip(low, high, shape, strict=True)
    return tuple(slice(int(np.clip(a, 0, n - 1)), int(np.clip(b, 1, n))) for a, b, n in spans)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("mode", MODES)
def test_rotations(mode: str, dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([4, *mode.encode(), *dtype.encode()])
    for trial in range(30):
        ndim, largest = ((2, 100), (3, 17), (4, 5))[trial % 3]
        image = image_of(rng, shape_of(rng, ndim, largest), dtype, special=trial % 4 == 0)
        compare(
            "scipy.ndimage.rotate",
            ndi.rotate,
            image,
            angle=float(rng.choice([0, 90, -180, 45, 30, rng.uniform(-400, 400)])),
            axes=(1, 0) if trial % 2 else tuple(rng.permutation(ndim)[:2].tolist()),
            reshape=trial % 5 > 0,
            order=int(rng.integers(2)),
            mode=mode,
            cval=float(rng.choice([0, 2.5])),
        )


def test_bands(instruction_set: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_BAND", 200)
    monkeypatch.setattr(threads, "_FURTHER_BAND", 200)
    rng = np.random.default_rng(3)
    with threads.several_threads(2):
        for shape in ((90, 300), (11, 12, 60)):
            image = image_of(rng, shape, "float32")
            compare(PATH, ndi.affine_transform, image, _matrix(rng, len(shape)), order=1)


def test_what_is_left_to_the_function(instruction_set: str) -> None:
    kernel, image, matrix = KERNELS[PATH], np.ones((5, 7), "f4"), np.eye(2)
    assert kernel.accepts(image, matrix, order=1)
    assert not kernel.accepts(image, matrix)  # a spline
    assert not kernel.accepts(image, [1.0, 2.0], order=1)  # a diagonal
    assert not kernel.accepts(image, matrix, order=1, mode="wrap")
    assert not kernel.accepts(image, matrix, order=1, mode="grid-constant")
    assert not kernel.accepts(image, matrix, order=1, output="float64")
    assert not kernel.accepts(image, matrix, order=1, output=np.empty((5, 7), "f4"))
    assert not kernel.accepts(image, matrix, order=1, output_shape=(3, 4, 5))
    assert not kernel.accepts(image, matrix, order=1, cval=1j)
    assert not kernel.accepts(image, matrix, 2.0**31, order=1)  # too far away
    assert not kernel.accepts(image, matrix * np.nan, order=1)
    assert not kernel.accepts(image, [[1, 0, 0], [0, 1, 0], [0, 0, 2]], order=1)
    assert not kernel.accepts(image.astype("i4"), matrix, order=1)
    assert not kernel.accepts(np.ones(5), np.eye(1), order=1)
    assert not kernel.accepts(np.ones((0, 5)), matrix, order=1)
    rotate = KERNELS["scipy.ndimage.rotate"]
    assert rotate.accepts(image, 30, order=1)
    assert not rotate.accepts(image, 30)
    assert not rotate.accepts(image, np.inf, order=1)
    assert not rotate.accepts(image, 30, axes=(0, 0), order=1)
    assert not rotate.accepts(image, 30, axes=(0, 2), order=1)
