"""Halving: exact at ragged edges, for every data type, and never an average of labels."""

from fractions import Fraction

import numpy as np
import pytest

import napari_tilewise as tw
from napari_tilewise.io.writers.pyramid import halve, level_shapes
from tests.io.test_formats import write

RNG = np.random.default_rng(0)


def reference(image):
    """Return the average over the pixels that exist, rounded half to even, one by one."""
    out = np.empty([-(-n // 2) for n in image.shape], image.dtype)
    for y, x in np.ndindex(*out.shape):
        cell = [Fraction(v) for v in image[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].ravel().tolist()]
        mean = sum(cell) / len(cell)
        out[y, x] = round(mean) if image.dtype.kind in "iu" else float(mean)
    return out


def sample(dtype, shape):
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return RNG.normal(size=shape).astype(dtype)
    info = np.iinfo(dtype)
    spread = RNG.integers(info.min, info.max, shape, dtype, endpoint=True)
    near = RNG.integers(0, 4, shape).astype(dtype)
    return np.where(RNG.random(shape) < 0.5, info.max - near, spread).astype(dtype)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4"])
@pytest.mark.parametrize("shape", [(8, 6), (7, 6), (8, 5), (7, 5), (1, 9), (1, 1)])
def test_average_is_exact(dtype, shape):
    image = sample(dtype, shape)
    np.testing.assert_array_equal(halve(image, (True, True), average=True), reference(image))


def test_float64_is_the_plain_mean():
    """To the rounding of its additions, whose order differs: pixels of both signs cancel."""
    image = RNG.normal(size=(8, 6))
    cells = image.reshape(4, 2, 3, 2)
    error = abs(halve(image, (True, True), average=True) - cells.mean(axis=(1, 3)))
    assert (error <= 4 * np.finfo(float).eps * abs(cells).mean(axis=(1, 3))).all()


@pytest.mark.parametrize("dtype", ["i4", "u8", "?"])
def test_labels_keep_the_top_left_pixel(dtype):
    labels = RNG.integers(0, 1000, (7, 9)).astype(dtype)
    np.testing.assert_array_equal(halve(labels, (True, True), average=False), labels[::2, ::2])


def test_masks_are_never_averaged():
    mask = RNG.random((7, 9)) < 0.5
    np.testing.assert_array_equal(halve(mask, (True, True), average=True), mask[::2, ::2])


def test_only_y_and_x_are_halved_until_small():
    assert level_shapes((9, 2, 3001, 1500), ("t", "z", "y", "x")) == [
        (9, 2, 3001, 1500),
        (9, 2, 1501, 750),
        (9, 2, 751, 375),
    ]
    assert level_shapes((1024, 1024), ("y", "x")) == [(1024, 1024)]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("corner", [(0.0, 0.0), (3.0, -7.5)])
def test_each_level_lies_where_its_values_do(tmp_path, version, labels, corner):
    scale, across = (0.25, 0.5), np.arange(4096)
    ramp = np.stack([across, across + 1]).astype(np.float32)
    pixels = ramp.astype(np.int32) if labels else ramp
    path = write(
        tmp_path / "ramp.ome.zarr", pixels, "yx", scale=scale, translate=corner, labels=labels,
        ome_zarr=version,
    )  # fmt: skip
    assert tw.open(path).translate == corner  # napari takes that of the finest level
    for level in range(len(tw.open(path).levels)):
        image = tw.open(path, level=level)
        rows, columns = (
            (np.arange(n) * size + start - first) / fine
            for n, size, start, first, fine in zip(
                image.data.shape, image.scale, image.translate, corner, scale, strict=True
            )
        )
        np.testing.assert_array_equal(image.data[:], rows[:, None] + columns)
