"""A histogram of the layer's intensities, with a line for each number that is one of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPalette, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_tilewise._napari.jobs.latest_worker import LatestWorker
from napari_tilewise._napari.layers import intensities
from napari_tilewise.errors import TilewiseError
from napari_tilewise.operations.spec.parameters import Number, Range

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from napari_tilewise._napari.forms.editor import Editor
    from napari_tilewise._napari.layers.intensities import IntensityHistogram, IntensitySource
    from napari_tilewise.operations.spec.parameters import Spec

HEIGHT, TEXT_HEIGHT = 74, 15
BARS = QColor(86, 180, 233)
LINE = QColor(230, 159, 0)
SHADE = 170
"""Blue and orange that colour-blind people tell apart, on dark and on light themes;
and how opaque the ground of a title is."""


@dataclass(frozen=True)
class IntensityLine:
    """One intensity among a form's values."""

    title: str
    """Shown beside the line; empty if it is the only one."""
    read: Callable[[], float | None]
    """Returns where the line is; None if there is none now."""
    write: Callable[[float, IntensityHistogram], None]
    """Sets it."""


def lines_of(specs: Mapping[str, Spec], editors: Mapping[str, Editor]) -> list[IntensityLine]:
    """Return the lines of the intensities among a form's values.

    Parameters
    ----------
    specs
        The declarations of the parameters.
    editors
        The editors of the parameters that the form shows.
    """
    lines = []
    for name, editor in editors.items():
        spec = specs[name]
        if isinstance(spec, Number) and spec.intensity:
            lines.append(_number_line(name, editor))
        elif isinstance(spec, Range) and spec.intensity:
            lines += [_range_line(editor, end) for end in (0, 1)]
    return lines


def _number_line(name: str, editor: Editor) -> IntensityLine:
    def read() -> float | None:
        value = _value(editor)
        return float(value) if isinstance(value, int | float) and math.isfinite(value) else None

    return IntensityLine(name, read, lambda number, _: editor.write(number))


def _range_line(editor: Editor, end: int) -> IntensityLine:
    def read() -> float | None:
        value = _value(editor)
        is_pair = isinstance(value, tuple) and len(value) == 2
        return float(value[end]) if is_pair else None

    def write(number: float, histogram: IntensityHistogram) -> None:
        value = _value(editor)
        is_pair = isinstance(value, tuple) and len(value) == 2
        pair = list(value) if is_pair else [histogram.low, histogram.high]
        pair[end] = number
        editor.write(tuple(pair))

    return IntensityLine(("low", "high")[end], read, write)


def _value(editor: Editor) -> Any:
    try:
        return editor.read()
    except TilewiseError:
        return None  # a text that is not finished


