"""What the tables of batches and of runs have in common: rows of plain data under named columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt

ANYWHERE = QModelIndex()
"""Stands for the table itself; Qt wants one by default."""


class RowModel(QAbstractTableModel):
    """A table without branches; a subclass says what its cells show."""

    heads: Sequence[str] = ()
    """The columns' names."""
    _lines: Sequence[Any] = ()
    """What is known of each row."""

    def rowCount(self, parent: QModelIndex = ANYWHERE) -> int:
        """Return how many rows there are."""
        return 0 if parent.isValid() else len(self._lines)

    def columnCount(self, parent: QModelIndex = ANYWHERE) -> int:
        """Return how many columns there are."""
        return 0 if parent.isValid() else len(self.heads)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Return a column's name."""
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return self.heads[section]
        return None
