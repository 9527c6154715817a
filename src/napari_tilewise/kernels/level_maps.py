"""Grey levels of blocks, counted, and their contrast maps, blended as CLAHE blends them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.kernels.arrays import contiguous, integers
from napari_tilewise.kernels.footprint_windows import volume_shape, volume_sizes
from napari_tilewise.kernels.library import call

if TYPE_CHECKING:
    from collections.abc import Sequence


def blended_maps(
    bins: np.ndarray,
    blocks: Sequence[np.ndarray],
    weights: Sequence[np.ndarray],
    maps: np.ndarray,
) -> np.ndarray:
    """Return grey levels mapped by the blocks around each pixel: four, or eight in a volume.

    A level is the sum over the blocks of map times weight, each rounded to single precision, added
    up in single precision in the raster order of the blocks, without its fraction.

    Parameters
    ----------
    bins
        Bin of each pixel, uint16, of two or three axes.
    blocks
        For each axis the numbers of the two blocks around its pixels, shape (n, 2).
    weights
        Their weights, shape (n, 2).
    maps
        Level of each bin by block: an axis of blocks for each axis of the image, then the bins.

    Returns
    -------
    numpy.ndarray
        uint16.
    """
    axes: list[np.ndarray | None] = [None, None] if bins.ndim == 2 else []
    for around, shares in zip(blocks, weights, strict=True):
        axes.append(contiguous(np.asarray(around, np.int64)))
        axes.append(contiguous(np.asarray(shares, np.float64)))
    result = np.empty(bins.shape, np.uint16)
    call(
        "blend",
        contiguous(bins.astype(np.uint16, copy=False)),
        volume_sizes(bins),
        *axes,
        contiguous(maps.astype(np.float64, copy=False)),
        integers([*volume_shape(maps.shape[:-1]), maps.shape[-1]]),
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
        Bin of each pixel, uint16 below `count`, of two or three axes.
    positions
        Along each axis the pixels whose crossings are counted.
    blocks
        The block of each of them, from 0.
    count
        Number of bins.

    Returns
    -------
    numpy.ndarray
        int64: an axis of blocks for each axis of the image, then the bins.
    """
    one_plane = [np.zeros(1, np.int64)] * 2 + [1] if bins.ndim == 2 else []
    axes: list[np.ndarray | int] = list(one_plane)
    for pixels, numbers in zip(positions, blocks, strict=True):
        axes += [contiguous(np.asarray(part, np.int64)) for part in (pixels, numbers)]
        axes.append(len(pixels))
    lengths = [int(np.max(numbers, initial=-1)) + 1 for numbers in blocks]
    counts = np.zeros((*lengths, count), np.int64)
    sizes = integers([*volume_shape(lengths), count])
    call("block_counts", contiguous(bins), volume_sizes(bins), *axes, sizes, counts)
    return counts
