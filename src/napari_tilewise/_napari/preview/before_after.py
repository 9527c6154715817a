"""Before and after: a key and a button hide the preview while held; a line splits the view."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Vectors

from napari_tilewise._napari.layers import viewer_layers
from napari_tilewise._napari.preview.preview_request import Shown
from napari_tilewise._napari.preview.view import camera_of
from napari_tilewise.operations.spec.pixel_positions import Sampling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_tilewise._napari.layers.placement import Placement
    from napari_tilewise._napari.layers.snapshot import Box
    from napari_tilewise._napari.preview.preview_request import PreviewResult

KEY = "H"
"""Held, it shows the image before."""
WIDTH = 2
"""The width of the line, in pixels of the screen."""


class HeldKey:
    """A key of the viewer that hides the preview while it is held.

    Parameters
    ----------
    viewer
        The viewer.
    hide
        Called with True when the key is pressed, and with False when it is released.
    """

    def __init__(self, viewer: ViewerModel, hide: Callable[[bool], None]) -> None:
        self._viewer, self._hide = viewer, hide

    def bind(self) -> None:
        """Take the key."""
        self._viewer.bind_key(KEY, self._while_pressed, overwrite=True)

    def release(self) -> None:
        """Give the key back."""
        self._viewer.bind_key(KEY, None, overwrite=True)

    def _while_pressed(self, viewer: Any) -> Iterator[None]:
        """Show the image before, until the key is released."""
        self._hide(True)
        yield
        self._hide(False)


def right_of(result: PreviewResult, position: float, axis: int) -> PreviewResult:
    """Return the part of a preview beyond a vertical line.

    Parameters
    ----------
    result
        A preview.
    position
        Where the line is, in pixels of the source.
    axis
        The layer's axis that is horizontal.
    """
    if result.shown in (Shown.POINTS, Shown.LINES):
        along = (
            result.pixels[:, axis] if result.shown is Shown.POINTS else result.pixels[:, 0, axis]
        )
        beyond = along >= position
        sizes = None if result.sizes is None else np.asarray(result.sizes)[beyond]
        return replace(result, pixels=result.pixels[beyond], sizes=sizes)
    sampling = result.samplings[axis]
    if sampling is None:
        return result
    first = round((position - sampling.start) / sampling.step + 0.5)
    first = min(max(first, 0), result.pixels.shape[axis] - 1)
    index = [slice(None)] * result.pixels.ndim
    index[axis] = slice(first, None)
    samplings = list(result.samplings)
    samplings[axis] = Sampling(sampling.step, sampling.start + sampling.step * first)
    pixels = np.ascontiguousarray(result.pixels[tuple(index)])
    return replace(result, pixels=pixels, samplings=tuple(samplings))


class SplitLine:
    """The line between before and after, as a layer.

    Parameters
    ----------
    viewer
        The viewer.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self.layer: Layer | None = None

    def show(self, placement: Placement, box: Box, axes: tuple[int, int], position: float) -> None:
        """Draw the line above the preview.

        Parameters
        ----------
        placement
            That of the source.
        box
            The visible part of it.
        axes
            Its vertical and its horizontal axis.
        position
            Where the line is along the horizontal axis, in pixels.
        """
        vertical, horizontal = axes
        start = np.array([float(span.start) for span in box])
        start[horizontal] = position - 0.5
        direction = np.zeros(len(box))
        direction[vertical] = box[vertical].stop - box[vertical].start
        data = np.stack([start, direction])[None]
        size = float(placement.inner.scale[horizontal]) or 1.0
        width = WIDTH / (camera_of(self._viewer).zoom * size)
        if self.layer is not None and self.layer in self._viewer.layers:
            self.layer.data = data
            self.layer.edge_width = width
            return
        layer = self.layer = Vectors(
            data, ndim=len(box), edge_width=width, edge_color="white", vector_style="line",
            name="Before | after", **placement.arguments(),
        )  # fmt: skip
        viewer_layers.add_temporary(self._viewer, layer, above=self._viewer.layers[-1])

    def remove(self) -> None:
        """Remove the line."""
        layer, self.layer = self.layer, None
        if layer is not None and layer in self._viewer.layers:
            viewer_layers.remove_temporary(self._viewer, layer)
