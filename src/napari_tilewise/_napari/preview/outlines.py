"""Objects as a preview shows them: outlines of labels, positions of points, lines as segments."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

COLOURS = 250
"""How many colours tell objects apart."""


def outlines(labels: np.ndarray) -> np.ndarray:
    """Return the outermost pixels of each object, with a number that chooses its colour.

    Parameters
    ----------
    labels
        Label ids or a mask; 0 is background.

    Returns
    -------
    np.ndarray
        uint8, of the same shape: 0, or 1 to 250.
    """
    edge = np.zeros(labels.shape, bool)
    for axis, length in enumerate(labels.shape):
        if length < 2:
            continue
        later, earlier = [slice(None)] * labels.ndim, [slice(None)] * labels.ndim
        later[axis], earlier[axis] = slice(1, None), slice(None, -1)
        differs = labels[tuple(later)] != labels[tuple(earlier)]
        edge[tuple(later)] |= differs
        edge[tuple(earlier)] |= differs
    if labels.dtype.kind == "b":
        return np.asarray(edge & labels, np.uint8)
    rows = np.nonzero(edge & (labels != 0))
    result = np.zeros(labels.shape, np.uint8)
    result[rows] = (labels[rows].astype(np.int64) - 1) % COLOURS + 1
    return result


def segments(lines: Sequence[np.ndarray], most: int) -> np.ndarray:
    """Return lines as napari's vectors: starts and directions, at most so many.

    Parameters
    ----------
    lines
        One array of positions per line.
    most
        The most segments.

    Returns
    -------
    np.ndarray
        One pair of start and direction per segment.
    """
    pairs = [np.stack([line[:-1], np.diff(line, axis=0)], axis=1) for line in lines]
    if not pairs:
        return np.zeros((0, 2, 2))
    return np.concatenate(pairs)[:most]


def strips(length: int, count: int) -> list[slice]:
    """Return a length in parts of about the same size.

    Parameters
    ----------
    length
        The length.
    count
        The number of parts.
    """
    ends = np.linspace(0, length, max(1, min(count, length)) + 1).round().astype(int)
    return [slice(int(a), int(b)) for a, b in pairwise(ends)]