class IntensityLines(QWidget):
    """Shows a histogram and lines; a drag moves the nearest line.

    Parameters
    ----------
    lines
        The intensities.
    """

    range_found = Signal(object)
    """The `IntensityRange` of the image of which this is the histogram."""

    def __init__(self, lines: Sequence[IntensityLine]) -> None:
        super().__init__()
        self._lines = lines
        self._key: Hashable = None
        self._dragged: IntensityLine | None = None
        self.histogram: IntensityHistogram | None = None
        self.worker = LatestWorker(_histogram, self, "The histogram")
        self.worker.ready.connect(self._show)
        self.setFixedHeight(HEIGHT)
        self.setMinimumWidth(120)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.SplitHCursor)
        self.setToolTip(
            "<qt>How many pixels have which intensity (heights are square roots). Drag a line, or "
            "click, to set the number; the field below does it by keyboard.</qt>"
        )
        self.hide()

    def sizeHint(self) -> QSize:
        """Return the size that shows a histogram well."""
        return QSize(260, HEIGHT)

    @property
    def has_lines(self) -> bool:
        """Whether there is anything to set; without lines the histogram is not shown."""
        return bool(self._lines)

    def fit(self, source: IntensitySource | None) -> None:
        """Show the histogram of an image, once it is computed.

        Parameters
        ----------
        source
            The image to process; None if it is not known.
        """
        key = None if source is None else source.key
        if key == self._key:
            self.update()
            return
        if not _is_newer(self._key, key):
            self._set_histogram(None)
        self._key = key
        self.worker.drop()
        if source is not None:
            self.worker.submit(source)

    def _show(self) -> None:
        done = self.worker.take()
        self.worker.acknowledge()
        if done is not None and not isinstance(done[1], TilewiseError):
            self._set_histogram(done[1])
            if done[1] is not None:
                self.range_found.emit(done[1])

    def _set_histogram(self, histogram: IntensityHistogram | None) -> None:
        self.histogram = histogram
        self.setVisible(histogram is not None and self.has_lines)
        self.update()

    # ------------------------------------------------------------------ painting

    @property
    def area(self) -> QRectF:
        """The part of the widget that the bars fill."""
        return QRectF(4, 2, max(self.width() - 8, 1), self.height() - 2 - TEXT_HEIGHT)

    def x_of(self, value: float) -> float:
        """Return where an intensity is, in pixels; one out of range is at an end.

        Parameters
        ----------
        value
            An intensity.
        """
        if self.histogram is None:
            return 0.0
        low, high = self.histogram.low, self.histogram.high
        part = min(max((value - low) / (high - low), 0), 1)
        return self.area.left() + part * self.area.width()

    def value_at(self, x: float) -> float:
        """Return the intensity at a position.

        Parameters
        ----------
        x
            In pixels.
        """
        if self.histogram is None:
            return 0.0
        part = min(max((x - self.area.left()) / self.area.width(), 0), 1)
        low, high = self.histogram.low, self.histogram.high
        return self.histogram.rounded(low + part * (high - low))

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the bars, the lines and the ends of the range."""
        if self.histogram is None:
            return
        painter, area = QPainter(self), self.area
        heights = np.sqrt(self.histogram.counts)
        heights = heights / max(heights.max(), 1e-9) * area.height()
        width = area.width() / len(heights)
        for number, height in enumerate(heights.tolist()):
            x = area.left() + number * width
            painter.fillRect(QRectF(x, area.bottom() - height, width, height), BARS)
        ink = self.palette().color(QPalette.ColorRole.WindowText)
        painter.setPen(QPen(ink, 1))
        painter.drawLine(area.bottomLeft(), area.bottomRight())
        below = QRectF(area.left(), area.bottom() + 1, area.width(), TEXT_HEIGHT)
        low, high = self.histogram.low, self.histogram.high
        painter.drawText(below, Qt.AlignmentFlag.AlignLeft, f"{low:.4g}")
        painter.drawText(below, Qt.AlignmentFlag.AlignRight, f"{high:.4g}")
        for line in self._lines:
            self._paint_line(painter, line)

    def _paint_line(self, painter: QPainter, line: IntensityLine) -> None:
        value = line.read()
        if value is None:
            return
        area, x = self.area, self.x_of(value)
        painter.setPen(QPen(LINE, 2))
        painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))
        if len(self._lines) > 1:
            ink = self.palette().color(QPalette.ColorRole.WindowText)
            painter.setPen(QPen(ink, 1))
            is_left = x < area.center().x()
            box = QRectF(x + 4 if is_left else x - 84, area.top(), 80, TEXT_HEIGHT)
            side = Qt.AlignmentFlag.AlignLeft if is_left else Qt.AlignmentFlag.AlignRight
            shade = self.palette().color(QPalette.ColorRole.Window)
            shade.setAlpha(SHADE)
            painter.fillRect(painter.boundingRect(box, side, line.title), shade)
            painter.drawText(box, side, line.title)

    # ------------------------------------------------------------------ dragging

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Take the nearest line; set a number that has no line yet."""
        if event is None or self.histogram is None:
            return
        x = event.position().x()
        self._dragged = min(self._lines, key=lambda line: self._distance(line, x))
        self._drag(x)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Move the line."""
        if event is not None:
            self._drag(event.position().x())

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """Leave the line where it is."""
        self._dragged = None

    def _distance(self, line: IntensityLine, x: float) -> float:
        """Return the distance to a line; one that is not drawn counts as being at its end."""
        value, area = line.read(), self.area
        if value is not None:
            return abs(self.x_of(value) - x)
        is_first = line is self._lines[0]
        return abs((area.left() if is_first else area.right()) - x)

    def _drag(self, x: float) -> None:
        if self._dragged is not None and self.histogram is not None:
            self._dragged.write(self.value_at(x), self.histogram)
            self.update()


def _histogram(source: IntensitySource, cancel: threading.Event) -> IntensityHistogram | None:
    return intensities.histogram(source.read(cancel), cancel)


def _is_newer(before: Hashable, after: Hashable) -> bool:
    """Return whether two keys are those of one image, which may have other pixels now."""
    return isinstance(before, tuple) and isinstance(after, tuple) and before[0] == after[0]
