"""Small widgets that the pages of the Batch panel share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from napari_tilewise._napari.widgets.labelled_rows import LABEL_WIDTH

if TYPE_CHECKING:
    from collections.abc import Mapping


class PathEdit(QWidget):
    """A path to type or to choose.

    Parameters
    ----------
    title
        What the dialog that asks for it is called.
    kinds
        The files that it offers, as Qt names them; none where a folder is wanted.
    hint
        What stands there while nothing is written.
    """

    changed = Signal()
    """Another path is written."""

    def __init__(self, title: str, kinds: str = "", hint: str = "") -> None:
        super().__init__()
        self._title, self._kinds = title, kinds
        self.line = QLineEdit()
        self.line.setPlaceholderText(hint)
        self.line.textChanged.connect(lambda _: self.changed.emit())
        button = QToolButton()
        button.setText("...")
        button.setToolTip(title)
        button.clicked.connect(self._ask)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.line)
        row.addWidget(button)

    @property
    def path(self) -> str:
        """What is written; empty where nothing is."""
        return str(self.line.text()).strip()

    @path.setter
    def path(self, path: str) -> None:
        self.line.setText(path)

    def _ask(self) -> None:
        if self._kinds:
            chosen, _ = QFileDialog.getOpenFileName(self, self._title, self.path, self._kinds)
        else:
            chosen = QFileDialog.getExistingDirectory(self, self._title, self.path)
        if chosen:
            self.path = chosen


def choice(options: Mapping[str, Any]) -> QComboBox:
    """Return a chooser among named things.

    Parameters
    ----------
    options
        The things by what they are called.
    """
    box = QComboBox()
    for name, thing in options.items():
        box.addItem(name, thing)
    return box


def choose(box: QComboBox, thing: Any) -> None:
    """Choose one of a chooser's things.

    Parameters
    ----------
    box
        The chooser.
    thing
        The thing.
    """
    box.setCurrentIndex(box.findData(thing))


class Fold(QToolButton):
    """A button that shows and hides what is below it.

    Parameters
    ----------
    name
        What is below it, in a word.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._folded: QWidget | None = None
        self.setText(name)
        self.setCheckable(True)
        self.setAutoRaise(True)
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.toggled.connect(self._show)
        self._show(False)

    def hold(self, widget: QWidget) -> None:
        """Show and hide a widget from now on.

        Parameters
        ----------
        widget
            The widget.
        """
        self._folded = widget
        self._show(self.isChecked())

    def _show(self, unfolded: bool) -> None:
        self.setArrowType(Qt.ArrowType.DownArrow if unfolded else Qt.ArrowType.RightArrow)
        if self._folded is not None:
            self._folded.setVisible(unfolded)


class LabelledRows(QWidget):
    """Labelled fields one below the other, which can be hidden with their labels."""

    def __init__(self) -> None:
        super().__init__()
        self._form = QFormLayout(self)
        self._form.setContentsMargins(0, 0, 0, 0)
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)

    def add(self, label: str, field: QWidget, tip: str = "") -> None:
        """Add a field.

        Parameters
        ----------
        label
            What stands before it.
        field
            The field.
        tip
            What it is for, in a sentence or two.
        """
        name = QLabel(label)
        name.setFixedWidth(LABEL_WIDTH)
        name.setWordWrap(True)
        field.setSizePolicy(QSizePolicy.Policy.Ignored, field.sizePolicy().verticalPolicy())
        for one in (name, field):
            one.setToolTip(f"<qt>{tip}</qt>" if tip else "")
        self._form.addRow(name, field)

    def show_row(self, field: QWidget, *, visible: bool) -> None:
        """Show or hide a field with its label.

        Parameters
        ----------
        field
            The field.
        visible
            Whether to show it.
        """
        self._form.setRowVisible(field, visible)

    def clear(self) -> None:
        """Remove all fields."""
        while self._form.rowCount():
            self._form.removeRow(0)


def scrolled(page: QWidget) -> QScrollArea:
    """Return a page that scrolls where it has no room.

    Parameters
    ----------
    page
        The page.
    """
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setWidget(page)
    return area
