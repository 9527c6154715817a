"""Chooses an operation to insert as a step: by its button, by Return or by a double click."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_tilewise._napari.forms.chooser import Chooser
from napari_tilewise.operations import OPERATIONS


class StepChooser(QWidget):
    """A search of operations with a button below it."""

    inserted = Signal(str)
    """The key of the operation to insert."""
    confirmed = Signal()
    """It was inserted by keyboard: its form comes next."""

    def __init__(self) -> None:
        super().__init__()
        self.chooser = Chooser(OPERATIONS, self)
        self.insert = QPushButton("Insert")
        self.insert.setToolTip("Insert the chosen operation after the selected step")
        self.insert.setEnabled(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.chooser)
        layout.addWidget(self.insert)
        layout.addStretch()
        self.chooser.chosen.connect(lambda _: self.insert.setEnabled(True))
        self.chooser.list.itemDoubleClicked.connect(lambda *_: self._insert())
        self.chooser.confirmed.connect(self._confirm)
        self.insert.clicked.connect(lambda: self._insert())

    def begin(self) -> None:
        """Give the search the focus; what was searched for last is typed over."""
        self.chooser.search.setFocus()
        self.chooser.search.selectAll()

    def _insert(self) -> None:
        if self.chooser.current is not None:
            self.inserted.emit(self.chooser.current)

    def _confirm(self) -> None:
        self._insert()
        self.confirmed.emit()
