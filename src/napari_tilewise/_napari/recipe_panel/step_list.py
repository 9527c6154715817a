"""The list of a recipe's steps: the operation, its parameters and the kind of its result."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QSize, Qt, QTimer, Signal
from qtpy.QtGui import QDropEvent, QKeyEvent, QKeySequence, QResizeEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QSizePolicy,
    QWidget,
)

from napari_tilewise._napari.widgets import wording
from napari_tilewise._napari.widgets.plain_words import label
from napari_tilewise._napari.widgets.small_widgets import make_faint
from napari_tilewise._napari.widgets.theme_colours import Tone, colour

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_tilewise._napari.recipe_panel.drafts import Draft
    from napari_tilewise.recipe import Step

FEWEST, MOST = 2, 6
"""The fewest and the most steps that are visible without scrolling."""
STYLE = """
QListWidget { background: transparent; }
QListWidget::item { padding: 0px; }
QListWidget::item:selected { background: rgba(100, 120, 230, 110); border-radius: 3px; }
#step, #step QLabel { background: transparent; }
"""


class StepList(QListWidget):
    """Shows the steps of a draft; one is selected."""

    chosen = Signal(int)
    """A step was selected."""
    switched = Signal(int, bool)
    """A step was switched on or off."""
    moved = Signal(int, int)
    """A step was dragged: the number that it has, and the one that it is to have."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setDragDropMode(QAbstractItemView.DragDropMode.InternalMove)
        self.setStyleSheet(STYLE)
        policy = self.sizePolicy()
        policy.setVerticalStretch(1)  # the form below gets its share of the space at once
        self.setSizePolicy(policy)
        self._fit(0)
        self.boxes: list[QCheckBox] = []
        self.keys: dict[str, Callable[[], None]] = {}
        """Actions by Qt's names of keys, while the list has the focus."""
        self.currentRowChanged.connect(self._row_changed)

    def fill(self, draft: Draft, selected: int) -> None:
        """Show the steps of a draft.

        Parameters
        ----------
        draft
            The recipe under edit.
        selected
            The step to select, from 0.
        """
        self.blockSignals(True)
        self.clear()
        self.boxes = []
        for number, step in enumerate(draft.steps):
            row = self._row(draft, number, step)
            item = QListWidgetItem()
            item.setToolTip(_tooltip(step))
            item.setSizeHint(QSize(0, self._row_height))
            self.addItem(item)
            self.setItemWidget(item, row)
        self.setCurrentRow(selected)
        self._fit(len(draft.steps))
        self._fit_rows()
        self.blockSignals(False)

    @property
    def _row_height(self) -> int:
        return 2 * self.fontMetrics().lineSpacing() + 12

    def _fit(self, steps: int) -> None:
        rows = min(max(steps, FEWEST), MOST)
        self.setMinimumHeight(FEWEST * self._row_height + 6)
        self.setMaximumHeight(rows * self._row_height + 6)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Keep the selected step visible, and all of each row."""
        super().resizeEvent(event)
        self._fit_rows()
        QTimer.singleShot(0, self._show_selected)  # after the rows are laid out

    def _fit_rows(self) -> None:
        """Make rows as wide as the list; Qt itself only widens them."""
        for number in range(self.count()):
            row, view = self.itemWidget(self.item(number)), self.viewport()
            if row is not None and view is not None:
                row.setFixedWidth(view.width())

    def _show_selected(self) -> None:
        self.scrollToItem(self.currentItem())

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Ask for a step to be moved; the list is filled anew, so Qt moves no row itself."""
        if event is None:
            return
        row, y = self.currentRow(), event.position().y()
        middles = [self.visualItemRect(self.item(n)).center().y() for n in range(self.count())]
        target = sum(middle < y for n, middle in enumerate(middles) if n != row)
        event.setDropAction(Qt.DropAction.IgnoreAction)
        event.accept()
        if target != row:
            QTimer.singleShot(0, lambda: self.moved.emit(row, target))  # once the drag has ended

    def event(self, event: QEvent | None) -> bool:
        """Handle the list's keys before the window's shortcuts."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.ShortcutOverride:
            event.setAccepted(_keys(event) in self.keys)
            return event.isAccepted()
        return bool(super().event(event))

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Run a key's action."""
        act = None if event is None else self.keys.get(_keys(event))
        if act is None:
            super().keyPressEvent(event)
        else:
            act()

    def toggle(self) -> None:
        """Switch the selected step on or off."""
        if 0 <= self.currentRow() < len(self.boxes):
            self.boxes[self.currentRow()].toggle()

    def texts(self) -> list[str]:
        """Return the text of each step."""
        rows = [self.itemWidget(self.item(number)) for number in range(self.count())]
        labels = [row.findChildren(QLabel) for row in rows if row is not None]
        return [" ".join(label.text() for label in row) for row in labels]

    def _row(self, draft: Draft, number: int, step: Step) -> QWidget:
        row = QWidget()
        row.setObjectName("step")
        box = QCheckBox()
        box.setChecked(step.enabled)
        box.setToolTip("A step that is switched off passes its image on unchanged")
        box.toggled.connect(lambda on: self.switched.emit(number, on))
        self.boxes.append(box)
        text = QLabel(_text(draft, number, step))
        text.setTextFormat(Qt.TextFormat.RichText)
        text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        text.setEnabled(step.enabled)
        output = QLabel(wording.output_name(step))
        make_faint(output)
        output.setToolTip("The kind of the result")
        layout = QHBoxLayout(row)
        layout.setContentsMargins(6, 3, 8, 3)
        layout.addWidget(box)
        layout.addWidget(text, 1)
        layout.addWidget(output)
        for part in (text, output):  # clicks select the row
            part.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        return row

    def _row_changed(self, row: int) -> None:
        if row >= 0:
            self.chosen.emit(row)


def _keys(event: QKeyEvent) -> str:
    return QKeySequence(event.keyCombination()).toString()


def _text(draft: Draft, number: int, step: Step) -> str:
    title = html.escape(step.op.title)
    title = f"{number + 1}&nbsp; <b>{title}</b>" if step.enabled else f"{number + 1}&nbsp; {title}"
    details = [wording.values(step), wording.spatial(step.spatial)]
    details += [f"{label(role)}: {draft.image_label(number, role)}" for role in step.inputs]
    detail = html.escape(" · ".join(filter(None, details)) or "scikit-image's defaults")
    if not step.enabled:
        detail = "switched off"
    return f"{title}<br><span style='color: {colour(Tone.FAINT)}'>{detail}</span>"


def _tooltip(step: Step) -> str:
    texts = (wording.function(step.op), wording.values(step), wording.exactness(step.op))
    function, values, exactness = map(html.escape, texts)
    parts = [f"<b>{function}</b>", values, exactness]
    return f"<qt>{'<br>'.join(filter(None, parts))}</qt>"
