"""The table that was measured on a labels layer, kept with the layer, and its rows in napari.

napari's own features table takes the row's position for the label id. The layer's features
therefore have one row per label id, from 0 (background) on; of a time series, those of the frame
that is shown.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

import numpy as np
import pandas as pd
from napari.layers import Labels

from napari_tilewise._napari.layers import layer_record
from napari_tilewise._napari.layers.layer_record import Record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari.components import ViewerModel
    from napari.layers import Layer
    from numpy.typing import NDArray

KEY = "objects"
UNIT = "unit"
"""The feature that names the unit of lengths; areas are in its square."""
MOST_LABELS = 4_000_000
"""Layers with larger label ids have no features: a row per id would need too much memory."""


@dataclass(frozen=True, eq=False)
class ObjectTable:
    """One row per object."""

    columns: Mapping[str, NDArray[Any]]
    """As scikit-image returns them; those of looped axes come first."""
    labels: NDArray[np.int64]
    """The label id of each row."""
    boxes: NDArray[np.int64] | None = None
    """The first pixels, and those after the last, of each object along the measured axes."""
    frames: Mapping[str, int] = field(default_factory=dict)
    """The layer's looped axes by the columns that hold the positions along them."""
    over: tuple[int, ...] = ()
    """The layer's axes that were measured over."""
    spacing: tuple[float, ...] = ()
    """The distances of pixels along these axes, in the unit; 1 if measured in pixels."""
    unit: str = ""
    """The unit's symbol; empty for pixels, and where the axes' units differ in kind."""
    quantities: Mapping[str, tuple[int, float | None]] = field(default_factory=dict)
    """Of columns that measure lengths: the exponent of the unit, and what a pixel measures, unless
    that depends on the direction."""
    record: Mapping[str, Any] = field(default_factory=dict)
    """The recipe that measures, as plain data."""
    edits: int = 0
    """How often the pixels had been changed by hand when they were measured."""

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.labels)

    @property
    def recipe(self) -> Record | None:
        """The recipe that measures; None for a table of unknown origin."""
        return Record.from_dict(self.record) if self.record else None

    def rows_at(self, position: Sequence[int]) -> NDArray[np.int64]:
        """Return the rows of the objects in one frame.

        Parameters
        ----------
        position
            The index along each of the layer's axes.
        """
        shown = np.ones(len(self), bool)
        for name, axis in self.frames.items():
            shown &= np.asarray(self.columns[name]) == position[axis]
        return np.flatnonzero(shown)

    def rows_of(self, label: int, position: Sequence[int]) -> NDArray[np.int64]:
        """Return the rows of an object: one, or none if it was not measured.

        Parameters
        ----------
        label
            Its label id.
        position
            The index along each of the layer's axes.
        """
        rows = self.rows_at(position) if self.frames else np.arange(len(self))
        matches: NDArray[np.int64] = rows[self.labels[rows] == label]
        return matches

    def features(self, position: Sequence[int]) -> dict[str, Any]:
        """Return one row per label id, from 0 on; empty if the ids are too large for that.

        Parameters
        ----------
        position
            The index along each of the layer's axes.
        """
        rows = self.rows_at(position)
        labels = self.labels[rows]
        count = int(labels.max(initial=0)) + 1
        if count > MOST_LABELS or labels.min(initial=0) < 0:
            return {}
        features: dict[str, Any] = {"label": np.arange(count)}
        if self.unit and UNIT not in self.columns:  # napari's status bar shows names and values
            features[UNIT] = pd.Categorical.from_codes(np.zeros(count, np.int8), [self.unit])
        for name, column in self.columns.items():
            if name == "label":
                continue
            values = np.asarray(column)[rows]
            is_number = values.dtype.kind in "biuf"
            filled = np.full(count, np.nan if is_number else None, float if is_number else object)
            filled[labels] = values
            features[name] = filled
        return features

    def center(self, row: int, shape: Sequence[int]) -> NDArray[np.float64] | None:
        """Return the centre of an object's box in the layer's pixels; None if it is unknown.

        Parameters
        ----------
        row
            The object.
        shape
            The layer's; the middle of axes that the table knows nothing about.
        """
        if self.boxes is None:
            return None
        point = (np.asarray(shape, float) - 1) / 2
        first, last = np.split(self.boxes[row], 2)
        point[list(self.over)] = (first + last - 1) / 2
        for name, axis in self.frames.items():
            point[axis] = self.columns[name][row]
        return point

    def size(self, row: int) -> NDArray[np.int64] | None:
        """Return the lengths of an object's box along the measured axes, in pixels.

        Parameters
        ----------
        row
            The object.
        """
        if self.boxes is None:
            return None
        first, last = np.split(self.boxes[row], 2)
        lengths: NDArray[np.int64] = last - first
        return lengths


