"""Editors of numbers and texts: numbers that a spin box would round are edited as text."""

from __future__ import annotations

import re
from ast import literal_eval
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from magicgui.widgets import ComboBox, LineEdit, SpinBox

from napari_tilewise._napari.forms.editor import LIMIT, Editor, row_of, set_value
from napari_tilewise._napari.forms.form_values import usual_value
from napari_tilewise._napari.widgets.plain_words import pixel_type
from napari_tilewise.errors import InvalidParameterType

if TYPE_CHECKING:
    from napari_tilewise._napari.forms.editor import LayersOf
    from napari_tilewise.operations.spec.parameters import (
        Array,
        Number,
        Numbers,
        Parameter,
        Range,
        Seed,
        Spec,
        Text,
    )
    from napari_tilewise.operations.transform.inverse_map import InverseMap
    from napari_tilewise.operations.transform.resize import Lengths
    from napari_tilewise.types import Value

CUSTOM = "range"


def literal_editor(spec: Spec, parameter: Parameter, layers: LayersOf) -> Editor:
    """Return an editor of a Python literal as text, for specs without an editor of their own."""
    box = LineEdit()

    def read() -> Value:
        try:
            return literal_eval(box.value)
        except (ValueError, SyntaxError):
            return box.value

    return Editor(box, read, lambda value: set_value(box, repr(value)))


def text_editor(spec: Text, parameter: Parameter, layers: LayersOf) -> Editor:
    """Return an editor of a text."""
    box = LineEdit()
    return Editor(box, lambda: box.value, lambda value: set_value(box, str(value or "")))


def number_editor(spec: Number, parameter: Parameter, layers: LayersOf) -> Editor:
    """Return a spin box for a whole number; a text for others, or for one number per axis."""
    default = parameter.default
    whole = default is None or parameter.required or isinstance(default, int)
    if spec.per_axis or not spec.integer or not whole:
        return _number_text(parameter, is_whole=spec.integer)
    low, high = max(spec.minimum, -LIMIT), min(spec.maximum, LIMIT)
    box = SpinBox(min=int(low), max=int(high), step=2 if spec.odd else 1)
    return Editor(box, lambda: box.value, lambda value: set_value(box, value))


def _number_text(parameter: Parameter, *, is_whole: bool) -> Editor:
    box = LineEdit()

    def read() -> Value:
        if not is_whole:
            _check_comma(parameter, box.value)
        numbers = _numbers(parameter, box.value)
        return numbers[0] if len(numbers) == 1 else numbers

    return Editor(box, read, lambda value: set_value(box, as_text(value)))


def numbers_editor(spec: Numbers, parameter: Parameter, layers: LayersOf) -> Editor:
    """Return an editor of several numbers as text."""
    box = LineEdit()

    def read() -> Value:
        if spec.least == 1 and not spec.item.integer:
            _check_comma(parameter, box.value)
        return _numbers(parameter, box.value)

    return Editor(box, read, lambda value: set_value(box, as_text(value)))


def lengths_editor(spec: Lengths, parameter: Parameter, layers: LayersOf) -> Editor:
    """Return an editor of one length per axis, whose first value follows the number of axes."""
    return _fitted(numbers_editor(spec, parameter, layers), spec, as_text)


def _fitted(editor: Editor, spec: Spec, text_of: Callable[[Value], str]) -> Editor:
    """Return an editor whose first value follows the number of axes."""
    box: Any = editor.widget
    fitted = 2

    def fit(ndim: int) -> None:
        """Replace the first value, unless the user changed it."""
        nonlocal fitted
        before, fitted = fitted, ndim
        if ndim != before and box.value == text_of(usual_value(spec, before)):
            editor.write(usual_value(spec, ndim))

    return Editor(box, editor.read, editor.write, fit)


def range_editor(spec: Range, parameter: Parameter, layers: LayersOf) -> Editor:
    """Return a chooser of named ranges with a text for any other range."""
    choices = [(pixel_type(name), name) for name in (*spec.names, CUSTOM)]
    names = ComboBox(choices=choices)
    pair = LineEdit(value="0, 1")
    row = row_of(names, pair)

    def follow(name: str) -> None:
        pair.enabled = name == CUSTOM
        pair.native.setVisible(name == CUSTOM)

    names.changed.connect(follow)

    def read() -> Value:
        return _numbers(parameter, pair.value) if names.value == CUSTOM else names.value

    def write(value: Value) -> None:
        if not isinstance(value, str):
            set_value(pair, as_text(value))
        set_value(names, value if isinstance(value, str) else CUSTOM)
        follow(names.value)

    return Editor(row, read, write)


def seed_editor(spec: Seed, parameter: Parameter, layers: LayersOf) -> Editor:
    """Return a spin box for a seed of random numbers."""
    box = SpinBox(min=0, max=LIMIT)
    return Editor(box, lambda: box.value, lambda value: set_value(box, int(value or 0)))


def array_text_editor(spec: Array, parameter: Parameter, layers: LayersOf) -> Editor:
    """Return an editor of coordinates or a small matrix as text."""
    editor = _array_text(parameter, spec.describe(), lambda array: True)
    return _fitted(editor, spec, _array_as_text) if spec.matrix else editor


def matrix_editor(spec: InverseMap, parameter: Parameter, layers: LayersOf) -> Editor:
    """Return an editor of a map between images as a matrix; other maps need Python."""
    return _array_text(parameter, "3 rows of 3 numbers", lambda array: array.shape == (3, 3))


def _array_text(parameter: Parameter, expected: str, fits: Callable[[np.ndarray], bool]) -> Editor:
    box = LineEdit()

    def read() -> Value:
        try:
            array = np.asarray(literal_eval(box.value.strip()))
        except (ValueError, SyntaxError):
            array = np.asarray(None)
        if array.dtype.kind not in "buif" or not fits(array):
            raise InvalidParameterType(
                f"{parameter.name}: {box.value!r} does not fit: expected {expected}, "
                "written such as '1, 2' or '[1, 0], [0, 1]'."
            )
        return array

    return Editor(box, read, lambda value: set_value(box, _array_as_text(value)))


def _array_as_text(value: Value) -> str:
    return "" if value is None else str(np.asarray(value).tolist())


def as_text(value: object) -> str:
    """Return a number, or several, as a form shows them."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(str, value))
    return str(value)


def _check_comma(parameter: Parameter, text: str) -> None:
    """Refuse a text that is one number to some people, and two numbers to others."""
    if re.fullmatch(r"\s*-?\d+,\d+\s*", text):
        one, two = text.strip().replace(",", "."), text.strip().replace(",", ", ")
        raise InvalidParameterType(
            f"{parameter.name}: {text!r} may be one number or two: write '{one}', or '{two}' with "
            "a space."
        )


def _numbers(parameter: Parameter, text: str) -> tuple[float, ...]:
    try:
        numbers = tuple(_number(part) for part in text.replace(",", " ").split())
    except ValueError:
        numbers = ()
    if not numbers:
        raise InvalidParameterType(
            f"{parameter.name}: {text!r} does not fit: expected {parameter.spec.describe()}, "
            "written such as '2' or '1, 2, 2'."
        )
    return numbers


def _number(text: str) -> float:
    try:
        return int(text)
    except ValueError:
        return float(text)
