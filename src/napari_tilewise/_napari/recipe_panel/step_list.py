"""The steps of a recipe, one below the other: what each does, with what, and what it gives."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QSize, Qt, QTimer, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QKeyEvent, QKeySequence, QResizeEvent
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

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_tilewise._napari.recipe_panel.drafts import Draft
    from napari_tilewise.recipe import Step

FEWEST, MOST = 2, 6
"""Steps that the list has room for, at least and at most."""
STYLE = """
QListWidget { background: transparent; }
QListWidget::item { padding: 0px; }
QListWidget::item:selected { background: rgba(100, 120, 230, 110); border-radius: 3px; }
#step, #step QLabel { background: transparent; }
"""


class ChainList(QListWidget):
    """Shows the steps of a draft; one of them is selected."""

    chosen = Signal(int)
    """A step was selected."""
    switched = Signal(int, bool)
    """A step was switched on or off."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setStyleSheet(STYLE)
        policy = self.sizePolicy()
        policy.setVerticalStretch(1)  # a form below gets its share of the room from the beginning
        self.setSizePolicy(policy)
        self._fit(0)
        self.boxes: list[QCheckBox] = []
        self.keys: dict[str, Callable[[], None]] = {}
        """What keys do while the list has the focus."""
        self.currentRowChanged.connect(self._row_changed)

    def fill(self, draft: Draft, selected: int) -> None:
        """Show the steps as they are now.

        Parameters
        ----------
        draft
            The draft.
        selected
            The step to select.
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
        self.blockSignals(False)

    @property
    def _row_height(self) -> int:
        return 2 * self.fontMetrics().lineSpacing() + 12

    def _fit(self, steps: int) -> None:
        rows = min(max(steps, FEWEST), MOST)
        self.setMinimumHeight(FEWEST * self._row_height + 6)
        self.setMaximumHeight(rows * self._row_height + 6)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Keep the selected step in sight."""
        super().resizeEvent(event)
        QTimer.singleShot(0, self._show_selected)  # once the rows are where they will be

    def _show_selected(self) -> None:
        self.scrollToItem(self.currentItem())

    def event(self, event: QEvent | None) -> bool:
        """Take the list's keys before the window's shortcuts do."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.ShortcutOverride:
            event.setAccepted(_keys(event) in self.keys)
            return event.isAccepted()
        return bool(super().event(event))

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Do what a key stands for."""
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
        """Return what stands there, step by step."""
        rows = [self.itemWidget(self.item(number)) for number in range(self.count())]
        labels = [row.findChildren(QLabel) for row in rows if row is not None]
        return [" ".join(label.text() for label in row) for row in labels]

    def _row(self, draft: Draft, number: int, step: Step) -> QWidget:
        row = QWidget()
        row.setObjectName("step")
        box = QCheckBox()
        box.setChecked(step.enabled)
        box.setToolTip("Switched off, a step hands on what it would have worked on")
        box.toggled.connect(lambda on: self.switched.emit(number, on))
        self.boxes.append(box)
        text = QLabel(_text(draft, number, step))
        text.setTextFormat(Qt.TextFormat.RichText)
        text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        text.setEnabled(step.enabled)
        gives = QLabel(wording.gives(step))
        gives.setStyleSheet(f"color: {wording.FAINT};")
        gives.setToolTip("What the step gives")
        layout = QHBoxLayout(row)
        layout.setContentsMargins(6, 3, 8, 3)
        layout.addWidget(box)
        layout.addWidget(text, 1)
        layout.addWidget(gives)
        for label in (text, gives):  # clicks select the row
            label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        return row

    def _row_changed(self, row: int) -> None:
        if row >= 0:
            self.chosen.emit(row)


def _keys(event: QKeyEvent) -> str:
    return QKeySequence(event.keyCombination()).toString()


def _text(draft: Draft, number: int, step: Step) -> str:
    title = html.escape(step.op.title)
    title = f"{number + 1}&nbsp; <b>{title}</b>" if step.enabled else f"{number + 1}&nbsp; {title}"
    said = [wording.values(step), wording.spatial(step.spatial)]
    said += [f"{wording.label(role)}: {draft.where(number, role)}" for role in step.inputs]
    detail = html.escape(" · ".join(filter(None, said)) or "as scikit-image does it")
    if not step.enabled:
        detail = "switched off"
    return f"{title}<br><span style='color: {wording.FAINT}'>{detail}</span>"


def _tooltip(step: Step) -> str:
    values = html.escape(wording.values(step))
    parts = [f"<b>{wording.function(step.op)}</b>", values, html.escape(wording.exactness(step.op))]
    return f"<qt>{'<br>'.join(filter(None, parts))}</qt>"
