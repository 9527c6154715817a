"""Images that find faults, and the comparison of a kernel with the function it stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.kernels import KERNELS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65, 70, 100, 150)


def shape_of(rng: np.random.Generator, ndim: int, largest: int = 150) -> tuple[int, ...]:
    """Return a shape, often with sizes of 1 to 3."""
    sizes = [size for size in SIZES if size <= largest]
    return tuple(int(rng.choice(sizes)) for _ in range(ndim))


def image_of(
    rng: np.random.Generator, shape: Sequence[int], dtype: Any, special: bool = False
) -> np.ndarray:
    """Return an image: noise, few levels, a constant, blobs or a single bright pixel.

    With `special`, floating-point images hold NaN, infinities, negative zeros and subnormals.
    """
    shape = tuple(shape)
    dtype = np.dtype(dtype)
    kind = rng.integers(5)
    if kind == 0:
        unit = rng.random(shape)
    elif kind == 1:
        unit = rng.integers(0, 4, shape) / 3
    elif kind == 2:
        unit = np.full(shape, rng.random())
    elif kind == 3:
        unit = np.zeros(shape)
        unit[tuple(int(rng.integers(n)) for n in shape)] = 1
    else:
        unit = sum(np.indices(shape)) % 7 / 7 + rng.random(shape) * 1e-3
        unit = np.clip(unit, 0, 1)
    if dtype == np.bool_:
        return unit > 0.5
    if dtype.kind in "iu":
        image = (unit * min(int(np.iinfo(dtype).max), 2**40)).astype(dtype)
    else:
        image = (unit * rng.choice([1.0, 100.0])).astype(dtype)
        if rng.random() < 0.3:
            image -= dtype.type(0.5)
    if special and dtype.kind == "f":
        values = [np.nan, np.inf, -np.inf, -0.0, np.finfo(dtype).smallest_subnormal]
        for _ in range(int(rng.integers(1, 6))):
            image[tuple(int(rng.integers(n)) for n in shape)] = rng.choice(values)
    return strided(rng, image)


def strided(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Return the same pixels, at times in memory that is not contiguous."""
    kind = rng.integers(4)
    if kind == 0:
        return np.asfortranarray(image)
    if kind == 1:
        wide = np.zeros(tuple(2 * n for n in image.shape), image.dtype)
        part = wide[tuple(slice(None, None, 2) for _ in image.shape)]
        part[...] = image
        return part
    if kind == 2:
        return image[::-1].copy()[::-1]
    return image


def compare(
    path: str, function: Callable[..., Any], image: np.ndarray, *args: Any, **params: Any
) -> None:
    """Assert that a kernel accepts a call, and gives the bits of its function."""
    kernel = KERNELS[path]
    assert kernel.accepts(image, *args, **params), (path, image.dtype, image.shape, params)
    before = image.copy()
    with np.errstate(all="ignore"):
        expected = function(image, *args, **params)
        result = kernel.run(image, *args, **params)
    np.testing.assert_array_equal(image, before, err_msg="the image was changed")
    equal(result, expected, f"{path} {image.dtype} {image.shape} {args} {params}")


def equal(result: Any, expected: Any, message: str = "") -> None:
    """Assert the same data type, shape and values, NaN where NaN is expected."""
    if isinstance(expected, tuple):
        assert len(result) == len(expected)
        for one, other in zip(result, expected, strict=True):
            equal(one, other, message)
        return
    assert np.asarray(result).dtype == np.asarray(expected).dtype, message
    np.testing.assert_array_equal(result, expected, err_msg=message, strict=True)
