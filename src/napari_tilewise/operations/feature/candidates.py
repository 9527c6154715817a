"""Pixels that may be peaks, brightest first, and those of them that keep a distance to each other.

Those that outgrow their share of memory are on disk, in order; then the peaks that are chosen are
too, and only some candidates and some peaks are in memory at a time.
"""

from __future__ import annotations

from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from scipy.spatial import cKDTree, distance

from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.shared.sorted_rows import SortedRows
from napari_tilewise.operations.shared.stored_columns import (
    ColumnStore,
    ColumnWriter,
    StoredColumn,
    remove,
    row_groups,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

ORDERING = 72
"""Bytes per candidate beyond its place and value while they are sorted and spaced."""
AROUND = 4096
"""Peaks whose neighbours are listed at a time."""
TOGETHER = 64
"""The same where the first of them reject many of the others."""
_NORMS = (1, 2, np.inf)
"""Orders of distances between whole numbers that are exact."""


class Candidates(SortedRows):
    """Pixels that are the largest in their neighbourhood, and whether all pixels are.

    The order is that of scikit-image: by the negated values, which wrap around where they are
    unsigned, then by the place in the image.
    """

    keys = 2
    overhead = ORDERING

    def __init__(
        self, negated: np.ndarray, places: np.ndarray, shape: Sequence[int], *, flat: bool
    ) -> None:
        super().__init__(negated, places)
        self.flat = flat
        self.shape = tuple(shape)
        """Lengths of the image."""

    @classmethod
    def from_mask(
        cls,
        is_candidate: np.ndarray,
        pixels: np.ndarray,
        start: Sequence[int],
        shape: Sequence[int],
        *,
        flat: bool,
    ) -> Candidates:
        """Return the pixels of a tile where a mask is set.

        Parameters
        ----------
        is_candidate
            The mask.
        pixels
            The tile.
        start
            Its first pixel.
        shape
            Lengths of the image.
        flat
            Whether all pixels of the tile are the largest in their neighbourhood.
        """
        indices = np.nonzero(is_candidate)
        absolute = tuple(index + first for index, first in zip(indices, start, strict=True))
        places = np.zeros(len(indices[0]), np.int64)
        if prod(shape):
            places = np.ravel_multi_index(absolute, tuple(shape)).astype(np.int64, copy=False)
        return cls(-pixels[indices], places, shape, flat=flat)

    def extend(self, other: Any) -> Candidates:
        """Add another tile's candidates, and return this object, as a reduction's `merge` does."""
        super().extend(other)
        self.flat = self.flat and other.flat
        return self

    def coordinates(self) -> Iterator[np.ndarray]:
        """Yield coordinates, brightest first: all at once, or some at a time from disk."""
        for _, places in self.groups():
            yield np.transpose(np.unravel_index(places, self.shape))


class Spacing(Protocol):
    """A rule for points that are too close to another that comes before."""

    def choose(self, points: np.ndarray, most: float) -> np.ndarray:
        """Return the first points that are not too close to each other, at most so many."""

    def conflicts(self, points: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """Return which of the points are too close to one that was chosen before."""


def spaced_peaks(
    coordinates: np.ndarray, spacing: float, max_count: float, p_norm: float
) -> np.ndarray:
    """Return the first coordinates that are at least `spacing` apart, at most `max_count`.

    Parameters
    ----------
    coordinates
        Coordinates of pixels, one row per peak, the brightest first.
    spacing
        The smallest distance between two peaks, in pixels.
    max_count
        The largest number of peaks; infinity for all.
    p_norm
        The order of the Minkowski distance.
    """
    from napari_tilewise.kernels import keeps_distance, spaced

    most = int(max_count) if np.isfinite(max_count) else None
    if spacing > 1 and keeps_distance(coordinates, spacing, p_norm):
        coordinates = spaced(coordinates, spacing, p_norm, most)
    elif spacing > 1:
        ensure_spacing = reach("_shared.coord", "ensure_spacing")
        coordinates = ensure_spacing(
            coordinates,
            spacing=spacing,
            p_norm=p_norm,
            max_out=most,
        )
    return coordinates[: int(max_count)] if len(coordinates) > max_count else coordinates


class PeakSpacing:
    """The rule of `peak_local_max`: points closer than a distance.

    Parameters
    ----------
    spacing
        The distance, in pixels.
    p_norm
        The order of the Minkowski distance.
    """

    def __init__(self, spacing: float, p_norm: float) -> None:
        self._spacing, self._p_norm = spacing, p_norm

    def choose(self, points: np.ndarray, most: float) -> np.ndarray:
        """Return the first points that are not too close to each other, at most so many."""
        return spaced_peaks(points, self._spacing, most, self._p_norm)

    def conflicts(self, points: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """Return which of the points are too close to one that was chosen before."""
        spacing, p_norm = self._spacing, self._p_norm
        if spacing <= 1:
            return np.zeros(len(points), bool)
        if p_norm in _NORMS:
            bounded = {"p": p_norm, "distance_upper_bound": spacing}
            return np.asarray(cKDTree(chosen).query(points, **bounded)[0] < spacing)
        is_close = np.zeros(len(points), bool)
        tree = cKDTree(points)
        for point in chosen:  # as scikit-image does, for the same bits
            near = tree.query_ball_point(point, r=spacing, p=p_norm)
            distances = distance.cdist([point], points[near], "minkowski", p=p_norm)
            is_close[np.asarray(near, np.intp)[distances.reshape(-1) < spacing]] = True
        return is_close


class CornerSpacing:
    """The rule of `corner_peaks`: points up to a distance.

    Parameters
    ----------
    reach
        The distance, in pixels.
    p_norm
        The order of the Minkowski distance.
    """

    def __init__(self, reach: float, p_norm: float) -> None:
        self._near = partial(cKDTree.query_ball_point, r=reach, p=p_norm)

    def choose(self, points: np.ndarray, most: float) -> np.ndarray:
        """Return the first points that are not too close to each other, at most so many."""
        if not len(points):
            return points
        tree = cKDTree(points)
        is_rejected = np.zeros(len(points), bool)
        for rows in row_groups(len(points), TOGETHER):
            indices = rows.start + np.flatnonzero(~is_rejected[rows])
            lists = self._near(tree, points[indices], return_sorted=False)
            for index, neighbours in zip(indices.tolist(), lists, strict=True):
                if len(neighbours) > 1 and not is_rejected[index]:
                    neighbours.remove(index)
                    is_rejected[neighbours] = True
        chosen = points[~is_rejected]
        return chosen if np.isinf(most) else chosen[: int(most)]

    def conflicts(self, points: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """Return which of the points are too close to one that was chosen before."""
        is_close = np.zeros(len(points), bool)
        tree = cKDTree(points)
        for rows in row_groups(len(chosen), AROUND):
            for near in self._near(tree, chosen[rows]):
                is_close[near] = True
        return is_close


class Rule(NamedTuple):
    """Which of the points, the preferred ones first, are chosen."""

    spacing: Spacing
    most: float = np.inf
    """How many at most; infinity for all."""

    def choose(self, points: np.ndarray) -> np.ndarray:
        """Return the chosen ones of points in memory."""
        return self.spacing.choose(points, self.most)


def finished(candidates: Candidates, rules: Sequence[Rule]) -> Candidates | StoredColumn:
    """Return candidates that are in memory as they are; those on disk after some rules.

    Parameters
    ----------
    candidates
        All candidates.
    rules
        The rules, one after the other.
    """
    if candidates.flat or not candidates.runs:
        return candidates
    first, *others = rules
    column = _chosen(candidates.coordinates(), first, candidates.store)
    candidates.remove_runs()
    for rule in others:
        earlier, column = column, _chosen(_groups(column), rule, candidates.store)
        remove([earlier])
    return column


def _groups(column: StoredColumn | None) -> Iterator[np.ndarray]:
    """Yield the rows of a column, if there is one, some at a time."""
    if column is not None:
        yield from map(column.__getitem__, row_groups(len(column)))


def _chosen(groups: Iterable[np.ndarray], rule: Rule, store: ColumnStore | None) -> StoredColumn:
    """Return the points that a rule chooses, on disk.

    A point is compared with all that were chosen before, which are read some at a time.
    """
    writer, count = ColumnWriter(store), 0
    for points in groups:
        for earlier in _groups(writer.written().get("points")):
            if len(points):
                points = points[~rule.spacing.conflicts(points, earlier)]
        chosen = rule.spacing.choose(points, rule.most - count)
        count += len(chosen)
        writer.append({"points": chosen})
        if count >= rule.most:
            break
    column: StoredColumn = writer.columns()["points"]
    return column
