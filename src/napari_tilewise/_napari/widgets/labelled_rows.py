"""Rows of labelled magicgui widgets; all labels have the same width, and long ones wrap."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QFormLayout, QGridLayout, QLabel, QSizePolicy, QWidget

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from magicgui.widgets import Widget

LABEL_WIDTH, FIELD_WIDTH = 92, 150
NARROW, WIDE = 60, 112
"""The least width of a field beside a slider: of a number, and of one with a check box."""


def rows(
    widgets: Iterable[Widget],
    beside: Mapping[Widget, QWidget] = MappingProxyType({}),
    below: Mapping[Widget, QWidget] = MappingProxyType({}),
    above: QWidget | None = None,
) -> QWidget:
    """Return a widget with one row for each magicgui widget.

    Parameters
    ----------
    widgets
        Widgets with labels and tooltips.
    beside
        Widgets to the left of some of them, such as sliders.
    below
        Widgets below some of those, such as notes.
    above
        A widget above them that takes the whole width.
    """
    box = QWidget()
    layout = QFormLayout(box)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    layout.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    if above is not None:
        layout.addRow(above)
    for widget in widgets:
        label = QLabel(widget.label)
        label.setWordWrap(True)
        label.setFixedWidth(LABEL_WIDTH)
        label.setToolTip(widget.tooltip or "")
        field = widget.native
        field.setMinimumWidth(FIELD_WIDTH)
        field.setSizePolicy(QSizePolicy.Policy.Ignored, field.sizePolicy().verticalPolicy())
        slider = beside.get(widget)
        note = below.get(widget)
        layout.addRow(label, _pair(slider, field, note) if slider or note else field)
    return box


def _pair(slider: QWidget | None, field: QWidget, note: QWidget | None) -> QWidget:
    """Return a field, with a slider beside it and a note below it if there are any."""
    pair = QWidget()
    layout = QGridLayout(pair)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setVerticalSpacing(0)
    if slider is not None:  # Tab goes in this order
        layout.addWidget(slider, 0, 0)
        layout.setColumnStretch(0, 3)
        field.setMinimumWidth(WIDE if field.findChildren(QCheckBox) else NARROW)
    layout.addWidget(field, 0, 1)
    layout.setColumnStretch(1, 2)
    if note is not None:
        layout.addWidget(note, 1, 0, 1, 2)
    pair.setMinimumWidth(FIELD_WIDTH)
    return pair


def show_row(box: QWidget, widget: Widget, visible: bool) -> None:
    """Show or hide a widget together with its label.

    Parameters
    ----------
    box
        Made by `rows`.
    widget
        One of the widgets in `box`.
    visible
        Whether to show it.
    """
    layout = box.layout()
    label = layout.labelForField(widget.native) if isinstance(layout, QFormLayout) else None
    if label is not None:
        label.setVisible(visible)
    widget.native.setVisible(visible)
