"""A table of objects: sorted, filtered, plotted, and linked both ways with the canvas."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import (
    QItemSelection,
    QItemSelectionModel,
    QSignalBlocker,
    Qt,
    QTimer,
    Signal,
)
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import (
    QApplication,
    QCheckBox,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from napari_tilewise._napari.jobs.running import Runner
from napari_tilewise._napari.measurements import table_files
from napari_tilewise._napari.measurements.legend import Legend
from napari_tilewise._napari.measurements.plot import Plot, PlotData
from napari_tilewise._napari.tables.column_model import ColumnModel
from napari_tilewise._napari.tables.expression import matching
from napari_tilewise._napari.tables.table_view import column_header, table_view
from napari_tilewise._napari.widgets import wording
from napari_tilewise._napari.widgets.small_widgets import text_label
from napari_tilewise.errors import TilewiseError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_tilewise._napari.layers.columns import TableColumn
    from napari_tilewise._napari.measurements.object_link import ObjectLink

MOST_RANGES = 2000
"""Chosen rows in more separate ranges are counted, but not marked in the table."""
COLUMN_WIDTH = 84
OWN, HISTOGRAM = "its own colours", "count"
FILTER_HELP = (
    "<qt>Show the rows that fulfil a condition, such as<br><code>area &gt; 50</code><br>"
    "<code>area &gt; 50 and eccentricity &lt; 0.8</code></qt>"
)


class ObjectsView(QWidget):
    """Shows the table of one layer."""

    said = Signal(str)
    """A line to show in the panel."""

    def __init__(self) -> None:
        super().__init__()
        self._link: ObjectLink | None = None
        self._limits: tuple[float, float] = (0, 1)
        self._is_marking = False
        self._matching: NDArray[np.bool_] = np.zeros(0, bool)
        """Which rows fulfil the filter."""
        self.chosen: NDArray[np.int64] = np.zeros(0, np.int64)
        """The chosen rows of the columns."""
        self.model = ColumnModel(self)
        self.table = table_view(self.model, 20)
        self.table.setSortingEnabled(True)
        column_header(self.table).setDefaultSectionSize(COLUMN_WIDTH)
        self.writer = Runner(self)
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(200)
        self._build()
        self._lay_out()
        self._connect()

    # ------------------------------------------------------------------ widgets

    def _build(self) -> None:
        self.filter = QLineEdit()
        self.filter.setPlaceholderText("Filter, such as area > 50")
        self.filter.setToolTip(FILTER_HELP)
        self.filter.setClearButtonEnabled(True)
        self.only_chosen = QCheckBox("Chosen only")
        self.only_chosen.setToolTip("Show the chosen rows only")
        self.count = text_label(faint=True)
        self.colour, self.legend = QComboBox(), Legend()
        self.colour.setToolTip("The column that colours the objects in the canvas")
        self.across, self.up, self.plot = QComboBox(), QComboBox(), Plot()
        self.plot.setToolTip("Drag to choose objects; click to choose none")
        self.copy, self.save = QPushButton("Copy"), QPushButton("Save...")
        self.copy.setToolTip(
            "<qt>Copy the shown rows, to paste them into a spreadsheet; Ctrl+C in the table copies "
            "the chosen ones</qt>"
        )
        self.save.setToolTip("Save the shown rows as CSV or Parquet")
        for box in (self.colour, self.across, self.up):
            box.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
            box.setMinimumContentsLength(8)

    def _lay_out(self) -> None:
        above, below = QWidget(), QWidget()
        top, bottom = QVBoxLayout(above), QVBoxLayout(below)
        for layout in (top, bottom):
            layout.setContentsMargins(0, 0, 0, 0)
        top.addLayout(_row(self.filter, self.only_chosen))
        top.addWidget(self.table, 1)
        top.addWidget(self.count)
        bottom.addLayout(_row(QLabel("Colour by"), self.colour))
        bottom.addWidget(self.legend)
        bottom.addLayout(_row(QLabel("x"), self.across, QLabel("y"), self.up))
        bottom.addWidget(self.plot, 1)
        splitter = QSplitter(Qt.Orientation.Vertical)
        splitter.addWidget(above)
        splitter.addWidget(below)
        splitter.setStretchFactor(0, 3)
        splitter.setStretchFactor(1, 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(splitter, 1)
        buttons = _row(self.copy, self.save)
        buttons.addStretch()
        layout.addLayout(buttons)

    def _connect(self) -> None:
        self.filter.textChanged.connect(lambda: self._typing.start())
        self.filter.returnPressed.connect(self._show_matching)
        self._typing.timeout.connect(self._show_matching)
        self.only_chosen.toggled.connect(lambda: self._show_rows())
        self.model.arranged.connect(self._mark_rows)
        selection = self.table.selectionModel()
        if selection is not None:
            selection.selectionChanged.connect(lambda *_: self._table_chosen())
        self.colour.currentIndexChanged.connect(lambda _: self.colour_objects())
        self.across.currentIndexChanged.connect(lambda _: self._show_plot())
        self.up.currentIndexChanged.connect(lambda _: self._show_plot())
        self.plot.brushed.connect(self._brushed)
        self.plot.cleared.connect(lambda: self.choose(self.chosen[:0]))
        self.copy.clicked.connect(self.copy_rows)
        copy_key = QShortcut(QKeySequence.StandardKey.Copy, self.table)
        copy_key.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        copy_key.activated.connect(self.copy_chosen)
        self.save.clicked.connect(lambda: self.save_rows())
        self.writer.finished.connect(lambda work, path: self.said.emit(f"Saved {path.name!r}."))
        self.writer.failed.connect(lambda error: self.said.emit(str(error)))

    # ------------------------------------------------------------------ the table

    def show_table(self, columns: Sequence[TableColumn], link: ObjectLink | None) -> None:
        """Show a table, and link it with the objects in the canvas.

        Parameters
        ----------
        columns
            The table; none to show nothing.
        link
            The objects of the rows; None if they are not in the canvas.
        """
        self.restore_colours()
        self._link = link
        self.chosen = self.chosen[:0]
        with QSignalBlocker(self.filter), QSignalBlocker(self.only_chosen):
            self.filter.clear()
            self.only_chosen.setChecked(False)
        self.model.set_columns(columns)
        self._matching = np.ones(len(self._all_rows), bool)
        column_header(self.table).setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        numbers = [column.title for column in columns if column.is_number]
        _offer(self.colour, [OWN, *numbers], 0)
        _offer(self.across, numbers, _first_measure(numbers))
        _offer(self.up, [HISTOGRAM, *numbers], 0)
        self.legend.hide()
        self._show_plot()
        self._show_count()

    def restore_colours(self) -> None:
        """Give the layer the colours it had before the table was shown."""
        if self._link is not None:
            self._link.restore()

    def column(self, title: str) -> TableColumn | None:
        """Return the column with a title; None if there is none."""
        return next((column for column in self.model.columns if column.title == title), None)

    def _show_matching(self) -> None:
        self._typing.stop()
        columns = {column.name: column.values for column in self.model.columns}
        titles = {column.title: column.name for column in self.model.columns}
        try:
            rows = matching(self.filter.text(), columns, titles)
        except TilewiseError as error:
            self.said.emit(str(error))
            return
        self.said.emit("")
        self._matching = rows
        self._show_rows()
        self._show_plot()

    def _show_rows(self) -> None:
        """Show the rows that fulfil the filter; of them the chosen ones only, if so wished."""
        rows = self._matching
        if self.only_chosen.isChecked():
            is_chosen = np.zeros(len(rows), bool)
            is_chosen[self.chosen] = True
            rows = rows & is_chosen
        self.model.set_filter(rows)
        self._show_count()

    def _show_count(self) -> None:
        total, shown = len(self._all_rows), len(self.model.order)
        line = wording.count(total, "objects")
        if shown != total:
            line = f"{shown:,} of {line}"
        if len(self.chosen):
            line += f", {len(self.chosen):,} chosen"
        self.count.setText(line)

    @property
    def _all_rows(self) -> NDArray[Any]:
        return self.model.columns[0].values if self.model.columns else np.zeros(0)

    # ------------------------------------------------------------------ choosing

    def choose(self, rows: NDArray[np.int64], *, visit: bool = False) -> None:
        """Choose rows, and show their objects as chosen.

        Parameters
        ----------
        rows
            Indices in the columns.
        visit
            Whether the view moves to the first of the objects.
        """
        self.chosen = np.unique(np.asarray(rows, np.int64))
        if self.only_chosen.isChecked():
            self._show_rows()
        self._mark_rows()
        self._show_chosen(visit=visit)

    def _show_chosen(self, *, visit: bool) -> None:
        self._mark_points()
        if self._link is not None:
            if visit and len(self.chosen) and not self._link.go_to(int(self.chosen[0])):
                self.said.emit("Where the objects lie is unknown: measure bbox too.")
            self._link.choose(self.chosen)
        self._show_count()

    def _mark_rows(self) -> None:
        """Select the chosen rows in the table, and scroll to the first."""
        places = self.model.positions(self.chosen)
        selection = QItemSelection()
        breaks = np.flatnonzero(np.diff(places) > 1) + 1
        if len(breaks) < MOST_RANGES and len(places):
            last = self.model.columnCount() - 1
            for part in np.split(places, breaks):
                selection.select(
                    self.model.index(int(part[0]), 0), self.model.index(int(part[-1]), last)
                )
        selected = self.table.selectionModel()
        if selected is None:
            return
        self._is_marking = True
        try:
            selected.select(selection, QItemSelectionModel.SelectionFlag.ClearAndSelect)
        finally:
            self._is_marking = False
        if len(places):
            self.table.scrollTo(self.model.index(int(places[0]), 0))

    def _table_chosen(self) -> None:
        """Choose what the user selected in the table."""
        selected = self.table.selectionModel()
        if selected is None or self._is_marking:
            return
        chosen = selected.selection()
        ranges = [chosen[number] for number in range(len(chosen))]
        parts = [self.model.order[part.top() : part.bottom() + 1] for part in ranges]
        self.chosen = np.unique(np.concatenate([self.chosen[:0], *parts]))
        self._show_chosen(visit=len(self.chosen) == 1)

    def _brushed(self, x: tuple[float, float], y: tuple[float, float] | None) -> None:
        inside = self._matching.copy()
        for box, limits in ((self.across, x), (self.up, y)):
            column = self.column(box.currentText())
            if column is not None and limits is not None:
                inside &= (column.values >= limits[0]) & (column.values <= limits[1])
        self.choose(np.flatnonzero(inside))

    def choose_at(self, event: Any, *, add: bool) -> bool:
        """Choose the object under the mouse; return whether there is one.

        Parameters
        ----------
        event
            napari's event of the mouse.
        add
            Whether the objects that are chosen already stay so.
        """
        row = None if self._link is None else self._link.row_at(event)
        if row is None:
            if not add and len(self.chosen):
                self.choose(self.chosen[:0])
            return False
        before = self.chosen if add else self.chosen[:0]
        self.choose(np.append(before[before != row], [] if row in before else row))
        return True

    # ------------------------------------------------------------------ colours and plots

    def colour_objects(self) -> None:
        """Colour the objects in the canvas by the column that is chosen for it."""
        column = self.column(self.colour.currentText())
        values = np.zeros(0) if column is None else np.asarray(column.values, float)
        finite = values[np.isfinite(values)]
        self._limits = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
        if self._link is None:
            return
        try:
            self._link.colour_by(column, self._limits)
        except TilewiseError as error:
            self.said.emit(str(error))
            self.colour.setCurrentIndex(0)
            return
        self.legend.setVisible(column is not None)
        if column is not None:
            self.legend.show_limits(column.title, self._limits)

    def frame_changed(self) -> None:
        """Colour the objects of another frame."""
        if self._link is not None:
            if self.colour.currentIndex() > 0:
                self._link.colour_by(self.column(self.colour.currentText()), self._limits)
            self._link.choose(self.chosen)

    def _show_plot(self) -> None:
        """Plot the rows that the filter shows, so that it can leave out what lies far off."""
        x, y = self.column(self.across.currentText()), self.column(self.up.currentText())
        if x is None:
            self.plot.show_data(None)
            return
        self.plot.show_data(
            PlotData(
                np.asarray(x.values[self._plotted], float),
                None if y is None else np.asarray(y.values[self._plotted], float),
                x.title,
                HISTOGRAM if y is None else y.title,
            )
        )
        self._mark_points()

    @property
    def _plotted(self) -> NDArray[np.int64]:
        """The rows that the plot shows: those that fulfil the filter, also if not chosen."""
        return np.flatnonzero(self._matching)

    def _mark_points(self) -> None:
        """Mark the chosen rows in the plot."""
        is_chosen = np.zeros(len(self._all_rows), bool)
        is_chosen[self.chosen] = True
        self.plot.choose(is_chosen[self._plotted] if len(self.chosen) else None)

    # ------------------------------------------------------------------ export

    def copy_rows(self) -> None:
        """Copy the shown rows as text."""
        self._copy(self.model.order)

    def copy_chosen(self) -> None:
        """Copy the chosen rows that are shown as text, in the order in which they are shown."""
        self._copy(self.model.order[self.model.positions(self.chosen)])

    def _copy(self, rows: NDArray[np.int64]) -> None:
        clipboard = QApplication.clipboard()
        if clipboard is not None and self.model.columns and len(rows):
            clipboard.setText(table_files.text(self.model.columns, rows))
            self.said.emit(f"Copied {wording.count(len(rows), 'rows')}.")

    def save_rows(self, path: Path | None = None) -> None:
        """Save the shown rows to a file, in the background.

        Parameters
        ----------
        path
            The file; the user is asked for it by default.
        """
        if path is None:
            name, kind = QFileDialog.getSaveFileName(
                self, "Save the table", "table.csv", table_files.FORMATS
            )
            if not name:
                return
            path = Path(name)
            if not path.suffix:
                path = path.with_suffix(".parquet" if "parquet" in kind else ".csv")
        if not self.writer.is_running and self.model.columns:
            rows = self.model.order
            self.writer.start_work(table_files.TableExport(self.model.columns, rows, path))


def _row(*widgets: QWidget) -> QHBoxLayout:
    layout = QHBoxLayout()
    for widget in widgets:
        layout.addWidget(widget, 0 if isinstance(widget, QLabel | QCheckBox | QPushButton) else 1)
    return layout


def _offer(box: QComboBox, choices: Sequence[str], current: int) -> None:
    """Offer other choices without a signal."""
    with QSignalBlocker(box):
        box.clear()
        box.addItems(choices)
        box.setCurrentIndex(current)


def _first_measure(titles: Sequence[str]) -> int:
    """Return the index of the first column that is more than an id or a position."""
    plain = ("label", "bbox", "centroid", "axis-", "t", "c", "z", "index")
    for index, title in enumerate(titles):
        if not title.startswith(plain):
            return index
    return 0
