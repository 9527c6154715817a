"""Results of a layer that are numbers, curves or histograms, shown and copied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.colormaps import ensure_colormap
from qtpy.QtCore import QRectF, QSignalBlocker, QSize, Qt, Signal
from qtpy.QtGui import QImage, QPainter, QPaintEvent
from qtpy.QtWidgets import (
    QApplication,
    QComboBox,
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from napari_tilewise._napari.layers import layer_record
from napari_tilewise._napari.layers.layer_record import NumberMeaning
from napari_tilewise._napari.measurements import table_files
from napari_tilewise._napari.measurements.numbers import numbers_of
from napari_tilewise._napari.measurements.object_colours import COLORMAP
from napari_tilewise._napari.measurements.plane_numbers import numbers_of_planes
from napari_tilewise._napari.measurements.plot import Plot
from napari_tilewise._napari.tables.column_model import ColumnModel
from napari_tilewise._napari.tables.table_view import table_view
from napari_tilewise._napari.widgets import wording
from napari_tilewise.operations import OPERATIONS

if TYPE_CHECKING:
    from napari.layers import Layer
    from numpy.typing import NDArray


MOST_FITTED = 1000
"""Cells up to which columns are as wide as their contents: Qt looks at each."""
FITTED_ROWS = 50
"""Rows that Qt looks at for it."""


class NumbersView(QWidget):
    """Shows one of a layer's results at a time; the newest first."""

    said = Signal(str)
    """A line to show in the panel."""

    def __init__(self) -> None:
        super().__init__()
        self._values: list[Any] = []
        self._keys: list[str] = []
        self._meanings: list[NumberMeaning | None] = []
        self.choice = QComboBox()
        self.choice.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.model = ColumnModel(self)
        self.table = table_view(self.model, 20)
        header = self.table.horizontalHeader()
        if header is not None:
            header.setResizeContentsPrecision(FITTED_ROWS)
        self.plot, self.picture = Plot(), Picture()
        self.copy = QPushButton("Copy")
        self.copy.setToolTip("<qt>Copy the numbers, to paste them into a spreadsheet</qt>")
        splitter = QSplitter(Qt.Orientation.Vertical)
        for widget in (self.plot, self.picture, self.table):
            splitter.addWidget(widget)
        top = QHBoxLayout()
        top.addWidget(self.choice, 1)
        top.addWidget(self.copy)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(top)
        layout.addWidget(splitter, 1)
        self.choice.currentIndexChanged.connect(self._show)
        self.copy.clicked.connect(self.copy_numbers)

    def show_layer(self, layer: Layer | None) -> int:
        """Show the results of a layer, and return how many there are.

        Parameters
        ----------
        layer
            None to show nothing.
        """
        stored = {} if layer is None else layer_record.stored_part(layer, "values") or {}
        results = [
            (name, number, value)
            for name, values in reversed(stored.items())
            for number, value in values.items()
        ]
        self._keys = [name for name, _, _ in results]
        meanings = {} if layer is None else layer_record.stored_part(layer, "meanings") or {}
        self._meanings = [meanings.get(name, {}).get(number) for name, number, _ in results]
        self._values = [value for _, _, value in results]
        with QSignalBlocker(self.choice):
            self.choice.clear()
            for name, number, _ in results:
                title = OPERATIONS[name].title if name in OPERATIONS else name
                self.choice.addItem(f"{title} {number + 1}" if number else title)
        self._show(0)
        return len(results)

    def _show(self, index: int) -> None:
        is_result = 0 <= index < len(self._values)
        names = wording.result_names(self._keys[index]) if is_result else ()
        meaning = (self._meanings[index] if is_result else None) or NumberMeaning()
        value = self._values[index] if is_result else {}
        if meaning.planes:
            numbers = numbers_of_planes(value, names, meaning)
        else:
            numbers = numbers_of(value, names, meaning.lengths)
        self.model.set_columns(numbers.columns)
        if len(numbers.columns) * min(len(self.model.order), FITTED_ROWS) <= MOST_FITTED:
            self.table.resizeColumnsToContents()  # the pixels are in sight beside the units
        self.plot.show_data(numbers.plot)
        self.plot.setVisible(numbers.plot is not None)
        self.picture.show_numbers(numbers.picture)
        self.picture.setVisible(numbers.picture is not None)
        self.copy.setEnabled(is_result)

    def copy_numbers(self) -> None:
        """Copy the shown numbers as text."""
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(table_files.text(self.model.columns, self.model.order))
            self.said.emit(f"Copied {wording.count(len(self.model.order), 'rows')}.")


class Picture(QWidget):
    """Shows a plane of numbers as colours."""

    def __init__(self) -> None:
        super().__init__()
        self._image: QImage | None = None
        self.setMinimumHeight(120)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)

    def sizeHint(self) -> QSize:
        """Return the size that shows a picture well."""
        return QSize(280, 200)

    def show_numbers(self, numbers: NDArray[np.float64] | None) -> None:
        """Show other numbers.

        Parameters
        ----------
        numbers
            A plane; None to show nothing.
        """
        self._image = None
        if numbers is not None and numbers.size:
            low, high = float(np.nanmin(numbers)), float(np.nanmax(numbers))
            scaled = np.nan_to_num((numbers - low) / ((high - low) or 1))
            colours = ensure_colormap(COLORMAP).map(scaled.ravel()) * 255
            pixels = colours.reshape(*numbers.shape, 4).astype(np.uint8)
            height, width = numbers.shape
            form = QImage.Format.Format_RGBA8888
            self._image = QImage(pixels.tobytes(), width, height, 4 * width, form).copy()
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the picture over the whole widget."""
        if self._image is not None:
            painter = QPainter(self)
            painter.drawImage(QRectF(0, 0, self.width(), self.height()), self._image)
