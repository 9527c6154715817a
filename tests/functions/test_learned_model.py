"""A model that scikit-learn learned, by tiles: every object once, with the numbers of the whole."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
from skimage import data

import napari_tilewise as tw

EXAMPLE = Path(__file__).parents[2] / "examples" / "pixel_classifier.py"


def test_tiles_have_the_objects_of_the_whole_image() -> None:
    pytest.importorskip("sklearn")
    coins_by_model = runpy.run_path(str(EXAMPLE))["coins_by_model"]
    slide = np.tile(data.coins(), (2, 2))
    whole = tw.apply(coins_by_model, slide, tiles=max(slide.shape))
    assert len(np.unique(whole)) == whole.max() + 1 > 100
    for tiles in (256, 390):
        np.testing.assert_array_equal(tw.apply(coins_by_model, slide, tiles=tiles), whole)
