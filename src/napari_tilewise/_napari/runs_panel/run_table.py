"""The table of runs: rows of plain data that are compared, so that only what changed is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QModelIndex, QObject, QRect, Qt
from qtpy.QtGui import QColor, QPainter
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
)

from napari_tilewise._napari.jobs.session_runs import Status
from napari_tilewise._napari.tables.row_table import ANYWHERE, RowModel

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from napari_tilewise._napari.runs_panel.run_rows import Row

HEADS = ("Run", "State", "Progress", "Time left", "Rate", "Memory", "Source", "Output")
WHAT, STATE, PROGRESS, LEFT, RATE, MEMORY, SOURCE, OUTPUT = range(8)
WIDTHS = (190, 76, 140, 70, 84, 200, 160)
"""Of all columns but the last, which takes what is left."""
COLOURS = {
    Status.RUNNING: "#5b8ff0",
    Status.DONE: "#4fa866",
    Status.FAILED: "#e0605e",
    Status.LOST: "#e0605e",
    Status.PAUSED: "#d39b3a",
    Status.LEFT: "#d39b3a",
}
"""The colour of a state's word and bar; words say it all, so nobody needs to tell them apart."""
FAINT = "#8b8f98"


class RunsTable(RowModel):
    """The rows of the Runs panel.

    Parameters
    ----------
    parent
        What it belongs to.
    """

    heads = HEADS

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._lines: list[Row] = []

    def show_rows(self, rows: Sequence[Row]) -> None:
        """Show rows; those that are as they were are not drawn again.

        Parameters
        ----------
        rows
            The rows.
        """
        if [*map(_identity, rows)] != [*map(_identity, self._lines)]:
            self._take_others(rows)
        changed = [
            n for n, (old, new) in enumerate(zip(self._lines, rows, strict=True)) if old != new
        ]
        self._lines = list(rows)
        if changed:  # one signal, however many there are: the view asks for what it shows
            self.dataChanged.emit(self.index(changed[0], 0), self.index(changed[-1], OUTPUT))

    def _take_others(self, rows: Sequence[Row]) -> None:
        """Take rows away and put others in, so that what is selected stays so."""
        wanted = {_identity(row) for row in rows}
        for number in reversed(range(len(self._lines))):
            if _identity(self._lines[number]) not in wanted:
                self.beginRemoveRows(ANYWHERE, number, number)
                del self._lines[number]
                self.endRemoveRows()
        for number, row in enumerate(rows):
            if number < len(self._lines) and _identity(self._lines[number]) == _identity(row):
                continue
            old = next(
                (n for n, one in enumerate(self._lines) if _identity(one) == _identity(row)), None
            )
            if old is not None:
                self.beginMoveRows(ANYWHERE, old, old, ANYWHERE, number)
                self._lines.insert(number, self._lines.pop(old))
                self.endMoveRows()
            else:
                self.beginInsertRows(ANYWHERE, number, number)
                self._lines.insert(number, row)
                self.endInsertRows()

    def row(self, number: int) -> Row:
        """Return a row.

        Parameters
        ----------
        number
            Where it is.
        """
        return self._lines[number]

    # ------------------------------------------------------------------ what Qt asks for

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return what a cell shows; called for those that can be seen."""
        if not 0 <= index.row() < len(self._lines):
            return None
        row, column = self._lines[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return texts(row)[column]
        if role == Qt.ItemDataRole.ToolTipRole:
            return _tip(row, column)
        if role == Qt.ItemDataRole.ForegroundRole and column == STATE:
            return QColor(COLOURS.get(row.state, FAINT))
        if role == Qt.ItemDataRole.UserRole and column == PROGRESS:
            return row.fraction
        return None


def texts(row: Row) -> tuple[str, ...]:
    """Return what a row's cells say.

    Parameters
    ----------
    row
        The row.
    """
    output = "" if row.output is None else row.output.name
    source = row.source.rstrip("/").rpartition("/")[2] or row.source
    return (
        row.what, row.state.value, row.progress, row.left, row.rate, row.memory, source, output,
    )  # fmt: skip


def _tip(row: Row, column: int) -> str:
    if column == OUTPUT and row.output is not None:
        return str(row.output)
    if column == SOURCE:
        return row.source
    return row.note or row.what


def _identity(row: Row) -> Hashable:
    return id(row.followed) if row.followed is not None else row.output


class Bar(QStyledItemDelegate):
    """Draws how far a run is behind the words that say it."""

    def paint(
        self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex
    ) -> None:
        """Draw the cell, and over it a veil as wide as what is done."""
        super().paint(painter, option, index)
        done = index.data(Qt.ItemDataRole.UserRole)
        if painter is None or not done:
            return
        cell = option.rect.adjusted(1, 3, -1, -3)
        state = Status(index.siblingAtColumn(STATE).data())
        colour = QColor(COLOURS.get(state, FAINT))
        colour.setAlpha(70)
        painter.fillRect(QRect(cell.x(), cell.y(), int(cell.width() * done), cell.height()), colour)


def view_of(table: RunsTable) -> QTableView:
    """Return a view of a table.

    Parameters
    ----------
    table
        The table.
    """
    view = QTableView()
    view.setModel(table)
    view.setItemDelegateForColumn(PROGRESS, Bar(view))
    view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
    view.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
    view.setWordWrap(False)
    view.setShowGrid(False)
    rows, columns = view.verticalHeader(), view.horizontalHeader()
    assert rows is not None
    assert columns is not None
    rows.hide()
    rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
    rows.setDefaultSectionSize(26)
    columns.setHighlightSections(False)
    columns.setStretchLastSection(True)
    columns.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    for column, width in enumerate(WIDTHS):
        view.setColumnWidth(column, width)
    return view
