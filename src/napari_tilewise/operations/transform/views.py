"""The coordinate map of each warping function, and the shape of its result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from skimage.transform import ProjectiveTransform, SimilarityTransform

from napari_tilewise.grid import Region, extent
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec.pixel_positions import shifted
from napari_tilewise.operations.transform.resize import order_of
from napari_tilewise.operations.transform.warping import Homography, MappedRegion

if TYPE_CHECKING:
    from napari_tilewise.operations.spec.operation import Call
    from napari_tilewise.operations.spec.pixel_positions import Samplings
    from napari_tilewise.types import Parameters

View: TypeAlias = Homography | MappedRegion
PointMap: TypeAlias = Callable[[np.ndarray], np.ndarray]


# -- maps ------------------------------------------------------------------------------------------


def _map_coordinates(
    function: PointMap, result: tuple[int, ...]
) -> Callable[[Region], list[np.ndarray]]:
    """Return the coordinates of boxes of a result, as `warp_coords` computes them."""

    def coordinates(tile: Region) -> list[np.ndarray]:
        rows, columns = tile[:2]
        count = extent((columns, rows))
        grid = np.indices(count, dtype=float)
        grid[0] += columns.start
        grid[1] += rows.start
        points = grid.reshape(2, -1).T
        is_single = len(points) == 1 and result[0] * result[1] > 1
        if is_single:  # matrix products round a single point differently
            points = np.concatenate([points, points])
        mapped = np.asarray(function(points))[: 1 if is_single else None]
        column, row = mapped.T.reshape((-1, *count)).swapaxes(1, 2).astype(float)[:2]
        if len(tile) == 2:
            return [row, column]
        bands = np.arange(tile[2].start, tile[2].stop, dtype=float)[np.newaxis, np.newaxis]
        return [row[..., np.newaxis], column[..., np.newaxis], bands]

    return coordinates


def homography_of(call: Call, inverse_map: Any) -> np.ndarray | None:
    """Return the matrix of a map for which scikit-image has its own interpolation, or None."""
    if order_of(call) not in (1, 3) or call.params.get("map_args"):
        return None
    if isinstance(inverse_map, np.ndarray):
        return inverse_map if inverse_map.shape == (3, 3) else None
    if isinstance(inverse_map, ProjectiveTransform):
        return np.asarray(inverse_map.params)
    return None


def view_of_map(call: Call, inverse_map: Any, keywords: Parameters | None = None) -> View:
    """Return the view of an image through an inverse map, as `warp` takes it."""
    shape, result = image_shape(call), result_shape(call)
    order, mode, cval = order_of(call), call["mode"], call["cval"]
    matrix = homography_of(call, inverse_map)
    if matrix is not None:
        return Homography(
            shape, matrix.astype(call.operation.result.dtype(call)), order, mode, cval
        )
    if isinstance(inverse_map, np.ndarray) and inverse_map.shape == (3, 3):
        inverse_map = ProjectiveTransform(matrix=inverse_map)
    if isinstance(inverse_map, np.ndarray):
        array = inverse_map

        def coordinates(tile: Region) -> list[np.ndarray]:
            return [np.asarray(axis[tile], float) for axis in array]

        return MappedRegion(shape, coordinates, order, mode, cval)

    def mapped(points: np.ndarray) -> Any:
        return inverse_map(points, **(keywords or {}))

    return MappedRegion(shape, _map_coordinates(mapped, result), order, mode, cval)


def warp_view(call: Call) -> View:
    """Return the view for `warp`."""
    return view_of_map(call, call["inverse_map"], call["map_args"])


def _rotation(
    call: Call,
) -> tuple[SimilarityTransform, tuple[int, int] | None, tuple[float, float]]:
    """Return `rotate`'s transformation, the result's size if it is resized, and its corner.

    The corner is the first row and column of the rotated image that the result holds.
    """
    rows, columns = call.shape[:2]
    center = call["center"]
    center = np.array((columns, rows)) / 2.0 - 0.5 if center is None else np.asarray(center)
    from_center = SimilarityTransform(translation=center)
    rotation = SimilarityTransform(rotation=np.deg2rad(call["angle"]))
    to_center = SimilarityTransform(translation=-center)
    transform, size = to_center + rotation + from_center, None
    corner = (0.0, 0.0)
    if call["resize"]:
        corners = np.array([[0, 0], [0, rows - 1], [columns - 1, rows - 1], [columns - 1, 0]])
        corners = transform.inverse(corners)
        low, high = corners.min(axis=0), corners.max(axis=0)
        width, height = (int(n) for n in np.around(high - low + 1))
        size = (height, width)
        corner = (float(low[1]), float(low[0]))
        transform = SimilarityTransform(translation=(low[0], low[1])) + transform
    transform.params[2] = (0, 0, 1)
    return transform, size, corner


def rotate_view(call: Call) -> View:
    """Return the view for `rotate`."""
    return view_of_map(call, _rotation(call)[0])


def swirl_view(call: Call) -> View:
    """Return the view for `swirl`."""
    center = call["center"]
    if center is None:
        center = np.array(call.shape)[:2][::-1] / 2
    keywords = {"center": center, **{k: call[k] for k in ("rotation", "strength", "radius")}}
    return view_of_map(call, reach("transform._warps", "_swirl_mapping"), keywords)


def _radius(call: Call) -> Any:
    if call["radius"] is not None:
        return call["radius"]
    w, h = np.array(call.spatial_shape) / 2
    return np.sqrt(w**2 + h**2)


def polar_view(call: Call) -> View:
    """Return the view for `warp_polar`."""
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
    return view_of_map(call, mapping, keywords)


# -- shapes ----------------------------------------------------------------------------------------


def image_shape(call: Call) -> tuple[int, ...]:
    """Return the image's shape, channels last."""
    if call.channel_axis is None:
        return call.shape
    return (*call.spatial_shape, call.shape[call.channel_axis])


