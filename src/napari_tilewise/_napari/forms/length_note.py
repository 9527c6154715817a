"""A length or an area in the layer's units, below its number in pixels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import singledispatch
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt

from napari_tilewise._napari.widgets.small_widgets import text_label
from napari_tilewise._napari.widgets.theme_colours import Tone, colour
from napari_tilewise._napari.widgets.unit_text import PIXEL, unit_symbol, with_power
from napari_tilewise.errors import TilewiseError
from napari_tilewise.io.metadata.units import converted, unit_name
from napari_tilewise.operations.spec.parameters import (
    FOOTPRINTS,
    Array,
    Footprint,
    Number,
    Numbers,
)

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_tilewise._napari.forms.editor import Editor
    from napari_tilewise.operations.spec.parameters import Spec

MOST = 4
"""The most lengths of a list that are shown."""
USE = "use"
"""The link that takes the layer's pixel size."""

Lengths = Sequence[Sequence[float]]
"""Lengths in pixels along the axes; a length in any direction is the same along all."""


class LengthNote:
    """Says what the value of an editor is in the units of the layer to process.

    Parameters
    ----------
    editor
        Reads the value, in pixels.
    spec
        Its declaration: lengths, an area, a footprint, a position, or the size of a pixel.
    spacing
        Edits the size of a pixel in whose unit a length is; None for one in pixels.
    """

    def __init__(self, editor: Editor, spec: Spec, spacing: Editor | None = None) -> None:
        self._editor, self._spec, self._spacing = editor, spec, spacing
        self._sizes: tuple[float, ...] = ()
        self._units: tuple[str | None, ...] = ()
        """Names of the units; None for pixels."""
        self._symbols: tuple[str, ...] = ()
        self.label = text_label(faint=True)
        if spec.pixel_size:
            self.label.setTextFormat(Qt.TextFormat.RichText)
            flags = Qt.TextInteractionFlag
            self.label.setTextInteractionFlags(
                flags.LinksAccessibleByMouse | flags.LinksAccessibleByKeyboard
            )
        self.label.linkActivated.connect(lambda _: self._use())
        self.label.hide()
        for item in (editor, spacing):
            if item is not None:
                widget: Any = item.widget
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
        names = tuple(unit_name(str(unit)) for unit in units)
        self._sizes, self._units, self._symbols = (), names, ()
        if layer is not None and any(names):
            sizes = zip(layer.scale[-ndim:], names, strict=True)
            self._sizes = tuple(abs(float(size)) if name else 1.0 for size, name in sizes)
            self._symbols = tuple(
                unit_symbol(unit) if name else PIXEL
                for unit, name in zip(units, names, strict=True)
            )
        self.follow()

    def follow(self, *_: object) -> None:
        """Show the editor's value; nothing if it cannot be read, or pixels have no size."""
        try:
            text = self._text() if self._sizes else ""
        except (TilewiseError, TypeError, ValueError):
            text = ""  # a text that is not finished
        self.label.setText(text)
        self.label.setVisible(bool(text))

    def _use(self) -> None:
        """Set the pixel size to the layer's."""
        is_one = isinstance(self._spec, Number) and len(set(self._sizes)) == 1
        self._editor.write(self._sizes[0] if is_one else self._sizes)

    def _text(self) -> str:
        spec, value = self._spec, self._editor.read()
        if spec.pixel_size:
            sizes = _joined([self._along([1.0] * len(self._sizes))])
            link = f"<a href='{USE}' style='color: {colour(Tone.LINK)}'>{USE}</a>"
            return f"the layer: {sizes} ({link})"
        if isinstance(spec, Number) and spec.area:
            return self._area(value)
        lengths = [row for row in pixel_lengths(spec, value, len(self._sizes)) if _is_finite(row)]
        spacing = self._spacing_value()
        if not lengths or spacing is None:
            return "" if not lengths else f"= {_joined([self._along(row) for row in lengths])}"
        pixels = [
            _texts([n / size for n, size in zip(row, spacing, strict=True)], [PIXEL] * len(row))
            for row in lengths
        ]
        if not np.allclose(spacing, self._sizes):
            return f"= {_joined(pixels)}"  # the unit of another pixel size is unknown
        in_unit = [_texts(row, self._symbols) for row in lengths]
        return f"= {_joined(in_unit)}, {_joined(pixels)}"

    def _spacing_value(self) -> tuple[float, ...] | None:
        """Return the pixel size that is set; None if lengths are in pixels."""
        value = None if self._spacing is None else self._spacing.read()
        if value is None or np.size(value) not in (1, len(self._sizes)):
            return None
        spacing = tuple(np.broadcast_to(np.asarray(value, float), len(self._sizes)).tolist())
        return None if set(spacing) == {1.0} else spacing

    def _along(self, lengths: Sequence[float]) -> list[str]:
        sizes = [length * size for length, size in zip(lengths, self._sizes, strict=True)]
        return _texts(sizes, self._symbols)

    def _area(self, value: Any) -> str:
        first = self._units[0]
        sizes = [
            converted(size, unit, first)
            for size, unit in zip(self._sizes, self._units, strict=True)
        ]
        known = [size for size in sizes if size is not None]
        if first is None or len(known) < len(sizes) or not _is_finite([value]):
            return ""
        size = float(value) * math.prod(known)
        return f"= {size:.4g} {with_power(self._symbols[0], len(sizes))}"


