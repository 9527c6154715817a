"""Small widgets that several panels use."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QProgressBar, QSizePolicy, QWidget

from napari_tilewise._napari.widgets.theme_colours import Tone, colour

FAINT = "faint"
"""The property of labels whose text is less important than others."""


def text_label(*, bold: bool = False, faint: bool = False) -> QLabel:
    """Return a label whose text wraps and can be selected, and is shown as it is.

    Parameters
    ----------
    bold
        Whether the text is a title.
    faint
        Whether the text is less important than others.
    """
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)  # names may look like markup
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    if bold:
        label.setStyleSheet("font-weight: bold; font-size: 13pt;")
    if faint:
        make_faint(label)
    return label


def make_faint(label: QLabel) -> None:
    """Give a label the colour of less important texts; its panel follows other themes.

    Parameters
    ----------
    label
        A label.
    """
    label.setProperty(FAINT, True)
    label.setStyleSheet(f"color: {colour(Tone.FAINT)};")


def link_label() -> QLabel:
    """Return a label for rich text whose links open in the browser."""
    label = QLabel()
    label.setWordWrap(True)
    label.setOpenExternalLinks(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextBrowserInteraction)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    return label


def message_label() -> QLabel:
    """Return a panel's label for messages, two lines high."""
    label = text_label()
    label.setMinimumHeight(2 * label.fontMetrics().lineSpacing())
    retain_size(label)
    return label


def progress_bar() -> QProgressBar:
    """Return a thin progress bar, hidden at first."""
    bar = QProgressBar()
    bar.setTextVisible(False)
    bar.setFixedHeight(6)
    retain_size(bar)
    bar.hide()
    return bar


def retain_size(widget: QWidget) -> None:
    """Keep the space of a widget in its layout when the widget is hidden.

    A new layout of the dock would repaint the whole canvas, just when a run starts.

    Parameters
    ----------
    widget
        Shown and hidden often.
    """
    policy = widget.sizePolicy()
    policy.setRetainSizeWhenHidden(True)
    widget.setSizePolicy(policy)
