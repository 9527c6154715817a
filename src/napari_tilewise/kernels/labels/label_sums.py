"""Sums, means and variances of labels: SciPy's order, which is that of the pixels.

SciPy adds each pixel to its label's sum, in double precision and raster order. A run of pixels of
one label is added without a look at the table of sums.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_tilewise.kernels.arrays import TYPES, contiguous, type_code
from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.library import call

_LABELS = tuple(np.dtype(name) for name in ("u1", "u2", "u4", "i4", "i8"))
_VALUES = (np.dtype(bool), *TYPES)
_ROWS = 2**16
"""Rows of the table of sums that an image of any size may have."""


def _bounds(index: np.ndarray) -> tuple[int, int]:
    return int(index.min()), int(index.max())


def _exact(input: np.ndarray, labels: Any = None, index: Any = None) -> bool:
    if not (
        isinstance(labels, np.ndarray)
        and labels.dtype in _LABELS
        and labels.shape == input.shape
        and input.dtype in _VALUES
        and input.size > 0
        and isinstance(index, (np.ndarray, list, tuple, range))
    ):
        return False
    ids = np.asarray(index)
    if ids.ndim == 0 or not ids.size or ids.dtype.kind not in "iu" or ids.dtype == np.uint64:
        return False
    least, most = _bounds(ids)
    return most - least < max(_ROWS, input.size)


class _Table:
    """Pixels and sums of the labels that an index asks for."""

    def __init__(self, image: np.ndarray, labels: np.ndarray, index: Any) -> None:
        ids = np.asarray(index)
        self._least, self._most = _bounds(ids)
        self._rows = ids.astype(np.intp) - self._least
        self._labels, self._pixels = contiguous(labels), contiguous(image)
        self.counts, self.sums = self._summed(None)

    def _summed(self, centers: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        rows = self._most - self._least + 1
        counts, sums = np.zeros(rows, np.int64), np.zeros(rows)
        arrays = (self._labels, self._pixels)
        coded = [part for array in arrays for part in (array, type_code(array.dtype))]
        bounds = self._labels.size, self._least, self._most
        call("label_sums", *coded, *bounds, centers, counts, sums)
        return counts, sums

    def squares(self) -> np.ndarray:
        """Return the sums of the squares of the differences from each label's mean."""
        with np.errstate(divide="ignore", invalid="ignore"):  # a label without pixels has none
            means = self.sums / self.counts
        return self._summed(means)[1]

    def of_index(self, values: np.ndarray) -> np.ndarray:
        """Return the labels' numbers in the order of the index."""
        return np.asarray(values[self._rows])

    def per_pixel(self, sums: np.ndarray) -> np.ndarray:
        """Return what a pixel has of the labels' sums, in the order of the index."""
        return np.asarray(self.of_index(sums) / self.of_index(self.counts).astype(np.float64))


def sum_labels(input: np.ndarray, labels: Any = None, index: Any = None) -> np.ndarray:
    """Return the sums of labels, as `scipy.ndimage` does.

    Parameters
    ----------
    input, labels, index
        As in `scipy.ndimage.sum_labels`.
    """
    table = _Table(input, labels, index)
    return table.of_index(table.sums)


def mean(input: np.ndarray, labels: Any = None, index: Any = None) -> np.ndarray:
    """Return the means of labels, as `scipy.ndimage` does.

    Parameters
    ----------
    input, labels, index
        As in `scipy.ndimage.mean`.
    """
    table = _Table(input, labels, index)
    return table.per_pixel(table.sums)


def variance(input: np.ndarray, labels: Any = None, index: Any = None) -> np.ndarray:
    """Return the variances of labels, as `scipy.ndimage` does.

    Parameters
    ----------
    input, labels, index
        As in `scipy.ndimage.variance`.
    """
    table = _Table(input, labels, index)
    return table.per_pixel(table.squares())


def standard_deviation(input: np.ndarray, labels: Any = None, index: Any = None) -> np.ndarray:
    """Return the standard deviations of labels, as `scipy.ndimage` does.

    Parameters
    ----------
    input, labels, index
        As in `scipy.ndimage.standard_deviation`.
    """
    return np.asarray(np.sqrt(variance(input, labels, index)))


MEASURES = tuple(
    Kernel(f"scipy.ndimage.{name}", _exact, function)
    for name, function in (
        ("mean", mean),
        ("standard_deviation", standard_deviation),
        ("sum", sum_labels),
        ("sum_labels", sum_labels),
        ("variance", variance),
    )
)
