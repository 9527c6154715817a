"""Coefficients and samples of splines against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage as ndi

from napari_tilewise.kernels import (
    filters_splines,
    sampled_splines,
    samples_splines,
    spline_coefficients,
    threads,
)
from tests.kernels.comparing import equal, image_of

MODES = ("mirror", "reflect", "grid-mirror", "grid-wrap", "nearest", "constant", "grid-constant")
ORDERS = (2, 3, 4, 5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", MODES)
def test_coefficients(mode: str, dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([1, *mode.encode(), *dtype.encode()])
    shapes = ((1,), (2, 3), (1, 7), (40, 70), (3, 1300), (1200, 5), (5, 6, 7), (2, 1, 600))
    for shape in shapes:
        for order in ORDERS:
            image = image_of(rng, shape, dtype)
            assert filters_splines(image, order, mode)
            expected = ndi.spline_filter(image, order, mode=mode)
            equal(spline_coefficients(image, order, mode), expected, f"{shape} {order}")


def test_coefficients_by_parts(instruction_set: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_BAND", 200)
    monkeypatch.setattr(threads, "_FURTHER_BAND", 200)
    rng = np.random.default_rng(2)
    with threads.several_threads(2):
        for shape in ((90, 1100), (600, 20), (11, 12, 60)):
            image = rng.random(shape)
            expected = ndi.spline_filter(image, 3, mode="reflect")
            equal(spline_coefficients(image, 3, "reflect"), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("order", ORDERS)
def test_samples(order: int, dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([3, order, np.dtype(dtype).itemsize])
    for trial in range(16):
        ndim, most = ((2, 60), (3, 16))[trial % 2]
        image = image_of(rng, rng.integers(order + 3, most, ndim), "float64")
        low = order // 2
        lines = []
        for n in image.shape:
            line = low + rng.random(n + 9) * (n - 1.51 - 2 * low)
            lines.append(np.where(rng.random(n + 9) < 0.2, np.floor(line) + 0.5, line))
        ends = [n - 1.51 - low for n in image.shape]
        lines = [np.clip(line, low, end) for line, end in zip(lines, ends, strict=True)]
        assert samples_splines(image, lines, order)
        grid = np.stack(np.meshgrid(*lines, indexing="ij"))
        out = np.empty(grid.shape[1:], dtype)
        sampled_splines(image, lines, order, out)
        params = {"order": order, "mode": "reflect", "prefilter": False}
        equal(out, ndi.map_coordinates(image, grid, output=dtype, **params))


def test_what_scipy_answers(instruction_set: str) -> None:
    image = np.zeros((9, 9))
    assert not filters_splines(image, 1, "mirror")
    assert not filters_splines(image, 3, "wrap")
    assert not filters_splines(image.astype("f2"), 3, "mirror")
    lines = [np.array([1.5, 4.0]), np.array([2.0, 6.5])]
    assert samples_splines(image, lines, 3)
    assert not samples_splines(image, lines, 1)
    assert not samples_splines(image.astype("f4"), lines, 3)
    for outside in (0.5, 7.0):
        assert not samples_splines(image, [np.array([outside]), lines[1]], 3)
