"""Sums of whole numbers, which are exact in any order: histograms, tables, regions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_tilewise.kernels.arrays import (
    contiguous,
    delivered,
    result_array,
    type_code,
)
from napari_tilewise.kernels.footprint_windows import volume_sizes
from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.library import call

_BYTES = (np.dtype("u1"), np.dtype("u2"))
_LABELS = tuple(np.dtype(name) for name in ("u1", "u2", "i4", "i8"))
_VALUES = tuple(np.dtype(name) for name in ("u1", "u2", "i4"))
_MOST_EXACT = 2**53


# -- histograms and tables -------------------------------------------------------------------------


def _exact_for_bincount(x: np.ndarray, weights: Any = None, minlength: int = 0) -> bool:
    return x.dtype in _BYTES and x.ndim == 1 and weights is None


def bincount(x: np.ndarray, weights: Any = None, minlength: int = 0) -> np.ndarray:
    """Count each grey level, as `numpy.bincount` does.

    Parameters
    ----------
    x
        uint8 or uint16.
    weights, minlength
        As there.
    """
    x = contiguous(x)
    counts = np.zeros(2 ** (8 * x.dtype.itemsize), np.int64)
    call("count", x, type_code(x.dtype), x.size, counts)
    used = int(np.flatnonzero(counts).max(initial=-1)) + 1
    if minlength > len(counts):
        counts = np.pad(counts, (0, minlength - len(counts)))
    return counts[: max(used, minlength)].astype(np.intp, copy=False)


BINCOUNT = Kernel("numpy.bincount", _exact_for_bincount, bincount)


def _exact_for_take(
    a: np.ndarray, indices: np.ndarray, axis: int | None = None, out: np.ndarray | None = None
) -> bool:
    return (
        a.ndim == 1
        and axis in (None, 0)
        and a.dtype.itemsize in (1, 2, 4, 8)
        and a.dtype.kind in "biuf"
        and indices.dtype in _BYTES
        and len(a) >= 2 ** (8 * indices.dtype.itemsize)
        and (out is None or (out.dtype == a.dtype and out.shape == indices.shape))
    )


def take(
    a: np.ndarray, indices: np.ndarray, axis: int | None = None, out: np.ndarray | None = None
) -> np.ndarray:
    """Return a table's value for every grey level, as `numpy.take` does.

    Parameters
    ----------
    a
        The table: a value for every level that the image's data type holds.
    indices
        The image, uint8 or uint16.
    axis, out
        As there.
    """
    table, image = contiguous(a), contiguous(indices)
    target = result_array(image.shape, table.dtype, out)
    call("look_up", image, type_code(image.dtype), image.size, table.dtype.itemsize, table, target)
    return delivered(target, out)


TAKE = Kernel("numpy.take", _exact_for_take, take)


# -- labelled regions ------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class RegionColumns:
    """What is summed over labelled regions; index 0 is left at its start, 1 is the least label.

    All are int64. Labels without pixels have area 0 and an empty box.
    """

    areas: np.ndarray
    """Pixels, shape (n,)."""
    coordinate_sums: np.ndarray
    """Sums of the pixels' coordinates, shape (n, ndim)."""
    boxes: np.ndarray
    """First pixel and one past the last along each axis, shape (n, ndim, 2)."""
    intensity_sums: np.ndarray | None
    intensity_min: np.ndarray | None
    intensity_max: np.ndarray | None


def sums_regions(labels: np.ndarray, intensity: np.ndarray | None = None) -> bool:
    """Return whether `region_columns` knows these images.

    Parameters
    ----------
    labels
        The label image.
    intensity
        The intensities, or None.
    """
    return (
        labels.dtype in _LABELS
        and 1 <= labels.ndim <= 3
        and (intensity is None or (intensity.dtype in _VALUES and intensity.shape == labels.shape))
    )


def region_columns(
    labels: np.ndarray, most: int, intensity: np.ndarray | None = None, least: int = 1
) -> RegionColumns:
    """Return areas, coordinate sums, boxes and intensities of labelled regions.

    Parameters
    ----------
    labels
        uint8, uint16, int32 or int64, of up to three axes.
    most
        The largest label that is looked at.
    intensity
        uint8, uint16 or int32, of the same shape.
    least
        The smallest label that is looked at, 1 or more.
    """
    labels = contiguous(labels)
    ndim, count = labels.ndim, max(0, most - least + 1) + 1
    areas, sums = np.zeros(count, np.int64), np.zeros((count, 3), np.int64)
    boxes = np.zeros((count, 3, 2), np.int64)
    boxes[..., 0] = np.iinfo(np.int64).max
    totals = np.zeros(count, np.int64)
    lows = np.full(count, np.iinfo(np.int64).max)
    highs = np.full(count, np.iinfo(np.int64).min)
    values = None if intensity is None else contiguous(intensity)
    code = 0 if values is None else type_code(values.dtype)
    sizes = volume_sizes(labels)
    columns = areas, sums, boxes, totals, lows, highs
    call("regions", labels, type_code(labels.dtype), values, code, sizes, least, most, *columns)
    boxes[areas == 0] = 0
    inner = slice(3 - ndim, None)
    of_values = (None, None, None) if values is None else (totals, lows, highs)
    return RegionColumns(areas, sums[:, inner], boxes[:, inner], *of_values)
