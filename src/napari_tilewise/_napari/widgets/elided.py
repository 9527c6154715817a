"""Long names are cut in the middle: their ends often differ, their starts do not."""

from __future__ import annotations

import html
from typing import cast

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
"""Pixels of a style's margin on each side of a text."""


def elided(box: QComboBox) -> None:
    """Make a combo box cut its names in the middle, and begin its tooltip with the whole name.

    Parameters
    ----------
    box
        Any combo box.
    """
    box.installEventFilter(_Elider(box))
    view = box.view()
    if view is not None:
        view.setTextElideMode(Qt.TextElideMode.ElideMiddle)


class _Elider(QObject):
    """Paints a combo box and shows its tooltip."""

    def eventFilter(self, box: QObject | None, event: QEvent | None) -> bool:
        """Handle paint and tooltip events."""
        if isinstance(box, QComboBox) and event is not None:
            if event.type() == QEvent.Type.Paint:
                _paint(box)
                return True
            if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
                QToolTip.showText(event.globalPos(), tooltip(box), box)
                return True
        return False


def shown(box: QComboBox) -> str:
    """Return the name as the box shows it.

    Parameters
    ----------
    box
        Any combo box.
    """
    option = QStyleOptionComboBox()
    box.initStyleOption(option)
    return _fitting(box, option)


def _fitting(box: QComboBox, option: QStyleOptionComboBox) -> str:
    style = cast("QStyle", box.style())
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
    """Return the whole name followed by the box's own tooltip.

    Parameters
    ----------
    box
        Any combo box.
    """
    name = html.escape(box.currentText())
    own = box.toolTip().removeprefix("<qt>").removesuffix("</qt>")
    return f"<qt>{'<br>'.join(filter(None, (f'<b>{name}</b>' if name else '', own)))}</qt>"


class ElidedLabel(QLabel):
    """A line of text, cut in the middle if it is too long; the tooltip shows all of it.

    Parameters
    ----------
    style
        A style sheet.
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
        """Cut the text to the new width."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        width, mode = self.contentsRect().width() - 2 * PADDING, Qt.TextElideMode.ElideMiddle
        super().setText(self.fontMetrics().elidedText(self._whole, mode, width))
