"""Which pixels of a region's box lie inside it: a measurement counts only these.

The centre of a pixel decides; on the outline it is inside. Rectangles along the axes need no mask:
their box is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
from napari.layers import Labels, Shapes

from napari_tilewise._napari.layers.regions import FLAT, chosen_shapes, moved
from napari_tilewise._napari.layers.snapshot import displayed_axes, shown_box

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer
    from numpy.typing import NDArray

    from napari_tilewise._napari.layers.regions import Region

    Pair = tuple[int, int]

CHUNK = 2048
"""Side in pixels of the parts in which a lazy mask is made."""
FILLED = {"rectangle", "polygon", "ellipse"}
"""Types of shapes that have an inside."""


def mask_of(limits: Layer, target: Layer, viewer: ViewerModel, region: Region) -> da.Array | None:
    """Return which pixels of a box lie inside a region; None if all do, or it is not known.

    Parameters
    ----------
    limits
        The Shapes or Labels layer.
    target
        The layer to process.
    viewer
        Their viewer.
    region
        The box, as `region_of` returns it.

    Returns
    -------
    dask.array.Array or None
        Booleans along the two displayed axes, in order; nothing is computed. None for a line or a
        path, which have no inside, in 3-D display, and for turned labels.
    """
    axes = tuple(sorted(region))
    if len(axes) != 2 or axes != tuple(sorted(displayed_axes(target, viewer))):
        return None
    lengths = tuple(region[axis].stop - region[axis].start for axis in axes)
    inside: _InShapes | _InLabels | None
    if isinstance(limits, Shapes):
        inside = _in_shapes(limits, target, viewer, region, axes)
    else:
        inside = _in_labels(limits, target, viewer, region, axes)
    if inside is None:
        return None
    chunks = tuple(min(CHUNK, length) for length in lengths)
    mask: da.Array = da.from_array(
        _Mask(lengths, inside), chunks=chunks, name=False, asarray=True, meta=np.empty((0, 0), bool)
    )
    return mask


def is_known(limits: Layer, target: Layer, viewer: ViewerModel) -> bool:
    """Return whether it is known what lies inside a region, or its box is exact.

    Parameters
    ----------
    limits
        The Shapes or Labels layer.
    target
        The layer to process.
    viewer
        Their viewer.
    """
    if viewer.dims.ndisplay != 2:
        return False
    if isinstance(limits, Shapes):
        return all(limits.shape_type[number] in FILLED for number in chosen_shapes(limits))
    return _steps(limits, target, viewer) is not None


@dataclass(frozen=True, eq=False)
class _Mask:
    """A mask as an array: its parts are computed when they are read."""

    shape: Pair
    inside: _InShapes | _InLabels
    dtype = np.dtype(bool)
    ndim = 2

    def __getitem__(self, key: tuple[slice, slice]) -> NDArray[np.bool_]:
        spans = [slice(*k.indices(n)[:2]) for k, n in zip(key, self.shape, strict=True)]
        return self.inside.part(spans)


# -- shapes ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _InShapes:
    """Inside at least one shape; vertices count from the box's first pixel."""

    polygons: list[np.ndarray]
    ellipses: list[np.ndarray]
    """Four corners of the frame of each."""

    def part(self, spans: list[slice]) -> NDArray[np.bool_]:
        """Return a part of the mask."""
        from skimage.measure import grid_points_in_poly

        start = np.array([span.start for span in spans], float)
        shape = tuple(span.stop - span.start for span in spans)
        inside = np.zeros(shape, bool)
        for vertices in self.polygons:
            inside |= grid_points_in_poly(shape, vertices - start)
        for corners in self.ellipses:
            inside |= _in_ellipse(shape, corners - start)
        return inside


