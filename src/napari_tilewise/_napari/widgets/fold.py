"""A button that unfolds the fields that few users need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QToolButton

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget


class Fold(QToolButton):
    """A button that shows and hides the widget below it.

    Parameters
    ----------
    name
        The button's text.
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

    def set_content(self, widget: QWidget, *, is_used: bool = True) -> None:
        """Show and hide a widget from now on.

        Parameters
        ----------
        widget
            The widget below the button.
        is_used
            Whether the widget has content; the button is hidden if not.
        """
        self._folded = widget
        self.setVisible(is_used)
        self._show(self.isChecked())

    def _show(self, is_unfolded: bool) -> None:
        self.setArrowType(Qt.ArrowType.DownArrow if is_unfolded else Qt.ArrowType.RightArrow)
        if self._folded is not None:
            self._folded.setVisible(is_unfolded)
