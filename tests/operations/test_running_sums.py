"""Integers that follow from SciPy's running sums do not depend on where tiles begin."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import ndimage as ndi

import napari_tilewise as tw

LEVELS = np.random.default_rng(1).integers(0, 6, (24, 39), np.uint8)
REALS = np.random.default_rng(2).random((24, 39)) * 20
CASES: list[tuple[np.ndarray, dict[str, Any]]] = [
    (LEVELS, {"mode": "constant", "cval": 0.45}),
    (REALS, {"mode": "wrap", "output": "uint8"}),
]


@pytest.mark.parametrize("tiles", [9, 35])
@pytest.mark.parametrize(("image", "params"), CASES)
@pytest.mark.parametrize("name", ["uniform_filter", "uniform_filter1d"])
def test_truncated_means(name: str, image: np.ndarray, params: dict[str, Any], tiles: int) -> None:
    for size in (1, 3, 6):
        found = tw.apply(f"ndimage.{name}", image, size=size, tiles=tiles, **params)
        expected = getattr(ndi, name)(image, size, **{**params, "output": np.uint8})
        np.testing.assert_array_equal(found, expected)
