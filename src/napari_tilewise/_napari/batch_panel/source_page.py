"""The page of the Batch panel that says what is worked on: files, layers or a plate, whole or cut.

It only asks; what is listed is found elsewhere, in a thread.
"""

from __future__ import annotations

import glob
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels, Layer
from qtpy.QtCore import QSignalBlocker, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QCheckBox, QLineEdit, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from napari_tilewise._napari.batch_panel.item_listing import Listing, of_layers
from napari_tilewise._napari.batch_panel.page_widgets import (
    LabelledRows,
    PathEdit,
    choice,
    choose,
)
from napari_tilewise.errors import InvalidParameter
from napari_tilewise.io.readers.zarr_arrays import is_zarr

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_tilewise._napari.layers.layer_record import Origin

FILES, LAYERS, PLATE = "files", "layers", "plate"
WHOLE, OVER, WINDOW = "whole", "over", "window"
_ID = Qt.ItemDataRole.UserRole
SHOWN = 5
"""Layers that the list has room for."""


class SourcePage(QWidget):
    """Chooses what a batch works on.

    Parameters
    ----------
    viewer
        The viewer.
    """

    changed = Signal()
    """Other items are meant now."""

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = viewer
        self.kind = choice(
            {"files in a folder": FILES, "layers": LAYERS, "an OME-Zarr plate": PLATE}
        )
        self.folder = PathEdit("Choose a folder of images", hint="folder")
        self.pattern = QLineEdit()
        self.pattern.setPlaceholderText("all images")
        self.recursive = QCheckBox("and of the folders in it")
        self.recursive.setChecked(True)
        self.layers = QListWidget()
        self.layers.setFixedHeight(SHOWN * (self.layers.fontMetrics().lineSpacing() + 6))
        self.plate = PathEdit("Choose an OME-Zarr plate", hint="folder or URL")
        self.part = choice(
            {"a whole image": WHOLE, "a position along axes": OVER, "a sliding window": WINDOW}
        )
        self.over, self.window_size = QLineEdit(), QLineEdit()
        self.step, self.axes = QLineEdit(), QLineEdit()
        for line, hint in (
            (self.over, "such as t, or tc; or numbers: 0"),
            (self.window_size, "such as 256, or 128, 256"),
            (self.step, "as the window: side by side"),
            (self.axes, "as the images say"),
        ):
            line.setPlaceholderText(hint)
        self._lay_out()
        self._connect()
        self._fill_layers()
        self._show_fields()

    def _lay_out(self) -> None:
        self._rows = rows = LabelledRows()
        rows.add("from", self.kind)
        rows.add("folder", self.folder, "The folder with the images")
        rows.add("names", self.pattern, "A pattern of names, such as *.tif or well_*_ch0.png")
        rows.add("", self.recursive)
        rows.add("layers", self.layers, "Each ticked layer is an item, or is cut into items")
        rows.add("plate", self.plate, "Every field of every well is an item, or is cut into items")
        rows.add("an item is", self.part)
        rows.add("axes", self.over, "Each position along these axes is an item: letters or numbers")
        rows.add(
            "window", self.window_size, "Pixels of the window: one length, or one per spatial axis"
        )
        rows.add("step", self.step, "By how many pixels the window moves")
        rows.add(
            "axes are", self.axes, "Names of the images' axes, such as tyx, where they have none"
        )
        layout = QVBoxLayout(self)
        layout.addWidget(rows)
        layout.addStretch()

    def _connect(self) -> None:
        for box in (self.kind, self.part):
            box.currentIndexChanged.connect(self._show_fields)
            box.currentIndexChanged.connect(self._tell)
        for line in (self.pattern, self.over, self.window_size, self.step, self.axes):
            line.textChanged.connect(self._tell)
        for path in (self.folder, self.plate):
            path.changed.connect(self._tell)
        self.recursive.toggled.connect(self._tell)
        self.layers.itemChanged.connect(self._tell)
        events = self._viewer.layers.events
        for emitter in (events.inserted, events.removed, events.reordered):
            emitter.connect(self._fill_layers)
        for layer in self._viewer.layers:
            self._watch(layer)

    def disconnect_viewer(self, *_: object) -> None:
        """Stop listening to the viewer."""
        events = self._viewer.layers.events
        for emitter in (events.inserted, events.removed, events.reordered):
            emitter.disconnect(self._fill_layers)
        for layer in self._viewer.layers:
            layer.events.name.disconnect(self._fill_layers)
            layer.events.data.disconnect(self._data_changed)

    def _watch(self, layer: Layer) -> None:
        layer.events.name.connect(self._fill_layers)
        layer.events.data.connect(self._data_changed)

    def _tell(self, *_: object) -> None:
        self.changed.emit()

    def _show_fields(self, *_: object) -> None:
        kind, part = self.kind.currentData(), self.part.currentData()
        for field, visible in (
            (self.folder, kind == FILES),
            (self.pattern, kind == FILES),
            (self.recursive, kind == FILES),
            (self.layers, kind == LAYERS),
            (self.plate, kind == PLATE),
            (self.over, part == OVER),
            (self.window_size, part == WINDOW),
            (self.step, part == WINDOW),
            (self.axes, kind == FILES),
        ):
            self._rows.show_row(field, visible=visible)

    # ------------------------------------------------------------------ layers

    def _fill_layers(self, event: Any = None) -> None:
        """Show the viewer's layers, the topmost first; what is ticked stays so."""
        layer = getattr(event, "value", None)
        if isinstance(layer, Layer) and getattr(event, "type", "") == "inserted":
            self._watch(layer)
        before = self._ticked_ids()
        with QSignalBlocker(self.layers):
            self.layers.clear()
            for one in reversed(self._viewer.layers):
                if isinstance(one, Image | Labels):
                    self._add_layer(one, ticked=str(one.unique_id) in before)
        if set(before) != set(self._ticked_ids()):
            self._tell()

    def _add_layer(self, layer: Layer, *, ticked: bool) -> None:
        item = QListWidgetItem(layer.name)
        item.setData(_ID, str(layer.unique_id))
        item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
        item.setCheckState(Qt.CheckState.Checked if ticked else Qt.CheckState.Unchecked)
        self.layers.addItem(item)

    def _entries(self) -> list[QListWidgetItem]:
        items = (self.layers.item(row) for row in range(self.layers.count()))
        return [item for item in items if item is not None]

    @property
    def ticked(self) -> list[Layer]:
        """The layers that are ticked, as the list shows them."""
        layers = {str(layer.unique_id): layer for layer in self._viewer.layers}
        return [layers[one] for one in self._ticked_ids() if one in layers]

    def _ticked_ids(self) -> list[str]:
        return [str(item.data(_ID)) for item in self._entries() if _is_ticked(item)]

    def tick(self, *layers: Layer) -> None:
        """Choose layers, and no others.

        Parameters
        ----------
        *layers
            The layers.
        """
        ids = {str(layer.unique_id) for layer in layers}
        with QSignalBlocker(self):
            choose(self.kind, LAYERS)
            for item in self._entries():
                ticked = item.data(_ID) in ids
                item.setCheckState(Qt.CheckState.Checked if ticked else Qt.CheckState.Unchecked)
        self._tell()

    def tick_selected(self) -> None:
        """Choose the layers that are selected in the viewer, where there are any."""
        chosen = [one for one in self._viewer.layers.selection if isinstance(one, Image | Labels)]
        if chosen:
            self.tick(*chosen)

    def _data_changed(self, event: Any) -> None:
        if self.kind.currentData() == LAYERS and event.source in self.ticked:
            self._tell()

    # ------------------------------------------------------------------ what is chosen

    def choose_file(self, path: str) -> None:
        """Choose one file; a pattern in the place of its name makes many of it.

        Parameters
        ----------
        path
            The file.
        """
        folder, name = os.path.split(os.path.abspath(path))
        with QSignalBlocker(self):
            choose(self.kind, FILES)
            choose(self.part, WHOLE)
            self.folder.path = folder
            self.pattern.setText(glob.escape(name))
            self.recursive.setChecked(False)
        self._tell()

    def choose_origin(self, origin: Origin) -> None:
        """Choose what a recipe was made on: the file, where there is one, else the layer.

        Parameters
        ----------
        origin
            The layer that it starts from.
        """
        path, layer = origin.path, origin.find(self._viewer.layers)
        if path is not None and os.path.exists(path) and not is_zarr(Path(path).parent):
            self.choose_file(path)
        elif layer is not None:
            choose(self.part, WHOLE)
            self.tick(layer)

    def listing(self, folder: str) -> Listing | None:
        """Return what finds the items that are meant; None where nothing is chosen yet.

        Parameters
        ----------
        folder
            Where results go, which are no items of the next batch.

        Raises
        ------
        InvalidParameter
            When a window is not written as numbers.
        """
        kind = self.kind.currentData()
        if kind == LAYERS:
            ticked = self.ticked
            return of_layers(ticked, self._cut(), folder) if ticked else None
        source = self._files() if kind == FILES else self.plate.path
        if not source:
            return None
        options = {**self._cut(), "recursive": self.recursive.isChecked()}
        if kind == FILES and self.axes.text().strip():
            options["axes"] = self.axes.text().strip()
        return Listing(source, options, folder, below=self.folder.path if kind == FILES else "")

    def _files(self) -> str:
        """Return the folder, or the pattern of the paths in it."""
        folder, pattern = self.folder.path, self.pattern.text().strip()
        if not folder or not pattern:
            return folder
        parts = ("**", pattern) if self.recursive.isChecked() else (pattern,)
        return os.path.join(glob.escape(folder), *parts)

    def _cut(self) -> dict[str, Any]:
        """Return how images are cut, as `each_item` takes it; an empty field cuts nothing."""
        part = self.part.currentData()
        if part == OVER and (written := self.over.text().replace(",", " ").split()):
            words = "".join(written)
            return {"over": words if words.isalpha() else [_whole("axes", one) for one in written]}
        if part == WINDOW and (window := _lengths("window", self.window_size.text())):
            return {"window": window, "step": _lengths("step", self.step.text())}
        return {}


def _is_ticked(item: QListWidgetItem) -> bool:
    return bool(item.checkState() == Qt.CheckState.Checked)


def _lengths(what: str, written: str) -> int | tuple[int, ...] | None:
    """Return one length, or one per axis; None where nothing is written."""
    found = tuple(_whole(what, one) for one in written.replace(",", " ").split())
    return None if not found else found[0] if len(found) == 1 else found


def _whole(what: str, written: str) -> int:
    try:
        return int(written)
    except ValueError:
        raise InvalidParameter(
            f"{what}: {written!r} is no whole number; expected such as '256', or '128, 256'."
        ) from None
