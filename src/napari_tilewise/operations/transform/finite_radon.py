"""The finite Radon transforms gather the rolled rows of a sum instead of rolling them one by one.

scikit-image rolls every row in Python before each of the sums: a call per row and sum. Gathered
into one array, the rows are added by the same `numpy.ndarray.sum`, in the same order, so that sums
of floats have the same bits too.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_tilewise.types import AnyFunction


def _rolled(rows: np.ndarray, step: int) -> Iterator[np.ndarray]:
    """Yield the rows, then again after each roll of row p by p places, in one array all the time.

    Parameters
    ----------
    rows
        As many as columns.
    step
        1 to roll to the left, -1 to roll to the right.
    """
    length = rows.shape[1]
    yield rows
    starts = np.arange(len(rows), dtype=np.intp)[:, np.newaxis] * length
    columns = np.arange(length, dtype=np.intp)
    steps = step * np.arange(len(rows), dtype=np.intp)[:, np.newaxis]
    positions = starts + columns
    rolled = np.empty_like(rows)
    flat = rows.ravel()
    for _ in range(1, length):
        positions += steps
        positions[positions >= starts + length] -= length
        positions[positions < starts] += length
        # Every position is valid; the mode says that NumPy needs no buffer to make sure.
        np.take(flat, positions, out=rolled, mode="clip")
        yield rolled


def forward(function: AnyFunction) -> AnyFunction:
    """Return `skimage.transform.frt2` with its rows gathered.

    Parameters
    ----------
    function
        scikit-image's.
    """

    @wraps(function)
    def frt2(a: np.ndarray) -> np.ndarray:
        image = np.ascontiguousarray(a)
        result = np.empty((len(image) + 1, len(image)), np.uint32)
        for row, rolled in zip(result[:-1], _rolled(image, 1), strict=True):
            row[:] = rolled.sum(axis=0)
        result[-1] = rolled.sum(axis=1)  # which adds floats in the order of the last roll
        return result

    return frt2


def inverse(function: AnyFunction) -> AnyFunction:
    """Return `skimage.transform.ifrt2` with its rows gathered.

    Parameters
    ----------
    function
        scikit-image's.
    """

    @wraps(function)
    def ifrt2(a: np.ndarray) -> Any:
        image = np.ascontiguousarray(a)
        rows = image[:-1]
        result = np.empty(rows.shape, np.uint32)
        for row, rolled in zip(result, _rolled(rows, -1), strict=True):
            row[:] = rolled.sum(axis=0)
        result += image[-1][:, np.newaxis]
        return (result - rows[0].sum()) / rows.shape[1]

    return ifrt2
