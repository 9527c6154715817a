"""An editor is one magicgui widget and how its value is read and set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from magicgui.widgets import CheckBox, ComboBox, Container, Widget

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_tilewise.types import Value

AUTO = "auto"
"""Shown for the value None."""
LIMIT = 2_000_000_000
"""The largest number that a spin box holds."""

LayersOf: TypeAlias = "Callable[[str], Sequence[Layer]]"
"""Returns the viewer's layers that suit a role: ``mask``, ``labels`` or ``intensity``."""


def _ignore(ndim: int) -> None:
    """Do nothing: the editor does not depend on the number of spatial axes."""


@dataclass(frozen=True)
class Editor:
    """One parameter's widget."""

    widget: Widget
    read: Callable[[], Value]
    """Returns the value as scikit-image's function takes it."""
    write: Callable[[Value], None]
    fit: Callable[[int], None] = _ignore
    """Called with the number of spatial axes when that, or the viewer's layers, change."""
    start: Callable[[Value], None] | None = None
    """Sets the value that takes the place of None; None if there is no such value."""


def set_value(box: Any, value: object) -> None:
    """Set a widget's value.

    Parameters
    ----------
    box
        A magicgui widget with a value.
    value
        A value that the widget accepts.
    """
    box.value = value


def row_of(*widgets: Widget) -> Container[Widget]:
    """Return widgets side by side.

    Parameters
    ----------
    *widgets
        From left to right.
    """
    row = Container(layout="horizontal", widgets=list(widgets), labels=False)
    row.margins = (0, 0, 0, 0)
    for widget in widgets:
        widget.native.setMinimumWidth(60)
    return row


def choice_of(values: dict[str, Value]) -> Editor:
    """Return an editor that chooses among values.

    Parameters
    ----------
    values
        Values by the names that are shown.
    """
    box = ComboBox(choices=list(values))

    def write(value: Value) -> None:
        equal = (key for key, v in values.items() if type(v) is type(value) and v == value)
        set_value(box, next(equal, box.choices[0]))

    return Editor(box, lambda: values[box.value], write)


def optional(inner: Editor, usual: object) -> Editor:
    """Return an editor with a check box ``auto`` that stands for None.

    Parameters
    ----------
    inner
        Edits the values other than None.
    usual
        The value of `inner` when the check box is cleared for the first time.
    """
    auto = CheckBox(text=AUTO)
    row = row_of(auto, inner.widget)

    def follow(checked: bool) -> None:
        inner.widget.enabled = not checked

    auto.changed.connect(follow)

    def write(value: Value) -> None:
        inner.write(usual if value is None else value)
        set_value(auto, value is None)
        follow(auto.value)

    def start(value: Value) -> None:
        nonlocal usual
        usual = value
        if auto.value:
            inner.write(value)

    return Editor(row, lambda: None if auto.value else inner.read(), write, inner.fit, start)
