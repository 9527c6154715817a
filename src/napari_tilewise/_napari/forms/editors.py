"""A parameter's spec decides its editor: one magicgui widget, and how to read and set it.

What an editor reads is what scikit-image's function takes; None stays sayable (``auto``), and
numbers that a spin box would round are texts.
"""

from __future__ import annotations

import math
from ast import literal_eval
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import singledispatch
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

import numpy as np
from magicgui.widgets import (
    CheckBox,
    ComboBox,
    Container,
    LineEdit,
    Select,
    SpinBox,
    Widget,
)
from qtpy.QtCore import Qt

from napari_tilewise._napari.widgets.elided import elided
from napari_tilewise.errors import InvalidParameterType
from napari_tilewise.operations.spec.parameters import (
    FOOTPRINTS,
    AlignedImage,
    Array,
    ChoiceSpec,
    Either,
    Flag,
    Footprint,
    FunctionSpec,
    ImageOr,
    Names,
    Number,
    Numbers,
    Parameter,
    Range,
    Seed,
    Spec,
    Text,
)
from napari_tilewise.operations.transform.resize import Lengths

if TYPE_CHECKING:
    from napari.layers import Layer

AUTO = "auto"
CUSTOM = "low, high:"
LIMIT = 2_000_000_000
SHAPES = {2: ("disk", "square", "diamond"), 3: ("ball", "cube", "octahedron")}
"""Footprints by number of spatial axes."""

LayersOf: TypeAlias = "Callable[[str], Sequence[Layer]]"
"""The viewer's layers that suit a role: ``mask``, ``labels`` or ``intensity``."""


def _keep(ndim: int) -> None:
    """Do nothing when the number of spatial axes changes."""


@dataclass(frozen=True)
class Editor:
    """One parameter's widget."""

    widget: Widget
    read: Callable[[], Any]
    write: Callable[[Any], None]
    fit: Callable[[int], None] = _keep
    """Called with the number of spatial axes when that changes."""


def editor(parameter: Parameter, layers: LayersOf) -> Editor:
    """Return the editor of a parameter, set to its default.

    Parameters
    ----------
    parameter
        The parameter.
    layers
        Returns the layers to offer where the parameter is a further image.
    """
    spec = parameter.spec
    made = _editor(spec, parameter, layers)
    has_none = isinstance(spec, ChoiceSpec | Flag | Footprint | FunctionSpec) or is_picture(spec)
    if spec.optional and not has_none:
        made = _or_auto(made, usual(spec))
    made.write(initial(parameter))
    return made


def initial(parameter: Parameter, ndim: int = 2) -> Any:
    """Return what a form starts with: the default, or a usual value where there is none.

    Parameters
    ----------
    parameter
        The parameter.
    ndim
        Number of spatial axes.
    """
    return usual(parameter.spec, ndim) if parameter.required else parameter.default


def usual(spec: Spec, ndim: int = 2) -> Any:
    """Return a value that a parameter often has, to start from where there is no default.

    Parameters
    ----------
    spec
        What the parameter takes.
    ndim
        Number of spatial axes.
    """
    if isinstance(spec, Number):
        return _usual(spec)
    if isinstance(spec, Lengths):
        return (_usual(spec.item),) * ndim
    if isinstance(spec, Numbers):
        return (_usual(spec.item),) * spec.least
    if isinstance(spec, ChoiceSpec):
        return spec.choices[0]
    if isinstance(spec, Names):
        return spec.known[:1]
    if isinstance(spec, Range):
        return spec.names[0] if spec.names else (0, 1)
    if isinstance(spec, Text):
        return ""
    if isinstance(spec, FunctionSpec):
        return next(iter(spec.choices), None)
    if isinstance(spec, Seed):
        return 0
    if isinstance(spec, Array) and not is_picture(spec):
        shape = spec.shape or (2,)
        if spec.integer:
            return np.zeros(shape, int)
        return np.eye(*shape) if len(shape) == 2 else np.zeros(shape)
    if isinstance(spec, Either):
        return usual(spec.options[0])
    return False if isinstance(spec, Flag) else None


def _usual(spec: Number) -> float:
    low, high = spec.usual
    middle = (low + high) / 2
    middle = min(max(middle, spec.minimum), spec.maximum)
    if not spec.integer:
        return middle
    whole = math.ceil(middle)
    return whole + 1 if spec.odd and whole % 2 == 0 else whole


@singledispatch
def _editor(spec: Spec, parameter: Parameter, layers: LayersOf) -> Editor:
    """Return the editor of a spec: where no better one is registered, a Python value as text."""
    box = LineEdit()

    def read() -> Any:
        try:
            return literal_eval(box.value)
        except (ValueError, SyntaxError):
            return box.value

    return Editor(box, read, lambda value: _set(box, repr(value)))


