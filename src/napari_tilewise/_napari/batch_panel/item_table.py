"""The live table of a batch: one row of plain data per item, for very many items.

A view asks only for the rows it shows. The states of many items are updated at once.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from itertools import compress
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QModelIndex, QObject, QSize, Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QHeaderView, QTableView

from napari_tilewise._napari.batch_panel.thumbnails import SIDE, Thumbnails
from napari_tilewise._napari.tables.row_model import RowModel
from napari_tilewise._napari.tables.table_view import column_header, table_view
from napari_tilewise._napari.widgets import wording
from napari_tilewise._napari.widgets.plain_words import plain_message, with_titles
from napari_tilewise._napari.widgets.theme_colours import Tone, colour
from napari_tilewise.batches.tasks import CANCELLED, DONE, FAILED, SKIPPED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from napari_tilewise.batches import Item

WAITING, RUNNING = "waiting", "running"
UNFIT = "cannot run"
"""The status of an item that is known to fail before it runs, such as one beside the region."""
HEADERS = ("Item", "State", "Message", "Seconds")
NAME, STATE, MESSAGE, SECONDS = range(4)
TONES = {
    DONE: Tone.DONE,
    FAILED: Tone.FAILED,
    UNFIT: Tone.FAILED,
    SKIPPED: Tone.FAINT,
    RUNNING: Tone.RUNNING,
}
"""The colour of a status; the text says the same."""
STATUS_TEXTS = {CANCELLED: "not started"}
"""The texts of statuses that are not shown by their own names."""


@dataclass(frozen=True)
class ItemState:
    """The state of one item."""

    status: str = WAITING
    message: str = ""
    seconds: float | None = None
    row: Mapping[str, Any] = field(default_factory=dict)
    """The item's row in the report; empty until it ends."""

    @classmethod
    def before_run(cls, item: Item) -> ItemState:
        """Return the state of an item that did not run yet.

        Parameters
        ----------
        item
            The item.
        """
        return cls(UNFIT, item.problem) if item.problem else cls()

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> ItemState:
        """Return the state of a finished item.

        Parameters
        ----------
        row
            The item's row in the report.
        """
        return cls(str(row["status"]), _message(row), row.get("seconds"), row)


def _message(row: Mapping[str, Any]) -> str:
    """Return why an item failed, or its results, in one line."""
    if row.get("error"):
        return plain_message(str(row["error"]))
    values = [
        f"{_short_name(name)} {_short_value(value)}"
        for name, value in (row.get("values") or {}).items()
    ]
    return ", ".join(values) or row.get("output") or ""


def _short_name(name: str) -> str:
    """Return a number's short name: ``Otsu threshold`` for ``step 2: filters.threshold_otsu``."""
    return with_titles(name.partition(": ")[2]) if name.startswith("step ") else name


