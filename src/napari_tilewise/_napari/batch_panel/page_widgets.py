"""Small widgets of the Batch panel's pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
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
    from collections.abc import Iterable, Mapping


class PathEdit(QWidget):
    """A line to type a path, with a button to choose it.

    Parameters
    ----------
    title
        The title of the dialog.
    filters
        Qt's filters of files, such as ``"Images (*.png)"``; empty for a folder.
    hint
        Shown while the line is empty.
    """

    changed = Signal()
    """The path changed."""

    def __init__(self, title: str, filters: str = "", hint: str = "") -> None:
        super().__init__()
        self._title, self._filters = title, filters
        self.line = QLineEdit()
        self.line.setPlaceholderText(hint)
        self.line.textChanged.connect(lambda _: self.changed.emit())
        button = QToolButton()
        button.setText("...")
        button.setToolTip(title)
        button.clicked.connect(self._browse)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.line)
        row.addWidget(button)

    @property
    def path(self) -> str:
        """The path without blanks around it; may be empty."""
        return str(self.line.text()).strip()

    @path.setter
    def path(self, path: str) -> None:
        self.line.setText(path)

    def _browse(self) -> None:
        if self._filters:
            chosen, _ = QFileDialog.getOpenFileName(self, self._title, self.path, self._filters)
        else:
            chosen = QFileDialog.getExistingDirectory(self, self._title, self.path)
        if chosen:
            self.path = chosen


def choice(options: Mapping[str, object]) -> QComboBox:
    """Return a combo box of named values.

    Parameters
    ----------
    options
        Values by the names that are shown.
    """
    box = QComboBox()
    for name, value in options.items():
        box.addItem(name, value)
    return box


def choose(box: QComboBox, value: object) -> None:
    """Select a value of a combo box.

    Parameters
    ----------
    box
        Made by `choice`.
    value
        One of its values.
    """
    box.setCurrentIndex(box.findData(value))


class LabelledRows(QWidget):
    """Fields with labels, one per row; a field is hidden together with its label."""

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
            Shown before the field.
        field
            Any widget.
        tip
            The tooltip of the field and its label.
        """
        name = QLabel(label)
        name.setFixedWidth(LABEL_WIDTH)
        name.setWordWrap(True)
        field.setSizePolicy(QSizePolicy.Policy.Ignored, field.sizePolicy().verticalPolicy())
        for widget in (name, field):
            widget.setToolTip(f"<qt>{tip}</qt>" if tip else "")
        self._form.addRow(name, field)

    def show_row(self, field: QWidget, *, visible: bool) -> None:
        """Show or hide a field with its label.

        Parameters
        ----------
        field
            Was added before.
        visible
            Whether to show it.
        """
        self._form.setRowVisible(field, visible)

    def clear(self) -> None:
        """Remove all fields."""
        while self._form.rowCount():
            self._form.removeRow(0)


class ItemImages(LabelledRows):
    """Paths of further images that differ from item to item, a row for each name."""

    changed = Signal()
    """A path changed."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: dict[str, QLineEdit] = {}

    def set_names(self, names: Iterable[str]) -> None:
        """Show a row for each name; a path that was typed for it stays.

        Parameters
        ----------
        names
            The names of the further images.
        """
        paths = self.paths
        self.clear()
        self._lines = {}
        for name in names:
            line = self._lines[name] = QLineEdit(paths.get(name, ""))
            line.setPlaceholderText(f"{name}/{{stem}}.tif")
            line.textChanged.connect(lambda _: self.changed.emit())
            self.add(f"{name} per item", line, ITEM_IMAGE)
        self.setVisible(bool(self._lines))

    @property
    def paths(self) -> dict[str, str]:
        """The paths that were typed, by name."""
        texts = {name: str(line.text()).strip() for name, line in self._lines.items()}
        return {name: text for name, text in texts.items() if text}


ITEM_IMAGE = (
    "The path of a file for each item, such as masks/{stem}.tif; it counts, not a chosen layer, "
    "which is the same for every item"
)


def scrolled(page: QWidget) -> QScrollArea:
    """Return a scroll area around a page.

    Parameters
    ----------
    page
        Any widget.
    """
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setWidget(page)
    return area
