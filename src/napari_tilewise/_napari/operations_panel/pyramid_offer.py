"""Offers a pyramid for a layer of which napari would read a huge plane for every view."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING
from weakref import WeakSet

from napari.utils.notifications import show_info

from napari_tilewise._napari.layers import layer_pyramids
from napari_tilewise._napari.layers.snapshot import displayed_axes
from napari_tilewise._napari.widgets.notify import notify

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Layer

LARGE = layer_pyramids.LARGE
"""The most pixels of a plane that needs no pyramid."""
OFFER = (
    "{name!r} is a plane of {size} pixels without a pyramid: napari reads all of it, whatever part "
    "is in view."
)
ACTION = "Build a pyramid"
CLOSED = "The panel was closed: open it again, and choose the layer."


class PyramidOffer:
    """Shows a notification with a button, once for each layer that needs a pyramid.

    Parameters
    ----------
    viewer
        The viewer of the layers.
    build
        Called with the layer if the user clicks the button.
    """

    def __init__(self, viewer: ViewerModel, build: Callable[[Layer], object]) -> None:
        self._viewer, self._build = viewer, build
        self._offered: WeakSet[Layer] = WeakSet()
        self._is_over = False

    def end(self, *_: object) -> None:
        """Build nothing any more: the panel has ended."""
        self._is_over = True

    def fit(self, layer: Layer | None) -> None:
        """Offer a pyramid for a layer that was chosen.

        Parameters
        ----------
        layer
            An image or labels layer, or None.
        """
        if layer is None or layer in self._offered:
            return
        lengths = _plane(layer, self._viewer)
        if prod(lengths) <= LARGE:
            return
        self._offered.add(layer)
        size = " x ".join(map(str, lengths))
        notify(OFFER.format(name=layer.name, size=size), ACTION, lambda: self._accept(layer))

    def _accept(self, layer: Layer) -> None:
        if self._is_over:
            show_info(CLOSED)
        else:
            self._build(layer)


def _plane(layer: Layer, viewer: ViewerModel) -> tuple[int, ...]:
    """Return the lengths of the plane that napari reads at once; none if it reads parts."""
    if layer.multiscale or viewer.dims.ndisplay != 2:
        return ()
    return tuple(int(layer.data.shape[axis]) for axis in displayed_axes(layer, viewer))
