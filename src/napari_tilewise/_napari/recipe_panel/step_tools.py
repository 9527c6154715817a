"""The buttons that edit the list of steps, each with a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QHBoxLayout, QToolButton, QWidget

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_tilewise._napari.recipe_panel.drafts import Draft


class StepTools(QWidget):
    """Buttons to add, remove and move steps, and to undo and redo edits."""

    def __init__(self) -> None:
        super().__init__()
        self.add = _tool("Add step", "Insert a step after the selected one", "Ins")
        self.add.setCheckable(True)
        self.remove = _tool("Remove", "Remove the selected step", "Del")
        self.up = _tool("↑", "Move the selected step up", "Alt+Up")
        self.down = _tool("↓", "Move the selected step down", "Alt+Down")
        self.undo = _tool("Undo", "Undo the last edit", "Ctrl+Z")
        self.redo = _tool("Redo", "Redo the edit", "Ctrl+Shift+Z")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        for tool in (self.add, self.remove, self.up, self.down):
            layout.addWidget(tool)
        layout.addStretch()
        layout.addWidget(self.undo)
        layout.addWidget(self.redo)

    @property
    def keys(self) -> dict[str, Callable[[], None]]:
        """What each key does, by Qt's name of the key."""
        tools = (self.add, self.remove, self.up, self.down, self.undo, self.redo)
        return {tool.property("keys"): tool.click for tool in tools}

    def enable(self, draft: Draft | None, selected: int) -> None:
        """Enable the buttons that can be used now.

        Parameters
        ----------
        draft
            The recipe under edit; None if there is none.
        selected
            The selected step, from 0; -1 if none is.
        """
        steps = 0 if draft is None else len(draft.steps)
        self.add.setEnabled(draft is not None)
        self.remove.setEnabled(selected >= 0)
        self.up.setEnabled(selected > 0)
        self.down.setEnabled(0 <= selected < steps - 1)
        self.undo.setEnabled(draft is not None and draft.can_undo)
        self.redo.setEnabled(draft is not None and draft.can_redo)


def _tool(name: str, tip: str, keys: str) -> QToolButton:
    tool = QToolButton()
    tool.setText(name)
    tool.setProperty("keys", keys)
    tool.setToolTip(f"{tip} ({keys})")
    return tool
