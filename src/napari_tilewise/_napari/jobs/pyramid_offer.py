"""Offers a pyramid for a layer of which napari would read a huge plane for every view."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from napari.utils.notifications import show_info
from qtpy.QtCore import QObject, Signal

from napari_tilewise._napari.jobs.job import reporting_errors
from napari_tilewise._napari.jobs.layer_computer import LayerComputer
from napari_tilewise._napari.jobs.running import Runner
from napari_tilewise._napari.layers import layer_pyramids
from napari_tilewise._napari.layers.snapshot import displayed_axes
from napari_tilewise._napari.widgets.notify import notify
from napari_tilewise.errors import Cancelled

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer
    from qtpy.QtWidgets import QWidget

    from napari_tilewise._napari.jobs.layer_pixels import LayerPixels
    from napari_tilewise.errors import TilewiseError

LARGE = layer_pyramids.LARGE
"""The most pixels of a plane that needs no pyramid."""
OFFER = (
    "No pyramid: napari reads all {size} pixels of {name!r}, whatever part is in view. With a "
    "pyramid it reads what the screen shows."
)
ACTION = "Build a pyramid"
CLOSED = "The panel was closed: open it again, and choose the layer."


_offered: WeakSet[Layer] = WeakSet()
"""The layers for which some panel offers a pyramid."""


class PyramidOffer(QObject):
    """Shows a notification with a button, once for each layer that needs a pyramid.

    Parameters
    ----------
    viewer
        The viewer of the layers.
    panel
        The panel that works on them; it owns the dialogs, and its end is that of the offers.
    """

    said = Signal(str)
    """A line to show in the panel."""
    failed = Signal(str)
    """Why a pyramid is not built."""

    def __init__(self, viewer: ViewerModel, panel: QWidget) -> None:
        super().__init__(panel)
        self._viewer = viewer
        self._own: WeakSet[Layer] = WeakSet()
        self._is_over = False
        self.runner = Runner(panel)
        self.computer = LayerComputer(viewer, self.runner, panel)
        self.computer.started.connect(self.said)
        self.runner.finished.connect(self._finished)
        self.runner.failed.connect(self._failed)
        panel.destroyed.connect(self.end)

    def end(self, *_: object) -> None:
        """Build nothing any more: the panel has ended."""
        self._is_over = True
        _offered.difference_update(self._own)

    def fit(self, layer: Layer | None) -> None:
        """Offer a pyramid for a layer that was chosen.

        Parameters
        ----------
        layer
            An image or labels layer, or None.
        """
        if layer is None or layer in _offered:
            return
        lengths = _plane(layer, self._viewer)
        if prod(lengths) <= LARGE:
            return
        _offered.add(layer)
        self._own.add(layer)
        size = " x ".join(map(str, lengths))
        notify(OFFER.format(name=layer.name, size=size), ACTION, lambda: self._accept(layer))

    def _accept(self, layer: Layer) -> None:
        if self._is_over:
            show_info(CLOSED)
        elif problem := self.computer.build_pyramid(layer):
            self.failed.emit(problem)

    def _finished(self, work: LayerPixels, levels: list[Any]) -> None:
        with reporting_errors(work, self.failed.emit):
            self.said.emit(self.computer.show_pixels(levels))

    def _failed(self, error: TilewiseError) -> None:
        if isinstance(error, Cancelled):
            self.said.emit("Cancelled.")
        else:
            self.failed.emit(str(error))


def _plane(layer: Layer, viewer: ViewerModel) -> tuple[int, ...]:
    """Return the lengths of the plane that napari reads at once; none if it reads parts."""
    if layer.multiscale or viewer.dims.ndisplay != 2:
        return ()
    return tuple(int(layer.data.shape[axis]) for axis in displayed_axes(layer, viewer))
