"""A region limits what is processed: the box around shapes, or around labels, of another layer."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate, product
from math import ceil, floor, prod
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
from napari.layers import Labels, Shapes

from napari_tilewise._napari.layers.prefetch import block
from napari_tilewise._napari.layers.snapshot import Box, displayed_axes, shown_box
from napari_tilewise.engine.events import PassStarted, TileDone
from napari_tilewise.engine.system.machine import processors
from napari_tilewise.errors import Cancelled, InvalidImage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_tilewise.engine.events import Listener

    Region: TypeAlias = Mapping[int, slice]
    """The part of a layer along some of its axes, in pixels."""

QUICK = 2**22
"""The most pixels of labels in memory whose box is found on the window's thread."""


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


def region_of(
    limits: Layer, target: Layer, viewer: ViewerModel, corners: np.ndarray | None = None
) -> Region:
    """Return the pixels of a layer whose centres are in the box around a region.

    Parameters
    ----------
    limits
        A Shapes layer (its selected shapes, else all), or a Labels layer (all that is not 0).
    target
        The layer to process.
    viewer
        Both layers' viewer; the displayed axes are limited.
    corners
        Those of the box around the labels in view, as `PaintedLabels.corners` returns them; found
        here unless given.

    Raises
    ------
    InvalidImage
        If nothing is drawn, or it lies beside the layer.
    """
    if isinstance(limits, Shapes):
        corners = np.concatenate(
            [np.empty((0, limits.ndim)), *(limits.data[n] for n in chosen_shapes(limits))]
        )
    elif corners is None:
        corners = PaintedLabels.of(limits, viewer).corners()
    if not len(corners):
        raise InvalidImage(f"The region {limits.name!r} is empty: draw a shape, or paint a label.")
    points = np.array([moved(corner, limits, target, viewer) for corner in corners])
    shape = np.shape(target.data[0] if target.multiscale else target.data)
    region = {}
    displayed = sorted(displayed_axes(target, viewer))
    if isinstance(limits, Shapes):
        extents = np.ptp(points[:, displayed], axis=0)
        if sum(extent >= FLAT for extent in extents) < min(2, len(displayed)):
            raise InvalidImage(
                f"The region {limits.name!r} has no area: draw a shape that has one."
            )
    for axis in displayed:
        low, high = points[:, axis].min(), points[:, axis].max()
        if high - low < FLAT:
            continue  # drawn in a plane: all planes
        start, stop = max(0, ceil(low - FLAT)), min(int(shape[axis]), floor(high + FLAT) + 1)
        if start >= stop:
            raise InvalidImage(
                f"The region {limits.name!r} lies beside {target.name!r}: draw it over the image."
            )
        region[axis] = slice(start, stop)
    return region


FLAT = 1e-6
"""Pixels below which a region has no extent along an axis; hides what transforms round."""


EDGES = (-0.5, 0.5 - 1e-5)
"""Where a pixel begins, and just before the next one does: pixels of labels may be larger."""


def chosen_shapes(layer: Shapes) -> list[int]:
    """Return the indices of the shapes that are a region: the selected ones, else all.

    Parameters
    ----------
    layer
        The shapes.
    """
    return sorted(layer.selected_data) or list(range(len(layer.data)))


@dataclass(frozen=True, eq=False)
class PaintedLabels:
    """The labels in view, around which a box is found; called in a worker if that takes long."""

    name: str
    data: Any
    """The labels at full resolution."""
    box: Box
    """The part in view."""

    @classmethod
    def of(cls, layer: Labels, viewer: ViewerModel) -> PaintedLabels:
        """Return the labels of a layer that a viewer shows; none is read.

        Parameters
        ----------
        layer
            The labels.
        viewer
            Their viewer.
        """
        data: Any = layer.data[0] if layer.multiscale else layer.data
        return cls(layer.name, data, shown_box(layer, viewer))

    @property
    def is_quick(self) -> bool:
        """Whether the box is found in a moment: the labels are in memory, and few."""
        is_lazy = not isinstance(self.data, np.ndarray) or isinstance(self.data, np.memmap)
        return not is_lazy and prod(span.stop - span.start for span in self.box) <= QUICK

    def __call__(self, progress: Listener, cancel: threading.Event) -> np.ndarray:
        """Return the corners, as `corners` does."""
        return self.corners(progress, cancel)

    def __str__(self) -> str:
        """Return a title."""
        return f"Box around {self.name!r}"

    def corners(
        self, progress: Listener | None = None, cancel: threading.Event | None = None
    ) -> np.ndarray:
        """Return two corners of the box around all labels; none if there is no label.

        Each block is read once, for all axes.

        Parameters
        ----------
        progress
            Receives the engine's events.
        cancel
            Set to stop within one block's time.
        """
        data = self.data
        if not isinstance(data, np.ndarray | da.Array):
            data = da.from_array(data, name=False)
        part = data[self.box]
        lines = [np.zeros(length, bool) for length in part.shape]
        if isinstance(part, np.ndarray):
            _mark(lines, part, [0] * part.ndim)
        else:
            _mark_blocks(lines, part, progress or _ignore, cancel or threading.Event())
        bounds = []
        for span, line in zip(self.box, lines, strict=True):
            positions = np.flatnonzero(line)
            if not len(positions):
                return np.empty((0, len(lines)))
            reach = EDGES if len(line) > 1 else (0.0, 0.0)
            ends = (positions[0], positions[-1])
            bounds.append([span.start + end + edge for end, edge in zip(ends, reach, strict=True)])
        return np.array(bounds, float).T


def _ignore(event: object) -> None:
    """Take no notice of an event."""


def _mark_blocks(
    lines: list[np.ndarray], part: da.Array, progress: Listener, cancel: threading.Event
) -> None:
    """Mark where blocks hold labels, a few blocks at a time."""
    title = "Box around labels"
    starts = [list(accumulate(lengths, initial=0)) for lengths in part.chunks]
    progress(PassStarted(title, part.npartitions))

    def visit(position: tuple[int, ...]) -> None:
        if cancel.is_set():
            raise Cancelled("Cancelled: no layer was added.")
        _mark(lines, block(part, position), [s[p] for s, p in zip(starts, position, strict=True)])

    with ThreadPoolExecutor(processors()) as pool:
        positions = product(*map(range, part.numblocks))
        for done, _ in enumerate(pool.map(visit, positions), start=1):
            progress(TileDone(title, done, part.npartitions))


def _mark(lines: list[np.ndarray], pixels: np.ndarray, start: list[int]) -> None:
    """Mark where pixels are labels along each axis; safe in threads, as marks are only added."""
    for axis, line in enumerate(lines):
        others = tuple(i for i in range(pixels.ndim) if i != axis)
        part = line[start[axis] : start[axis] + pixels.shape[axis]]
        part[pixels.any(axis=others)] = True


def moved(point: np.ndarray, layer: Layer, target: Layer, viewer: ViewerModel) -> np.ndarray:
    """Return a point of one layer in pixels of another: napari aligns them at their last axes.

    Parameters
    ----------
    point
        In data coordinates of the layer.
    layer
        The layer.
    target
        The other layer.
    viewer
        Their viewer; its position counts along axes that the layer lacks.
    """
    world = np.array(viewer.dims.point, float)
    position = np.asarray(layer.data_to_world(point), float)
    count = min(len(world), len(position))
    world[len(world) - count :] = position[len(position) - count :]
    return np.asarray(target.world_to_data(world[-target.ndim :]), float)
