"""Long names, cut in the middle where they do not fit: how they end tells them apart."""

from __future__ import annotations

import html

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QHelpEvent, QResizeEvent
from qtpy.QtWidgets import (
    QComboBox,
    QLabel,
    QSizePolicy,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QToolTip,
)

PADDING = 4
"""Pixels that a style leaves free on each side of a text."""


def elided(box: QComboBox) -> None:
    """Let a combo box cut its names in the middle; its tooltip begins with the whole name.

    Parameters
    ----------
    box
        The combo box.
    """
    box.installEventFilter(_Elider(box))
    view = box.view()
    if view is not None:
        view.setTextElideMode(Qt.TextElideMode.ElideMiddle)


class _Elider(QObject):
    """What paints a combo box and shows its tooltip in its stead."""

    def eventFilter(self, box: QObject | None, event: QEvent | None) -> bool:
        """Take what is to be done otherwise."""
        if isinstance(box, QComboBox) and event is not None:
            if event.type() == QEvent.Type.Paint:
                _paint(box)
                return True
            if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
                QToolTip.showText(event.globalPos(), tooltip(box), box)
                return True
        return False


def shown(box: QComboBox) -> str:
    """Return the name as there is room for it.

    Parameters
    ----------
    box
        The combo box.
    """
    option = QStyleOptionComboBox()
    box.initStyleOption(option)
    return _fitting(box, option)


def _fitting(box: QComboBox, option: QStyleOptionComboBox) -> str:
    style = box.style()
    assert style is not None
    field = style.subControlRect(
        QStyle.ComplexControl.CC_ComboBox, option, QStyle.SubControl.SC_ComboBoxEditField, box
    )
    metrics, mode = box.fontMetrics(), Qt.TextElideMode.ElideMiddle
    return metrics.elidedText(option.currentText, mode, field.width() - 2 * PADDING)


def _paint(box: QComboBox) -> None:
    painter, option = QStylePainter(box), QStyleOptionComboBox()
    box.initStyleOption(option)
    painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
    option.currentText = _fitting(box, option)
    painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)


def tooltip(box: QComboBox) -> str:
    """Return the whole name, and what the box is for.

    Parameters
    ----------
    box
        The combo box.
    """
    name, told = html.escape(box.currentText()), box.toolTip()
    told = told.removeprefix("<qt>").removesuffix("</qt>")
    return f"<qt>{'<br>'.join(filter(None, (f'<b>{name}</b>' if name else '', told)))}</qt>"


class ElidedLabel(QLabel):
    """A line of text that is cut in the middle where it does not fit; the tooltip has all of it.

    Parameters
    ----------
    style
        Its style sheet.
    """

    def __init__(self, style: str = "") -> None:
        super().__init__()
        self._whole = ""
        self.setStyleSheet(style)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def text(self) -> str:
        """Return the whole text."""
        return self._whole

    def setText(self, text: str | None) -> None:
        """Show a text."""
        self._whole = text or ""
        self.setToolTip(f"<qt>{html.escape(self._whole)}</qt>")
        self._fit()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Show as much of the text as there is room for now."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        room, mode = self.contentsRect().width() - 2 * PADDING, Qt.TextElideMode.ElideMiddle
        super().setText(self.fontMetrics().elidedText(self._whole, mode, room))
