"""Grey levels of blocks, counted, and their contrast maps, blended as CLAHE blends them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.kernels.arrays import contiguous
from napari_tilewise.kernels.library import call

if TYPE_CHECKING:
    from collections.abc import Sequence


def blended_maps(
    bins: np.ndarray,
    blocks: Sequence[np.ndarray],
    weights: Sequence[np.ndarray],
    maps: np.ndarray,
) -> np.ndarray:
    """Return grey levels mapped by the four blocks around each pixel.

    A level is the sum over the blocks of map times weight, each rounded to single precision, added
    up in single precision from the block above left to the one below right, without its fraction.

    Parameters
    ----------
    bins
        Bin of each pixel, uint16, shape (rows, columns).
    blocks
        For the rows and for the columns the numbers of the two blocks around, shape (n, 2).
    weights
        Their weights, shape (n, 2).
    maps
        Level of each bin by block, shape (block rows, block columns, bins).

    Returns
    -------
    numpy.ndarray
        uint16.
    """
    rows, columns = (contiguous(np.asarray(part, np.int64)) for part in blocks)
    row_weights, column_weights = (contiguous(np.asarray(part, np.float64)) for part in weights)
    result = np.empty(bins.shape, np.uint16)
    call(
        "blend",
        contiguous(bins.astype(np.uint16, copy=False)),
        *bins.shape,
        rows,
        row_weights,
        columns,
        column_weights,
        contiguous(maps.astype(np.float64, copy=False)),
        maps.shape[1],
        maps.shape[2],
        result,
    )
    return result


def block_counts(
    bins: np.ndarray, positions: Sequence[np.ndarray], blocks: Sequence[np.ndarray], count: int
) -> np.ndarray:
    """Return how often each bin occurs in each block.

    Parameters
    ----------
    bins
        Bin of each pixel, uint16 below `count`, shape (rows, columns).
    positions
        The rows, and the columns, whose crossings are counted.
    blocks
        The block of each of them, from 0.
    count
        Number of bins.

    Returns
    -------
    numpy.ndarray
        int64, shape (block rows, block columns, count).
    """
    rows, columns = (contiguous(np.asarray(part, np.int64)) for part in positions)
    row_blocks, column_blocks = (contiguous(np.asarray(part, np.int64)) for part in blocks)
    shape = (int(row_blocks.max(initial=-1)) + 1, int(column_blocks.max(initial=-1)) + 1, count)
    counts = np.zeros(shape, np.int64)
    call(
        "block_counts",
        contiguous(bins),
        bins.shape[1],
        rows,
        row_blocks,
        len(rows),
        columns,
        column_blocks,
        len(columns),
        shape[1],
        count,
        counts,
    )
    return counts
