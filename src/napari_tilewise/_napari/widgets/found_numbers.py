"""A small table of named numbers; a click copies all their digits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_ROWS = 4
"""Rows that are seen at once; the others are scrolled to."""


@dataclass(frozen=True)
class MeasuredNumber:
    """A length or an area in a unit, with the pixels that were counted."""

    value: float
    unit: str
    in_pixels: float
    pixel: str
    """The unit of those."""

    def __str__(self) -> str:
        """Return both with all digits."""
        return f"{self.value} {self.unit} ({self.in_pixels} {self.pixel})"

    def __format__(self, digits: str) -> str:
        """Return both with some digits."""
        in_unit, in_pixels = format(self.value, digits), format(self.in_pixels, digits)
        return f"{in_unit} {self.unit} ({in_pixels} {self.pixel})"


@dataclass(frozen=True)
class InPixels:
    """A length or an area that has no unit but the pixel."""

    value: float
    pixel: str
    """The unit."""

    def __str__(self) -> str:
        """Return it with all digits."""
        return f"{self.value} {self.pixel}"

    def __format__(self, digits: str) -> str:
        """Return it with some digits."""
        return f"{format(self.value, digits)} {self.pixel}"


class FoundNumbers(QWidget):
    """Shows numbers by their names until others are shown; hidden as long as there are none."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers: dict[str, str] = {}
        self.table = QTableWidget(0, 2)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setShowGrid(False)
        self.table.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        header, numbering = self.table.horizontalHeader(), self.table.verticalHeader()
        if header is not None and numbering is not None:  # Qt's types allow None
            header.hide()
            numbering.hide()
            header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
            header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        self.copy = QPushButton("Copy")
        self.copy.setToolTip("<qt>Copy the numbers, to paste them into a spreadsheet</qt>")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.copy, 0, Qt.AlignmentFlag.AlignTop)
        self.copy.clicked.connect(self.copy_numbers)
        self.hide()

    def show_numbers(self, numbers: Mapping[str, object]) -> None:
        """Show other numbers.

        Parameters
        ----------
        numbers
            Values by name; none to hide the table.
        """
        self.numbers = {name: str(value) for name, value in numbers.items()}
        self.table.setRowCount(len(self.numbers))
        for row, (name, value) in enumerate(numbers.items()):
            is_measured = isinstance(value, float | MeasuredNumber | InPixels)
            short = f"{value:.6g}" if is_measured else str(value)
            for column, (text, whole) in enumerate(((name, name), (short, str(value)))):
                item = QTableWidgetItem(text)
                item.setToolTip(whole)
                self.table.setItem(row, column, item)
        height = self.table.rowHeight(0) if self.numbers else 0
        self.table.setFixedHeight(min(len(self.numbers), MOST_ROWS) * height + 4)
        self.setVisible(bool(self.numbers))

    def copy_numbers(self) -> None:
        """Copy names and numbers, a line each, separated by tabs."""
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setText("\n".join(map("\t".join, self.numbers.items())))
