"""What warps look through: the map that each function means, and the shape of what it shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from skimage.transform import ProjectiveTransform, SimilarityTransform

from napari_tilewise.grid import Region, extent
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.transform.resize import order_of
from napari_tilewise.operations.transform.warping import Homography, MappedRegion

if TYPE_CHECKING:
    from napari_tilewise.operations.spec.operation import Call

View: TypeAlias = Homography | MappedRegion
PointMap: TypeAlias = Callable[[np.ndarray], np.ndarray]


# -- maps ------------------------------------------------------------------------------------------


def _points(function: PointMap, result: tuple[int, ...]) -> Callable[[Region], list[np.ndarray]]:
    """Return the coordinates of boxes of a result, as `warp_coords` computes them."""

    def coordinates(tile: Region) -> list[np.ndarray]:
        rows, columns = tile[:2]
        count = extent((columns, rows))
        grid = np.indices(count, dtype=float)
        grid[0] += columns.start
        grid[1] += rows.start
        points = grid.reshape(2, -1).T
        alone = len(points) == 1 and result[0] * result[1] > 1
        if alone:  # matrix products treat a single point by other means, which round differently
            points = np.concatenate([points, points])
        found = np.asarray(function(points))[: 1 if alone else None]
        column, row = found.T.reshape((-1, *count)).swapaxes(1, 2).astype(float)[:2]
        if len(tile) == 2:
            return [row, column]
        bands = np.arange(tile[2].start, tile[2].stop, dtype=float)[np.newaxis, np.newaxis]
        return [row[..., np.newaxis], column[..., np.newaxis], bands]

    return coordinates


def homography_of(call: Call, given: Any) -> np.ndarray | None:
    """Return the matrix of a map that scikit-image warps by itself."""
    if order_of(call) not in (1, 3) or call.params.get("map_args"):
        return None
    if isinstance(given, np.ndarray):
        return given if given.shape == (3, 3) else None
    if isinstance(given, ProjectiveTransform):
        return np.asarray(given.params)
    return None


def view(call: Call, given: Any, keywords: Mapping[str, Any] | None = None) -> View:
    """Return what warps an image by a map given to `warp`."""
    shape, result = seen_shape(call), seen_result(call)
    order, mode, cval = order_of(call), call["mode"], call["cval"]
    matrix = homography_of(call, given)
    if matrix is not None:
        return Homography(
            shape, matrix.astype(call.operation.result.dtype(call)), order, mode, cval
        )
    if isinstance(given, np.ndarray) and given.shape == (3, 3):
        given = ProjectiveTransform(matrix=given)
    if isinstance(given, np.ndarray):
        array = given

        def coordinates(tile: Region) -> list[np.ndarray]:
            return [np.asarray(axis[tile], float) for axis in array]

        return MappedRegion(shape, coordinates, order, mode, cval)
    function: PointMap = lambda points: given(points, **(keywords or {}))  # noqa: E731
    return MappedRegion(shape, _points(function, result), order, mode, cval)


def warp_view(call: Call) -> View:
    """Return what `warp` looks through."""
    return view(call, call["inverse_map"], call["map_args"])


def _rotation(call: Call) -> tuple[SimilarityTransform, tuple[int, int] | None]:
    """Return `rotate`'s transformation, and the size of a result that was resized."""
    rows, columns = call.shape[:2]
    center = call["center"]
    center = np.array((columns, rows)) / 2.0 - 0.5 if center is None else np.asarray(center)
    there = SimilarityTransform(translation=center)
    turn = SimilarityTransform(rotation=np.deg2rad(call["angle"]))
    back = SimilarityTransform(translation=-center)
    found, size = back + turn + there, None
    if call["resize"]:
        corners = np.array([[0, 0], [0, rows - 1], [columns - 1, rows - 1], [columns - 1, 0]])
        corners = found.inverse(corners)
        low, high = corners.min(axis=0), corners.max(axis=0)
        width, height = (int(n) for n in np.around(high - low + 1))
        size = (height, width)
        found = SimilarityTransform(translation=(low[0], low[1])) + found
    found.params[2] = (0, 0, 1)
    return found, size


def rotate_view(call: Call) -> View:
    """Return what `rotate` looks through."""
    return view(call, _rotation(call)[0])


def swirl_view(call: Call) -> View:
    """Return what `swirl` looks through."""
    center = call["center"]
    if center is None:
        center = np.array(call.shape)[:2][::-1] / 2
    keywords = {"center": center, **{k: call[k] for k in ("rotation", "strength", "radius")}}
    return view(call, reach("transform._warps", "_swirl_mapping"), keywords)


def _radius(call: Call) -> Any:
    if call["radius"] is not None:
        return call["radius"]
    w, h = np.array(call.spatial_shape) / 2
    return np.sqrt(w**2 + h**2)


def polar_view(call: Call) -> View:
    """Return what `warp_polar` looks through."""
    height, width = _polar_size(call)
    radius, center = _radius(call), call["center"]
    if center is None:
        center = (np.array(call.spatial_shape) / 2) - 0.5
    linear = call["scaling"] == "linear"
    mapping = reach("transform._warps", "_linear_polar_mapping" if linear else "_log_polar_mapping")
    keywords = {
        "k_angle": height / (2 * np.pi),
        "k_radius": width / (radius if linear else np.log(radius)),
        "center": center,
    }
    return view(call, mapping, keywords)


# -- shapes ----------------------------------------------------------------------------------------


def seen_shape(call: Call) -> tuple[int, ...]:
    """Return the image's shape, channels last."""
    if call.channel_axis is None:
        return call.shape
    return (*call.spatial_shape, call.shape[call.channel_axis])


def seen_result(call: Call) -> tuple[int, ...]:
    """Return the result's shape, channels last."""
    shape = call.operation.result.shape(call) or ()
    if call.channel_axis is None:
        return shape
    channels = shape[call.channel_axis]
    return (*(n for axis, n in enumerate(shape) if axis != call.channel_axis), channels)


def _sized(call: Call, size: Sequence[int] | None) -> tuple[int, ...]:
    """Return the result's shape from its rows and columns; None: the image's."""
    shape = seen_shape(call)
    result = shape if size is None else (*size[:2], *shape[2:])
    if call.channel_axis is None:
        return result
    return call.with_channel(result[:-1], result[-1])


def given_shape(call: Call) -> tuple[int, ...]:
    """Return the result's shape where `output_shape` says it."""
    return _sized(call, call["output_shape"])


def warped_shape(call: Call) -> tuple[int, ...]:
    """Return the shape that `warp` makes: coordinates have their own."""
    given = call["inverse_map"]
    if isinstance(given, np.ndarray) and given.shape != (3, 3):
        return tuple(given.shape[1:])
    return given_shape(call)


def rotated_shape(call: Call) -> tuple[int, ...]:
    """Return the shape that `rotate` makes."""
    return _sized(call, _rotation(call)[1])


def _polar_size(call: Call) -> tuple[int, ...]:
    size = call["output_shape"]
    return (360, int(np.ceil(_radius(call)))) if size is None else tuple(size[:2])


def polar_shape(call: Call) -> tuple[int, ...]:
    """Return the shape that `warp_polar` makes."""
    return _sized(call, _polar_size(call))
