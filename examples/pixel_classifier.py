"""A learned model by tiles: a random forest that tells coins from background, pixel by pixel.

It needs scikit-learn. Its features reach 4 times the largest sigma, and the longest coin is 60
pixels: with that halo every coin is found once, as in the whole image, whatever the tiles.
``napari-tilewise check examples/pixel_classifier.py`` measures it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from scipy import ndimage as ndi
from skimage import data, feature, future, measure
from sklearn.ensemble import RandomForestClassifier

import napari_tilewise as tw

SIGMA = 4


def features(image: np.ndarray) -> np.ndarray:
    """Return intensities, edges and textures of each pixel's surroundings."""
    return np.asarray(feature.multiscale_basic_features(image, sigma_max=SIGMA))


@cache
def forest() -> Any:
    """Return a forest that was taught some pixels of coins and of the background."""
    coins = data.coins()
    strokes = np.random.default_rng(0).random(coins.shape) < 0.02
    taught = np.where(strokes, 1 + (coins > 130), 0)
    model = RandomForestClassifier(10, max_depth=8, random_state=0)
    return future.fit_segmenter(taught, features(coins), model)


@tw.operation(output="instances", halo=128)
def coins_by_model(image: np.ndarray) -> np.ndarray:
    """Label coins by a learned model."""
    is_coin = future.predict_segmenter(features(image), forest()) == 2
    return np.asarray(measure.label(ndi.binary_opening(is_coin, iterations=3)))
