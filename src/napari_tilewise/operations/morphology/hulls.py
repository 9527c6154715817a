"""Convex hulls: computed from extreme pixels, filled tile by tile.

A hull's vertices are among the first and last pixels of rows, so a tile contributes only these, per
object. scikit-image's steps then give the polygon. Whether a pixel lies inside is decided (in 2D)
by exact arithmetic on half pixels, with the same result in every tile.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from scipy.spatial import ConvexHull, QhullError
from skimage.measure import label as label_image
from skimage.util import unique_rows

from napari_tilewise.grid import Region, extent, within
from napari_tilewise.operations.shared.combined import collected, together
from napari_tilewise.operations.shared.components import Components, Pieces, gather_components
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    IN_MEMORY,
    PER_PIXEL,
    AtOnce,
    Block,
    Call,
    Cost,
    Kind,
    Limits,
    Operation,
    Output,
    Plan,
    Reduce,
    ResultSpec,
    Tiles,
)
from napari_tilewise.operations.spec.parameters import Flag, Number

# -- extreme pixels --------------------------------------------------------------------------------


def _run_ends(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels and coordinates of the pixels where an object's runs begin or end.

    Runs lie along the last axis; the coordinates have one row per pixel, in raster order.
    """
    is_end = np.zeros(labels.shape, bool)
    is_end[..., 0] = is_end[..., -1] = True
    change = labels[..., 1:] != labels[..., :-1]
    is_end[..., 1:] |= change
    is_end[..., :-1] |= change
    is_end &= labels > 0
    return labels[is_end], np.argwhere(is_end)