def _number_text(parameter: Parameter) -> Editor:
    """Return a text of one number, or one per axis."""
    box = LineEdit()

    def read() -> Any:
        numbers = _numbers(parameter, box.value)
        return numbers[0] if len(numbers) == 1 else numbers

    return Editor(box, read, lambda value: _set(box, text(value)))


@_editor.register(Number)
def _number(spec: Number, parameter: Parameter, layers: LayersOf) -> Editor:
    default = parameter.default
    whole = default is None or parameter.required or isinstance(default, int)
    if spec.per_axis or not spec.integer or not whole:
        return _number_text(parameter)
    low, high = max(spec.minimum, -LIMIT), min(spec.maximum, LIMIT)
    box = SpinBox(min=int(low), max=int(high), step=2 if spec.odd else 1)
    return Editor(box, lambda: box.value, lambda value: _set(box, value))


@_editor.register(Text)
def _text(spec: Text, parameter: Parameter, layers: LayersOf) -> Editor:
    box = LineEdit()
    return Editor(box, lambda: box.value, lambda value: _set(box, str(value or "")))


@_editor.register(Flag)
def _flag(spec: Flag, parameter: Parameter, layers: LayersOf) -> Editor:
    if spec.optional:
        return _labelled({AUTO: None, "yes": True, "no": False})
    box = CheckBox()
    return Editor(box, lambda: box.value, lambda value: _set(box, bool(value)))


@_editor.register(ChoiceSpec)
def _choice(spec: ChoiceSpec, parameter: Parameter, layers: LayersOf) -> Editor:
    none = {AUTO: None} if spec.optional and None not in spec.choices else {}
    default = parameter.default
    own = default is not None and not parameter.required and default not in spec.choices
    more = {text(default): default} if own else {}
    return _labelled(none | more | {AUTO if c is None else str(c): c for c in spec.choices})


@_editor.register(Numbers)
def _many(spec: Numbers, parameter: Parameter, layers: LayersOf) -> Editor:
    box = LineEdit()
    return Editor(box, lambda: _numbers(parameter, box.value), lambda value: _set(box, text(value)))


@_editor.register(Lengths)
def _shape(spec: Lengths, parameter: Parameter, layers: LayersOf) -> Editor:
    made = _many(spec, parameter, layers)
    box: Any = made.widget
    fitted = 2

    def fit(ndim: int) -> None:
        """Let a first value that nobody changed follow the number of axes, and no other."""
        nonlocal fitted
        before, fitted = fitted, ndim
        if ndim != before and box.value == text(usual(spec, before)):
            made.write(usual(spec, ndim))

    return Editor(box, made.read, made.write, fit)


@_editor.register(Range)
def _range(spec: Range, parameter: Parameter, layers: LayersOf) -> Editor:
    names = ComboBox(choices=[*spec.names, CUSTOM])
    pair = LineEdit(value="0, 1")
    row = _row(names, pair)

    def follow(name: str) -> None:
        pair.enabled = name == CUSTOM

    names.changed.connect(follow)

    def read() -> Any:
        return _numbers(parameter, pair.value) if names.value == CUSTOM else names.value

    def write(value: Any) -> None:
        if not isinstance(value, str):
            _set(pair, text(value))
        _set(names, value if isinstance(value, str) else CUSTOM)
        follow(names.value)

    return Editor(row, read, write)


@_editor.register(Names)
def _names(spec: Names, parameter: Parameter, layers: LayersOf) -> Editor:
    box = Select(choices=spec.known)
    box.native.setMaximumHeight(110)
    box.native.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    order: list[Any] = []

    def read() -> tuple[Any, ...]:
        """Return the names in the order they were given in; those chosen by hand follow."""
        chosen = list(box.value)
        first = [name for name in order if name in chosen]
        return (*first, *(name for name in chosen if name not in first))

    def write(value: Any) -> None:
        order[:] = [value] if isinstance(value, str) else list(value or ())
        _set(box, list(order))
        box.native.scrollToItem(next(iter(box.native.selectedItems()), None))

    return Editor(box, read, write)


@_editor.register(Footprint)
def _footprint(spec: Footprint, parameter: Parameter, layers: LayersOf) -> Editor:
    default = [AUTO] if spec.optional else []
    kinds = ComboBox(choices=[*default, *SHAPES[2]])
    size = SpinBox(min=0, max=LIMIT, value=3)
    row = _row(kinds, size)

    def follow(kind: str) -> None:
        size.enabled = kind != AUTO
        size.min = 1 if FOOTPRINTS.get(kind) == "width" else 0
        size.tooltip = f"{FOOTPRINTS.get(kind, '')} in pixels"

    kinds.changed.connect(follow)

    def read() -> Any:
        kind = kinds.value
        return None if kind == AUTO else {"shape": kind, FOOTPRINTS[kind]: size.value}

    def write(value: Any) -> None:
        if isinstance(value, dict):
            _set(size, value[FOOTPRINTS[value["shape"]]])
            _set(kinds, value["shape"])
        elif not value:
            _set(size, 3)
            _set(kinds, kinds.choices[0])
        follow(kinds.value)

    def fit(ndim: int) -> None:
        wanted = [*default, *SHAPES.get(ndim, ())] or [AUTO]
        if wanted != list(kinds.choices):
            at = list(kinds.choices).index(kinds.value)
            kinds.choices = wanted
            _set(kinds, wanted[min(at, len(wanted) - 1)])
            follow(kinds.value)

    return Editor(row, read, write, fit)


