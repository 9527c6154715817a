"""The button that computes all pixels of a lazy layer, so that looking at it costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QPushButton, QWidget

from napari_tilewise._napari.jobs.layer_computer import LayerComputer
from napari_tilewise._napari.jobs.layer_pixels import is_lazy

if TYPE_CHECKING:
    from pathlib import Path

    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_tilewise._napari.jobs.plan_dialog import PlanDialog
    from napari_tilewise._napari.jobs.running import Runner


class ComputeButton(QPushButton):
    """Computes a lazy layer: into memory if it fits well, else into a file.

    Parameters
    ----------
    viewer
        The viewer of the layer.
    runner
        Runs it in the background.
    parent
        The widget that owns the dialogs.
    """

    def __init__(self, viewer: ViewerModel, runner: Runner, parent: QWidget) -> None:
        super().__init__("Compute", parent)
        self._runner = runner
        self._layer: Layer | None = None
        self.computer = LayerComputer(viewer, runner, parent)
        self.started = self.computer.started
        self.setToolTip(
            "<qt>Compute all pixels of this lazy layer now: into memory if they fit well, else "
            "into an OME-Zarr. Views of it, and operations on it, then only read them.</qt>"
        )
        self.clicked.connect(lambda: self.compute())

    @property
    def plan(self) -> PlanDialog | None:
        """The dialog that was shown last."""
        return self.computer.plan

    def fit(self, layer: Layer | None) -> None:
        """Show the button if a layer is lazy.

        Parameters
        ----------
        layer
            The chosen layer.
        """
        self._layer = layer
        self.setVisible(is_lazy(layer))
        self.setEnabled(not self._runner.is_running)

    def compute(self, path: Path | None = None) -> None:
        """Compute the layer.

        Parameters
        ----------
        path
            The file; by default memory, or a dialog asks for a file if it does not fit.
        """
        if self._layer is not None:
            self.computer.compute(self._layer, path)

    def show_pixels(self, levels: list[Any]) -> str:
        """Give the layer its computed pixels; return a line that says so.

        Parameters
        ----------
        levels
            The layer's levels.
        """
        line = self.computer.show_pixels(levels)
        self.fit(self._layer)
        return line
