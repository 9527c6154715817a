"""A footprint as a small picture: its pixels, or those of its central plane."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import QRectF, QSize
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPalette
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_tilewise.operations.spec.parameters import FOOTPRINTS, footprint_from

SIDE = 26
"""Pixels of the picture's side."""
LARGEST = 40
"""Size beyond which a footprint looks the same at this size."""
PLANES = {"ball": "disk", "cube": "square", "octahedron": "diamond"}
"""What the central plane of a volume is."""
PIXELS = QColor(86, 180, 233)


class FootprintPicture(QWidget):
    """Shows the pixels of a footprint."""

    def __init__(self) -> None:
        super().__init__()
        self.pixels: np.ndarray | None = None
        self.setFixedSize(SIDE, SIDE)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """Return the picture's size."""
        return QSize(SIDE, SIDE)

    def show_footprint(self, shape: str, size: int) -> None:
        """Show a footprint.

        Parameters
        ----------
        shape
            Its name; any other than a footprint's shows nothing.
        size
            Its radius or width in pixels.
        """
        plane = PLANES.get(shape, shape)
        name = FOOTPRINTS.get(plane)
        self.pixels, text = None, ""
        if name is not None:
            pixels = footprint_from("footprint", {"shape": plane, name: min(size, LARGEST)})
            self.pixels = np.asarray(pixels) > 0
            side = size if name == "width" else 2 * size + 1
            text = " × ".join([str(side)] * (3 if shape in PLANES else 2)) + " pixels"
        self.setToolTip(text)
        self.setVisible(self.pixels is not None)
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the pixels into a square."""
        if self.pixels is None or not self.pixels.size:
            return
        painter = QPainter(self)
        rows, columns = self.pixels.shape
        step = (SIDE - 2) / max(rows, columns)
        gap = 0.5 if step > 3 else 0.0
        left, top = (SIDE - columns * step) / 2, (SIDE - rows * step) / 2
        for row, column in np.argwhere(self.pixels).tolist():
            box = QRectF(left + column * step, top + row * step, step, step)
            painter.fillRect(box.adjusted(gap, gap, -gap, -gap), PIXELS)
        painter.setPen(self.palette().color(QPalette.ColorRole.Mid))
        painter.drawRect(QRectF(0.5, 0.5, SIDE - 1, SIDE - 1))
