"""The target of an operation: a layer, processed plane by plane or as a volume."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from magicgui.widgets import ComboBox
from napari.layers import Image, Labels, Layer

from napari_tilewise._napari.layers import dimensions, layer_record
from napari_tilewise._napari.layers.region_masks import is_known, mask_of
from napari_tilewise._napari.layers.regions import PaintedLabels, region_layers, region_of
from napari_tilewise._napari.layers.snapshot import displayed_axes
from napari_tilewise._napari.layers.viewer_layers import is_arriving, is_temporary, layers_for
from napari_tilewise._napari.widgets.elided import elided
from napari_tilewise._napari.widgets.labelled_rows import rows, show_row
from napari_tilewise.errors import InvalidAxes

if TYPE_CHECKING:
    from collections.abc import Callable

    import dask.array as da
    from napari.components import ViewerModel

    from napari_tilewise._napari.layers.regions import Region
    from napari_tilewise.operations.spec.operation import Operation

WHOLE = "the whole layer"


class TargetChoice:
    """Chooses a layer and its spatial axes, and follows the viewer.

    Parameters
    ----------
    viewer
        The viewer whose layers are offered.
    changed
        Called when the choice changes, or layers are added, removed or renamed.
    """

    def __init__(self, viewer: ViewerModel, changed: Callable[[], None]) -> None:
        self._viewer = viewer
        self._changed = changed
        self._axes: dict[str, dimensions.Axes] = {}
        self.layer_box = ComboBox(label="layer", choices=self._choices)
        self.process_box = ComboBox(label="process", choices=[])
        self.layer_box.tooltip = "The layer to process; it is not modified"
        self.process_box.tooltip = (
            "<qt>Whether the operation processes one plane at a time or whole volumes. "
            "Each time point and channel is processed on its own.</qt>"
        )
        self.region_box = ComboBox(label="region", choices=self._region_choices)
        self.region_box.tooltip = (
            "<qt>Process only the box around the shapes of a layer (the selected ones, else all), "
            "or around its labels. The layer is cropped to it first, so the operation sees nothing "
            "else. A table of objects counts only what lies inside the shapes or labels.</qt>"
        )
        elided(self.layer_box.native)
        elided(self.region_box.native)
        self.box = rows([self.layer_box, self.region_box, self.process_box])
        self.layer_box.changed.connect(lambda *_: changed())
        self.process_box.changed.connect(lambda *_: changed())
        self.region_box.changed.connect(self._choose_region)
        self._drawn: Layer | None = None
        self._corners: tuple[PaintedLabels, np.ndarray] | None = None
        events = viewer.layers.events
        for emitter in (events.inserted, events.removed, events.reordered):
            emitter.connect(self._refresh)
        viewer.layers.selection.events.active.connect(self._follow)
        for layer in viewer.layers:
            layer.events.name.connect(self._refresh)
            layer_record.watch(layer)
        self._follow()

    def disconnect(self) -> None:
        """Stop listening to the viewer."""
        events = self._viewer.layers.events
        for emitter in (events.inserted, events.removed, events.reordered):
            emitter.disconnect(self._refresh)
        self._viewer.layers.selection.events.active.disconnect(self._follow)
        for layer in self._viewer.layers:
            layer.events.name.disconnect(self._refresh)

    @property
    def layer(self) -> Layer | None:
        """The chosen layer."""
        return self.layer_box.value

    @property
    def spatial(self) -> dimensions.Axes:
        """The chosen spatial axes."""
        return self._axes.get(self.process_box.value, ())

    @property
    def slow_region(self) -> PaintedLabels | None:
        """The labels around which a box is to be found in a worker; None if it is found at once."""
        limits = self.region_box.value
        if not isinstance(limits, Labels):
            return None
        painted = PaintedLabels.of(limits, self._viewer)
        return None if painted.is_quick or self._known_corners(painted) is not None else painted

    def remember(self, painted: PaintedLabels, corners: np.ndarray) -> None:
        """Store the corners that a worker found, until the labels or the view of them change.

        Parameters
        ----------
        painted
            The labels; those in memory are not stored, as they can be painted on.
        corners
            Of the box around them.
        """
        is_painted = isinstance(painted.data, np.ndarray)
        self._corners = None if is_painted else (painted, corners)

    def _known_corners(self, painted: PaintedLabels) -> np.ndarray | None:
        if self._corners is None:
            return None
        measured, corners = self._corners
        return corners if measured.data is painted.data and measured.box == painted.box else None

    def region(self, corners: np.ndarray | None = None) -> Region:
        """Return the part of the layer that is processed; empty for all of it.

        Parameters
        ----------
        corners
            Those of the box around a slow region's labels.

        Raises
        ------
        InvalidImage
            If the region is empty, or lies beside the layer.
        """
        limits = self.region_box.value
        if limits is None or self.layer is None:
            return {}
        if corners is None and isinstance(limits, Labels):
            corners = self._known_corners(PaintedLabels.of(limits, self._viewer))
        return region_of(limits, self.layer, self._viewer, corners)

    def inside(self, region: Region) -> da.Array | None:
        """Return which pixels of a box lie inside the region; None if all do.

        Parameters
        ----------
        region
            The box, as `region` returns it.
        """
        limits = self.region_box.value
        if not region or limits is None or self.layer is None:
            return None
        return mask_of(limits, self.layer, self._viewer, region)

    @property
    def box_note(self) -> str:
        """That objects are measured in the box around a region, if its inside is not known."""
        limits = self.region_box.value
        if limits is None or self.layer is None or is_known(limits, self.layer, self._viewer):
            return ""
        return f"The box around {limits.name!r} was measured: its inside is not known."

    def layers(self, role: str = "") -> list[Layer]:
        """Return the viewer's layers that suit a role, the topmost first.

        Parameters
        ----------
        role
            As in `layers_for`; and ``intensity`` for image layers only.
        """
        layers = layers_for(self._viewer, role)
        return [layer for layer in layers if role != "intensity" or isinstance(layer, Image)]

    def fit(self, operation: Operation | None) -> str:
        """Offer the spatial axes that an operation can run over; return why there are none.

        Parameters
        ----------
        operation
            The chosen operation.
        """
        choices: tuple[dimensions.AxisChoice, ...] = ()
        problem = ""
        if self.layer is not None and operation is not None:
            shown = displayed_axes(self.layer, self._viewer)
            try:
                choices = dimensions.choices(operation, self.layer.axis_labels, shown)
            except InvalidAxes as error:
                problem = str(error)
        self._axes = {choice.text: choice.axes for choice in choices}
        if list(self._axes) != list(self.process_box.choices):
            with self.process_box.changed.blocked():
                self.process_box.choices = list(self._axes)
        show_row(self.box, self.process_box, len(self._axes) > 1)
        regions = [layer for _, layer in self._region_choices()]
        if list(self.region_box.choices) != regions:
            with self.region_box.changed.blocked():
                self.region_box.reset_choices()
        show_row(self.box, self.region_box, len(regions) > 1)
        return problem

    def _choose_region(self, limits: Layer | None) -> None:
        """Notice what is drawn in the region from now on."""
        if self._drawn is not None:
            self._drawn.events.data.disconnect(self._redraw)
        self._drawn = limits
        if limits is not None:
            limits.events.data.connect(self._redraw)
        self._changed()

    def _redraw(self, event: object = None) -> None:
        self._changed()

    def _choices(self, _: object) -> list[tuple[str, Layer]]:
        return [(layer.name, layer) for layer in self.layers()]

    def _region_choices(self, _: object = None) -> list[tuple[str, Layer | None]]:
        layers = [] if self.layer is None else region_layers(self._viewer, self.layer)
        return [(WHOLE, None), *((layer.name, layer) for layer in layers)]

    def _refresh(self, event: object = None) -> None:
        layer = getattr(event, "value", None)
        if is_temporary(layer):
            return
        if isinstance(layer, Layer) and getattr(event, "type", "") == "inserted":
            layer.events.name.connect(self._refresh)
            layer_record.watch(layer)
        with self.layer_box.changed.blocked(), self.region_box.changed.blocked():
            self.layer_box.reset_choices()
            self.region_box.reset_choices()
        self._changed()

    def _follow(self, event: object = None) -> None:
        """Choose the layer that the user selects, if it is an image or labels."""
        active = self._viewer.layers.selection.active
        if is_arriving() or is_temporary(active):
            return
        if isinstance(active, Image | Labels):
            if active not in self.layer_box.choices:
                self._refresh()
            self.layer_box.value = active
