"""The page of the Batch panel for the source: files, layers or a plate, whole or cut into parts.

It lists nothing itself: the panel lists the items in a thread.
"""

from __future__ import annotations

import glob
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels, Layer
from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QCheckBox, QLineEdit, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from napari_tilewise._napari.batch_panel.item_listing import Listing, of_layers
from napari_tilewise._napari.batch_panel.page_widgets import (
    LabelledRows,
    PathEdit,
    choice,
    choose,
)
from napari_tilewise._napari.batch_panel.region_choice import RegionChoice
from napari_tilewise._napari.layers.viewer_layers import layers_for
from napari_tilewise.batches.divide import WHOLE_IMAGES, Division
from napari_tilewise.errors import InvalidParameter
from napari_tilewise.io.readers.zarr_folders import is_zarr

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_tilewise._napari.layers.layer_record import Origin

FILES, LAYERS, PLATE = "files", "layers", "plate"
WHOLE, OVER, WINDOW, REGION = "whole", "over", "window", "region"
_ID = Qt.ItemDataRole.UserRole
SHOWN = 5
"""Rows of the list of layers that are visible without scrolling."""


class SourcePage(QWidget):
    """Chooses the items of a batch.

    Parameters
    ----------
    viewer
        The viewer whose layers can be items.
    """

    changed = Signal()
    """Other items are chosen now."""

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = viewer
        self.kind = choice(
            {"files in a folder": FILES, "layers": LAYERS, "an OME-Zarr plate": PLATE}
        )
        self.folder = PathEdit("Choose a folder of images", hint="folder")
        self.pattern = QLineEdit()
        self.pattern.setPlaceholderText("all images")
        self.recursive = QCheckBox("and its subfolders")
        self.recursive.setChecked(True)
        self.layers = QListWidget()
        self.layers.setFixedHeight(SHOWN * (self.layers.fontMetrics().lineSpacing() + 6))
        self.plate = PathEdit("Choose an OME-Zarr plate", hint="folder or URL")
        self.part = choice(
            {
                "a whole image": WHOLE,
                "a position along axes": OVER,
                "a sliding window": WINDOW,
                "a region of an image": REGION,
            }
        )
        self.region = RegionChoice(viewer)
        self.over, self.window_size = QLineEdit(), QLineEdit()
        self.step, self.axes = QLineEdit(), QLineEdit()
        for line, hint in (
            (self.over, "t, tc, or numbers such as 0"),
            (self.window_size, "256, or 128, 256"),
            (self.step, "as the window: no overlap"),
            (self.axes, "as the files say"),
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
        rows.add("layers", self.layers, "Each ticked layer is one item or is cut into items")
        rows.add("plate", self.plate, "Each field of each well is one item or is cut into items")
        rows.add("an item is", self.part)
        rows.add("axes", self.over, "Each position along these axes is an item; letters or numbers")
        rows.add(
            "window", self.window_size, "The window in pixels: one length, or one per spatial axis"
        )
        rows.add(
            "region",
            self.region,
            "Each image is cropped to the box around the shapes (the selected ones, else all) or "
            "labels of this layer. It is drawn over the layers, or over one of the files.",
        )
        rows.add("step", self.step, "The distance between windows in pixels")
        rows.add(
            "axes are",
            self.axes,
            "The names of the axes, such as tyx, if the files do not name them",
        )
        layout = QVBoxLayout(self)
        layout.addWidget(rows)
        layout.addStretch()

    def _connect(self) -> None:
        for box in (self.kind, self.part):
            box.currentIndexChanged.connect(self._show_fields)
            box.currentIndexChanged.connect(self._emit)
        self.region.currentIndexChanged.connect(self._emit)
        for line in (self.pattern, self.over, self.window_size, self.step, self.axes):
            line.textChanged.connect(self._emit)
        for path in (self.folder, self.plate):
            path.changed.connect(self._emit)
        self.recursive.toggled.connect(self._emit)
        self.layers.itemChanged.connect(self._emit)
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

    def _emit(self, *_: object) -> None:
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
            (self.region, part == REGION),
            (self.axes, kind == FILES),
        ):
            self._rows.show_row(field, visible=visible)

    # ------------------------------------------------------------------ layers

    def _fill_layers(self, event: object = None) -> None:
        """List the viewer's layers, the topmost first; ticked layers stay ticked."""
        inserted = getattr(event, "value", None)
        if isinstance(inserted, Layer) and getattr(event, "type", "") == "inserted":
            self._watch(inserted)
        before, region = self._ticked_ids(), self.region.currentData()
        with QSignalBlocker(self.region):
            self.region.fill()
        with QSignalBlocker(self.layers):
            self.layers.clear()
            for layer in layers_for(self._viewer):
                self._add_layer(layer, ticked=str(layer.unique_id) in before)
        is_other = self._is_limited and region != self.region.currentData()
        if is_other or set(before) != set(self._ticked_ids()):
            self._emit()

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
        """The ticked layers, in the order of the list."""
        layers = {str(layer.unique_id): layer for layer in self._viewer.layers}
        return [layers[layer_id] for layer_id in self._ticked_ids() if layer_id in layers]

    def _ticked_ids(self) -> list[str]:
        return [str(item.data(_ID)) for item in self._entries() if _is_ticked(item)]

    def tick(self, *layers: Layer) -> None:
        """Tick layers, and no others.

        Parameters
        ----------
        *layers
            Layers of the viewer.
        """
        ids = {str(layer.unique_id) for layer in layers}
        with QSignalBlocker(self):
            choose(self.kind, LAYERS)
            for item in self._entries():
                ticked = item.data(_ID) in ids
                item.setCheckState(Qt.CheckState.Checked if ticked else Qt.CheckState.Unchecked)
        self._emit()

    def tick_selected(self) -> None:
        """Tick the layers that are selected in the viewer, if any."""
        selection = self._viewer.layers.selection
        selected = [layer for layer in selection if isinstance(layer, Image | Labels)]
        if selected:
            self.tick(*selected)

    def _data_changed(self, event: Any) -> None:
        is_region = self._is_limited and event.source is self.region.layer
        if is_region or (self.kind.currentData() == LAYERS and event.source in self.ticked):
            self._emit()

    @property
    def _is_limited(self) -> bool:
        """Whether an item is a region of an image."""
        return bool(self.part.currentData() == REGION)

    # ------------------------------------------------------------------ choices

    def choose_file(self, path: str) -> None:
        """Choose one file; the user can replace its name by a pattern.

        Parameters
        ----------
        path
            An image file.
        """
        folder, name = os.path.split(os.path.abspath(path))
        with QSignalBlocker(self):
            choose(self.kind, FILES)
            choose(self.part, WHOLE)
            self.folder.path = folder
            self.pattern.setText(glob.escape(name))
            self.recursive.setChecked(False)
        self._emit()

    def choose_origin(self, origin: Origin) -> None:
        """Choose the image that a recipe was made on: its file if it has one, else the layer.

        Parameters
        ----------
        origin
            The layer that the recipe starts from.
        """
        path, layer = origin.path, origin.find(self._viewer.layers)
        if path is not None and os.path.exists(path) and not is_zarr(Path(path).parent):
            self.choose_file(path)
        elif layer is not None:
            choose(self.part, WHOLE)
            self.tick(layer)

    def listing(self, folder: str) -> Listing | None:
        """Return the task that lists the chosen items; None if nothing is chosen.

        Parameters
        ----------
        folder
            The folder of the results, which are not items of the next batch.

        Raises
        ------
        InvalidParameter, InvalidImage
            If a window or a step is not a number, or there is no region.
        """
        kind = self.kind.currentData()
        if kind == LAYERS:
            ticked = self.ticked
            if self._is_limited:
                return of_layers(ticked, WHOLE_IMAGES, folder, self.region.of) if ticked else None
            return of_layers(ticked, self._division(None), folder) if ticked else None
        source = self._files() if kind == FILES else self.plate.path
        if not source:
            return None
        axes = self.axes.text().strip() if kind == FILES else ""
        return Listing(
            source,
            self._division(axes or None),
            folder,
            required_folder=self.folder.path if kind == FILES else "",
            recursive=self.recursive.isChecked(),
        )

    def _files(self) -> str:
        """Return the folder, or a pattern of paths."""
        folder, pattern = self.folder.path, self.pattern.text().strip()
        if not folder or not pattern:
            return folder
        parts = ("**", pattern) if self.recursive.isChecked() else (pattern,)
        return os.path.join(glob.escape(folder), *parts)

    def _division(self, axes: str | None) -> Division:
        """Return how images of these axes are divided; an empty field divides nothing."""
        part = self.part.currentData()
        if part == OVER and (parts := self.over.text().replace(",", " ").split()):
            letters = "".join(parts)
            over = letters if letters.isalpha() else [_integer("axes", p) for p in parts]
            return Division(over, axes=axes)
        if part == WINDOW and (window := _lengths("window", self.window_size.text())):
            step = _lengths("step", self.step.text())
            return Division(window=window, step=step, axes=axes)
        return Division(axes=axes, box=self.region.box() if part == REGION else None)


def _is_ticked(item: QListWidgetItem) -> bool:
    return bool(item.checkState() == Qt.CheckState.Checked)


def _lengths(field: str, text: str) -> int | tuple[int, ...] | None:
    """Return one length, or one per axis; None for an empty text."""
    lengths = tuple(_integer(field, part) for part in text.replace(",", " ").split())
    return None if not lengths else lengths[0] if len(lengths) == 1 else lengths


def _integer(field: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidParameter(
            f"{field}: {text!r} is not a whole number: expected such as '256' or '128, 256'."
        ) from None
