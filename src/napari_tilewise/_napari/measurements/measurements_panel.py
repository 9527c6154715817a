"""The Measurements panel: the table and the numbers that were measured on a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import napari
from magicgui.widgets import ComboBox
from napari.layers import Labels, Layer, Points
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QTabWidget, QVBoxLayout

from napari_tilewise._napari.layers import layer_record, object_table
from napari_tilewise._napari.layers.columns import object_columns, plain_columns
from napari_tilewise._napari.layers.viewer_layers import is_arriving
from napari_tilewise._napari.measurements.numbers_view import NumbersView
from napari_tilewise._napari.measurements.object_link import link_to
from napari_tilewise._napari.measurements.objects_view import ObjectsView
from napari_tilewise._napari.widgets.docks import with_panel
from napari_tilewise._napari.widgets.elided import elided
from napari_tilewise._napari.widgets.labelled_rows import rows
from napari_tilewise._napari.widgets.panel_base import Panel
from napari_tilewise._napari.widgets.panel_titles import PanelTitle

if TYPE_CHECKING:
    from collections.abc import Iterator


NOTHING = (
    "Nothing was measured on this layer: apply an operation such as Region properties table to "
    "labels."
)
CHANGED = "{} was changed by hand after it was measured: measure it again."
CLICK = 4
"""Pixels that the mouse may move during a click."""


class MeasurementsPanel(Panel):
    """Shows what was measured on a layer, linked with the canvas.

    Parameters
    ----------
    napari_viewer
        The viewer whose layers were measured.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__(napari_viewer, "measurements")
        self.layer: Layer | None = None
        self.objects, self.numbers = ObjectsView(), NumbersView()
        self.choice = ComboBox(label="layer", choices=self._choices)
        self.choice.tooltip = "The layer that was measured"
        elided(self.choice.native)
        self.tabs = QTabWidget()
        self.tabs.addTab(self.objects, "Objects")
        self.tabs.addTab(self.numbers, "Numbers")
        self.batch = QPushButton("Measure many images...")
        self.batch.setToolTip(
            "<qt>Opens the Batch panel with the recipe that measured these objects</qt>"
        )
        self._lay_out()
        self._connect()
        self._follow()

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.addWidget(rows([self.choice]))
        layout.addWidget(self.tabs, 1)
        layout.addWidget(self.message)
        buttons = QHBoxLayout()
        buttons.addStretch()
        buttons.addWidget(self.batch)
        layout.addLayout(buttons)

    def _connect(self) -> None:
        self.choice.changed.connect(lambda layer: self._show(layer))
        self.objects.said.connect(self.say)
        self.numbers.said.connect(self.say)
        self.batch.clicked.connect(self.send_to_batch)
        layers = self.viewer.layers
        layers.events.inserted.connect(self._layers_changed)
        layers.events.removed.connect(self._layers_changed)
        layers.selection.events.active.connect(self._follow)
        self.viewer.dims.events.current_step.connect(self._frame_changed)
        self.viewer.mouse_drag_callbacks.append(self._mouse_pressed)
        self.destroyed.connect(self._disconnect)

    def _disconnect(self) -> None:
        layers = self.viewer.layers
        layers.events.inserted.disconnect(self._layers_changed)
        layers.events.removed.disconnect(self._layers_changed)
        layers.selection.events.active.disconnect(self._follow)
        self.viewer.dims.events.current_step.disconnect(self._frame_changed)
        self.viewer.mouse_drag_callbacks.remove(self._mouse_pressed)

    # ------------------------------------------------------------------ the layer

    def show_layer(self, layer: Layer) -> None:
        """Show what was measured on a layer, the newest first.

        Parameters
        ----------
        layer
            A layer of the viewer.
        """
        self._layers_changed()
        has_table = _has_table(layer)
        newest = layer_record.stored_part(layer, "newest")
        self.tabs.setCurrentIndex(0 if has_table and newest != "values" else 1)
        if self.choice.value is layer:
            self._show(layer)
        elif layer in self.choice.choices:
            self.choice.value = layer

    def _choices(self, _: object) -> list[tuple[str, Layer]]:
        layers = reversed(self.viewer.layers)
        return [(layer.name, layer) for layer in layers if _is_measured(layer)]

    def _layers_changed(self, event: object = None) -> None:
        with self.choice.changed.blocked():
            self.choice.reset_choices()
        if self.choice.value is not self.layer:
            self._show(self.choice.value)

    def _follow(self, event: object = None) -> None:
        """Show the layer that the user selects, if it was measured."""
        active = self.viewer.layers.selection.active
        if is_arriving():
            return
        if active is None or not _is_measured(active):
            if self.layer is None:
                self._layers_changed()
                self._show(self.choice.value)
            return
        self._layers_changed()
        self.choice.value = active

    def _show(self, layer: Layer | None) -> None:
        self.layer = layer
        table = None if layer is None else object_table.of(layer)
        columns, link = [], None
        if layer is not None:
            link = link_to(layer, self.viewer)
            if table is not None:
                columns = object_columns(table)
            elif link is not None:
                columns = plain_columns({name: layer.features[name] for name in layer.features})
        self.objects.show_table(columns, link)
        count = self.numbers.show_layer(layer)
        self.tabs.setTabEnabled(0, bool(columns))
        self.tabs.setTabEnabled(1, bool(count))
        self.batch.setEnabled(table is not None and bool(table.record))
        self.say("" if columns or count else NOTHING)
        if layer is not None and table is not None and not object_table.is_current(layer, table):
            self.say(CHANGED.format(repr(layer.name)))

    def send_to_batch(self) -> None:
        """Open the Batch panel with the recipe that measured the objects."""
        table = None if self.layer is None else object_table.of(self.layer)
        record = None if table is None else table.recipe
        if record is not None:
            with_panel(self.viewer, PanelTitle.BATCH, lambda panel: panel.receive(record))

    # ------------------------------------------------------------------ the canvas

    def _frame_changed(self, event: object = None) -> None:
        table = None if self.layer is None else object_table.of(self.layer)
        if table is not None and table.frames:
            self.objects.frame_changed()

    def _mouse_pressed(self, viewer: object, event: Any) -> Iterator[None]:
        """Choose the object that the user clicks; a drag moves the view, as always."""
        layer = self.layer
        if layer is None or not layer.visible or not self.isVisibleTo(self.window()):
            return
        if str(layer.mode) not in ("pan_zoom", "pick"):
            return
        start = event.pos
        yield
        while event.type == "mouse_move":
            yield
        moved = max(abs(float(a) - float(b)) for a, b in zip(start, event.pos, strict=True))
        if moved <= CLICK:
            self.objects.choose_at(event, add="Shift" in event.modifiers)


def _has_table(layer: Layer) -> bool:
    if isinstance(layer, Points):
        return bool(layer.features.shape[1])
    return isinstance(layer, Labels) and object_table.of(layer) is not None


def _is_measured(layer: Layer) -> bool:
    return _has_table(layer) or bool(layer_record.stored_part(layer, "values"))