def _row_ends(label: np.ndarray, coordinates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each object's first and last pixel in every row, sorted by object."""
    order = np.lexsort((*coordinates.T[::-1], label))
    label, coordinates = label[order], coordinates[order]
    starts = np.ones(len(label) + 1, bool)
    starts[1:-1] = (label[1:] != label[:-1]) | (coordinates[1:, :-1] != coordinates[:-1, :-1]).any(
        axis=1
    )
    is_outermost = starts[:-1] | starts[1:]
    return label[is_outermost], coordinates[is_outermost]


def _hull_candidates(label: np.ndarray, coordinates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels of 2D objects without most of those that cannot be vertices of the hull.

    A row's first pixel is dropped if it lies on or inside the line between the first pixels of two
    other rows, one on either side; likewise its last. A vertex of the hull never does.
    """
    label, coordinates = _row_ends(label, coordinates)
    starts = np.ones(len(label) + 1, bool)
    starts[1:-1] = (label[1:] != label[:-1]) | (coordinates[1:, 0] != coordinates[:-1, 0])
    corners = []
    for sign, side in ((1, starts[:-1]), (-1, starts[1:])):
        object_ids, (row, column) = label[side], coordinates[side].T
        for _ in range(4):
            if len(object_ids) < 3:
                break
            turn = (column[1:-1] - column[:-2]) * (row[2:] - row[:-2])
            turn -= (column[2:] - column[:-2]) * (row[1:-1] - row[:-2])
            is_corner = np.ones(len(object_ids), bool)
            is_corner[1:-1] = (
                (turn * sign < 0)
                | (object_ids[:-2] != object_ids[1:-1])
                | (object_ids[2:] != object_ids[1:-1])
            )
            object_ids, row, column = object_ids[is_corner], row[is_corner], column[is_corner]
        corners.append((object_ids, np.stack([row, column], axis=1)))
    return np.concatenate([part[0] for part in corners]), np.concatenate(
        [part[1] for part in corners]
    )


# -- hulls -----------------------------------------------------------------------------------------


def _hull(coordinates: np.ndarray, offset: bool) -> Any:
    """Return scipy's hull of the pixel centres, or with `offset` of the pixels' edge midpoints."""
    ndim = coordinates.shape[1]
    points: np.ndarray = coordinates
    if offset:
        if ndim > 2:
            coarse_hull = ConvexHull(coordinates)
            points = coarse_hull.points[coarse_hull.vertices]
        diamond = reach("morphology.convex_hull", "_offsets_diamond")(ndim)
        points = (points[:, None, :] + diamond).reshape(-1, ndim)
    return ConvexHull(unique_rows(points))


def _polygon_in(vertices: np.ndarray, box: Region, *, include_borders: bool) -> np.ndarray:
    """Return which pixels of a box lie in a convex polygon."""
    inner = _intersect_bounds(vertices.min(axis=0), vertices.max(axis=0), box)
    out = np.zeros(extent(box), bool)
    if inner is None:
        return out
    label_points = reach("measure.pnpoly", "grid_points_in_poly")
    corners = [(s.start, s.stop - 1) for s in inner]
    corner_labels = [
        label_points((1, 1), vertices - [y, x], binarize=False)
        for y in corners[0]
        for x in corners[1]
    ]
    if all(corner_label == 1 for corner_label in corner_labels):  # convex: the whole box is inside
        out[within(inner, box)] = True
        return out
    start = [s.start for s in inner]
    pixel_labels = label_points(extent(inner), vertices - start, binarize=False)
    out[within(inner, box)] = pixel_labels >= 1 if include_borders else pixel_labels == 1
    return out


def _intersect_bounds(low: np.ndarray, high: np.ndarray, box: Region) -> Region | None:
    """Return the part of a box within bounds; None if it is empty."""
    bounded = tuple(
        slice(max(int(np.ceil(a)), s.start), min(int(np.floor(b)) + 1, s.stop))
        for a, b, s in zip(low, high, box, strict=True)
    )
    return bounded if all(s.start < s.stop for s in bounded) else None


MARGIN = 1e-6
"""Distance from a plane, in pixels, beyond which a box is decided without testing its pixels."""


def _polyhedron_in(equations: np.ndarray, box: Region, tolerance: float) -> np.ndarray:
    """Return which pixels of a box lie inside all planes, by scikit-image's own test."""
    normals, offsets = equations[:, :-1], equations[:, -1]
    first_pixel = np.array([s.start for s in box])
    last_pixel = np.array([s.stop - 1 for s in box])
    least = np.where(normals > 0, normals * first_pixel, normals * last_pixel).sum(axis=1) + offsets
    most = np.where(normals > 0, normals * last_pixel, normals * first_pixel).sum(axis=1) + offsets
    if (least >= tolerance + MARGIN).any():
        return np.zeros(extent(box), bool)
    cutting = equations[most >= tolerance - MARGIN]
    if len(cutting) == 0:
        return np.ones(extent(box), bool)
    coordinates = np.reshape(np.mgrid[box], (len(box), -1))
    inside = reach("morphology.convex_hull", "_check_coords_in_hull")(
        coordinates, cutting, tolerance
    )
    return np.asarray(inside).reshape(extent(box))


def _no_pixels(region: Region) -> None:
    """Return None: the hulls are known, and a tile reads no pixel of the image."""


def _empty(warning: str) -> Tiles:
    warnings.warn(warning, UserWarning, stacklevel=2)
    return Tiles(lambda block: np.zeros(extent(block.tile), bool), source=_no_pixels)


# -- convex_hull_image -----------------------------------------------------------------------------


def _image(call: Call) -> Plan:
    def ends(block: Block) -> tuple[np.ndarray, ...]:
        pixels = block.data[block.core]
        # In 2D scikit-image casts the pixels to 8-bit integers, which truncates fractions.
        foreground = (pixels.astype(np.uint8) if call.ndim == 2 else pixels) != 0
        label, coordinates = _row_ends(*_run_ends(foreground.view(np.uint8)))
        return label, coordinates + [s.start for s in block.tile]

    def has_foreground(block: Block) -> bool:
        return bool((block.data[block.core] != 0).any())

    is_nonzero, (label, coordinates) = yield together(
        Reduce(has_foreground, lambda a, b: a or b), collected(ends, description="extreme pixels")
    )
    if not is_nonzero:
        return _empty("Input image is entirely zero, no valid convex hull. Returning empty image")
    try:
        hull = _hull(_row_ends(label, coordinates)[1], call["offset_coordinates"])
    except QhullError as error:
        return _empty(
            "Failed to get convex hull image. Returning empty image, see error message below:\n"
            f"{error}"
        )
    vertices = hull.points[hull.vertices]

    def compute(block: Block) -> np.ndarray:
        if call.ndim == 2:
            return _polygon_in(vertices, block.tile, include_borders=call["include_borders"])
        return _polyhedron_in(hull.equations, block.tile, call["tolerance"])

    return Tiles(compute, source=_no_pixels)


# -- convex_hull_object ----------------------------------------------------------------------------


def _object(call: Call) -> Plan:
    connectivity = call["connectivity"]

    def tile_components(block: Block) -> Pieces:
        values = block.data[block.core]
        labels, count = label_image(
            values, background=0, return_num=True, connectivity=connectivity
        )
        return Pieces(labels, count, None if values.dtype == bool else values.astype(np.intp))

    components: Components = yield gather_components(tile_components, connectivity)
    ids = np.arange(components.count + 1)

    def corners(block: Block) -> tuple[np.ndarray, ...]:
        objects = components.look_up(ids, block.position, tile_components(block))
        object_ids, coordinates = _hull_candidates(*_run_ends(objects))
        return object_ids, (coordinates + [s.start for s in block.tile]).astype(np.int32)

    object_ids, coordinates = yield collected(corners, description="extreme pixels")
    objects = _ObjectHulls(*_hull_candidates(object_ids, coordinates.astype(np.int64)))
    return Tiles(lambda block: objects.hulls_in(block.tile), source=_no_pixels)


class _ObjectHulls:
    """The extreme pixels of all objects, indexed by the objects' bounding boxes."""

    def __init__(self, object_ids: np.ndarray, coordinates: np.ndarray) -> None:
        order = np.argsort(object_ids, kind="stable")
        self._coordinates = coordinates[order].astype(np.int32)
        starts = np.flatnonzero(np.diff(object_ids[order], prepend=-1))
        self._starts = np.append(starts, len(order))
        if len(starts):
            self._low = np.minimum.reduceat(self._coordinates, starts)
            self._high = np.maximum.reduceat(self._coordinates, starts)
        else:
            self._low = self._high = self._coordinates

    def hulls_in(self, tile: Region) -> np.ndarray:
        """Return the mask of the hulls in a tile."""
        out = np.zeros(extent(tile), bool)
        start, stop = (np.array([getattr(s, side) for s in tile]) for side in ("start", "stop"))
        candidates = np.flatnonzero(((self._low < stop) & (self._high >= start)).all(axis=1))
        # dots and lines are their own hull
        is_thin = (self._low[candidates] == self._high[candidates]).any(axis=1)
        low = np.maximum(self._low[candidates[is_thin]] - start, 0)
        high = self._high[candidates[is_thin]] - start
        is_dot = (self._low[candidates[is_thin]] == self._high[candidates[is_thin]]).all(axis=1)
        out[tuple(low[is_dot].T)] = True
        for first, last in zip(low[~is_dot], high[~is_dot], strict=True):
            out[tuple(slice(a, b + 1) for a, b in zip(first, last, strict=True))] = True
        for index in candidates[~is_thin]:
            coordinates = self._coordinates[self._starts[index] : self._starts[index + 1]].astype(
                np.int64
            )
            box = _intersect_bounds(self._low[index], self._high[index], tile)
            if box is not None:
                hull = _hull(coordinates, offset=True)
                vertices = hull.points[hull.vertices]
                out[within(box, tile)] |= _polygon_in(vertices, box, include_borders=True)
        return out


OPERATIONS = (
    Operation(
        name="morphology.convex_hull_image",
        title="Convex hull",
        family=families.OBJECTS,
        kind=Kind.STATISTIC,
        specs={
            "offset_coordinates": Flag(advanced=True),
            "tolerance": Number(minimum=0, usual=(1e-10, 1e-3), advanced=True),
            "include_borders": Flag(),
        },
        result=ResultSpec(output=Output.MASK, dtype=lambda call: np.bool_),
        limits=Limits(ndim=(2, 8)),
        plan_of=_image,
        cost=Cost(
            numbers=PER_PIXEL,
            memory=10.0,
            # Of volumes the function tests every pixel against every plane of the hull.
            at_once=AtOnce(function=IN_MEMORY, when=lambda call: call.ndim == 2),
        ),
        note="With more than two axes a pixel counts as inside up to tolerance: the result is the "
        "same for any tolerance above the rounding of coordinates (1e-12 of the image's length).",
    ),
    Operation(
        name="morphology.convex_hull_object",
        title="Convex hull of each object",
        family=families.OBJECTS,
        kind=Kind.CONNECTED,
        specs={"connectivity": Number(integer=True, minimum=1, maximum=2, usual=(1, 2))},
        result=ResultSpec(output=Output.MASK, dtype=lambda call: np.bool_),
        limits=Limits(ndim=(2, 2)),
        plan_of=_object,
        cost=Cost(memory=20.0),
    ),
)
