"""Sums and means of blocks against scikit-image's."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import measure, transform

from napari_tilewise.kernels import KERNELS
from napari_tilewise.kernels.threads import several_threads
from tests.kernels.comparing import SIZES, compare, image_of

DTYPES = ("uint8", "uint16", "float32", "float64", "bool", "int8", "int16", "int32", "uint32")
MEAN = "skimage.transform.downscale_local_mean"
REDUCE = "skimage.measure.block_reduce"


def _wide(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Return the same pixels, at times as a part of a larger image."""
    kind = rng.integers(3)
    if kind == 0:
        return image
    step = int(kind)
    wide = np.zeros(tuple(step * n + 3 for n in image.shape), image.dtype)
    part = wide[tuple(slice(1, 1 + step * n, step) for n in image.shape)]
    part[...] = image
    return part


@pytest.mark.parametrize("dtype", DTYPES)
def test_sums_and_means_of_blocks(dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([1, len(dtype)])
    for trial in range(120):
        ndim = 2 + trial % 2
        most = 150 if ndim == 2 else 17
        sizes = [size for size in SIZES if size <= most]
        blocks = tuple(int(n) for n in rng.integers(1, 17 if trial % 5 else 40, ndim))
        if ndim == 3:
            blocks = (min(blocks[0], 6), *blocks[1:])
        shape = [int(rng.choice(sizes)) for _ in range(ndim)]
        shape[-1] += blocks[-1]
        cval = (0, 1, 0, float("nan"))[trial % 4] if dtype.startswith("float") else trial % 2
        image = np.ascontiguousarray(image_of(rng, shape, dtype, special=trial % 3 == 0))
        image = _wide(rng, image)
        compare(MEAN, transform.downscale_local_mean, image, blocks, cval)
        compare(REDUCE, measure.block_reduce, image, blocks, np.sum, cval)
        compare(REDUCE, measure.block_reduce, image, block_size=blocks, func=np.mean, cval=cval)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", range(1, 17))
def test_every_length_of_a_row(length: int, dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([2, length])
    for width in (length + 1, 2 * length, 67 * length, 70 * length + length // 2):
        image = image_of(rng, (13, width), dtype).copy(order="C")
        compare(MEAN, transform.downscale_local_mean, image, (length, length))
        compare(MEAN, transform.downscale_local_mean, image, (2, length))
        compare(REDUCE, measure.block_reduce, image, (1, length))


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_long_blocks(dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([3, len(dtype)])
    full = np.full((300, 300), 255, dtype)
    noise = (rng.random((300, 300)) * 255).astype(dtype)
    for image in (full, noise):
        for blocks in ((257, 128), (257, 127), (100, 120), (1, 128), (257, 1)):
            compare(MEAN, transform.downscale_local_mean, image, blocks)
            compare(REDUCE, measure.block_reduce, image, blocks)


def test_integers_in_any_order(instruction_set: str) -> None:
    rng = np.random.default_rng(4)
    for trial in range(40):
        image = image_of(rng, rng.integers(1, 20, 2 + trial % 2), DTYPES[trial % 2])
        length = int(rng.integers(1, 8))
        compare(MEAN, transform.downscale_local_mean, image, length)
        compare(REDUCE, measure.block_reduce, image[..., ::-1], length)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_threads_share_lines_of_blocks(dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng(5)
    image = (rng.random((1030, 1021)) * 255).astype(dtype)
    volume = image[:1020, :1020].reshape(17, 60, 1020)
    with several_threads(3):
        compare(MEAN, transform.downscale_local_mean, image, 4)
        compare(MEAN, transform.downscale_local_mean, volume, (2, 7, 5))


def test_what_is_not_accepted() -> None:
    means, reductions = KERNELS[MEAN], KERNELS[REDUCE]
    image = np.ones((8, 9))
    assert not means.exact_for(image, (2, 9))  # one block from left to right: another order
    assert not means.exact_for(np.asfortranarray(image), 2)
    assert not means.exact_for(image[:, ::-1], 2)
    assert not means.exact_for(image.astype(">f8"), 2)
    assert not means.exact_for(image.astype(np.float16), 2)
    assert not means.exact_for(image, 0)
    assert not means.exact_for(image, (2, 2, 2))
    assert not means.exact_for(image, [2, 2])
    assert not means.exact_for(np.ones((2, 300)), (1, 129))
    assert not means.exact_for(np.ones((300, 3), np.uint8), (258, 1))
    assert not means.exact_for(image.astype(np.uint8), 4, 256)
    assert not means.exact_for(image.astype(np.uint8), 4, 0.5)
    assert not reductions.exact_for(image, 2, np.max)
    assert not reductions.exact_for(image, 2, np.mean, func_kwargs={"dtype": "float32"})
