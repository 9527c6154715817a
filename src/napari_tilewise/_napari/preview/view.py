"""The part of a layer that the viewer shows, by its camera, and how many pixels it may cost."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import ceil, floor
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise._napari.layers.snapshot import Box, displayed_axes, shown_box

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Layer

PAUSE = 60
"""Milliseconds for which the camera rests before what is computed of the view follows it."""
FEWEST, MOST = 2**20, 2**22
"""The fewest and the most pixels of a screenful."""
SPARE = 1.25
"""Factor by which a view may have more pixels than the canvas before a coarser level is taken."""


@dataclass(frozen=True)
class View:
    """What the viewer shows of a layer."""

    box: Box
    """The visible part at full resolution, along the layer's axes."""
    pixels: int
    """The most pixels to compute."""


def camera_of(viewer: ViewerModel) -> Any:
    """Return a viewer's camera.

    Parameters
    ----------
    viewer
        Of any supported release of napari.
    """
    scene = getattr(viewer, "scene", None)
    return viewer.camera if scene is None else scene.camera


def view_events(viewer: ViewerModel) -> list[Any]:
    """Return the emitters of events after which the viewer shows another part.

    Parameters
    ----------
    viewer
        Of any supported release of napari.
    """
    camera, dims = camera_of(viewer).events, viewer.dims.events
    return [camera.center, camera.zoom, dims.current_step, dims.ndisplay, dims.order]


def canvas_size(viewer: ViewerModel) -> tuple[int, int]:
    """Return the height and width of the canvas, in pixels of the screen.

    Parameters
    ----------
    viewer
        Of any supported release of napari.
    """
    canvas = getattr(viewer, "canvas", None)
    height, width = viewer._canvas_size if canvas is None else canvas.size
    return int(height), int(width)


def view_of(layer: Layer, viewer: ViewerModel, *, without: int | None = None) -> View | None:
    """Return what the viewer shows of a layer; None in 3-D display, or where it shows nothing.

    Parameters
    ----------
    layer
        A layer of the viewer.
    viewer
        The viewer.
    without
        The layer's axis that is none of its snapshot's placement.
    """
    if viewer.dims.ndisplay != 2:
        return None
    height, width = canvas_size(viewer)
    screenful = min(max(int(SPARE * height * width), FEWEST), MOST)
    box = list(shown_box(layer, viewer))
    corners = _corners(layer, viewer, (height, width))
    for axis in displayed_axes(layer, viewer):
        span = _visible(corners[:, axis], box[axis].stop)
        if span is None:
            return None
        box[axis] = span
    return View(tuple(span for axis, span in enumerate(box) if axis != without), screenful)


def _corners(layer: Layer, viewer: ViewerModel, canvas: Sequence[int]) -> np.ndarray:
    """Return the corners of the visible rectangle in the layer's data coordinates."""
    camera, displayed = camera_of(viewer), viewer.dims.displayed
    centre = np.asarray(camera.center, float)[-2:]
    reach = np.asarray(canvas) / (2 * camera.zoom)
    corners = []
    for signs in product((-1, 1), repeat=2):
        point = np.asarray(viewer.dims.point, float)
        point[list(displayed)] = centre + reach * signs
        corners.append(np.asarray(layer.world_to_data(point), float)[-layer.ndim :])
    return np.asarray(corners)


def _visible(positions: np.ndarray, length: int) -> slice | None:
    """Return the pixels along an axis between the least and the greatest position."""
    start = max(floor(float(positions.min()) + 0.5), 0)
    stop = min(ceil(float(positions.max()) + 0.5), length)
    return slice(start, stop) if start < stop else None
