"""Coordinates beyond the image where its border mirrors it: where SciPy finds their values inside.

SciPy folds a coordinate before it interpolates, by the image's lengths, which a tile must do too.
What is between two neighbouring coordinates stays together when it is folded, so that a tile of the
result is still made of one box of the image.
"""

from __future__ import annotations

from math import ceil, floor

import numpy as np

MIRRORED = ("mirror", "reflect", "grid-mirror")
"""Border modes that fold: at the middle of the last pixel, or at its edge."""


def folded(coordinates: np.ndarray, length: int, mode: str) -> np.ndarray:
    """Return coordinates along an axis as SciPy folds them, to the last bit.

    Coordinates between the first pixel's middle and its edge, which SciPy folds to below 0, are
    those that it folds to the same ones: it folds the result once more.

    Parameters
    ----------
    coordinates
        Of any shape.
    length
        The image's.
    mode
        One of `MIRRORED`.
    """
    if length <= 1:
        return np.zeros_like(coordinates)
    fold = _mirror if mode == "mirror" else _reflect
    result = coordinates.copy()
    for is_outside in (coordinates < 0, coordinates > length - 1):
        if is_outside.any():
            result[is_outside] = fold(coordinates[is_outside], length)
    return result


def _mirror(x: np.ndarray, length: int) -> np.ndarray:
    period = 2 * length - 2
    below = period * np.trunc(-x / period) + x
    below = np.where(below <= 1 - length, below + period, -below)
    above = x - period * np.trunc(x / period)
    above = np.where(above >= length, period - above, above)
    result: np.ndarray = np.where(x < 0, below, above)
    return result


def _reflect(x: np.ndarray, length: int) -> np.ndarray:
    period = 2 * length
    below = np.where(x < -period, period * np.trunc(-x / period) + x, x)
    mirrored = np.where(below > -1e-15, 1e-15, -below) - 1
    below = np.where(below < -length, below + period, mirrored)
    above = x - period * np.trunc(x / period)
    above = np.where(above >= length, period - above - 1, above)
    result: np.ndarray = np.where(x < 0, below, above)
    result[result < 0] = -result[result < 0] - 1
    return result


def folded_range(low: float, high: float, length: int, mode: str) -> tuple[float, float]:
    """Return the first and the last of all folded coordinates of a range.

    Parameters
    ----------
    low, high
        The range's ends.
    length
        The image's length along the axis.
    mode
        One of `MIRRORED`.
    """
    first, period = (0.0, length - 1) if mode == "mirror" else (-0.5, length)
    if length <= 1 or high - low >= period:
        return 0.0, length - 1.0
    ends = list(folded(np.array([low, high]), length, mode))
    crossed = range(ceil((low - first) / period), floor((high - first) / period) + 1)
    ends += [0.0 if number % 2 == 0 else length - 1.0 for number in crossed]
    return min(ends), max(ends)
