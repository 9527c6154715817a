"""Computes all pixels of a layer, and gives it these pixels: in place, or with a pyramid."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Layer
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QWidget

from napari_tilewise._napari.jobs.layer_pixels import LayerPixels
from napari_tilewise._napari.jobs.plan_dialog import LARGE, PlanDialog
from napari_tilewise._napari.layers import layer_pyramids, layer_record, slicing, snapshot
from napari_tilewise._napari.layers.viewer_layers import add_result
from napari_tilewise._napari.widgets.save_dialog import ask_path
from napari_tilewise.sizes import format_size

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_tilewise._napari.jobs.running import Runner

FILES = "OME-Zarr (*.ome.zarr)"


class LayerComputer(QObject):
    """Computes the pixels of layers, one at a time.

    Parameters
    ----------
    viewer
        The viewer of the layers.
    runner
        Runs it in the background.
    parent
        The widget that owns the dialogs.
    """

    started = Signal(str)
    """A line that says what is computed."""
    replaced = Signal(object)
    """The new layer in the place of one without a pyramid."""

    def __init__(self, viewer: ViewerModel, runner: Runner, parent: QWidget) -> None:
        super().__init__(parent)
        self._panel = parent
        self._viewer, self._runner = viewer, runner
        self._computed: Layer | None = None
        """The layer whose pixels are computed, whichever is chosen meanwhile."""
        self.plan: PlanDialog | None = None
        """The dialog that was shown last."""

    def compute(self, layer: Layer, path: Path | None = None) -> None:
        """Compute a layer: into memory if it fits well, else into a file.

        Parameters
        ----------
        layer
            An image or labels layer.
        path
            The file; by default memory, or a dialog asks for a file if it does not fit.
        """
        if self._runner.is_running:
            return
        pixels = LayerPixels.of(layer)
        if path is None and pixels.fits:
            self._start(pixels, layer, f"{pixels}: {format_size(pixels.nbytes)} in memory ...")
            return
        path = path or self._ask_path(layer.name)
        if path is None:
            return
        stored = replace(pixels, path=path)
        self.plan = PlanDialog(self._panel, pixels.copy, path, must_fit=True)
        line = f"{stored} into {path.name} ..."
        self.plan.accepted.connect(lambda: self._start(stored, layer, line))
        self.plan.open()

    def build_pyramid(self, layer: Layer) -> str:
        """Put a layer with a pyramid in the place of one without; return why that is not possible.

        The pyramid is written where the large results of operations are.

        Parameters
        ----------
        layer
            An image or labels layer.
        """
        if layer not in self._viewer.layers:
            return "The layer was removed meanwhile."
        if self._runner.is_running:
            return "Something is running: build the pyramid when it has finished."
        path = layer_pyramids.new_store()
        pixels = replace(LayerPixels.of(layer), path=path)
        line = f"Building a pyramid of {layer.name!r} ..."
        if pixels.nbytes <= LARGE:
            self._start(pixels, layer, line)
            return ""
        self.plan = PlanDialog(self._panel, pixels.copy, path, must_fit=True)
        self.plan.accepted.connect(lambda: self._start(pixels, layer, line))
        self.plan.open()
        return ""

    def _start(self, pixels: LayerPixels, layer: Layer, line: str) -> None:
        self._computed = layer
        self._runner.start_work(pixels)
        self.started.emit(line)

    def _ask_path(self, name: str) -> Path | None:
        path = ask_path(self._panel, "Write the pixels", name, FILES)
        if path is None or path.suffix == ".zarr":
            return path
        return path.with_name(f"{path.name}.ome.zarr")

    def show_pixels(self, levels: list[Any]) -> str:
        """Give the layer its computed pixels; return a line that says so.

        Parameters
        ----------
        levels
            The layer's levels.
        """
        layer, self._computed = self._computed, None
        if layer is None or layer not in self._viewer.layers:
            return "The layer was removed meanwhile."
        if layer.multiscale == (len(levels) > 1):
            with layer_record.own_change(layer):
                layer.data = levels if layer.multiscale else levels[0]
            snapshot.forget_lazy(layer)
        else:
            layer = self._replace(layer, levels)
        return f"Computed {layer.name!r}."

    def _replace(self, layer: Layer, levels: list[Any]) -> Layer:
        """Put a layer with a pyramid in the place of one without."""
        _, state, kind = layer.as_layer_data_tuple()
        state["multiscale"] = len(levels) > 1
        data = levels if state["multiscale"] else levels[0]
        new = Layer.create(data, state, kind)
        layers = self._viewer.layers
        index, was_active = layers.index(layer), layers.selection.active is layer
        name = layer.name
        layers.remove(layer)
        new.name = name
        slicing.prepare(new, self._viewer, is_lazy=False)
        add_result(self._viewer, new)
        layers.move(layers.index(new), index)
        if was_active:
            layers.selection.active = new
        self.replaced.emit(new)
        return new
