"""Histograms of oriented gradients, without the angles of most pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_tilewise.kernels.arrays import contiguous, type_code
from napari_tilewise.kernels.footprint_windows import is_moderate
from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.library import call
from napari_tilewise.kernels.smoothing.separable import is_number

_NORMS = {"L1": 0, "L1-sqrt": 1, "L2": 2, "L2-Hys": 3}
_EPS = 1e-5
_BAND = 2**17
"""Pixels of the rows that are looked at together."""


def _whole(values: Any) -> bool:
    return np.shape(values) == (2,) and all(n == int(n) and n >= 1 for n in values)


def _exact(
    image: np.ndarray,
    orientations: int = 9,
    pixels_per_cell: Any = (8, 8),
    cells_per_block: Any = (3, 3),
    block_norm: str = "L2-Hys",
    visualize: bool = False,
    transform_sqrt: bool = False,
    feature_vector: bool = True,
    *,
    channel_axis: int | None = None,
) -> bool:
    return (
        is_number(image.dtype)
        and image.ndim == 2
        and min(image.shape) >= 2
        and 1 <= orientations <= 64
        and _whole(pixels_per_cell)
        and _whole(cells_per_block)
        and block_norm in _NORMS
        and not visualize
        and (not transform_sqrt or _has_roots(image))
        and channel_axis is None
        and min(_block_counts(image, pixels_per_cell, cells_per_block)) >= 1
        and is_moderate(image, 1e30)
    )


def _has_roots(image: np.ndarray) -> bool:
    return image.dtype.kind in "bu" or bool(image.min() >= 0)


def _block_counts(image: np.ndarray, cells: Any, blocks: Any) -> list[int]:
    sizes = zip(image.shape, cells, blocks, strict=True)
    return [n // int(cell) - int(block) + 1 for n, cell, block in sizes]


def hog(
    image: np.ndarray,
    orientations: int = 9,
    pixels_per_cell: Any = (8, 8),
    cells_per_block: Any = (3, 3),
    block_norm: str = "L2-Hys",
    visualize: bool = False,
    transform_sqrt: bool = False,
    feature_vector: bool = True,
    *,
    channel_axis: int | None = None,
) -> np.ndarray:
    """Return descriptors of oriented gradients, as `skimage.feature.hog` does.

    Parameters
    ----------
    image, orientations, pixels_per_cell, cells_per_block, block_norm, visualize, transform_sqrt
        As there.
    feature_vector, channel_axis
        As there.
    """
    kind = np.dtype("f4") if image.dtype == np.float32 else np.dtype("f8")
    image = contiguous(image.astype(kind, copy=False))
    if transform_sqrt:
        image = np.sqrt(image)
    cells = _cells(image, int(orientations), [int(n) for n in pixels_per_cell])
    high, wide = (int(n) for n in cells_per_block)
    counts = _block_counts(image, pixels_per_cell, cells_per_block)
    blocks = np.empty((*counts, high, wide, cells.shape[-1]), kind)
    norm = _NORMS[block_norm], _EPS, _EPS**2
    call("cell_blocks", cells, *cells.shape, high, wide, *norm, blocks, type_code(kind))
    return blocks.ravel() if feature_vector else blocks


def _cells(image: np.ndarray, orientations: int, size: list[int]) -> np.ndarray:
    """Return the histograms, shape (cell rows, cell columns, orientations)."""
    (ny, nx), (height, width) = image.shape, size
    cells = np.zeros((ny // height, nx // width, orientations), np.float32)
    rows = max(1, _BAND // (nx * height)) * height
    down, right, magnitudes = np.empty((3, rows, nx))
    for begin in range(0, len(cells) * height, rows):
        end = min(begin + rows, len(cells) * height)
        n, code = end - begin, type_code(image.dtype)
        call("cell_gradients", image, code, ny, nx, begin, end, down, right)
        np.hypot(right[:n], down[:n], out=magnitudes[:n])
        bins = _bins(down[:n], right[:n], orientations)
        part = cells[begin // height : end // height]
        call("cell_votes", magnitudes, bins, n, nx, *size, cells.shape[1], orientations, part)
    cells /= np.float32(height * width)
    return cells.astype(np.float64)


def _bins(down: np.ndarray, right: np.ndarray, orientations: int) -> np.ndarray:
    """Return the bin of each gradient, `orientations` for one that is in none."""
    # The function's borders are products in single precision.
    borders = np.float32(180.0 / orientations) * np.arange(orientations + 1, dtype=np.float32)
    borders = borders.astype(np.float64)
    inner = np.deg2rad(borders[1:][borders[1:] < 180])
    bins, doubtful = np.empty(down.shape, np.uint8), np.empty(down.size, np.int64)
    count = np.zeros(1, np.int64)
    sides = np.cos(inner), np.sin(inner), len(inner)
    call("cell_bins", down, right, down.size, *sides, bins, doubtful, count)
    indices = doubtful[: int(count[0])]
    angles = np.rad2deg(np.arctan2(down.ravel()[indices], right.ravel()[indices])) % 180
    bins.ravel()[indices] = np.searchsorted(borders, angles, side="right") - 1
    return bins


HOG = Kernel("skimage.feature.hog", _exact, hog)
