"""Points that keep a distance, and samples between pixels, against scikit-image and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage as ndi

from napari_tilewise.kernels import keeps_distance, linear_samples, samples_between, spaced
from napari_tilewise.operations.shared.private import reach
from tests.kernels.comparing import equal, image_of


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_points(axes: int, instruction_set: str) -> None:
    rng = np.random.default_rng([1, axes])
    ensure_spacing = reach("_shared.coord", "ensure_spacing")
    for trial in range(24):
        points = rng.integers(0, rng.choice([6, 60]), (int(rng.integers(1, 400)), axes))
        spacing, norm = int(rng.integers(1, 9)), (1, 2, np.inf)[trial % 3]
        most = None if trial % 2 else int(rng.integers(0, 30))
        assert keeps_distance(points, spacing, norm)
        expected = ensure_spacing(points, spacing=spacing, p_norm=norm, max_out=most)
        equal(spaced(points, spacing, norm, most), expected)
    assert not keeps_distance(points, 2.5, 2)
    assert not keeps_distance(points - 100, 2, 2)
    assert not keeps_distance(points, 2, 3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_samples(dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([2, np.dtype(dtype).itemsize])
    for trial in range(24):
        ndim, most = ((2, 40), (3, 9))[trial % 2]
        image = image_of(rng, rng.integers(2, most, ndim), dtype, special=True)
        lines = [
            np.where(rng.random(n) < 0.2, np.floor(line), line)
            for line, n in ((rng.random(n + 9) * (n - 1), n + 9) for n in image.shape)
        ]
        assert samples_between(image, lines)
        grid = np.stack(np.meshgrid(*lines, indexing="ij"))
        out = np.empty(grid.shape[1:], dtype)
        linear_samples(image, lines, out)
        expected = ndi.map_coordinates(image, grid, order=1, prefilter=False)
        equal(out, expected)
        assert not samples_between(image, [*lines[:-1], lines[-1] + image.shape[-1] - 1])