def result_shape(call: Call) -> tuple[int, ...]:
    """Return the result's shape, channels last."""
    shape = call.operation.result.shape(call) or ()
    if call.channel_axis is None:
        return shape
    channels = shape[call.channel_axis]
    return (*(n for axis, n in enumerate(shape) if axis != call.channel_axis), channels)


def _shape_of_size(call: Call, size: Sequence[int] | None) -> tuple[int, ...]:
    """Return the result's shape from its rows and columns; None: the image's."""
    shape = image_shape(call)
    result = shape if size is None else (*size[:2], *shape[2:])
    if call.channel_axis is None:
        return result
    return call.with_channel(result[:-1], result[-1])


def output_shape(call: Call) -> tuple[int, ...]:
    """Return the result's shape for the parameter `output_shape`."""
    return _shape_of_size(call, call["output_shape"])


def warped_shape(call: Call) -> tuple[int, ...]:
    """Return the shape of the result of `warp`: for an array of coordinates, the array's."""
    inverse_map = call["inverse_map"]
    if isinstance(inverse_map, np.ndarray) and inverse_map.shape != (3, 3):
        return tuple(inverse_map.shape[1:])
    return output_shape(call)


def rotated_shape(call: Call) -> tuple[int, ...]:
    """Return the shape of the result of `rotate`."""
    return _shape_of_size(call, _rotation(call)[1])


def rotated_sampling(call: Call, shape: tuple[int, ...]) -> Samplings:
    """Return where the pixels of the result of `rotate` lie: around the same centre."""
    return shifted([*_rotation(call)[2], *[0.0] * len(shape)][: len(shape)])


def _polar_size(call: Call) -> tuple[int, ...]:
    size = call["output_shape"]
    return (360, int(np.ceil(_radius(call)))) if size is None else tuple(size[:2])


def polar_shape(call: Call) -> tuple[int, ...]:
    """Return the shape of the result of `warp_polar`."""
    return _shape_of_size(call, _polar_size(call))
