"""Where the pixels of a result lie in the image, computed as SciPy computes it.

A map answers for any box of the result: tiles have the coordinates of the whole image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari_tilewise.grid import Region


@dataclass(frozen=True, eq=False)
class Lines:
    """Coordinates that depend on the pixel's own axis alone: ``(index + shift) * zoom``."""

    shifts: np.ndarray
    zooms: np.ndarray | None = None
    grid_mode: bool = False

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shifts)

    def of(self, box: Region) -> np.ndarray:
        """Return the coordinates of a box's pixels in the image, shape (axes, *box)."""
        lines = [self._line(axis, span.start, span.stop) for axis, span in enumerate(box)]
        return np.stack(np.meshgrid(*lines, indexing="ij"))

    def _line(self, axis: int, start: int, stop: int) -> np.ndarray:
        index: np.ndarray = np.arange(start, stop, dtype=np.float64) + self.shifts[axis]
        if self.zooms is None:
            return index
        if self.grid_mode:
            return np.asarray((index + 0.5) * self.zooms[axis] - 0.5)
        return np.asarray(index * self.zooms[axis])

    def ends(self, box: Region) -> np.ndarray:
        """Return the coordinates of a box's corners, shape (axes, corners)."""
        pairs = [self._line(axis, s.start, s.stop)[[0, -1]] for axis, s in enumerate(box)]
        return np.stack(pairs)


@dataclass(frozen=True, eq=False)
class Affine:
    """Coordinates that are an affine map of the pixel's."""

    matrix: np.ndarray
    offset: np.ndarray

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.matrix)

    def of(self, box: Region) -> np.ndarray:
        """Return the coordinates of a box's pixels in the image, shape (axes, *box)."""
        grids = np.ogrid[tuple(box)]
        shape = [s.stop - s.start for s in box]
        result = np.zeros((len(self.matrix), *shape))
        for row, shift, coordinates in zip(self.matrix, self.offset, result, strict=True):
            coordinates += shift  # SciPy adds the products to it, one by one
            for factor, index in zip(row, grids, strict=True):
                coordinates += index.astype(np.float64) * factor
        return result

    def ends(self, box: Region) -> np.ndarray:
        """Return the coordinates of a box's corners, shape (axes, corners)."""
        corners = np.meshgrid(*[(s.start, s.stop - 1) for s in box], indexing="ij")
        points = np.stack([np.ravel(corner) for corner in corners]).astype(np.float64)
        return np.asarray(self.matrix @ points + self.offset[:, None])


@dataclass(frozen=True, eq=False)
class Unmoved(Lines):
    """Coordinates of pixels that are handed out as they are, whatever the order of the spline."""