def has_lengths(spec: Spec) -> bool:
    """Return whether a parameter has lengths or an area in pixels, or is the size of a pixel.

    Parameters
    ----------
    spec
        Its declaration.
    """
    if isinstance(spec, Number):
        return spec.length or spec.area or spec.pixel_size
    if isinstance(spec, Numbers):
        return spec.item.length or spec.pixel_size
    if isinstance(spec, Array):
        return spec.position or spec.pixel_size
    return isinstance(spec, Footprint)


@singledispatch
def pixel_lengths(spec: Spec, value: Any, ndim: int) -> Lengths:
    """Return the lengths in pixels along the axes that a value of a parameter has; may be empty.

    Parameters
    ----------
    spec
        The parameter.
    value
        Its value.
    ndim
        Number of spatial axes.
    """
    return ()


@pixel_lengths.register
def _(spec: Number, value: Any, ndim: int) -> Lengths:
    numbers = value if isinstance(value, tuple) else (value,)
    if not spec.length or value is None:
        return ()
    return [numbers if len(numbers) == ndim else tuple(numbers[:1]) * ndim]


@pixel_lengths.register
def _(spec: Numbers, value: Any, ndim: int) -> Lengths:
    if not spec.item.length or value is None:
        return ()
    if spec.most is not None:  # one per axis
        return [tuple(value)] if len(value) == ndim else ()
    return [(number,) * ndim for number in list(value)[: MOST + 1]]


@pixel_lengths.register
def _(spec: Footprint, value: Any, ndim: int) -> Lengths:
    if not isinstance(value, Mapping):
        return ()
    name = FOOTPRINTS[str(value["shape"])]
    size = value[name] if name == "width" else 2 * value[name] + 1
    return [(size,) * ndim]


@pixel_lengths.register
def _(spec: Array, value: Any, ndim: int) -> Lengths:
    is_point = spec.position and value is not None and np.shape(value) == (ndim,)
    return [tuple(map(float, value))] if is_point else ()


def _is_finite(numbers: Sequence[Any]) -> bool:
    return all(isinstance(n, int | float) and math.isfinite(n) for n in numbers)


def _texts(numbers: Sequence[float], symbols: Sequence[str]) -> list[str]:
    """Return numbers with their units; of one unit, and if all are the same, only once."""
    texts = [f"{number:.4g}" for number in numbers]
    if len(set(symbols)) > 1:
        return [f"{text} {unit}" for text, unit in zip(texts, symbols, strict=True)]
    *others, last = texts if len(set(texts)) > 1 else texts[:1]
    return [*others, f"{last} {symbols[0]}"]


def _joined(rows: Sequence[Sequence[str]]) -> str:
    """Return lengths along axes, and several of those, as text; long lists end in dots."""
    texts = [" x ".join(row) for row in rows]
    return ", ".join(texts[:MOST]) + (", ..." if len(texts) > MOST else "")
