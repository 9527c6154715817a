"""A plot of columns: a histogram, a scatter of two, or a curve; a drag selects rows.

Points are counted per pixel of the plot, so that a million cost no more than a thousand to paint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import (
    QColor,
    QImage,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QPolygonF,
)
from qtpy.QtWidgets import QSizePolicy, QWidget
from scipy.ndimage import grey_dilation

from napari_tilewise._napari.layers.columns import format_value

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEFT_MARGIN, TOP_MARGIN, RIGHT_MARGIN, BOTTOM_MARGIN = 46, 8, 10, 34
BINS = 60
MANY, LARGEST = 2000, 5
"""Number of points from which dots are small, and the largest dot's length in pixels."""
POINT = QColor(86, 180, 233)
CHOSEN = QColor(255, 214, 0)
"""The plot's two colours differ in brightness too, for colour-blind people."""

Limits = tuple[float, float]


@dataclass(frozen=True, eq=False)
class PlotData:
    """What a plot shows."""

    x: NDArray[np.float64]
    y: NDArray[np.float64] | None = None
    """None for a histogram of `x`."""
    x_title: str = ""
    y_title: str = "count"
    is_curve: bool = False
    """Whether the points are joined, in order."""


class Plot(QWidget):
    """Shows columns of numbers."""

    brushed = Signal(object, object)
    """The limits of x and of y that were dragged over; None for y of a histogram."""
    cleared = Signal()
    """A click chose nothing."""

    def __init__(self) -> None:
        super().__init__()
        self._data: PlotData | None = None
        self._chosen: NDArray[np.bool_] | None = None
        self._limits: tuple[Limits, Limits] = ((0, 1), (0, 1))
        self._image: QImage | None = None
        self._drag: tuple[QPointF, QPointF] | None = None
        self.setMinimumHeight(100)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)

    def sizeHint(self) -> QSize:
        """Return the size that shows a plot well."""
        return QSize(280, 200)

    def show_data(self, data: PlotData | None) -> None:
        """Show other data.

        Parameters
        ----------
        data
            None to show nothing.
        """
        self._data, self._chosen, self._image = data, None, None
        if data is not None:
            x_limits = _limits(data.x)
            y_limits = (0.0, float(_counts(data.x, x_limits).max(initial=1)))
            if data.y is not None:
                y_limits = _limits(data.y)
            self._limits = (x_limits, y_limits)
        self.update()

    def choose(self, chosen: NDArray[np.bool_] | None) -> None:
        """Mark rows.

        Parameters
        ----------
        chosen
            Which rows are marked; None for none.
        """
        self._chosen = chosen
        self._image = None
        self.update()

    # ------------------------------------------------------------------ painting

    @property
    def area(self) -> QRectF:
        """The part of the widget inside the axes."""
        width, height = (
            self.width() - LEFT_MARGIN - RIGHT_MARGIN,
            self.height() - TOP_MARGIN - BOTTOM_MARGIN,
        )
        return QRectF(LEFT_MARGIN, TOP_MARGIN, max(width, 1), max(height, 1))

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the plot."""
        painter = QPainter(self)
        ink = self.palette().color(QPalette.ColorRole.WindowText)
        if self._data is None:
            return
        self._paint_axes(painter, ink, self._data)
        if self._data.y is None:
            self._paint_bars(painter, self._data)
        elif self._data.is_curve:
            self._paint_curve(painter, self._data, self._data.y)
        else:
            self._paint_points(painter, self._data, self._data.y)
        if self._drag is not None:
            painter.setPen(QPen(ink, 1, Qt.PenStyle.DashLine))
            painter.drawRect(QRectF(*self._drag).normalized())

    def _paint_axes(self, painter: QPainter, ink: QColor, data: PlotData) -> None:
        area = self.area
        painter.setPen(QPen(ink, 1))
        painter.drawLine(area.bottomLeft(), area.bottomRight())
        painter.drawLine(area.bottomLeft(), area.topLeft())
        (x_low, x_high), (y_low, y_high) = self._limits
        below = QRectF(area.left() - 20, area.bottom() + 2, area.width() + 28, 14)
        painter.drawText(below, Qt.AlignmentFlag.AlignLeft, _tick(x_low))
        painter.drawText(below, Qt.AlignmentFlag.AlignRight, _tick(x_high))
        title = below.translated(0, 14)
        painter.drawText(title, Qt.AlignmentFlag.AlignHCenter, data.x_title)
        beside = QRectF(0, area.top() - 4, LEFT_MARGIN - 4, area.height() + 8)
        right = Qt.AlignmentFlag.AlignRight
        painter.drawText(beside, right | Qt.AlignmentFlag.AlignTop, _tick(y_high))
        painter.drawText(beside, right | Qt.AlignmentFlag.AlignBottom, _tick(y_low))
        painter.save()
        painter.translate(12, area.center().y())
        painter.rotate(-90)
        painter.drawText(
            QRectF(-area.height() / 2, -10, area.height(), 14),
            Qt.AlignmentFlag.AlignHCenter, data.y_title,
        )  # fmt: skip
        painter.restore()

    def _paint_bars(self, painter: QPainter, data: PlotData) -> None:
        area, limits = self.area, self._limits[0]
        top = self._limits[1][1]
        parts = [(POINT, data.x)]
        if self._chosen is not None:
            parts.append((CHOSEN, data.x[self._chosen]))
        width = area.width() / BINS
        for colour, values in parts:
            for number, count in enumerate(_counts(values, limits)):
                height = area.height() * float(count) / top
                bar = QRectF(area.left() + number * width, area.bottom() - height, width, height)
                painter.fillRect(bar.adjusted(0.5, 0, -0.5, 0), colour)

    def _paint_curve(self, painter: QPainter, data: PlotData, y: NDArray[np.float64]) -> None:
        area = self.area
        across = area.left() + area.width() * _scaled(data.x, self._limits[0])
        down = area.bottom() - area.height() * _scaled(y, self._limits[1])
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(POINT, 1.5))
        points = zip(across.tolist(), down.tolist(), strict=True)
        painter.drawPolyline(QPolygonF([QPointF(*point) for point in points]))

    def _paint_points(self, painter: QPainter, data: PlotData, y: NDArray[np.float64]) -> None:
        area = self.area.toRect()
        if self._image is None or self._image.size() != area.size():
            self._image = self._points_image(data, y, area.size())
        painter.drawImage(area.topLeft(), self._image)

    def _points_image(self, data: PlotData, y: NDArray[np.float64], size: QSize) -> QImage:
        """Return a picture with one dot per point; the more points, the more opaque."""
        width, height = max(size.width(), 1), max(size.height(), 1)
        is_valid = np.isfinite(data.x) & np.isfinite(y)
        column = (_scaled(data.x, self._limits[0]) * (width - 2)).astype(np.int64)
        row = ((1 - _scaled(y, self._limits[1])) * (height - 2)).astype(np.int64)
        pixels = np.zeros((height, width, 4), np.uint8)
        chosen = self._chosen if self._chosen is not None else np.zeros(len(data.x), bool)
        for colour, rows in ((POINT, is_valid & ~chosen), (CHOSEN, is_valid & chosen)):
            index = row[rows] * width + column[rows]
            counts = np.bincount(index, minlength=width * height).reshape(height, width)
            _paint_dots(pixels, counts, colour, MANY // max(len(data.x), 1) + 2)
        image = QImage(pixels.tobytes(), width, height, 4 * width, QImage.Format.Format_ARGB32)
        return image.copy()

    # ------------------------------------------------------------------ brushing

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Begin to drag."""
        if event is not None and self._data is not None and not self._data.is_curve:
            self._drag = (event.position(), event.position())

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Show what the drag covers; a histogram is covered over its whole height."""
        if event is None or self._drag is None or self._data is None:
            return
        start, end, area = self._drag[0], event.position(), self.area
        if self._data.y is None:
            start, end = QPointF(start.x(), area.top()), QPointF(end.x(), area.bottom())
        self._drag = (start, end)
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """Choose what was dragged over."""
        drag, self._drag = self._drag, None
        self.update()
        if drag is None or self._data is None:
            return
        box = QRectF(*drag).normalized()
        if max(box.width(), 0 if self._data.y is None else box.height()) < 3:
            self.cleared.emit()
            return
        area, (x_limits, y_limits) = self.area, self._limits
        x = _between(
            (box.left() - area.left()) / area.width(), box.width() / area.width(), x_limits
        )
        above = (area.bottom() - box.bottom()) / area.height()
        y = _between(above, box.height() / area.height(), y_limits)
        self.brushed.emit(x, None if self._data.y is None else y)


def _paint_dots(
    pixels: NDArray[np.uint8], counts: NDArray[np.int64], colour: QColor, size: int
) -> None:
    """Paint square dots into a picture's pixels; where there are more points, more opaque ones."""
    dots = grey_dilation(counts, size=(min(size, LARGEST),) * 2)
    is_dot = dots > 0
    pixels[is_dot, :3] = (colour.blue(), colour.green(), colour.red())
    pixels[is_dot, 3] = np.minimum(150 + 40 * np.log2(dots[is_dot]), 255)


def _limits(values: NDArray[np.float64]) -> Limits:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return (0.0, 1.0)
    low, high = float(finite.min()), float(finite.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _scaled(values: NDArray[np.float64], limits: Limits) -> NDArray[np.float64]:
    """Return values as parts of a range; missing ones at its start."""
    scaled = (np.nan_to_num(values, nan=limits[0]) - limits[0]) / (limits[1] - limits[0])
    return np.clip(scaled, 0, 1)


def _between(start: float, length: float, limits: Limits) -> Limits:
    span = limits[1] - limits[0]
    return limits[0] + start * span, limits[0] + (start + length) * span


def _counts(values: NDArray[np.float64], limits: Limits) -> NDArray[np.int64]:
    finite = values[np.isfinite(values)]
    index = np.minimum((_scaled(finite, limits) * BINS).astype(np.int64), BINS - 1)
    counts: NDArray[np.int64] = np.bincount(index, minlength=BINS)
    return counts


def _tick(value: float) -> str:
    return format_value(float(f"{value:.3g}"))
