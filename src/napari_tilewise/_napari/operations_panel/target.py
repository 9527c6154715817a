"""What a run works on: the layer, and plane by plane or as a volume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from magicgui.widgets import ComboBox
from napari.layers import Image, Labels, Layer

from napari_tilewise._napari.layers import dimensions, layer_record
from napari_tilewise._napari.layers.snapshot import displayed_axes
from napari_tilewise._napari.widgets.elided import elided
from napari_tilewise._napari.widgets.labelled_rows import rows, show_row
from napari_tilewise.errors import InvalidAxes

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel

    from napari_tilewise.operations.spec.operation import Operation


class TargetChoice:
    """The choosers of the layer and of the way it is processed, kept up with the viewer.

    Parameters
    ----------
    viewer
        The viewer.
    changed
        Called when another layer or way is chosen, or layers came, went or changed names.
    """

    def __init__(self, viewer: ViewerModel, changed: Callable[[], None]) -> None:
        self._viewer = viewer
        self._changed = changed
        self._ways: dict[str, dimensions.Axes] = {}
        self.layer_box = ComboBox(label="layer", choices=self._choices)
        self.way_box = ComboBox(label="process", choices=[])
        self.layer_box.tooltip = "The layer to process; it is never changed."
        self.way_box.tooltip = (
            "<qt>Whether the operation sees one plane at a time or whole volumes. "
            "Time and channels are always processed apart.</qt>"
        )
        elided(self.layer_box.native)
        self.box = rows([self.layer_box, self.way_box])
        self.layer_box.changed.connect(lambda *_: changed())
        self.way_box.changed.connect(lambda *_: changed())
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
        """The layer that is chosen."""
        return self.layer_box.value

    @property
    def spatial(self) -> dimensions.Axes:
        """The axes that the operation runs over."""
        return self._ways.get(self.way_box.value, ())

    def layers(self, role: str = "") -> list[Layer]:
        """Return the viewer's layers that suit a role, the topmost first.

        Parameters
        ----------
        role
            ``mask``, ``labels`` or ``seeds``: labels layers; ``intensity``: image layers; else
            both.
        """
        types = {
            "mask": (Labels,), "labels": (Labels,), "seeds": (Labels,), "intensity": (Image,),
        }  # fmt: skip
        wanted: tuple[type, ...] = types.get(role, (Image, Labels))
        return [layer for layer in reversed(self._viewer.layers) if isinstance(layer, wanted)]

    def fit(self, operation: Operation | None) -> str:
        """Offer the ways that suit an operation; return why there is none, else nothing.

        Parameters
        ----------
        operation
            The operation that is chosen.
        """
        ways: tuple[dimensions.AxisChoice, ...] = ()
        problem = ""
        if self.layer is not None and operation is not None:
            shown = displayed_axes(self.layer, self._viewer)
            try:
                ways = dimensions.choices(operation, self.layer.axis_labels, shown)
            except InvalidAxes as error:
                problem = str(error)
        self._ways = {way.text: way.axes for way in ways}
        if list(self._ways) != list(self.way_box.choices):
            with self.way_box.changed.blocked():
                self.way_box.choices = list(self._ways)
        show_row(self.box, self.way_box, len(self._ways) > 1)
        return problem

    def _choices(self, _: Any) -> list[tuple[str, Layer]]:
        return [(layer.name, layer) for layer in self.layers()]

    def _refresh(self, event: Any = None) -> None:
        layer = getattr(event, "value", None)
        if isinstance(layer, Layer) and getattr(event, "type", "") == "inserted":
            layer.events.name.connect(self._refresh)
            layer_record.watch(layer)
        with self.layer_box.changed.blocked():
            self.layer_box.reset_choices()
        self._changed()

    def _follow(self, event: Any = None) -> None:
        """Choose the layer that was made active, where it is an image or labels."""
        active = self._viewer.layers.selection.active
        if isinstance(active, Image | Labels):
            if active not in self.layer_box.choices:
                self._refresh()
            self.layer_box.value = active
