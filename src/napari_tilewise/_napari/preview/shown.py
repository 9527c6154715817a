"""The preview's layer: nothing hides it, no panel offers it, its pixels are written in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels, Points, Vectors

from napari_tilewise._napari.jobs import result_contrast, result_layers
from napari_tilewise._napari.layers import viewer_layers
from napari_tilewise._napari.preview.covered_source import CoveredSource
from napari_tilewise._napari.preview.preview_request import Basis, PreviewResult, Shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_tilewise._napari.jobs.job import Job

HIGHLIGHT = "#ffb000"
SLACK = 0.1
"""The part of the contrast limits by which values may exceed them before new ones are taken."""
MARKS = {Basis.EXACT: "", Basis.OVERVIEW: " (overview)", Basis.ESTIMATE: " (estimate)"}


def preview_title(job: Job, layer: Layer) -> str:
    """Return the name of a preview's layer."""
    return f"Preview of {layer.name}"


class ShownPreview:
    """Shows results in one layer of a viewer.

    Parameters
    ----------
    viewer
        The viewer.
    title
        Returns the layer's name for a job and its layer.
    """

    def __init__(
        self, viewer: ViewerModel, title: Callable[[Job, Layer], str] = preview_title
    ) -> None:
        self._viewer, self._title = viewer, title
        self.layer: Layer | None = None
        self._kind: tuple[Any, ...] = ()
        self._buffer: np.ndarray | None = None
        self._limits: tuple[float, float] | None = None
        self.covered = CoveredSource(viewer)
        self._placed: tuple[Any, ...] = ()
        """Where the layer's pixels lie: working it out costs as much as showing them."""
        self.is_hidden = False
        """Whether the user looks at the image before."""

    def show(self, job: Job, result: PreviewResult, source: Layer) -> None:
        """Show a result above its source, and above the layers that would hide it.

        Parameters
        ----------
        job
            The recipe.
        result
            A part of its result.
        source
            The layer that it was computed from.
        """
        kind = (result.shown, source, job.operation.name, result.pixels.dtype)
        if kind != self._kind or not self.is_shown:
            self.remove()
            self._add(job, result, source)
            self._kind = kind
        else:
            self._update(job, result)
        if self.layer is not None:
            _set(self.layer, "name", f"{self._title(job, source)}{MARKS[result.basis]}")
            self.covered.cover(source, self.layer, result, job.source.hidden_axis)

    @property
    def is_shown(self) -> bool:
        """Whether there is a preview in the viewer."""
        return self.layer is not None and self.layer in self._viewer.layers

    def raise_above(self, source: Layer) -> None:
        """Lie above the source, and above the layers that hide it, after they were moved.

        Parameters
        ----------
        source
            The layer that the preview was computed from.
        """
        layers, layer = self._viewer.layers, self.layer
        if layer is None or source not in layers:
            return
        is_image = isinstance(layer, Image)
        cover = viewer_layers.topmost_cover(self._viewer, source, by_labels=not is_image)
        if layers.index(layer) < layers.index(cover):
            layers.move(layers.index(layer), layers.index(cover) + 1)

    def hide(self, is_hidden: bool) -> None:
        """Hide the preview, or show it again.

        Parameters
        ----------
        is_hidden
            Whether to hide it.
        """
        self.is_hidden = is_hidden
        if self.layer is not None:
            _set(self.layer, "visible", not is_hidden)
        self.covered.check()

    def remove(self) -> None:
        """Remove the layer from the viewer."""
        self.covered.uncover()
        layer, self.layer, self._buffer, self._kind = self.layer, None, None, ()
        if layer is not None and layer in self._viewer.layers:
            viewer_layers.remove_temporary(self._viewer, layer)

    # -- layers --------------------------------------------------------------------------------

    def _add(self, job: Job, result: PreviewResult, source: Layer) -> None:
        layer = _LAYERS[result.shown](job, result)
        layer.visible = not self.is_hidden
        if result.shown in (Shown.IMAGE, Shown.COLOURS, Shown.OUTLINES):
            self._buffer = result.pixels
        self.layer = layer
        self._limits = _limits_of(layer)
        self._placed = _placement_key(job, result)
        is_image = result.shown in (Shown.IMAGE, Shown.COLOURS)
        cover = viewer_layers.topmost_cover(self._viewer, source, by_labels=not is_image)
        viewer_layers.add_temporary(self._viewer, layer, above=cover)

    def _update(self, job: Job, result: PreviewResult) -> None:
        layer: Any = self.layer
        if result.shown in (Shown.POINTS, Shown.LINES):
            layer.data = result.pixels
            if result.sizes is not None and len(result.pixels):
                layer.size = result.sizes
            return
        buffer = self._buffer
        if buffer is not None and buffer.shape == result.pixels.shape:
            buffer[...] = result.pixels
            if not self._move(layer, job, result):
                _redraw(layer)
        else:
            self._buffer = result.pixels
            layer.data = result.pixels
            self._move(layer, job, result)
        if result.shown is Shown.IMAGE and result.values is not None:
            self._show_values(job, layer, result)

    def _move(self, layer: Layer, job: Job, result: PreviewResult) -> bool:
        """Move a layer to where the pixels lie; return whether it was moved."""
        key = _placement_key(job, result)
        if key == self._placed:
            return False
        self._placed, is_moved = key, False
        values = _placement(job, result)
        for name in ("scale", "translate", "rotate", "shear"):
            is_moved |= _set(layer, name, values[name])
        if not np.array_equal(layer.affine.affine_matrix, values["affine"]):
            layer.affine, is_moved = values["affine"], True
        return is_moved

    def _show_values(self, job: Job, layer: Image, result: PreviewResult) -> None:
        """Take the contrast limits of the result's layer if the ones before do not show it well.

        That costs a repaint, so that each move of a parameter must not do it. Limits that the user
        set stay.
        """
        values, shown = result.values, _limits_of(layer)
        if values is None or shown is None or shown != self._limits or _shows(shown, values):
            return
        limits = result_contrast.contrast_limits(job, values, np.dtype(result.dtype))
        low, high = layer.contrast_limits_range
        layer.contrast_limits_range = (min(low, limits[0]), max(high, limits[1]))
        layer.contrast_limits = limits
        self._limits = _limits_of(layer)


