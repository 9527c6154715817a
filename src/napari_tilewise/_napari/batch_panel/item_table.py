"""The live table of a batch: one row per item, kept as plain data, so that it may have very many.

A view asks only for the rows it shows. What comes of items is taken in by many at a time.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QModelIndex, QObject, QSize, Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from napari_tilewise._napari.batch_panel.thumbnails import SIDE, Thumbnails
from napari_tilewise._napari.tables.row_table import RowModel
from napari_tilewise.batches.tasks import CANCELLED, DONE, FAILED, SKIPPED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from napari_tilewise.batches import Item

WAITING, RUNNING = "waiting", "in work"
HEADS = ("Item", "State", "Message", "Seconds")
NAME, STATE, MESSAGE, SECONDS = range(4)
COLOURS = {DONE: "#4fa866", FAILED: "#e0605e", SKIPPED: "#8b8f98", RUNNING: "#5b8ff0"}
"""The colour of a state's word; it is a word, so that nobody needs to tell colours apart."""
SAID = {CANCELLED: "not begun"}
"""What a state is called where it is not called by its own name."""


@dataclass(frozen=True)
class Line:
    """What is known of one item's work."""

    state: str = WAITING
    message: str = ""
    seconds: float | None = None
    row: Mapping[str, Any] = field(default_factory=dict)
    """Its row in the report, once there is one."""

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Line:
        """Return what a row of the report says.

        Parameters
        ----------
        row
            The row.
        """
        return cls(str(row["status"]), _message(row), row.get("seconds"), row)


def _message(row: Mapping[str, Any]) -> str:
    """Return why an item failed, or what came out of it, in one line."""
    if row.get("error"):
        return str(row["error"])
    values = [
        f"{_called(name)} {_short(value)}" for name, value in (row.get("values") or {}).items()
    ]
    return ", ".join(values) or row.get("output") or ""


def _called(name: str) -> str:
    """Return a number's short name: ``threshold_otsu`` for ``step 2: filters.threshold_otsu``."""
    return name.rpartition(".")[2] if name.startswith("step ") else name


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


class ItemTable(RowModel):
    """The items of a batch and what came of them.

    Parameters
    ----------
    parent
        What the table belongs to.
    """

    heads = HEADS

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.items: Sequence[Item] = ()
        self._lines: list[Line] = []
        self.counts: Counter[str] = Counter()
        """How many items are in each state."""
        self.thumbnails = Thumbnails(self)
        self.thumbnails.ready.connect(self._shown)

    # ------------------------------------------------------------------ what changes

    def fill(self, items: Sequence[Item]) -> None:
        """Show other items, nothing of which is done yet.

        Parameters
        ----------
        items
            The items; each one's number is its row.
        """
        self.beginResetModel()
        self.items = items
        self._lines = [Line()] * len(items)
        self.counts = Counter({WAITING: len(items)})
        self.thumbnails.show(items)
        self.endResetModel()

    def take(self, news: Iterable[tuple[int, Line]]) -> None:
        """Take in what came of many items at once.

        Parameters
        ----------
        news
            Rows and what is known of them now, in the order in which it came.
        """
        changed = set()
        for row, line in news:
            self.counts[self._lines[row].state] -= 1
            self.counts[line.state] += 1
            self._lines[row] = line
            changed.add(row)
        if changed:
            first, last = min(changed), max(changed)
            self.dataChanged.emit(self.index(first, STATE), self.index(last, SECONDS))

    def begin(self, rows: Iterable[int]) -> None:
        """Show that some items wait to be done, whatever came of them before.

        Parameters
        ----------
        rows
            The rows.
        """
        waiting = Line()
        self.take((row, waiting) for row in rows)

    def settle(self) -> None:
        """Show that nothing is in work any more: what was not finished was not begun."""
        left = [row for row, line in enumerate(self._lines) if line.state == RUNNING]
        self.take([(row, Line(CANCELLED)) for row in left])

    def _shown(self, row: int) -> None:
        at = self.index(row, NAME)
        self.dataChanged.emit(at, at, [Qt.ItemDataRole.DecorationRole])

    # ------------------------------------------------------------------ what is known

    def line(self, row: int) -> Line:
        """Return what is known of an item's work.

        Parameters
        ----------
        row
            Its row.
        """
        return self._lines[row]

    def message(self, row: int) -> str:
        """Return what there is to say of an item, in which it is called by its short name.

        Parameters
        ----------
        row
            Its row.
        """
        source, said = self.items[row].source, self._lines[row].message
        return said.replace(source, os.path.basename(source)) if isinstance(source, str) else said

    def rows_in(self, *states: str) -> list[int]:
        """Return the rows that are in one of some states.

        Parameters
        ----------
        *states
            The states.
        """
        return [row for row, line in enumerate(self._lines) if line.state in states]

    def __str__(self) -> str:
        """Return the counts in words."""
        count, items = self.counts, len(self._lines)
        if count[WAITING] == items:
            return f"{items:,} item{'s' * (items != 1)}"
        words = f"{count[DONE]:,} done, {count[FAILED]:,} failed, {count[SKIPPED]:,} skipped"
        left = count[WAITING] + count[CANCELLED] + count[RUNNING]
        return f"{words}, {left:,} to do" if left else words

    # ------------------------------------------------------------------ what Qt asks for

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return what a cell shows; called for those that can be seen."""
        row, column = index.row(), index.column()
        if not 0 <= row < len(self._lines):
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(row, column)
        if role == Qt.ItemDataRole.ToolTipRole:
            return self.items[row].input if column == NAME else self._lines[row].message
        if role == Qt.ItemDataRole.DecorationRole and column == NAME:
            return self.thumbnails.of(row)
        if role == Qt.ItemDataRole.ForegroundRole and column == STATE:
            colour = COLOURS.get(self._lines[row].state)
            return None if colour is None else QColor(colour)
        if role == Qt.ItemDataRole.TextAlignmentRole and column == SECONDS:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None

    def _text(self, row: int, column: int) -> str:
        line = self._lines[row]
        if column == NAME:
            item = self.items[row]
            return f"{item.folder}/{item.stem}" if item.folder else item.stem
        if column == STATE:
            return SAID.get(line.state, line.state)
        if column == MESSAGE:
            return self.message(row)
        return "" if line.seconds is None else f"{line.seconds:.2f}"


def view_of(table: ItemTable) -> QTableView:
    """Return a view of a table whose cost does not depend on the number of rows.

    Parameters
    ----------
    table
        The table.
    """
    view = QTableView()
    view.setModel(table)
    view.setIconSize(QSize(SIDE, SIDE))
    view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
    view.setWordWrap(False)
    view.setShowGrid(False)
    rows, columns = view.verticalHeader(), view.horizontalHeader()
    assert rows is not None
    assert columns is not None
    rows.hide()
    rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
    rows.setDefaultSectionSize(SIDE + 4)
    columns.setHighlightSections(False)
    columns.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    columns.setSectionResizeMode(MESSAGE, QHeaderView.ResizeMode.Stretch)
    for column, width in ((NAME, 116), (STATE, 58), (SECONDS, 58)):
        view.setColumnWidth(column, width)
    return view
