"""The link between a table's rows and the objects in the canvas: labels, or points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from napari.layers import Labels, Points

from napari_tilewise._napari.layers import object_table
from napari_tilewise._napari.layers.snapshot import displayed_axes
from napari_tilewise._napari.measurements.object_colours import ObjectColours

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer
    from numpy.typing import ArrayLike, NDArray

    from napari_tilewise._napari.layers.columns import TableColumn
    from napari_tilewise._napari.layers.object_table import ObjectTable

SMALLEST, LARGEST, USUAL = 24, 500, 120
"""Pixels of the screen: an object outside of these is shown at the usual size."""


class ObjectLink(Protocol):
    """What the table needs of the objects in the canvas."""

    @property
    def layer(self) -> Layer:
        """The layer of the objects."""

    def choose(self, rows: NDArray[np.int64]) -> None:
        """Show the objects of some rows as chosen; of none to show all alike."""

    def go_to(self, row: int) -> bool:
        """Move the view to an object; return whether its position is known."""

    def row_at(self, event: Any) -> int | None:
        """Return the row of the object under the mouse; None if there is none."""

    def colour_by(self, column: TableColumn | None, limits: tuple[float, float]) -> None:
        """Colour the objects by a column; None for their own colours."""

    def restore(self) -> None:
        """Give the layer the colours it had."""


def show_point(layer: Layer, viewer: ViewerModel, point: ArrayLike, size: float | None) -> None:
    """Move the view to a point of a layer.

    Parameters
    ----------
    layer
        A layer of the viewer.
    viewer
        The viewer.
    point
        In the layer's pixels, along all of its axes.
    size
        The length to show, in world units; None to leave the zoom as it is.
    """
    world = np.asarray(layer.data_to_world(point))[-layer.ndim :]
    offset = viewer.dims.ndim - layer.ndim
    displayed = viewer.dims.displayed
    for axis, value in enumerate(world):
        if axis + offset not in displayed:
            viewer.dims.set_point(axis + offset, float(value))
    center = [float(world[axis - offset]) for axis in displayed if axis >= offset]
    camera = viewer.scene.camera
    camera.center = (*(0.0,) * (3 - len(center)), *center)
    if size:
        on_screen = size * camera.zoom
        if not SMALLEST <= on_screen <= LARGEST:
            camera.zoom = USUAL / size


class LabelsLink:
    """Links a table with labels.

    Parameters
    ----------
    layer
        The labels.
    table
        The table that was measured on them.
    viewer
        The viewer that shows them.
    """

    def __init__(self, layer: Labels, table: ObjectTable, viewer: ViewerModel) -> None:
        self.layer = layer
        self._table, self._viewer = table, viewer
        self._colours = ObjectColours(layer, int(table.labels.max(initial=0)))

    @property
    def _position(self) -> tuple[int, ...]:
        return object_table.shown_position(self.layer, self._viewer)

    def choose(self, rows: NDArray[np.int64]) -> None:
        """Show objects against dim others."""
        if self._table.frames and len(rows):
            rows = np.intersect1d(rows, self._table.rows_at(self._position))
        self._colours.choose(self._table.labels[rows])

    def go_to(self, row: int) -> bool:
        """Move the view to an object, and to its frame."""
        shape = np.shape(self.layer.data[0] if self.layer.multiscale else self.layer.data)
        center, size = self._table.center(row, shape), self._table.size(row)
        if center is None or size is None:
            return False
        displayed = displayed_axes(self.layer, self._viewer)
        scale = np.abs(np.asarray(self.layer.scale))
        lengths = [
            length * scale[axis]
            for axis, length in zip(self._table.over, size, strict=True)
            if axis in displayed
        ]
        show_point(self.layer, self._viewer, center, max(lengths, default=0))
        return True

    def row_at(self, event: Any) -> int | None:
        """Return the row of the label under the mouse."""
        value = self.layer.get_value(
            event.position,
            view_direction=event.view_direction,
            dims_displayed=event.dims_displayed,
            world=True,
        )
        label = value[1] if isinstance(value, tuple) else value
        if not label:
            return None
        return self.row_of(int(label))

    def row_of(self, label: int) -> int | None:
        """Return the row of a label in the shown frame; None if it was not measured."""
        rows = self._table.rows_of(label, self._position)
        return int(rows[0]) if len(rows) else None

    def colour_by(self, column: TableColumn | None, limits: tuple[float, float]) -> None:
        """Colour the labels of the shown frame by a column."""
        if column is None:
            self._colours.colour_own()
            return
        rows = self._table.rows_at(self._position)
        self._colours.colour_by(self._table.labels[rows], column.values[rows], limits)

    def restore(self) -> None:
        """Give the layer the colours it had."""
        self._colours.restore()


class PointsLink:
    """Links a points layer's features with its points: one row per point.

    Parameters
    ----------
    layer
        The points.
    viewer
        The viewer that shows them.
    """

    def __init__(self, layer: Points, viewer: ViewerModel) -> None:
        self.layer = layer
        self._viewer = viewer
        self._own: Any = None

    def choose(self, rows: NDArray[np.int64]) -> None:
        """Select points, as napari shows it."""
        self.layer.selected_data = set(rows.tolist())

    def go_to(self, row: int) -> bool:
        """Move the view to a point."""
        size = float(np.max(self.layer.size[row])) * float(np.max(np.abs(self.layer.scale)))
        show_point(self.layer, self._viewer, self.layer.data[row], size)
        return True

    def row_at(self, event: Any) -> int | None:
        """Return the row of the point under the mouse."""
        value = self.layer.get_value(
            event.position,
            view_direction=event.view_direction,
            dims_displayed=event.dims_displayed,
            world=True,
        )
        return None if value is None else int(value)

    def colour_by(self, column: TableColumn | None, limits: tuple[float, float]) -> None:
        """Colour the points' borders by a column."""
        layer = self.layer
        if self._own is None:
            self._own = layer.border_color.copy()
        if column is None:
            layer.border_color = self._own
            return
        layer.border_colormap = "viridis"
        layer.border_contrast_limits = limits
        layer.border_color = column.name

    def restore(self) -> None:
        """Give the layer the colours it had."""
        if self._own is not None and len(self._own) == len(self.layer.data):
            self.layer.border_color = self._own


def link_to(layer: Layer, viewer: ViewerModel) -> ObjectLink | None:
    """Return the link between a layer and its table; None if it has none.

    Parameters
    ----------
    layer
        A layer of the viewer.
    viewer
        The viewer.
    """
    table = object_table.of(layer)
    if isinstance(layer, Labels) and table is not None:
        return LabelsLink(layer, table, viewer)
    if isinstance(layer, Points) and layer.features.shape[1]:
        return PointsLink(layer, viewer)
    return None
