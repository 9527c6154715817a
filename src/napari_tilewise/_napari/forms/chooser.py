"""Chooses an operation by typing a few letters, picking a category, or scrolling."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_error
from qtpy.QtCore import (
    QEvent,
    QObject,
    QSignalBlocker,
    QSize,
    Qt,
    Signal,
)
from qtpy.QtGui import QBrush, QColor, QKeyEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QSizePolicy,
    QToolButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_tilewise._napari.forms.operation_search import OperationSearch
from napari_tilewise._napari.widgets import wording
from napari_tilewise._napari.widgets.ending import when_destroyed
from napari_tilewise._napari.widgets.remembered import recall, remember
from napari_tilewise._napari.widgets.small_widgets import text_label
from napari_tilewise._napari.widgets.theme_colours import Tone, colour
from napari_tilewise.errors import TilewiseError
from napari_tilewise.operations.spec.libraries import function_path
from napari_tilewise.operations.summary import summary

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_tilewise.operations.spec.operation import Operation

ALL, FAVOURITES, RECENT = "All", "Favourites", "Recent"
REMEMBERED = {FAVOURITES: "chooser/favourites", RECENT: "chooser/recent"}
"""Where the operations of a group are remembered."""
MOST_RECENT = 12
FEWEST, ROWS, ROW_HEIGHT = 3, 7, 20
"""The fewest and the most rows that are visible without scrolling, and their height in pixels."""
_KEY = Qt.ItemDataRole.UserRole
STARS = {False: "\N{WHITE STAR}", True: "\N{BLACK STAR}"}


class _OperationItem(QTreeWidgetItem):
    """An operation with its category, in the colour of less important texts."""

    position = 0
    """Where it comes in the list."""

    def __lt__(self, other: QTreeWidgetItem) -> bool:
        """Return whether it comes before another one."""
        return self.position < getattr(other, "position", 0)

    def data(self, column: int, role: int) -> Any:
        """Return the contents of a cell; Qt calls it for visible cells."""
        if column == 1 and role == Qt.ItemDataRole.ForegroundRole:
            return QBrush(QColor(colour(Tone.FAINT)))
        return super().data(column, role)


class Chooser(QWidget):
    """A list of operations with a search box and a filter by category.

    Parameters
    ----------
    operations
        The operations to offer, by key; a catalogue that grows is shown as it grows.
    parent
        The widget that owns the list.
    """

    chosen = Signal(str)
    """The key of the chosen operation."""
    confirmed = Signal()
    """The user pressed Return in the search: the form comes next."""
    grew = Signal()
    """The operations changed; may be emitted from any thread."""

    def __init__(self, operations: Mapping[str, Operation], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._operations = operations
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search operations")
        self.search.setClearButtonEnabled(True)
        self.category = QComboBox()
        self.category.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.category.setMinimumContentsLength(6)  # the list that opens is as wide as its texts
        self.list = self._list()
        self.add_own = QToolButton()
        self.add_own.setText("+")
        self.add_own.setToolTip(
            "<qt>Add your own functions from a Python file.<br>The file is executed: choose only a "
            "file that you trust.</qt>"
        )
        self.favourite = QToolButton()
        self.favourite.setText(STARS[False])
        self.favourite.setCheckable(True)
        self.favourite.toggled.connect(lambda is_on: self.favourite.setText(STARS[is_on]))
        self.favourite.setToolTip("Whether the chosen operation is among the favourites")
        self.nothing = text_label(faint=True)
        self.nothing.hide()
        self._groups: dict[str, list[str]] = {g: recall(key, []) for g, key in REMEMBERED.items()}
        self._has_moved = False
        self._fill()
        top = QHBoxLayout()
        top.addWidget(self.search, 5)
        top.addWidget(self.category, 2)
        top.addWidget(self.favourite)
        top.addWidget(self.add_own)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(top)
        layout.addWidget(self.list)
        layout.addWidget(self.nothing)
        policy = self.sizePolicy()
        policy.setVerticalPolicy(QSizePolicy.Policy.Maximum)
        policy.setVerticalStretch(1)  # the form below gets its share of the space at once
        self.setSizePolicy(policy)
        self.search.textChanged.connect(self._narrow)
        self.search.returnPressed.connect(self._choose_first)
        self.search.installEventFilter(self)
        self.category.currentIndexChanged.connect(self._narrow)
        self.list.currentItemChanged.connect(self._current_changed)
        self.add_own.clicked.connect(self._ask_file)
        self.favourite.clicked.connect(self._set_favourite)
        self.grew.connect(self._refill)
        listeners = getattr(operations, "listeners", None)
        if listeners is not None:
            grew = self.grew.emit
            listeners.append(grew)
            when_destroyed(self, partial(listeners.remove, grew))

    def add_file(self, path: str) -> None:
        """Add the functions of a Python file to the catalogue.

        Parameters
        ----------
        path
            The file, which is executed.
        """
        from napari_tilewise.functions import load_file

        try:
            load_file(path)
        except TilewiseError as error:
            show_error(str(error))

    def _ask_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Add functions", "", "Python files (*.py)")
        if path:
            self.add_file(path)

    def _refill(self) -> None:
        """Show the current operations; the chosen one stays chosen."""
        current = self.current
        with QSignalBlocker(self.list), QSignalBlocker(self.category):
            self._fill()
        self._narrow()
        if current in self._operations:
            self.choose(str(current))

    def _fill(self) -> None:
        self.category.clear()
        for group in (ALL, FAVOURITES, RECENT):
            self.category.addItem(group, group)
        summaries = {name: summary(self._operations, name) for name in self._operations}
        for category in dict.fromkeys(item.category for item in summaries.values()):
            self.category.addItem(wording.category(category), category)
        self.list.clear()
        self._summaries = summaries
        names = sorted(summaries, key=lambda name: summaries[name].deprecated)
        self._search = OperationSearch({name: summaries[name].title for name in names})
        for position, name in enumerate(names):
            title = wording.title(summaries[name])
            item = _OperationItem([title, wording.category(summaries[name].category)])
            item.position = position
            item.setData(0, _KEY, name)
            item.setToolTip(0, wording.plain_tooltip(function_path(name)))
            item.setSizeHint(0, QSize(0, ROW_HEIGHT))
            self.list.addTopLevelItem(item)

    def _list(self) -> QTreeWidget:
        tree = QTreeWidget()
        tree.setColumnCount(2)
        tree.setHeaderHidden(True)
        tree.setRootIsDecorated(False)
        tree.setUniformRowHeights(True)
        tree.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        header = tree.header()
        if header is not None:
            header.setStretchLastSection(False)
            header.setResizeContentsPrecision(0)  # of visible rows: the others need not be asked
            header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
            header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        tree.setMinimumHeight(FEWEST * ROW_HEIGHT + 6)
        tree.setMaximumHeight(ROWS * ROW_HEIGHT + 6)
        return tree

    def choose(self, name: str) -> None:
        """Choose an operation, even if the search hides it.

        Parameters
        ----------
        name
            The operation's key.
        """
        item = self._items()[name]
        if item.isHidden():
            self.search.clear()
            self.category.setCurrentIndex(0)
        self.list.setCurrentItem(item)
        self.list.scrollToItem(item)

    @property
    def current(self) -> str | None:
        """The key of the chosen operation; None if none is."""
        item = self.list.currentItem()
        return None if item is None else str(item.data(0, _KEY))

    def visible(self) -> list[str]:
        """Return the keys of the operations in the list that are not filtered out."""
        return [name for name, item in self._items().items() if not item.isHidden()]

    def _items(self) -> dict[str, _OperationItem]:
        items = {}
        for row in range(self.list.topLevelItemCount()):
            item = self.list.topLevelItem(row)
            if isinstance(item, _OperationItem):
                items[str(item.data(0, _KEY))] = item
        return items

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Let the arrow keys of the search box move through the list."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            step = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1}.get(Qt.Key(event.key()), 0)
            if step:
                self._move(step)
                return True
        return super().eventFilter(watched, event)

    def _move(self, step: int) -> None:
        """Choose the next visible operation, or the one before."""
        names = self.visible()
        if names:
            index = names.index(self.current) + step if self.current in names else 0
            self.choose(names[min(max(index, 0), len(names) - 1)])
            self._has_moved = True

    def _narrow(self) -> None:
        """Show what matches, the best match first."""
        text, group = self.search.text(), self.category.currentData()
        self._has_moved = False
        matches = self._search.find(text)
        if group == RECENT and not text.strip():
            matches = [name for name in self._groups[RECENT] if name in self._summaries]
        positions = {name: number for number, name in enumerate(matches)}
        with QSignalBlocker(self.list):
            for name, item in self._items().items():
                item.position = positions.get(name, len(self._summaries))
                item.setHidden(name not in positions or not self._is_in(name, group))
            self.list.sortItems(0, Qt.SortOrder.AscendingOrder)
        is_empty = not self.visible()
        self.nothing.setVisible(is_empty)
        if is_empty and text.strip():
            self.nothing.setText(f"No operation is called {text!r}. {self._remedy}")
        elif is_empty:
            self.nothing.setText("Nothing yet: the star adds the chosen operation to favourites.")
        if text.strip():
            self.list.scrollToTop()

    @property
    def _remedy(self) -> str:
        if self.category.currentIndex() > 0:
            return "Search in all categories, or with another word."
        return "Try another word, such as blur, threshold or distance."

    def _is_in(self, name: str, group: str) -> bool:
        if group in self._groups:
            return name in self._groups[group]
        return group in (ALL, self._summaries[name].category)

    def _choose_first(self) -> None:
        """Choose the best match, unless the arrow keys chose another."""
        names = self.visible()
        if names:
            if not (self._has_moved and self.current in names):
                self.choose(names[0])
            self.confirmed.emit()

    def _set_favourite(self, is_favourite: bool) -> None:
        if self.current is None:
            return
        group = {*self._groups[FAVOURITES]} - {self.current}
        if is_favourite:
            group.add(self.current)
        self._set_group(FAVOURITES, sorted(group))

    def used(self, name: str) -> None:
        """Remember that an operation was applied.

        Parameters
        ----------
        name
            Its key.
        """
        earlier = [other for other in recall(REMEMBERED[RECENT], []) if other != name]
        recent = [name, *earlier][:MOST_RECENT]
        self._set_group(RECENT, recent)

    def _set_group(self, group: str, names: list[str]) -> None:
        """Remember the operations of a group; the list follows if it shows them."""
        remember(REMEMBERED[group], names)
        self._groups[group] = names
        if self.category.currentData() == group:
            self._narrow()

    def _current_changed(self, item: QTreeWidgetItem | None, _: QTreeWidgetItem | None) -> None:
        if item is not None:
            name = str(item.data(0, _KEY))
            self.favourite.setChecked(name in self._groups[FAVOURITES])
            self.chosen.emit(name)
