"""Percentiles by digits: counted to the last one, or gathered once they are few."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import feature

import napari_tilewise as tw
from napari_tilewise.operations.shared import percentiles

QUANTILES = {"use_quantiles": True, "low_threshold": 0.6, "high_threshold": 0.85}


@pytest.mark.parametrize("few", [0, 40, percentiles.FEW])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["noise", "few values", "constant", "one other pixel"])
def test_edges_above_quantiles(
    kind: str, dtype: str, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(percentiles, "FEW", few)
    rng = np.random.default_rng(1)
    image = rng.normal(0.5, 0.2, (61, 83)).astype(dtype)
    if kind == "few values":
        image = np.round(image * 4) / 4
    elif kind != "noise":
        image[...] = 0.4
        image[20, 30] += kind == "one other pixel"
    for mask in (None, rng.random(image.shape) < 0.9):
        expected = feature.canny(image, mask=mask, **QUANTILES)
        for tiles in (32, 64):
            result = tw.apply("feature.canny", image, tiles=tiles, mask=mask, **QUANTILES)
            np.testing.assert_array_equal(result, expected)