@_editor.register(AlignedImage)
def _image(spec: AlignedImage, parameter: Parameter, layers: LayersOf) -> Editor:
    names = spec.other.choices if isinstance(spec, ImageOr) and _has_names(spec.other) else ()
    none = not names or spec.optional

    def choices(_: Widget) -> list[tuple[str, Any]]:
        named = [(str(name), name) for name in names]
        return [*named, *((layer.name, layer) for layer in layers(spec.role))]

    box = ComboBox(choices=choices, nullable=none)
    elided(box.native)

    def fit(ndim: int) -> None:
        chosen = box.value
        box.reset_choices()
        _set(box, chosen if chosen in box.choices else next(iter(names), None))

    return Editor(box, lambda: box.value, lambda value: _set(box, value), fit)


def _has_names(spec: Spec) -> TypeGuard[ChoiceSpec]:
    return isinstance(spec, ChoiceSpec)


def is_picture(spec: Spec) -> bool:
    """Return whether a form takes the parameter's value from a layer."""
    return isinstance(spec, AlignedImage) or (
        isinstance(spec, Array) and spec.shape is None and spec.ndim != 1
    )


@_editor.register(Array)
def _array(spec: Array, parameter: Parameter, layers: LayersOf) -> Editor:
    """Return a chooser of layers for small images; a text for coordinates and matrices."""
    if is_picture(spec):
        return _image(AlignedImage(role="image"), parameter, layers)
    box = LineEdit()

    def read() -> Any:
        try:
            return np.asarray(literal_eval(box.value.strip()))
        except (ValueError, SyntaxError):
            raise InvalidParameterType(
                f"{parameter.name}: {box.value!r} does not fit: expected {spec.describe()}, "
                "written such as '1, 2' or '[1, 0], [0, 1]'."
            ) from None

    def write(value: Any) -> None:
        _set(box, "" if value is None else str(np.asarray(value).tolist()).strip())

    return Editor(box, read, write)


@_editor.register(FunctionSpec)
def _function(spec: FunctionSpec, parameter: Parameter, layers: LayersOf) -> Editor:
    """Return a chooser among the names that stand for functions; others need Python."""
    names = {choice: choice for choice in spec.choices}
    default = parameter.default
    if default is None or callable(default):
        names = {AUTO: default, **names}
    return _labelled(names)


@_editor.register(Seed)
def _seed(spec: Seed, parameter: Parameter, layers: LayersOf) -> Editor:
    box = SpinBox(min=0, max=LIMIT)
    return Editor(box, lambda: box.value, lambda value: _set(box, int(value or 0)))


def _labelled(values: dict[str, Any]) -> Editor:
    """Return a chooser among named values, None among them where it is one."""
    box = ComboBox(choices=list(values))

    def write(value: Any) -> None:
        same = (key for key, v in values.items() if type(v) is type(value) and v == value)
        _set(box, next(same, box.choices[0]))

    return Editor(box, lambda: values[box.value], write)


def _or_auto(inner: Editor, usual: Any) -> Editor:
    """Return an editor with a check box ``auto`` beside it, which stands for None."""
    auto = CheckBox(text=AUTO)
    row = _row(auto, inner.widget)

    def follow(checked: bool) -> None:
        inner.widget.enabled = not checked

    auto.changed.connect(follow)

    def write(value: Any) -> None:
        inner.write(usual if value is None else value)
        _set(auto, value is None)
        follow(auto.value)

    return Editor(row, lambda: None if auto.value else inner.read(), write, inner.fit)


def _row(*widgets: Widget) -> Container[Widget]:
    row = Container(layout="horizontal", widgets=list(widgets), labels=False)
    row.margins = (0, 0, 0, 0)
    for widget in widgets:
        widget.native.setMinimumWidth(60)
    return row


def _set(box: Any, value: Any) -> None:
    box.value = value


def text(value: Any) -> str:
    """Return a number, or several, as a form's text."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(str, value))
    return str(value)


def _numbers(parameter: Parameter, written: str) -> tuple[float, ...]:
    try:
        return tuple(_parsed(word) for word in written.replace(",", " ").split()) or _fail()
    except ValueError:
        raise InvalidParameterType(
            f"{parameter.name}: {written!r} does not fit: expected {parameter.spec.describe()}, "
            "written such as '2' or '1, 2, 2'."
        ) from None


def _parsed(word: str) -> float:
    try:
        return int(word)
    except ValueError:
        return float(word)


def _fail() -> tuple[float, ...]:
    raise ValueError
