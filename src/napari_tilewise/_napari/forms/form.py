"""A form is an operation's parameters, each in its editor; none is written by hand."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from napari.layers import Image

from napari_tilewise._napari.forms.editors import editor_of
from napari_tilewise._napari.forms.form_values import initial_value, start_value, takes_layer
from napari_tilewise._napari.forms.intensity_lines import IntensityLines, lines_of
from napari_tilewise._napari.forms.length_note import LengthNote, has_lengths
from napari_tilewise._napari.forms.sliders import NumberSlider
from napari_tilewise._napari.layers import intensities, snapshot
from napari_tilewise._napari.layers.intensities import range_of
from napari_tilewise._napari.widgets.labelled_rows import rows
from napari_tilewise._napari.widgets.plain_words import label, plain_sentences
from napari_tilewise.errors import InvalidImage, InvalidParameterType, TilewiseError
from napari_tilewise.operations.spec.parameters import ChannelAxis, FunctionSpec, Number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from magicgui.widgets import Widget
    from napari.layers import Layer

    from napari_tilewise._napari.forms.editor import Editor, LayersOf
    from napari_tilewise._napari.layers.intensities import IntensityRange, IntensitySource
    from napari_tilewise.operations.spec.operation import Operation
    from napari_tilewise.operations.spec.parameters import Parameter
    from napari_tilewise.types import Parameters, Value


@dataclass(frozen=True)
class FormValues:
    """The contents of a form, as steps take them."""

    params: dict[str, Value]
    """Parameters without further images; a small image, such as a template, is an array."""
    images: dict[str, Layer]
    """The layers chosen as further images (or other choices, if the form offers them)."""


class Form:
    """The widgets of one operation's parameters, the advanced ones in a widget of their own.

    Parameters
    ----------
    operation
        Its parameters are shown, but for the channel axis, which follows from the layer.
    layers
        Returns the layers to offer as a further image of some role.
    changed
        Called when a value changes.
    started
        Called when numbers have started within the intensities of an image that is no layer.
    """

    def __init__(
        self,
        operation: Operation,
        layers: LayersOf,
        changed: Callable[[], None],
        started: Callable[[], None] = lambda: None,
    ) -> None:
        self.operation = operation
        self._started = started
        self._ndim = 2
        self._intensities: IntensityRange | None = None
        self._changed = changed
        self._is_starting = False
        self.keeps_values = False
        """Whether its numbers are those of a step, which no image changes."""
        self.editors: Mapping[str, Editor] = {
            name: editor_of(parameter, layers)
            for name, parameter in operation.parameters.items()
            if not isinstance(parameter.spec, ChannelAxis)
        }
        for name, editor in self.editors.items():
            parameter = operation.parameters[name]
            editor.widget.name = name
            editor.widget.label = _label(parameter)
            editor.widget.tooltip = _tooltip(parameter)
            cast("Any", editor.widget).changed.connect(self._change)
        self.sliders = {
            name: NumberSlider(editor, spec)
            for name, editor in self.editors.items()
            if isinstance(spec := operation.specs[name], Number)
        }
        specs = operation.specs.values()
        self._has_intensities = any(
            isinstance(spec, Number) and (spec.intensity or spec.difference) for spec in specs
        )
        self.notes = {
            name: LengthNote(editor, spec, self.editors.get(getattr(spec, "measured_by", "")))
            for name, editor in self.editors.items()
            if has_lengths(spec := operation.specs[name])
        }
        beside = {self.editors[name].widget: slider for name, slider in self.sliders.items()}
        self.lines = IntensityLines(lines_of(operation.specs, self.editors))
        self._has_layer = False
        self.lines.range_found.connect(self._fit_range)
        below = {self.editors[name].widget: note.label for name, note in self.notes.items()}
        self.basic = rows(self._widgets(advanced=False), beside, below, above=self.lines)
        self.advanced = rows(self._widgets(advanced=True), beside, below)

    def _widgets(self, *, advanced: bool) -> list[Widget]:
        return [
            editor.widget
            for name, editor in self.editors.items()
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

    def values(self) -> dict[str, Value]:
        """Return the editors' values; a further image is a layer, or None if it is not chosen.

        Raises
        ------
        InvalidParameter
            If a text cannot be read.
        """
        return {name: editor.read() for name, editor in self.editors.items()}

    def read(self, *, complete: bool = False) -> FormValues:
        """Return the values as a step takes them; reads the pixels of small images.

        Parameters
        ----------
        complete
            Whether a required image must be chosen.

        Raises
        ------
        InvalidParameter
            If a text cannot be read, or `complete` and only Python has the values of a parameter.
        InvalidImage
            If `complete` and a required image is not chosen.
        """
        op, params, images = self.operation, {}, {}
        for name, value in self.values().items():
            if not takes_layer(op.specs[name]):
                params[name] = value
                if value is None and complete and _is_from_python(op.parameters[name]):
                    raise InvalidParameterType(
                        f"{op.title}: {label(name)} can only be passed from Python, such as in "
                        "napari's console."
                    )
            elif value is None:
                if complete and op.parameters[name].required:
                    raise InvalidImage(f"{op.title}: choose a layer as {label(name)}.")
            elif name in op.images and not isinstance(value, str):
                images[name] = value
            elif hasattr(value, "data"):
                params[name] = np.asarray(snapshot.take(value).finest)
            else:
                params[name] = value
        return FormValues(params, images)

    def set_values(self, values: Parameters) -> None:
        """Set some of the parameters.

        Parameters
        ----------
        values
            Values by parameter name.
        """
        for name, value in values.items():
            self.editors[name].write(value)

    def defaults(self) -> dict[str, Value]:
        """Return the values that the form starts with."""
        parameters = self.operation.parameters
        return {
            name: initial_value(parameters[name], self._ndim, self._intensities)
            for name in self.editors
        }

    def reset(self) -> None:
        """Set all parameters to their defaults."""
        self.set_values(self.defaults())

    def _change(self, *_: object) -> None:
        if not self._is_starting:
            self._changed()

    def _start(self, intensities: IntensityRange | None) -> None:
        """Let the intensities that nobody set start within those of the image to process."""
        if intensities is None or intensities == self._intensities:
            return
        before, self._intensities = self._intensities, intensities
        self._is_starting = True
        try:
            for name, editor in self.editors.items():
                parameter = self.operation.parameters[name]
                start = start_value(parameter.spec, intensities)
                if start is None:
                    continue
                if editor.start is not None:
                    editor.start(start)
                elif parameter.required and not self.keeps_values:
                    if _reads(editor, initial_value(parameter, self._ndim, before)):
                        editor.write(start)
        finally:
            self._is_starting = False

    def _fit_range(self, intensities: IntensityRange) -> None:
        """Fit sliders and first values to the intensities of an image that no layer shows."""
        if self._has_layer:
            return
        for slider in self.sliders.values():
            slider.fit_intensities(intensities.low, intensities.high)
        self._start(intensities)
        self._started()

    def fit(
        self, ndim: int, layer: Layer | None = None, source: IntensitySource | None = None
    ) -> None:
        """Update choices and sliders to a number of spatial axes and to the viewer's layers.

        Parameters
        ----------
        ndim
            Number of spatial axes.
        layer
            The layer to process, if it is chosen.
        source
            The image whose histogram is shown; that of the layer unless given.
        """
        self._ndim = ndim
        self._has_layer = layer is not None
        self._start(range_of(layer))
        for slider in self.sliders.values():
            if self._has_layer or source is None or self.lines.histogram is None:
                slider.fit(layer)
        for note in self.notes.values():
            note.fit(layer, ndim)
        if source is None and isinstance(layer, Image):
            source = intensities.of_layer(layer)
        # Without lines, only the range of an image that no layer shows is of use.
        is_used = self.lines.has_lines or (self._has_intensities and not self._has_layer)
        self.lines.fit(source if is_used else None)
        for editor in self.editors.values():
            editor.fit(ndim)


def _reads(editor: Editor, value: Value) -> bool:
    """Return whether an editor holds a number."""
    try:
        return bool(editor.read() == value)
    except TilewiseError:
        return False  # a text that is not finished


def _is_from_python(parameter: Parameter) -> bool:
    """Return whether a form has no value for a required parameter, such as a function."""
    return parameter.required and isinstance(parameter.spec, FunctionSpec)


def _label(parameter: Parameter) -> str:
    spec = parameter.spec
    is_in_pixels = isinstance(spec, Number) and spec.length and not spec.measured_by
    unit = " (px)" if is_in_pixels else ""
    return label(parameter.name) + unit


def _tooltip(parameter: Parameter) -> str:
    """Return scikit-image's description as rich text, which Qt wraps, under its own name."""
    texts = (plain_sentences(text) for text in (parameter.doc, parameter.spec.describe()))
    description = html.escape(next(filter(None, texts), ""))
    return f"<qt><b>{parameter.name}</b><br>{description}</qt>"