def of(layer: Layer) -> ObjectTable | None:
    """Return the table that was measured on a layer; None if there is none.

    Parameters
    ----------
    layer
        Any layer.
    """
    data = layer_record.stored_part(layer, KEY)
    return None if data is None else ObjectTable(**data)


def attach(layer: Labels, table: ObjectTable | None, position: Sequence[int] | None = None) -> None:
    """Keep a table with its layer, in place of an earlier one.

    Parameters
    ----------
    layer
        The measured labels.
    table
        None to remove a table.
    position
        The index along each of the layer's axes; the first ones by default.
    """
    if table is None:
        layer_record.store_part(layer, KEY, None)
        return
    data = {name: getattr(table, name) for name in table.__dataclass_fields__}
    data["edits"] = layer_record.edits(layer)
    layer_record.store_part(layer, KEY, data)
    layer.features = table.features(position or (0,) * layer.ndim)


def is_current(layer: Layer, table: ObjectTable) -> bool:
    """Return whether a layer's pixels are those that were measured.

    Parameters
    ----------
    layer
        The table's layer.
    table
        Returned by `of`.
    """
    return layer_record.edits(layer) == table.edits


def shown_position(layer: Layer, viewer: ViewerModel) -> tuple[int, ...]:
    """Return the index along each of a layer's axes that the viewer's sliders show.

    Parameters
    ----------
    layer
        A layer of the viewer.
    viewer
        The viewer.
    """
    point = np.asarray(layer.world_to_data(viewer.dims.point))[-layer.ndim :]
    return tuple(round(float(value)) for value in point)


def follow(layer: Layer, viewer: ViewerModel) -> None:
    """Keep a layer's features those of the shown frame, as long as it is in the viewer.

    Parameters
    ----------
    layer
        Any layer of the viewer; only a table with several frames changes with the sliders.
    viewer
        The viewer.
    """
    table = of(layer)
    if table is not None and table.frames:
        _following[layer] = _FrameFeatures(layer, viewer)  # napari refers to methods weakly


class _FrameFeatures:
    """Sets a layer's features when the sliders move."""

    def __init__(self, layer: Labels, viewer: ViewerModel) -> None:
        self._layer = ref(layer)
        self._viewer = viewer
        self._data = layer_record.stored_part(layer, KEY)
        self._position: tuple[int, ...] | None = None
        viewer.dims.events.current_step.connect(self._show)
        self._show()

    def _show(self, event: object = None) -> None:
        layer = self._layer()
        is_shown = layer is not None and layer in self._viewer.layers
        if layer is None or not is_shown or layer_record.stored_part(layer, KEY) is not self._data:
            self._viewer.dims.events.current_step.disconnect(self._show)
            return
        table = of(layer)
        position = shown_position(layer, self._viewer)
        if table is None or position == self._position:
            return
        frames = list(table.frames.values())
        before, self._position = self._position, position
        if before is None or any(before[axis] != position[axis] for axis in frames):
            layer.features = table.features(position)


_following: WeakKeyDictionary[Layer, _FrameFeatures] = WeakKeyDictionary()