def _in_ellipse(shape: tuple[int, ...], corners: np.ndarray) -> NDArray[np.bool_]:
    centre = corners.mean(axis=0)
    halves = np.stack([corners[1] - corners[0], corners[3] - corners[0]], axis=1) / 2
    if abs(np.linalg.det(halves)) < FLAT:
        return np.zeros(shape, bool)
    inverse = np.linalg.inv(halves)
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    y, x = rows - centre[0], columns - centre[1]
    u, v = (line[0] * y + line[1] * x for line in inverse)
    inside: NDArray[np.bool_] = u * u + v * v <= 1 + FLAT
    return inside


def _in_shapes(
    limits: Shapes, target: Layer, viewer: ViewerModel, region: Region, axes: Pair
) -> _InShapes | None:
    start = np.array([region[axis].start for axis in axes], float)
    polygons: list[np.ndarray] = []
    ellipses: list[np.ndarray] = []
    chosen = chosen_shapes(limits)
    for number in chosen:
        kind = limits.shape_type[number]
        if kind not in FILLED:
            return None
        points = [moved(point, limits, target, viewer)[list(axes)] for point in limits.data[number]]
        vertices = np.array(points) - start
        if kind == "rectangle" and len(chosen) == 1 and _is_straight(vertices):
            return None
        (ellipses if kind == "ellipse" else polygons).append(vertices)
    return _InShapes(polygons, ellipses)


def _is_straight(vertices: np.ndarray) -> bool:
    """Return whether the sides of a rectangle lie along the axes."""
    sides = np.abs(np.diff(vertices, axis=0, append=vertices[:1]))
    return bool((sides.min(axis=1) < FLAT).all())


# -- labels ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _InLabels:
    """Where the nearest pixel of a Labels layer is not 0."""

    data: Any
    """The labels in view, along the two axes."""
    start: np.ndarray
    """The position of the box's first pixel in them."""
    step: np.ndarray

    def part(self, spans: list[slice]) -> NDArray[np.bool_]:
        """Return a part of the mask."""
        numbers, is_inside = [], []
        for span, start, step, length in zip(
            spans, self.start, self.step, self.data.shape, strict=True
        ):
            positions = start + step * np.arange(span.start, span.stop)
            along = np.floor(positions + 0.5 + FLAT).astype(int)
            is_inside.append((along >= 0) & (along < length))
            numbers.append(along.clip(0, length - 1))
        low = [line.min() for line in numbers]
        box = tuple(slice(a, line.max() + 1) for a, line in zip(low, numbers, strict=True))
        pixels = self.data[box]
        if isinstance(pixels, da.Array):
            pixels = pixels.compute(scheduler="synchronous")
        picked = np.asarray(pixels)[np.ix_(*(n - a for n, a in zip(numbers, low, strict=True)))]
        inside: NDArray[np.bool_] = (picked != 0) & np.logical_and.outer(*is_inside)
        return inside


def _in_labels(
    limits: Labels, target: Layer, viewer: ViewerModel, region: Region, axes: Pair
) -> _InLabels | None:
    steps = _steps(limits, target, viewer)
    if steps is None:
        return None
    origin, step = steps
    data: Any = limits.data[0] if limits.multiscale else limits.data
    shown = set(displayed_axes(limits, viewer))
    box = shown_box(limits, viewer)
    key = tuple(slice(None) if axis in shown else s.start for axis, s in enumerate(box))
    first = origin + step * [region[axis].start for axis in axes]
    return _InLabels(data[key], first, step)


def _steps(
    limits: Labels, target: Layer, viewer: ViewerModel
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return where pixel 0 of the target lies in labels, and how far the next one is; along axes.

    None if one is turned with respect to the other.
    """
    axes = sorted(displayed_axes(target, viewer))
    within = sorted(displayed_axes(limits, viewer))
    if len(axes) != 2 or len(within) != 2:
        return None
    points = np.zeros((3, target.ndim))
    points[1, axes[0]] = points[2, axes[1]] = 1
    first, *others = (moved(point, target, limits, viewer)[within] for point in points)
    matrix = np.array(others) - first
    if np.abs(matrix - np.diag(np.diag(matrix))).max() > FLAT:
        return None
    return first, np.diag(matrix).copy()
