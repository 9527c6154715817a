"""The legend of colours by a column: a bar with the values of its ends."""

from __future__ import annotations

import numpy as np
from napari.utils.colormaps import ensure_colormap
from qtpy.QtCore import QRectF, Qt
from qtpy.QtGui import QColor, QLinearGradient, QPainter, QPaintEvent, QPalette
from qtpy.QtWidgets import QWidget

from napari_tilewise._napari.layers.columns import format_value
from napari_tilewise._napari.measurements.object_colours import COLORMAP

STOPS = 16


class Legend(QWidget):
    """Shows which colours stand for which values."""

    def __init__(self) -> None:
        super().__init__()
        self.limits: tuple[float, float] = (0, 1)
        self.title = ""
        self.setFixedHeight(30)
        self.hide()

    def show_limits(self, title: str, limits: tuple[float, float]) -> None:
        """Show the values of the first and the last colour.

        Parameters
        ----------
        title
            The column's, with its unit.
        limits
            The values.
        """
        self.title, self.limits = title, limits
        self.setToolTip(title)
        self.show()
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the bar, and the values below it."""
        painter = QPainter(self)
        bar = QRectF(1, 1, self.width() - 2, 10)
        gradient = QLinearGradient(bar.topLeft(), bar.topRight())
        for position in np.linspace(0, 1, STOPS):
            colour = ensure_colormap(COLORMAP).map(position)[0]
            gradient.setColorAt(float(position), QColor.fromRgbF(*map(float, colour)))
        painter.fillRect(bar, gradient)
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        below = QRectF(1, 13, self.width() - 2, 16)
        low, high = (format_value(float(f"{value:.4g}")) for value in self.limits)
        painter.drawText(below, Qt.AlignmentFlag.AlignLeft, low)
        painter.drawText(below, Qt.AlignmentFlag.AlignRight, high)
        painter.drawText(below, Qt.AlignmentFlag.AlignHCenter, self.title)
