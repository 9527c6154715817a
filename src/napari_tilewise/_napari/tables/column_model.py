"""A table model over columns of NumPy arrays: rows are sorted and filtered by their indices.

Nothing is made per cell or row before it is shown, so that a million rows stay fluid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QModelIndex, Qt, Signal

from napari_tilewise._napari.tables.row_model import NO_PARENT, RowModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from qtpy.QtCore import QObject

    from napari_tilewise._napari.layers.columns import TableColumn

ALIGNMENT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)


class ColumnModel(RowModel):
    """Columns of equal length.

    Parameters
    ----------
    parent
        The widget that owns the model.
    """

    arranged = Signal()
    """The rows were sorted or filtered."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.columns: list[TableColumn] = []
        self.order: NDArray[np.int64] = np.zeros(0, np.int64)
        """The index in the columns of each visible row."""
        self._matching: NDArray[np.bool_] = np.zeros(0, bool)
        self._sorting: tuple[int, bool] | None = None

    def set_columns(self, columns: Sequence[TableColumn]) -> None:
        """Show other columns, all of their rows in order.

        Parameters
        ----------
        columns
            All of the same length.
        """
        self.beginResetModel()
        self.columns = list(columns)
        self.headers = [column.title for column in columns]
        count = len(columns[0].values) if columns else 0
        self._matching = np.ones(count, bool)
        self._sorting = None
        self.order = np.arange(count)
        self.endResetModel()

    def rowCount(self, parent: QModelIndex = NO_PARENT) -> int:
        """Return the number of rows that match the filter."""
        return 0 if parent.isValid() else len(self.order)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return a cell's text, made when it is shown."""
        if not index.isValid():
            return None
        column = self.columns[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.text(int(self.order[index.row()]))
        if role == Qt.ItemDataRole.TextAlignmentRole and column.is_number:
            return ALIGNMENT
        return None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column; -1 is the table's own order. Missing values come last."""
        is_column = 0 <= column < len(self.columns)
        self._sorting = (column, order == Qt.SortOrder.DescendingOrder) if is_column else None
        self._arrange()

    def set_filter(self, matching: NDArray[np.bool_]) -> None:
        """Show some of the rows.

        Parameters
        ----------
        matching
            Which rows of the columns are shown.
        """
        self._matching = matching
        self._arrange()

    def positions(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return where rows of the columns are visible, in ascending order.

        Parameters
        ----------
        rows
            Indices in the columns; those that the filter hides are omitted.
        """
        is_chosen = np.zeros(len(self._matching), bool)
        is_chosen[rows] = True
        return np.flatnonzero(is_chosen[self.order])

    def _arrange(self) -> None:
        self.beginResetModel()
        rows = np.flatnonzero(self._matching)
        if self._sorting is not None:
            column, is_descending = self._sorting
            rows = rows[sorted_indices(self.columns[column].values[rows], is_descending)]
        self.order = rows
        self.endResetModel()
        self.arranged.emit()


def sorted_indices(values: NDArray[Any], is_descending: bool) -> NDArray[np.int64]:
    """Return the indices that sort values; equal values keep their order, missing ones are last.

    Parameters
    ----------
    values
        One column.
    is_descending
        Whether the largest value comes first.
    """
    if values.dtype.kind == "O":
        values = np.array([str(value) for value in values])
    if is_descending:
        indices = len(values) - 1 - np.argsort(values[::-1], kind="stable")[::-1]
    else:
        indices = np.argsort(values, kind="stable")
    if values.dtype.kind == "f":
        is_missing = np.isnan(values[indices])
        indices = np.concatenate([indices[~is_missing], indices[is_missing]])
    result: NDArray[np.int64] = indices
    return result
