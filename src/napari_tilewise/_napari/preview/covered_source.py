"""The source is not drawn while an opaque preview covers all of it that is in view.

Drawing a layer costs each pixel of the canvas once more, which is most of a move's delay where
OpenGL is drawn by software. Only the layer's node in vispy's scene is switched off: the layer, its
visibility and the list of layers stay as they are. Before each drawing, and when the camera moves,
the state of the viewer is compared again, so that the source is drawn as soon as any of it may be
seen. A viewer without such nodes draws the source as it always does.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image

from napari_tilewise._napari.layers.viewer_layers import COVERING
from napari_tilewise._napari.preview.preview_request import Shown
from napari_tilewise._napari.preview.view import view_events, view_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_tilewise._napari.preview.preview_request import PreviewResult

ROUNDING = 1e-6
"""Pixels by which positions may differ."""
TRANSFORMS = ("scale", "translate", "rotate", "shear", "affine")
"""The events after which a layer lies elsewhere: neither has moved since the preview was shown."""


class CoveredSource:
    """Switches off the drawing of a source below its preview, and on again.

    Parameters
    ----------
    viewer
        The viewer.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._node: Any = None
        """The source's node in the scene while it is not drawn."""
        self._connected: list[tuple[Any, Callable[..., None]]] = []
        """The emitters that are listened to, each with what it calls."""
        self._source: Layer | None = None
        self._preview: Layer | None = None
        self._area: tuple[tuple[float, float], ...] = ()
        self._hidden_axis: int | None = None

    @property
    def is_covered(self) -> bool:
        """Whether the source is not drawn."""
        return self._node is not None

    def cover(
        self, source: Layer, preview: Layer, result: PreviewResult, hidden_axis: int | None
    ) -> None:
        """Stop drawing a source if its preview hides all of it that is in view.

        Parameters
        ----------
        source
            The source.
        preview
            The layer that shows the preview.
        result
            What it shows.
        hidden_axis
            The source's axis that the preview lacks.
        """
        node = _node_of(self._viewer, source)
        if self._node is not None and node is not self._node:
            self.uncover()
        self._source, self._preview, self._hidden_axis = source, preview, hidden_axis
        self._area = _area_of(result, source.ndim - (hidden_axis is not None))
        if node is None or node.canvas is None or not self._hides():
            self.uncover()
            return
        if self._node is None:
            self._node = node
            self._listen(source, preview, node.canvas)
        if node.visible:
            node.visible = False

    def uncover(self, event: object = None) -> None:
        """Draw the source again."""
        if self._node is None:
            return
        node, self._node = self._node, None
        while self._connected:
            emitter, act = self._connected.pop()
            emitter.disconnect(act)
        node.visible = self._source is not None and self._source.visible

    def check(self, event: object = None) -> None:
        """Draw the source again if any of it may be seen."""
        if self._node is not None and not self._hides():
            self.uncover()

    def _listen(self, source: Layer, preview: Layer, canvas: Any) -> None:
        """Notice what may show the source: a picture may be taken before the next drawing."""
        for emitter in _revealing(self._viewer, source, preview):
            emitter.connect(self.check)
            self._connected.append((emitter, self.check))
        canvas.events.draw.connect(self.check, position="first")
        self._connected.append((canvas.events.draw, self.check))
        for layer, name in product((source, preview), TRANSFORMS):
            layer.events[name].connect(self.uncover)
            self._connected.append((layer.events[name], self.uncover))

    def _hides(self) -> bool:
        """Return whether the preview hides all of the source that is in view."""
        source, preview, layers = self._source, self._preview, self._viewer.layers
        if source is None or preview is None or not self._area:
            return False
        if source not in layers or preview not in layers:
            return False
        if not source.visible or not preview.visible or _is_grid(self._viewer):
            return False
        if layers.index(preview) < layers.index(source) or not _is_opaque(preview):
            return False
        view = view_of(source, self._viewer, without=self._hidden_axis)
        return view is not None and all(
            low <= span.start - 0.5 + ROUNDING and span.stop - 0.5 - ROUNDING <= high
            for span, (low, high) in zip(view.box, self._area, strict=True)
        )


def _node_of(viewer: ViewerModel, layer: Layer) -> Any:
    """Return a layer's node in the scene of a window; None if there is none.

    Also in a release of napari that does not tell what else may show the layer.
    """
    canvas = getattr(viewer, "canvas", None)
    if not hasattr(canvas, "grid") or not hasattr(getattr(canvas, "events", None), "size"):
        return None
    window = getattr(getattr(viewer, "window", None), "_qt_viewer", None)
    visuals = getattr(getattr(window, "canvas", None), "layer_to_visual", {})
    return getattr(visuals.get(layer), "node", None)


def _area_of(result: PreviewResult, ndim: int) -> tuple[tuple[float, float], ...]:
    """Return the first and last edge of an opaque image along each axis, in the source's pixels."""
    if not result.is_opaque or result.shown not in (Shown.IMAGE, Shown.COLOURS):
        return ()
    if len(result.samplings) != ndim or None in result.samplings:
        return ()
    return tuple(
        (along.start - along.step / 2, along.start + along.step * (length - 0.5))
        for along, length in zip(result.samplings, result.pixels.shape, strict=False)
        if along is not None
    )


def _is_grid(viewer: ViewerModel) -> bool:
    """Return whether the viewer shows layers side by side."""
    return bool(viewer.canvas.grid.enabled)


def _is_opaque(layer: Layer) -> bool:
    """Return whether nothing shines through a layer, but for pixels without a value."""
    is_solid = layer.opacity == 1 and str(layer.blending) in COVERING
    if not isinstance(layer, Image) or not is_solid or layer.experimental_clipping_planes:
        return False
    return layer.rgb or bool((np.asarray(layer.colormap.colors)[:, 3] == 1).all())


def _revealing(viewer: ViewerModel, source: Layer, preview: Layer) -> list[Any]:
    """Return the emitters of events after which some of a source may be seen."""
    canvas, layers, look = viewer.canvas, viewer.layers.events, preview.events
    return [
        *view_events(viewer), canvas.events.size, canvas.grid.events.enabled,
        layers.reordered, layers.removed, source.events.visible,
        look.visible, look.opacity, look.blending, look.colormap,
    ]  # fmt: skip
