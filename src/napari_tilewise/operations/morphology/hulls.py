"""Convex hulls: found from extreme pixels, filled tile by tile.

A hull's corners are among the first and last pixels of rows, so a tile says only which these are,
per object. From them scikit-image's steps give the polygon. Whether a pixel lies in it is exact
arithmetic on half pixels (in a plane), the same in every tile.
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


def _ends(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels and places of the pixels where an object's runs begin or end.

    Runs lie along the last axis; places hold one row per pixel, in raster order.
    """
    chosen = np.zeros(labels.shape, bool)
    chosen[..., 0] = chosen[..., -1] = True
    change = labels[..., 1:] != labels[..., :-1]
    chosen[..., 1:] |= change
    chosen[..., :-1] |= change
    chosen &= labels > 0
    return labels[chosen], np.argwhere(chosen)


def _outermost(label: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each object's first and last pixel in every row, sorted by object."""
    order = np.lexsort((*places.T[::-1], label))
    label, places = label[order], places[order]
    new = np.ones(len(label) + 1, bool)
    new[1:-1] = (label[1:] != label[:-1]) | (places[1:, :-1] != places[:-1, :-1]).any(axis=1)
    chosen = new[:-1] | new[1:]
    return label[chosen], places[chosen]


def _cornered(label: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what is left of objects in a plane without most pixels that are no corner of a hull.

    A row's first pixel is none when it lies on or inside of the line between the first pixels of
    two other rows, one on either side; so is its last. No corner of a hull ever does.
    """
    label, places = _outermost(label, places)
    new = np.ones(len(label) + 1, bool)
    new[1:-1] = (label[1:] != label[:-1]) | (places[1:, 0] != places[:-1, 0])
    kept = []
    for sign, side in ((1, new[:-1]), (-1, new[1:])):
        mine, (row, column) = label[side], places[side].T
        for _ in range(4):
            if len(mine) < 3:
                break
            turn = (column[1:-1] - column[:-2]) * (row[2:] - row[:-2])
            turn -= (column[2:] - column[:-2]) * (row[1:-1] - row[:-2])
            stays = np.ones(len(mine), bool)
            stays[1:-1] = (turn * sign < 0) | (mine[:-2] != mine[1:-1]) | (mine[2:] != mine[1:-1])
            mine, row, column = mine[stays], row[stays], column[stays]
        kept.append((mine, np.stack([row, column], axis=1)))
    return np.concatenate([k[0] for k in kept]), np.concatenate([k[1] for k in kept])


# -- hulls -----------------------------------------------------------------------------------------


def _hull(places: np.ndarray, offset: bool) -> Any:
    """Return scipy's hull of pixels, or of the middles of their edges where `offset`."""
    ndim = places.shape[1]
    points: np.ndarray = places
    if offset:
        if ndim > 2:
            first = ConvexHull(places)
            points = first.points[first.vertices]
        diamond = reach("morphology.convex_hull", "_offsets_diamond")(ndim)
        points = (points[:, None, :] + diamond).reshape(-1, ndim)
    return ConvexHull(unique_rows(points))


def _polygon_in(vertices: np.ndarray, box: Region, *, include_borders: bool) -> np.ndarray:
    """Return which pixels of a box lie in a convex polygon."""
    inner = _bounded(vertices.min(axis=0), vertices.max(axis=0), box)
    out = np.zeros(extent(box), bool)
    if inner is None:
        return out
    labels = reach("measure.pnpoly", "grid_points_in_poly")
    corners = [(s.start, s.stop - 1) for s in inner]
    ends = [
        labels((1, 1), vertices - [y, x], binarize=False) for y in corners[0] for x in corners[1]
    ]
    if all(end == 1 for end in ends):  # convex: all between them lies inside as well
        out[within(inner, box)] = True
        return out
    start = [s.start for s in inner]
    found = labels(extent(inner), vertices - start, binarize=False)
    out[within(inner, box)] = found >= 1 if include_borders else found == 1
    return out


def _bounded(low: np.ndarray, high: np.ndarray, box: Region) -> Region | None:
    """Return the part of a box within bounds; None where there is none."""
    part = tuple(
        slice(max(int(np.ceil(a)), s.start), min(int(np.floor(b)) + 1, s.stop))
        for a, b, s in zip(low, high, box, strict=True)
    )
    return part if all(s.start < s.stop for s in part) else None


MARGIN = 1e-6
"""How clearly a whole box must lie on one side of a plane for its pixels not to be asked."""


def _polyhedron_in(equations: np.ndarray, box: Region, tolerance: float) -> np.ndarray:
    """Return which pixels of a box lie within all planes, as scikit-image tells."""
    normals, offsets = equations[:, :-1], equations[:, -1]
    first = np.array([s.start for s in box])
    last = np.array([s.stop - 1 for s in box])
    least = np.where(normals > 0, normals * first, normals * last).sum(axis=1) + offsets
    most = np.where(normals > 0, normals * last, normals * first).sum(axis=1) + offsets
    if (least >= tolerance + MARGIN).any():
        return np.zeros(extent(box), bool)
    cutting = equations[most >= tolerance - MARGIN]
    if len(cutting) == 0:
        return np.ones(extent(box), bool)
    places = np.reshape(np.mgrid[box], (len(box), -1))
    inside = reach("morphology.convex_hull", "_check_coords_in_hull")(places, cutting, tolerance)
    return np.asarray(inside).reshape(extent(box))


def _no_pixels(region: Region) -> None:
    """Ask for no pixel of the image: the hulls are known."""


def _empty(warning: str) -> Tiles:
    warnings.warn(warning, UserWarning, stacklevel=2)
    return Tiles(lambda block: np.zeros(extent(block.tile), bool), source=_no_pixels)


# -- convex_hull_image -----------------------------------------------------------------------------


def _image(call: Call) -> Plan:
    def ends(block: Block) -> tuple[np.ndarray, ...]:
        pixels = block.data[block.core]
        # In a plane scikit-image looks at the pixels as 8-bit integers: fractions are lost.
        marks = (pixels.astype(np.uint8) if call.ndim == 2 else pixels) != 0
        label, places = _outermost(*_ends(marks.view(np.uint8)))
        return label, places + [s.start for s in block.tile]

    def some(block: Block) -> bool:
        return bool((block.data[block.core] != 0).any())

    anything, (label, places) = yield together(
        Reduce(some, lambda a, b: a or b), collected(ends, description="extreme pixels")
    )
    if not anything:
        return _empty("Input image is entirely zero, no valid convex hull. Returning empty image")
    try:
        hull = _hull(_outermost(label, places)[1], call["offset_coordinates"])
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

    def pieces(block: Block) -> Pieces:
        values = block.data[block.core]
        labels, count = label_image(
            values, background=0, return_num=True, connectivity=connectivity
        )
        return Pieces(labels, count, None if values.dtype == bool else values.astype(np.intp))

    components: Components = yield gather_components(pieces, connectivity)
    numbers = np.arange(components.count + 1)

    def corners(block: Block) -> tuple[np.ndarray, ...]:
        found = components.look_up(numbers, block.position, pieces(block))
        number, places = _cornered(*_ends(found))
        return number, (places + [s.start for s in block.tile]).astype(np.int32)

    number, places = yield collected(corners, description="extreme pixels")
    objects = _Objects(*_cornered(number, places.astype(np.int64)))
    return Tiles(lambda block: objects.hulls_in(block.tile), source=_no_pixels)


class _Objects:
    """The extreme pixels of all objects, found by where they lie."""

    def __init__(self, number: np.ndarray, places: np.ndarray) -> None:
        order = np.argsort(number, kind="stable")
        self._places = places[order].astype(np.int32)
        begins = np.flatnonzero(np.diff(number[order], prepend=-1))
        self._begins = np.append(begins, len(order))
        if len(begins):
            self._low = np.minimum.reduceat(self._places, begins)
            self._high = np.maximum.reduceat(self._places, begins)
        else:
            self._low = self._high = self._places

    def hulls_in(self, tile: Region) -> np.ndarray:
        """Return the hulls' pixels in a tile."""
        out = np.zeros(extent(tile), bool)
        start, stop = (np.array([getattr(s, side) for s in tile]) for side in ("start", "stop"))
        here = np.flatnonzero(((self._low < stop) & (self._high >= start)).all(axis=1))
        thin = (self._low[here] == self._high[here]).any(axis=1)  # pixels and lines: their own hull
        low = np.maximum(self._low[here[thin]] - start, 0)
        high = self._high[here[thin]] - start
        dots = (self._low[here[thin]] == self._high[here[thin]]).all(axis=1)
        out[tuple(low[dots].T)] = True
        for (top, left), (bottom, right) in zip(low[~dots], high[~dots], strict=True):
            out[top : bottom + 1, left : right + 1] = True
        for which in here[~thin]:
            places = self._places[self._begins[which] : self._begins[which + 1]].astype(np.int64)
            box = _bounded(self._low[which], self._high[which], tile)
            if box is not None:
                hull = _hull(places, offset=True)
                vertices = hull.points[hull.vertices]
                out[within(box, tile)] |= _polygon_in(vertices, box, include_borders=True)
        return out


OPERATIONS = (
    Operation(
        name="morphology.convex_hull_image",
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
        cost=Cost(memory=10.0),
        note="Beyond two axes a pixel counts as inside up to tolerance: the same pixels for any "
        "tolerance above the rounding of coordinates (1e-12 of the image's length).",
    ),
    Operation(
        name="morphology.convex_hull_object",
        family=families.OBJECTS,
        kind=Kind.CONNECTED,
        specs={"connectivity": Number(integer=True, minimum=1, maximum=2, usual=(1, 2))},
        result=ResultSpec(output=Output.MASK, dtype=lambda call: np.bool_),
        limits=Limits(ndim=(2, 2)),
        plan_of=_object,
        cost=Cost(memory=20.0),
    ),
)
