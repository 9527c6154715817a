"""The site's pages of operations: pictures of what the functions make, written when it is built."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage import filters
from skimage.io import imread

from napari_tilewise.operations import BUILT_IN

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(DOCS)
    return importlib.import_module("operation_pages")


def test_a_picture_shows_the_image_and_the_result(pages: Any, tmp_path: Path) -> None:
    text = "\n".join(pages.entry(BUILT_IN["filters.threshold_otsu"], tmp_path))
    assert "\n## threshold_otsu\n" in text
    assert ":::{image} filters.threshold_otsu.png\n" in text
    assert 'tw.apply("filters.threshold_otsu", image)' in text
    assert "| `nbins` | `256` |" in text
    picture = imread(tmp_path / "filters.threshold_otsu.png")[:: pages.ZOOM, :: pages.ZOOM, 0]
    coins, mask = pages.coins(), picture[:, -pages.SIDE :]
    np.testing.assert_array_equal(mask == 255, coins > filters.threshold_otsu(coins))
    assert np.corrcoef(picture[:, : pages.SIDE].ravel(), coins.ravel())[0, 1] > 0.999


@pytest.mark.parametrize("family", sorted({op.family for op in BUILT_IN.values() if op.family}))
def test_operations_of_a_family_have_pictures(pages: Any, family: Any) -> None:
    """Conversions to what an image is already show nothing, and take the next one."""
    chosen = [op for op in BUILT_IN.values() if op.family == family and op.output.is_image]
    pictures = filter(None, map(pages.picture, chosen))
    found = next((picture for picture in pictures if not picture.is_flat), None)
    assert bool(found) is bool(chosen)
    if found is not None:
        assert pages.drawn(found).ndim == 3
