"""A form is an operation's parameters, each in its editor: nothing of it is written by hand."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any, cast

from napari_tilewise._napari.forms.editors import Editor, LayersOf, editor, initial, is_picture
from napari_tilewise._napari.widgets.labelled_rows import rows
from napari_tilewise._napari.widgets.wording import label
from napari_tilewise.operations.spec.parameters import ChannelAxis, Number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from magicgui.widgets import Widget

    from napari_tilewise.operations.spec.operation import Operation
    from napari_tilewise.operations.spec.parameters import Parameter


class Form:
    """The widgets of one operation's parameters, the advanced ones apart.

    Parameters
    ----------
    operation
        The operation.
    layers
        Returns the layers to offer for a further image of some role.
    changed
        Called when any value changed.
    """

    def __init__(self, operation: Operation, layers: LayersOf, changed: Callable[[], None]) -> None:
        self.operation = operation
        self._ndim = 2
        self.editors: Mapping[str, Editor] = {
            name: editor(parameter, layers)
            for name, parameter in operation.parameters.items()
            if not isinstance(parameter.spec, ChannelAxis)  # the layer tells it
        }
        for name, made in self.editors.items():
            parameter = operation.parameters[name]
            made.widget.name = name
            made.widget.label = _label(parameter)
            made.widget.tooltip = _tooltip(parameter)
            cast("Any", made.widget).changed.connect(lambda *_: changed())
        self.basic = rows(self._widgets(advanced=False))
        self.advanced = rows(self._widgets(advanced=True))

    def _widgets(self, *, advanced: bool) -> list[Widget]:
        return [
            made.widget
            for name, made in self.editors.items()
            if self.operation.specs[name].advanced == advanced
        ]

    @property
    def has_advanced(self) -> bool:
        """Whether any parameter is an advanced one."""
        return bool(self._widgets(advanced=True))

    def discard(self) -> None:
        """Destroy the widgets."""
        for widget in (self.basic, self.advanced):
            widget.hide()
            widget.deleteLater()

    def values(self) -> dict[str, Any]:
        """Return the parameters as they stand; further images as layers, None where unset.

        Raises
        ------
        InvalidParameter
            When a text is not what its parameter takes.
        """
        return {name: made.read() for name, made in self.editors.items()}

    def set_values(self, values: Mapping[str, Any]) -> None:
        """Fill in some parameters.

        Parameters
        ----------
        values
            Values by parameter name.
        """
        for name, value in values.items():
            self.editors[name].write(value)

    def reset(self) -> None:
        """Go back to the defaults."""
        for name, made in self.editors.items():
            made.write(initial(self.operation.parameters[name], self._ndim))

    def fit(self, ndim: int) -> None:
        """Offer what suits this number of spatial axes and the layers there are now.

        Parameters
        ----------
        ndim
            Number of spatial axes.
        """
        self._ndim = ndim
        for made in self.editors.values():
            made.fit(ndim)

    def layers(self) -> dict[str, Any]:
        """Return the layers chosen as further images."""
        chosen = {
            name: made.read()
            for name, made in self.editors.items()
            if is_picture(self.operation.specs[name])
        }
        return {name: layer for name, layer in chosen.items() if hasattr(layer, "data")}


def _label(parameter: Parameter) -> str:
    spec = parameter.spec
    unit = " (px)" if isinstance(spec, Number) and spec.length else ""
    return label(parameter.name) + unit


def _tooltip(parameter: Parameter) -> str:
    """Return scikit-image's words as rich text, which Qt wraps."""
    words = html.escape(parameter.doc or parameter.spec.describe())
    return f"<qt><b>{parameter.name}</b><br>{words}</qt>"
