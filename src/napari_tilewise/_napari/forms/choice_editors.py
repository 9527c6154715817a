"""Editors that choose: among names, footprints, and the viewer's layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeGuard

from magicgui.widgets import CheckBox, ComboBox, Select, SpinBox
from qtpy.QtCore import Qt

from napari_tilewise._napari.forms.editor import AUTO, LIMIT, Editor, choice_of, row_of, set_value
from napari_tilewise._napari.forms.footprint_picture import FootprintPicture
from napari_tilewise._napari.forms.form_values import takes_layer
from napari_tilewise._napari.forms.text_editors import array_text_editor, as_text
from napari_tilewise._napari.widgets.elided import elided
from napari_tilewise._napari.widgets.plain_words import pixel_type
from napari_tilewise.operations.spec.parameters import (
    FOOTPRINTS,
    AlignedImage,
    ChoiceSpec,
    ImageOr,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from magicgui.widgets import Widget

    from napari_tilewise._napari.forms.editor import LayersOf
    from napari_tilewise.operations.spec.parameters import (
        Array,
        Flag,
        Footprint,
        FunctionSpec,
        Names,
        Parameter,
        Spec,
    )
    from napari_tilewise.types import Value

SHAPES = {2: ("disk", "square", "diamond"), 3: ("ball", "cube", "octahedron")}
"""Footprints by number of spatial axes."""


def flag_editor(spec: Flag, parameter: Parameter, layers: LayersOf) -> Editor:
    """Return a check box; a chooser of auto, yes and no if None is allowed."""
    if spec.optional:
        return choice_of({AUTO: None, "yes": True, "no": False})
    box = CheckBox()
    return Editor(box, lambda: box.value, lambda value: set_value(box, bool(value)))


def choice_editor(spec: ChoiceSpec, parameter: Parameter, layers: LayersOf) -> Editor:
    """Return a chooser of a spec's choices and the parameter's default."""
    none = {AUTO: None} if spec.optional and None not in spec.choices else {}
    default = parameter.default
    is_extra = default is not None and not parameter.required and default not in spec.choices
    extra = {pixel_type(as_text(default)): default} if is_extra else {}
    return choice_of(
        none | extra | {AUTO if c is None else pixel_type(str(c)): c for c in spec.choices}
    )


def names_editor(spec: Names, parameter: Parameter, layers: LayersOf) -> Editor:
    """Return a list in which several names can be selected."""
    box = Select(choices=spec.names)
    box.native.setMaximumHeight(110)
    box.native.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    order: list[Value] = []

    def read() -> tuple[Value, ...]:
        """Return the names in the order in which they were set, then those added by hand."""
        selected = list(box.value)
        first = [name for name in order if name in selected]
        return (*first, *(name for name in selected if name not in first))

    def write(value: Value) -> None:
        order[:] = [value] if isinstance(value, str) else list(value or ())
        set_value(box, list(order))
        box.native.scrollToItem(next(iter(box.native.selectedItems()), None))

    return Editor(box, read, write)


def footprint_editor(spec: Footprint, parameter: Parameter, layers: LayersOf) -> Editor:
    """Return a chooser of a footprint's shape with a spin box of its size, and its picture."""
    default = [AUTO] if spec.optional else []
    shape = ComboBox(choices=[*default, *SHAPES[2]])
    size = SpinBox(min=0, max=LIMIT, value=3)
    picture = FootprintPicture()
    row = row_of(shape, size)
    row.native.layout().addWidget(picture)

    def follow(name: str) -> None:
        size.enabled = name != AUTO
        size.min = 1 if FOOTPRINTS.get(name) == "width" else 0
        size.tooltip = f"{FOOTPRINTS.get(name, '')} in pixels"
        picture.show_footprint(name, size.value)

    shape.changed.connect(follow)
    size.changed.connect(lambda _: picture.show_footprint(shape.value, size.value))

    def read() -> Value:
        name = shape.value
        return None if name == AUTO else {"shape": name, FOOTPRINTS[name]: size.value}

    def write(value: Value) -> None:
        if isinstance(value, dict):
            set_value(size, value[FOOTPRINTS[value["shape"]]])
            set_value(shape, _counterpart(value["shape"], shape.choices))
        elif not value:
            set_value(size, 3)
            set_value(shape, shape.choices[0])
        follow(shape.value)

    def fit(ndim: int) -> None:
        choices = [*default, *SHAPES.get(ndim, ())] or [AUTO]
        if choices != list(shape.choices):
            index = list(shape.choices).index(shape.value)
            shape.choices = choices
            set_value(shape, choices[min(index, len(choices) - 1)])
            follow(shape.value)

    return Editor(row, read, write, fit)


def _counterpart(name: str, choices: Sequence[Any]) -> Any:
    """Return the offered shape that stands for one of another number of axes: a disk, a ball."""
    shapes = next((names for names in SHAPES.values() if name in names), ())
    others = (names[shapes.index(name)] for names in SHAPES.values() if name in shapes)
    return name if name in choices else next((n for n in others if n in choices), choices[0])


def image_editor(spec: AlignedImage, parameter: Parameter, layers: LayersOf) -> Editor:
    """Return a chooser of the viewer's layers that suit the parameter's role."""
    names = spec.other.choices if isinstance(spec, ImageOr) and _is_choice(spec.other) else ()

    def choices(_: Widget) -> list[tuple[str, Value]]:
        named = [(str(name), name) for name in names]
        return [*named, *((layer.name, layer) for layer in layers(spec.role))]

    box = ComboBox(choices=choices, nullable=not names or spec.optional)
    elided(box.native)

    def fit(ndim: int) -> None:
        selected = box.value
        box.reset_choices()
        set_value(box, selected if selected in box.choices else next(iter(names), None))

    return Editor(box, lambda: box.value, lambda value: set_value(box, value), fit)


def _is_choice(spec: Spec) -> TypeGuard[ChoiceSpec]:
    return isinstance(spec, ChoiceSpec)


def array_editor(spec: Array, parameter: Parameter, layers: LayersOf) -> Editor:
    """Return a chooser of layers for a small image; a text for coordinates and matrices."""
    if takes_layer(spec):
        return image_editor(AlignedImage(role="image"), parameter, layers)
    return array_text_editor(spec, parameter, layers)


def function_editor(spec: FunctionSpec, parameter: Parameter, layers: LayersOf) -> Editor:
    """Return a chooser of the names that stand for functions; other functions need Python."""
    names = {choice: choice for choice in spec.choices}
    default = parameter.default
    if default is None or callable(default):
        names = {AUTO: default, **names}
    return choice_of(names)
