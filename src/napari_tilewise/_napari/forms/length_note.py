"""A length or an area in the layer's units, below its number in pixels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from napari_tilewise._napari.widgets.small_widgets import text_label
from napari_tilewise.errors import TilewiseError
from napari_tilewise.io.metadata.units import unit_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer

    from napari_tilewise._napari.forms.editor import Editor
    from napari_tilewise.operations.spec.parameters import Number

POWERS = {1: "", 2: "²", 3: "³"}


class LengthNote:
    """Says what the number of an editor is in the units of the layer to process.

    Parameters
    ----------
    editor
        Reads the number, or one per spatial axis, in pixels.
    spec
        The number's declaration: a length or an area.
    """

    def __init__(self, editor: Editor, spec: Number) -> None:
        self._editor, self._spec = editor, spec
        self._sizes: tuple[float, ...] = ()
        self._unit = ""
        self.label = text_label(faint=True)
        self.label.hide()
        widget: Any = editor.widget
        widget.changed.connect(self.follow)

    def fit(self, layer: Layer | None, ndim: int) -> None:
        """Take the pixel sizes of a layer.

        Parameters
        ----------
        layer
            The layer to process; None if it is not known.
        ndim
            Number of spatial axes, the layer's last ones.
        """
        units = [] if layer is None else list(layer.units[-ndim:])
        self._sizes, self._unit = (), ""
        if layer is not None and len(set(map(str, units))) == 1 and unit_name(str(units[0])):
            self._sizes = tuple(abs(float(size)) for size in layer.scale[-ndim:])
            self._unit = f"{units[0]:~P}"
        self.follow()

    def follow(self, *_: object) -> None:
        """Show the editor's number; nothing if it cannot be read, or pixels have no size."""
        try:
            value = self._editor.read() if self._sizes else None
        except TilewiseError:
            value = None  # a text that is not finished
        text = self._text(value)
        self.label.setText(text)
        self.label.setVisible(bool(text))

    def _text(self, value: Any) -> str:
        numbers = value if isinstance(value, tuple) else (value,)
        if not self._sizes or not all(
            isinstance(number, int | float) and math.isfinite(number) for number in numbers
        ):
            return ""
        if self._spec.area:
            lengths: Sequence[float] = [float(numbers[0]) * math.prod(self._sizes)]
            unit = f"{self._unit}{POWERS[len(self._sizes)]}"
        else:
            count = len(self._sizes)
            each = numbers if len(numbers) == count else numbers[:1] * count
            lengths = [float(n) * size for n, size in zip(each, self._sizes, strict=True)]
            unit = self._unit
        texts = [f"{length:.4g}" for length in lengths]
        return f"= {' x '.join(texts if len(set(texts)) > 1 else texts[:1])} {unit}"
