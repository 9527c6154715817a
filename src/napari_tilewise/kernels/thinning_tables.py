"""Thinning by tables of neighbourhoods, 64 pixels at a time, and pixel by pixel in volumes."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.kernels.arrays import contiguous, integers
from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.library import call

if TYPE_CHECKING:
    from collections.abc import Sequence

_ALWAYS = 2**31

_CLOCKWISE = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))
"""From the north-west: the bits of a neighbourhood's number in Zhang's tables."""
_FIRST, _SECOND = 1, 2
_EXCEPTIONS = {
    _FIRST: (3, 6, 10, 11, 12, 14, 131, 134, 161, 194, 198),
    _SECOND: (24, 26, 56, 96, 104, 108, 176, 192, 224),
    _FIRST | _SECOND: (40, 130, 160),
    0: (48, 129),
}
"""Neighbourhoods that scikit-image treats otherwise than the paper, by the half in which the pixel
goes."""


@lru_cache(maxsize=16)
def decision_diagram(table: bytes) -> tuple[np.ndarray, int]:
    """Return a table of 256 truths as a decision diagram, children before parents.

    Parameters
    ----------
    table
        By the number of a neighbourhood, bit by bit.

    Returns
    -------
    nodes
        Neighbour, node where it is not set, node where it is, shape (n, 3). Nodes are numbered
        from 2; 0 and 1 are the constants.
    root
        The node that is the table.
    """
    nodes: list[tuple[int, int, int]] = []
    numbers: dict[tuple[int, int, int], int] = {}

    def node(bit: int, part: tuple[bool, ...]) -> int:
        if len(set(part)) == 1:
            return int(part[0])
        half = len(part) // 2
        low, high = node(bit - 1, part[:half]), node(bit - 1, part[half:])
        if low == high:
            return low
        entry = (bit, low, high)
        if entry not in numbers:
            numbers[entry] = len(nodes) + 2
            nodes.append(entry)
        return numbers[entry]

    root = node(7, tuple(value != 0 for value in table))
    return np.array(nodes, np.int64).reshape(-1, 3), root


def thinned(
    mask: np.ndarray,
    tables: Sequence[np.ndarray],
    neighbours: Sequence[tuple[int, int]],
    iterations: int | None = None,
) -> np.ndarray:
    """Return a mask after some iterations of thinning, or when nothing changes any more.

    Parameters
    ----------
    mask
        Two axes. Nothing lies beyond it.
    tables
        For each half of an iteration, whether a pixel goes, by the number of its neighbourhood,
        shape (256,).
    neighbours
        Row and column of each of the number's bits, from the pixel.
    iterations
        The most that are done; by default until nothing changes.
    """
    mask = contiguous(mask.astype(bool, copy=False))
    result = np.empty(mask.shape, bool)
    diagrams = [decision_diagram((np.asarray(table) != 0).tobytes()) for table in tables]
    parts = [part for nodes, root in diagrams for part in (nodes, len(nodes), root)]
    offsets = integers([step for pair in neighbours for step in pair])
    most = _ALWAYS if iterations is None else iterations
    call("thin", mask, result, *mask.shape, offsets, *parts, most, np.zeros(1, np.int64))
    return result


def _exact_for_tables(
    mask: np.ndarray,
    tables: Sequence[np.ndarray],
    neighbours: Sequence[tuple[int, int]],
    iterations: int | None = None,
) -> bool:
    return (
        mask.dtype == np.bool_
        and mask.ndim == 2
        and mask.size > 0
        and len(tables) == 2
        and all(len(table) == 256 and not table[255] for table in tables)
        and len(neighbours) == 8
    )


THINNED = Kernel(
    "napari_tilewise.operations.morphology.skeleton.thinned", _exact_for_tables, thinned
)


# -- morphology.skeletonize ------------------------------------------------------------------------


@cache
def zhang_tables() -> tuple[np.ndarray, np.ndarray]:
    """Return which pixels go in either half of Zhang and Suen's iteration [1]_.

    The few neighbourhoods that scikit-image treats otherwise are as there.

    Returns
    -------
    first, second
        Booleans by the number of the neighbourhood, whose bits run clockwise from the north-west.

    References
    ----------
    .. [1] T. Y. Zhang and C. Y. Suen, A fast parallel algorithm for thinning digital patterns,
       Communications of the ACM 27(3), 1984.
    """
    bits = np.arange(256)[:, None] >> np.arange(8) & 1
    _, north, _, east, _, south, _, west = bits.T
    neighbours = bits.sum(axis=1)
    rises = (bits < np.roll(bits, -1, axis=1)).sum(axis=1)
    border = (neighbours >= 2) & (neighbours <= 6) & (rises == 1)
    first = border & (north * east * south == 0) & (east * south * west == 0)
    second = border & (north * east * west == 0) & (north * south * west == 0)
    for halves, numbers in _EXCEPTIONS.items():
        first[list(numbers)] = bool(halves & _FIRST)
        second[list(numbers)] = bool(halves & _SECOND)
    return first, second


def _is_zhang(image: np.ndarray, method: str | None) -> bool:
    return method == "zhang" or (method is None and image.ndim == 2)


def _exact(image: np.ndarray, *, method: str | None = None) -> bool:
    axes = (2,) if _is_zhang(image, method) else (2, 3)
    return (
        image.dtype.kind in "buif"
        and image.ndim in axes
        and image.size > 0
        and method in (None, "zhang", "lee")
    )


def skeletonize(image: np.ndarray, *, method: str | None = None) -> np.ndarray:
    """Thin a mask to lines of one pixel, as `skimage.morphology.skeletonize` does.

    Parameters
    ----------
    image, method
        As there.
    """
    mask = contiguous(image.astype(bool, copy=False))
    if not _is_zhang(image, method):
        result = np.empty(mask.shape, bool)
        planes = 1 if mask.ndim == 2 else mask.shape[0]
        call("thin_simple", mask, result, planes, *mask.shape[-2:])
        return result
    return thinned(mask, zhang_tables(), _CLOCKWISE)


SKELETONIZE = Kernel("skimage.morphology.skeletonize", _exact, skeletonize)
