"""Small widgets that the panels share."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QProgressBar, QSizePolicy, QWidget

from napari_tilewise._napari.widgets import wording


def text(*, bold: bool = False, faint: bool = False) -> QLabel:
    """Return a label whose text wraps, and can be copied.

    Parameters
    ----------
    bold
        Whether it is a title.
    faint
        Whether it steps back.
    """
    label = QLabel()
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    if bold:
        label.setStyleSheet("font-weight: bold; font-size: 13pt;")
    if faint:
        label.setStyleSheet(f"color: {wording.FAINT};")
    return label


def message() -> QLabel:
    """Return the label of two lines in which a panel speaks."""
    label = text()
    label.setMinimumHeight(2 * label.fontMetrics().lineSpacing())
    keep_place(label)
    return label


def bar() -> QProgressBar:
    """Return a thin bar that is hidden until something runs."""
    made = QProgressBar()
    made.setTextVisible(False)
    made.setFixedHeight(6)
    keep_place(made)
    made.hide()
    return made


def keep_place(widget: QWidget) -> None:
    """Let a widget keep its place when it is hidden.

    A new arrangement of the dock would cost a repaint of the whole canvas, just when a run starts.

    Parameters
    ----------
    widget
        The widget.
    """
    policy = widget.sizePolicy()
    policy.setRetainSizeWhenHidden(True)
    widget.setSizePolicy(policy)
