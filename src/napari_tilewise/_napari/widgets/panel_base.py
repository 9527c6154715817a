"""What every panel is: a widget of one viewer that speaks in one line."""

from __future__ import annotations

import napari
from napari.utils.notifications import show_error
from qtpy.QtCore import QTimer
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QWidget

from napari_tilewise._napari.widgets.docks import share_place
from napari_tilewise._napari.widgets.small_widgets import message


class Panel(QWidget):
    """A panel beside the canvas.

    Parameters
    ----------
    napari_viewer
        The viewer; napari wraps it for plugins, which would forbid what is private.
    name
        What themes and tests find it by, after ``tilewise-``.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer, name: str) -> None:
        super().__init__()
        self.setObjectName(f"tilewise-{name}")
        self.viewer: napari.viewer.Viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
        self.message = message()
        self._is_placed = False

    def showEvent(self, event: QShowEvent | None) -> None:
        """Find a place among the other panels, the first time."""
        super().showEvent(event)
        if not self._is_placed:
            self._is_placed = True
            QTimer.singleShot(0, self._share_place)  # once napari has docked it

    def _share_place(self) -> None:
        share_place(self, Panel)

    def say(self, words: str) -> None:
        """Show one line above the buttons.

        Parameters
        ----------
        words
            The line; empty to show none.
        """
        self.message.setText(words)

    def complain(self, problem: str) -> None:
        """Show a problem here and as a notification.

        Parameters
        ----------
        problem
            One sentence.
        """
        show_error(problem)
        self.say(problem)
