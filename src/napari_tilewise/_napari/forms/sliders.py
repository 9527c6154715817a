"""Sliders beside the fields of numbers: a sensible range for the layer; typing goes beyond it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QSlider

from napari_tilewise._napari.layers.intensities import range_of
from napari_tilewise.errors import TilewiseError

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_tilewise._napari.forms.editor import Editor
    from napari_tilewise.operations.spec.parameters import Number

STEPS = 400
"""Positions of a slider."""
WIDER = 4
"""Factor by which the slider of a length goes beyond what is usual."""
Span = tuple[float, float]


class NumberSlider(QSlider):
    """A slider for the number of an editor.

    Parameters
    ----------
    editor
        Reads and writes the number; its widget can hold other values too.
    spec
        The number's declaration.
    """

    def __init__(self, editor: Editor, spec: Number) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self._editor, self._spec = editor, spec
        self.setRange(0, STEPS)
        self.setMinimumWidth(50)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._low, self._high = usual_range(spec, None)
        widget: Any = editor.widget
        widget.changed.connect(self.follow)
        self.valueChanged.connect(self._moved)
        self.follow()

    @property
    def span(self) -> Span:
        """The least and the greatest number."""
        return self._low, self._high

    def fit(self, layer: Layer | None) -> None:
        """Take the range that is sensible for a layer.

        Parameters
        ----------
        layer
            The layer to process.
        """
        span = usual_range(self._spec, layer)
        if span != self.span:
            self._low, self._high = span
            self.follow()

    def fit_intensities(self, low: float, high: float) -> None:
        """Update the range of an intensity to that of an image; other numbers have theirs.

        Parameters
        ----------
        low, high
            The least and the greatest intensity.
        """
        if high > low and (self._spec.intensity or self._spec.difference):
            if self._spec.difference:
                low, high = _differences(self._spec, high - low)
            self._low, self._high = max(low, self._spec.minimum), min(high, self._spec.maximum)
            self.follow()

    def follow(self, *_: object) -> None:
        """Move to the editor's number; one out of range is at an end."""
        try:
            value = self._editor.read()
        except TilewiseError:
            return  # a text that is not finished
        is_number = isinstance(value, int | float) and math.isfinite(value)
        self.setEnabled(is_number)
        if is_number:
            part = (float(value) - self._low) / (self._high - self._low)
            self.blockSignals(True)
            self.setValue(round(min(max(part, 0), 1) * STEPS))
            self.blockSignals(False)

    def _moved(self, position: int) -> None:
        self._editor.write(self._number(position))

    def _number(self, position: int) -> float:
        value = self._low + (self._high - self._low) * position / STEPS
        if self._spec.odd:
            return 2 * round((value - 1) / 2) + 1
        if self._spec.integer:
            return round(value)
        digits = 2 - math.floor(math.log10(self._high - self._low))
        value = round(value, max(0, digits))
        if self._spec.exclusive and value <= self._spec.minimum:
            return round(self._low + (self._high - self._low) / STEPS, max(0, digits) + 1)
        return value


def usual_range(spec: Number, layer: Layer | None) -> Span:
    """Return the numbers that are sensible for a layer's type and size.

    Parameters
    ----------
    spec
        The number's declaration.
    layer
        The layer to process; None if there is none.
    """
    low, high = map(float, spec.usual)
    intensities = range_of(layer)
    if intensities is not None and spec.intensity:
        low, high = intensities.low, intensities.high
    elif intensities is not None and spec.difference:
        low, high = _differences(spec, intensities.high - intensities.low)
    elif layer is not None and (spec.length or spec.area):
        shape = np.shape(layer.data[0] if layer.multiscale else layer.data)
        side = float(sorted(shape)[-2:][0]) if shape else high
        most = side / WIDER if spec.length else (side / WIDER) ** 2
        high = max(high, min(high * WIDER ** (1 if spec.length else 2), most))
    low, high = max(low, spec.minimum), min(high, spec.maximum)
    return (low, high) if high > low else (low, low + 1)


def _differences(spec: Number, greatest: float) -> Span:
    """Return the differences between intensities, below zero where that is usual."""
    return (-greatest if spec.usual[0] < 0 else 0.0), greatest
