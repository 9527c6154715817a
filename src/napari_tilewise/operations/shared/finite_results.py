"""Results that show, by few numbers, that NaN and infinity had no part in them.

A sum that NaN or infinity goes into is not finite: where every pixel goes into a number of the
result, that number is looked at instead of all pixels (`AtOnce.shown`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from napari_tilewise.operations.spec.operation import Call


def all_are_finite(call: Call, image: np.ndarray, result: Any) -> bool:
    """Return whether all numbers of a result are finite, and not so large that it is unknown.

    Parameters
    ----------
    call
        The operation.
    image
        What it was computed from.
    result
        An array.
    """
    # NaN as an integer is some number. A sum of squares says it in one step; that of large numbers
    # is infinite, and says nothing.
    return result.dtype.kind == "f" and math.isfinite(np.vdot(result, result))


def centers_are_finite(call: Call, image: np.ndarray, result: Any) -> bool:
    """Return whether the bins of a histogram, which begin and end with an image's, are finite.

    Parameters
    ----------
    call, image
        See `all_are_finite`.
    result
        Counts, or what comes of them, and the centers of the bins.
    """
    return all_are_finite(call, image, result[1])


def sum_is_finite(call: Call, image: np.ndarray, result: Any) -> bool:
    """Return whether numbers that come of the sum of all pixels, not of some labels', are finite.

    Parameters
    ----------
    call, image
        See `all_are_finite`.
    result
        One number, or a tuple.
    """
    return call["labels"] is None and all_are_finite(call, image, np.asarray(result))


def all_are_counted(call: Call, image: np.ndarray, result: Any) -> bool:
    """Return whether a histogram counts every pixel: each lies between two finite numbers.

    Parameters
    ----------
    call, image
        See `all_are_finite`.
    result
        The counts.
    """
    return call["labels"] is None and bool(np.add.reduce(result) == image.size)


def line_ends_are_finite(call: Call, image: np.ndarray, result: Any) -> bool:
    """Return whether running sums along an axis, which every pixel goes into, end in finite ones.

    Parameters
    ----------
    call, image
        See `all_are_finite`.
    result
        An image.
    """
    return all_are_finite(call, image, result.swapaxes(0, call["axis"])[-1])


def last_is_finite(call: Call, image: np.ndarray, result: Any) -> bool:
    """Return whether the last pixel, the sum of all, is finite.

    Parameters
    ----------
    call, image
        See `all_are_finite`.
    result
        An integral image.
    """
    return all_are_finite(call, image, result[(-1,) * result.ndim])
