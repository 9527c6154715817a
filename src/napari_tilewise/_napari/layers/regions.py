"""A region limits what is processed: the box around shapes, or around labels, of another layer."""

from __future__ import annotations

from math import ceil, floor
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
from napari.layers import Labels, Shapes

from napari_tilewise._napari.layers.snapshot import displayed_axes, shown_box
from napari_tilewise.errors import InvalidImage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    from napari.components import ViewerModel
    from napari.layers import Layer

    Region: TypeAlias = Mapping[int, slice]
    """The part of a layer along some of its axes, in pixels."""


def region_layers(viewer: ViewerModel, target: Layer | None) -> list[Layer]:
    """Return the layers that can limit what is processed of another one, the topmost first.

    Parameters
    ----------
    viewer
        The viewer.
    target
        The layer to process.
    """
    return [
        layer
        for layer in reversed(viewer.layers)
        if isinstance(layer, Shapes | Labels) and layer is not target
    ]


def region_of(limits: Layer, target: Layer, viewer: ViewerModel) -> Region:
    """Return the pixels of a layer whose centres are in the box around a region.

    Parameters
    ----------
    limits
        A Shapes layer (its selected shapes, else all), or a Labels layer (all that is not 0).
    target
        The layer to process.
    viewer
        Both layers' viewer; the displayed axes are limited.

    Raises
    ------
    InvalidImage
        If nothing is drawn, or it lies beside the layer.
    """
    corners = _of_shapes(limits) if isinstance(limits, Shapes) else _of_labels(limits, viewer)
    if not len(corners):
        raise InvalidImage(f"The region {limits.name!r} is empty: draw a shape, or paint a label.")
    points = np.array([_moved(corner, limits, target, viewer) for corner in corners])
    shape = np.shape(target.data[0] if target.multiscale else target.data)
    region = {}
    for axis in sorted(displayed_axes(target, viewer)):
        low, high = points[:, axis].min(), points[:, axis].max()
        if high - low < _FLAT:
            continue  # drawn in a plane: all planes
        start, stop = max(0, ceil(low - _FLAT)), min(int(shape[axis]), floor(high + _FLAT) + 1)
        if start >= stop:
            raise InvalidImage(
                f"The region {limits.name!r} lies beside {target.name!r}: draw it over the image."
            )
        region[axis] = slice(start, stop)
    return region


_FLAT = 1e-6
"""Pixels below which a region has no extent along an axis; hides what transforms round."""


def _of_shapes(layer: Shapes) -> np.ndarray:
    numbers = sorted(layer.selected_data) or range(len(layer.data))
    return np.concatenate([np.empty((0, layer.ndim)), *(layer.data[n] for n in numbers)])


def _of_labels(layer: Labels, viewer: ViewerModel) -> np.ndarray:
    """Return two corners of the box around all labels in view."""
    data: Any = layer.data[0] if layer.multiscale else layer.data
    box = shown_box(layer, viewer)
    is_painted = data[box] != 0
    bounds = []
    for axis, span in enumerate(box):
        others = tuple(i for i in range(layer.ndim) if i != axis)
        line = is_painted.any(axis=others)
        positions = np.flatnonzero(line.compute() if isinstance(line, da.Array) else line)
        if not len(positions):
            return np.empty((0, layer.ndim))
        bounds.append((span.start + positions[0], span.start + positions[-1]))
    return np.array(bounds, float).T


def _moved(corner: np.ndarray, layer: Layer, target: Layer, viewer: ViewerModel) -> np.ndarray:
    """Return a point of one layer in pixels of another: napari aligns them at their last axes."""
    world = np.array(viewer.dims.point, float)
    position = np.asarray(layer.data_to_world(corner), float)
    count = min(len(world), len(position))
    world[len(world) - count :] = position[len(position) - count :]
    return np.asarray(target.world_to_data(world[-target.ndim :]), float)
