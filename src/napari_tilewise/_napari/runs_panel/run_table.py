"""The table of runs: rows of plain data are compared, so that only changed rows are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QModelIndex, QObject, QRect, Qt
from qtpy.QtGui import QColor, QPainter
from qtpy.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem, QTableView

from napari_tilewise._napari.jobs.session_runs import Status
from napari_tilewise._napari.tables.row_model import NO_PARENT, RowModel
from napari_tilewise._napari.tables.table_view import column_header, table_view
from napari_tilewise._napari.widgets import wording
from napari_tilewise._napari.widgets.theme_colours import Tone, colour

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from napari_tilewise._napari.runs_panel.run_rows import RunRow

HEADERS = ("Run", "State", "Progress", "Time left", "Rate", "Memory", "Source", "Output")
TITLE, STATE, PROGRESS, TIME_LEFT, RATE, MEMORY, SOURCE, OUTPUT = range(8)
ROW_HEIGHT = 26
WIDTHS = (120, 80, 92, 70, 84, 200, 160)
"""Of all columns but the last, which takes the remaining width."""
TONES = {
    Status.RUNNING: Tone.RUNNING,
    Status.DONE: Tone.DONE,
    Status.FAILED: Tone.FAILED,
    Status.NOT_RESUMABLE: Tone.FAILED,
    Status.PAUSED: Tone.PAUSED,
    Status.INTERRUPTED: Tone.PAUSED,
}
"""The colour of a state's text and bar; the text says the same."""


class RunTableModel(RowModel):
    """The rows of the Runs panel.

    Parameters
    ----------
    parent
        Owns the table.
    """

    headers = HEADERS

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._rows: list[RunRow] = []

    def show_rows(self, rows: Sequence[RunRow]) -> None:
        """Show rows; unchanged ones are not drawn again.

        Parameters
        ----------
        rows
            All rows, the latest run first.
        """
        if [*map(_identity, rows)] != [*map(_identity, self._rows)]:
            self._replace(rows)
        changed = [
            n for n, (old, new) in enumerate(zip(self._rows, rows, strict=True)) if old != new
        ]
        self._rows = list(rows)
        if changed:  # one signal for all: the view asks for the visible cells
            self.dataChanged.emit(self.index(changed[0], 0), self.index(changed[-1], OUTPUT))

    def _replace(self, rows: Sequence[RunRow]) -> None:
        """Remove, move and insert rows, so that selected rows stay selected."""
        identities = {_identity(row) for row in rows}
        for number in reversed(range(len(self._rows))):
            if _identity(self._rows[number]) not in identities:
                self.beginRemoveRows(NO_PARENT, number, number)
                del self._rows[number]
                self.endRemoveRows()
        for number, row in enumerate(rows):
            if number < len(self._rows) and _identity(self._rows[number]) == _identity(row):
                continue
            old = next(
                (n for n, other in enumerate(self._rows) if _identity(other) == _identity(row)),
                None,
            )
            if old is not None:
                self.beginMoveRows(NO_PARENT, old, old, NO_PARENT, number)
                self._rows.insert(number, self._rows.pop(old))
                self.endMoveRows()
            else:
                self.beginInsertRows(NO_PARENT, number, number)
                self._rows.insert(number, row)
                self.endInsertRows()

    def row(self, number: int) -> RunRow:
        """Return a row.

        Parameters
        ----------
        number
            Its index, from 0.
        """
        return self._rows[number]

    # ------------------------------------------------------------------ Qt's interface

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return the contents of a cell; Qt calls it for visible cells."""
        if not 0 <= index.row() < len(self._rows):
            return None
        row, column = self._rows[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return texts(row)[column]
        if role == Qt.ItemDataRole.ToolTipRole:
            return wording.plain_tooltip(_tip(row, column))
        if role == Qt.ItemDataRole.ForegroundRole and column == STATE:
            return QColor(colour(TONES.get(row.state, Tone.FAINT)))
        if role == Qt.ItemDataRole.UserRole and column == PROGRESS:
            return row.fraction
        return None


def texts(row: RunRow) -> tuple[str, ...]:
    """Return the texts of a row's cells.

    Parameters
    ----------
    row
        Any row.
    """
    output = "" if row.output is None else row.output.name
    source = row.source.rstrip("/").rpartition("/")[2] or row.source
    return (
        row.title, row.state.value, row.progress, row.time_left, row.rate, row.memory,
        source, output,
    )  # fmt: skip


def _tip(row: RunRow, column: int) -> str:
    if column == OUTPUT and row.output is not None:
        return str(row.output)
    if column == SOURCE:
        return row.source
    return row.note or row.title


def _identity(row: RunRow) -> Hashable:
    return id(row.run) if row.run is not None else row.output


class ProgressDelegate(QStyledItemDelegate):
    """Draws a progress bar behind the text of a cell."""

    def paint(
        self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex
    ) -> None:
        """Draw the cell, and over it a translucent bar as wide as the finished part."""
        super().paint(painter, option, index)
        done = index.data(Qt.ItemDataRole.UserRole)
        if painter is None or not done:
            return
        cell = option.rect.adjusted(1, 3, -1, -3)
        state = Status(index.siblingAtColumn(STATE).data())
        bar = QColor(colour(TONES.get(state, Tone.FAINT)))
        bar.setAlpha(70)
        painter.fillRect(QRect(cell.x(), cell.y(), int(cell.width() * done), cell.height()), bar)


def view_of(table: RunTableModel) -> QTableView:
    """Return the view of the table of runs.

    Parameters
    ----------
    table
        The model to show.
    """
    view = table_view(table, ROW_HEIGHT)
    view.setItemDelegateForColumn(PROGRESS, ProgressDelegate(view))
    column_header(view).setStretchLastSection(True)
    for column, width in enumerate(WIDTHS):
        view.setColumnWidth(column, width)
    return view