def _redraw(layer: Layer) -> None:
    """Draw a layer's pixels again, which were written in place.

    The canvas listens to the layer's own event. Passed on by the list of layers as well, the event
    would have napari paint that list, and the window with it a second time.
    """
    with layer.events.set_data.blocker(layer.events):
        layer.refresh(thumbnail=False, extent=False, highlight=False)


def _limits_of(layer: Layer) -> tuple[float, float] | None:
    """Return the contrast limits of an image that has some."""
    if not isinstance(layer, Image) or layer.rgb:
        return None
    low, high = map(float, layer.contrast_limits)
    return low, high


def _shows(limits: tuple[float, float], values: tuple[float, float]) -> bool:
    """Return whether contrast limits cut off little of a range, and are not much wider."""
    slack = SLACK * (limits[1] - limits[0])
    is_inside = limits[0] - slack <= values[0] and values[1] <= limits[1] + slack
    return is_inside and result_contrast.is_visible(limits, values, least=0.5)


def _placement(job: Job, result: PreviewResult) -> dict[str, Any]:
    return job.source.placement.sampled(result.samplings).arguments()


def _placement_key(job: Job, result: PreviewResult) -> tuple[Any, ...]:
    """Return what the placement of pixels depends on, to be compared."""
    placement = job.source.placement
    inner = placement.inner
    arrays = (inner.scale, inner.translate, inner.rotate, inner.shear)
    return (
        *(np.asarray(array).tobytes() for array in arrays),
        placement.outer.affine_matrix.tobytes(),
        result.samplings,
    )


def _set(layer: Layer, name: str, value: object) -> bool:
    if np.array_equal(np.asarray(getattr(layer, name)), np.asarray(value)):
        return False
    setattr(layer, name, value)
    return True


def _image(job: Job, result: PreviewResult) -> Layer:
    limits = result_contrast.contrast_limits(job, result.values, np.dtype(result.dtype))
    return Image(
        result.pixels,
        rgb=False,
        contrast_limits=limits,
        colormap=job.source.colormap or "gray",
        name="Preview",
        **_placement(job, result),
    )


def _colours(job: Job, result: PreviewResult) -> Layer:
    return Image(result.pixels, rgb=True, name="Preview", **_placement(job, result))


def _outlines(job: Job, result: PreviewResult) -> Layer:
    return Labels(result.pixels, opacity=0.9, name="Preview", **_placement(job, result))


def _points(job: Job, result: PreviewResult) -> Layer:
    placement = job.source.placement
    usual = 8.0 * result.factor
    size = usual if result.sizes is None else result.sizes
    return Points(
        result.pixels,
        ndim=len(placement.inner.scale),
        size=size,
        face_color="transparent",
        border_color=HIGHLIGHT,
        border_width=result_layers.RING * usual,
        border_width_is_relative=False,
        name="Preview",
        **placement.arguments(),
    )


def _lines(job: Job, result: PreviewResult) -> Layer:
    placement = job.source.placement
    return Vectors(
        result.pixels,
        ndim=len(placement.inner.scale),
        edge_color=HIGHLIGHT,
        edge_width=max(0.5, result.factor),
        vector_style="line",
        name="Preview",
        **placement.arguments(),
    )


_LAYERS: dict[Shown, Callable[[Job, PreviewResult], Layer]] = {
    Shown.IMAGE: _image,
    Shown.COLOURS: _colours,
    Shown.OUTLINES: _outlines,
    Shown.POINTS: _points,
    Shown.LINES: _lines,
}
