"""The order in which Tab goes through fields: as they are laid out, not as they were created."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFormLayout, QLayout, QWidget

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def fields(widget: QWidget) -> Iterator[QWidget]:
    """Yield a widget if Tab can reach it, else the ones inside it that it can, in order.

    Parameters
    ----------
    widget
        Any widget.
    """
    layout = widget.layout()
    if widget.focusPolicy() & Qt.FocusPolicy.TabFocus:
        yield widget
    elif layout is not None:
        for item in _items(layout):
            yield from fields(item)


def field_before(widget: QWidget) -> QWidget | None:
    """Return the field from which Tab goes to a widget; None if there is none outside it.

    Parameters
    ----------
    widget
        A widget with fields inside it.
    """
    before = widget.previousInFocusChain()
    while before is not None and before is not widget:
        if before.focusPolicy() & Qt.FocusPolicy.TabFocus and not widget.isAncestorOf(before):
            return before
        before = before.previousInFocusChain()
    return None


def _items(layout: QLayout) -> Iterator[QWidget]:
    if isinstance(layout, QFormLayout):
        roles = QFormLayout.ItemRole
        parts = [
            layout.itemAt(row, role)
            for row in range(layout.rowCount())
            for role in (roles.SpanningRole, roles.LabelRole, roles.FieldRole)
        ]
    else:
        parts = [layout.itemAt(index) for index in range(layout.count())]
    for part in dict.fromkeys(part for part in parts if part is not None):
        widget, inner = part.widget(), part.layout()
        if widget is not None:
            yield widget
        elif inner is not None:
            yield from _items(inner)


def chain(first: QWidget, others: Iterable[QWidget]) -> None:
    """Make Tab go from one field to the next.

    Parameters
    ----------
    first
        The first field.
    others
        Those that follow, in order.
    """
    for field in others:
        QWidget.setTabOrder(first, field)
        first = field