def _short_value(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


class ItemTableModel(RowModel):
    """The items of a batch and their states.

    Parameters
    ----------
    parent
        Owns the table.
    """

    headers = HEADERS

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.items: Sequence[Item] = ()
        self._rows: list[ItemState] = []
        self.counts: Counter[str] = Counter()
        """Number of items by status."""
        self.thumbnails = Thumbnails(self)
        self.thumbnails.ready.connect(self._thumbnail_ready)

    # ------------------------------------------------------------------ changes

    def fill(self, items: Sequence[Item]) -> None:
        """Show other items, which wait or cannot run.

        Parameters
        ----------
        items
            Each item's number is its row.
        """
        self.beginResetModel()
        self.items = items
        self._rows = [ItemState()] * len(items)
        # Not a line of Python for each of a million items: this is the window's thread.
        unfit = list(compress(range(len(items)), map(attrgetter("problem"), items)))
        for row in unfit:
            self._rows[row] = ItemState.before_run(items[row])
        self.counts = Counter({WAITING: len(items) - len(unfit), UNFIT: len(unfit)})
        self.thumbnails.show(items)
        self.endResetModel()

    def take(self, news: Iterable[tuple[int, ItemState]]) -> None:
        """Update the states of many items at once.

        Parameters
        ----------
        news
            Rows and their new states, the latest last.
        """
        changed = set()
        for row, state in news:
            self.counts[self._rows[row].status] -= 1
            self.counts[state.status] += 1
            self._rows[row] = state
            changed.add(row)
        if changed:
            first, last = min(changed), max(changed)
            self.dataChanged.emit(self.index(first, STATE), self.index(last, SECONDS))

    def begin(self, rows: Iterable[int]) -> None:
        """Show items as before they ran, whatever their states were.

        Parameters
        ----------
        rows
            The items' rows.
        """
        self.take((row, ItemState.before_run(self.items[row])) for row in rows)

    def settle(self) -> None:
        """Show that no item runs: those that did not finish are shown as not started."""
        running = [row for row, state in enumerate(self._rows) if state.status == RUNNING]
        self.take([(row, ItemState(CANCELLED)) for row in running])

    def _thumbnail_ready(self, row: int) -> None:
        index = self.index(row, NAME)
        self.dataChanged.emit(index, index, [Qt.ItemDataRole.DecorationRole])

    # ------------------------------------------------------------------ states

    def state(self, row: int) -> ItemState:
        """Return an item's state.

        Parameters
        ----------
        row
            The item's row.
        """
        return self._rows[row]

    def message(self, row: int) -> str:
        """Return an item's message, with its file's name in place of the path.

        Parameters
        ----------
        row
            The item's row.
        """
        source, text = self.items[row].source, self._rows[row].message
        return text.replace(source, os.path.basename(source)) if isinstance(source, str) else text

    def rows_in(self, *statuses: str) -> list[int]:
        """Return the rows of the items with one of some statuses.

        Parameters
        ----------
        *statuses
            Such as `FAILED`.
        """
        return [row for row, state in enumerate(self._rows) if state.status in statuses]

    def __str__(self) -> str:
        """Return the number of items by status."""
        count, items = self.counts, len(self._rows)
        if count[WAITING] + count[UNFIT] == items:
            text = f"{items:,} item{'s' * (items != 1)}"
            return f"{text}, {count[UNFIT]:,} cannot run" if count[UNFIT] else text
        text = f"{count[DONE]:,} done, {count[FAILED]:,} failed, {count[SKIPPED]:,} skipped"
        remaining = count[WAITING] + count[UNFIT] + count[CANCELLED] + count[RUNNING]
        return f"{text}, {remaining:,} to do" if remaining else text

    # ------------------------------------------------------------------ Qt's interface

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return the contents of a cell; Qt calls it for visible cells."""
        row, column = index.row(), index.column()
        if not 0 <= row < len(self._rows):
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(row, column)
        if role == Qt.ItemDataRole.ToolTipRole:
            message = self.items[row].input if column == NAME else self._rows[row].message
            return wording.plain_tooltip(message)
        if role == Qt.ItemDataRole.DecorationRole and column == NAME:
            return self.thumbnails.of(row)
        if role == Qt.ItemDataRole.ForegroundRole and column == STATE:
            tone = TONES.get(self._rows[row].status)
            return None if tone is None else QColor(colour(tone))
        if role == Qt.ItemDataRole.TextAlignmentRole and column == SECONDS:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None

    def _text(self, row: int, column: int) -> str:
        state = self._rows[row]
        if column == NAME:
            item = self.items[row]
            return f"{item.folder}/{item.stem}" if item.folder else item.stem
        if column == STATE:
            return STATUS_TEXTS.get(state.status, state.status)
        if column == MESSAGE:
            return self.message(row)
        return "" if state.seconds is None else _brief(state.seconds)


def _brief(seconds: float) -> str:
    """Return a time of two digits at least: small items take milliseconds."""
    return f"{seconds:.2f}" if seconds >= 0.1 else f"{seconds:.2g}"


def view_of(table: ItemTableModel) -> QTableView:
    """Return a view whose cost does not depend on the number of rows.

    Parameters
    ----------
    table
        The model to show.
    """
    view = table_view(table, SIDE + 4)
    view.setIconSize(QSize(SIDE, SIDE))
    column_header(view).setSectionResizeMode(MESSAGE, QHeaderView.ResizeMode.Stretch)
    for column, width in ((NAME, 110), (STATE, 78), (SECONDS, 58)):
        view.setColumnWidth(column, width)
    return view
