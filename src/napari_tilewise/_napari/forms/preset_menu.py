"""The presets of an operation as a menu: choose, save, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QInputDialog, QMenu, QPushButton

if TYPE_CHECKING:
    from collections.abc import Callable


class PresetMenu(QPushButton):
    """A button with a menu of names."""

    chosen = Signal(str)
    """The name of the chosen preset."""
    saved = Signal(str)
    """A name for the form's values."""
    deleted = Signal(str)
    """The name of the preset to delete."""

    def __init__(self) -> None:
        super().__init__()
        self._names: list[str] = []
        self.setText("Presets")
        self.setToolTip("<qt>Parameters of this operation that were saved under a name</qt>")
        self.list = QMenu(self)
        self.list.aboutToShow.connect(self.fill)
        self.setMenu(self.list)

    def set_names(self, names: list[str]) -> None:
        """Offer presets.

        Parameters
        ----------
        names
            Their names, in order.
        """
        self._names = names
        self.fill()

    def fill(self) -> None:
        """Write the menu."""
        self.list.clear()
        for name in self._names:
            self._add(self.list, name, self.chosen.emit)
        if not self._names:
            nothing = self.list.addAction("No preset yet")
            if nothing is not None:
                nothing.setEnabled(False)
        self.list.addSeparator()
        save = self.list.addAction("&Save as ...")
        if save is not None:
            save.triggered.connect(lambda *_: self.ask_name())
        deleting = self.list.addMenu("&Delete")
        if deleting is not None:
            deleting.setEnabled(bool(self._names))
            for name in self._names:
                self._add(deleting, name, self.deleted.emit)

    def _add(self, menu: QMenu, name: str, act: Callable[[str], object]) -> None:
        action = menu.addAction(name.replace("&", "&&"))
        if action is not None:
            action.triggered.connect(lambda *_: act(name))

    def ask_name(self) -> None:
        """Ask for the name of a new preset."""
        name, is_given = QInputDialog.getText(
            self, "Save preset", "Name (an existing preset of this name is replaced):"
        )
        if is_given and name.strip():
            self.saved.emit(name.strip())
