"""The base of all panels: a widget of one viewer with a line for messages."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING
from weakref import ref

import napari
from napari.utils.notifications import show_error
from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QKeySequence, QShortcut, QShowEvent
from qtpy.QtWidgets import QApplication, QLabel, QWidget

from napari_tilewise._napari.widgets import settings
from napari_tilewise._napari.widgets.docks import tabify_when_low, window_height
from napari_tilewise._napari.widgets.ending import when_destroyed
from napari_tilewise._napari.widgets.plain_words import plain_message
from napari_tilewise._napari.widgets.small_widgets import FAINT, make_faint, message_label

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from napari.utils.events import EventEmitter

WIDTH = 300
"""Pixels of width in which every panel can be used."""
RUN_KEY, STOP_KEY = "Ctrl+Return", "Esc"
"""Keys of all panels that run something."""


class Panel(QWidget):
    """A panel beside the canvas.

    Parameters
    ----------
    napari_viewer
        The viewer; the proxy that napari gives to plugins is unwrapped.
    name
        The end of the object name, after ``tilewise-``.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer, name: str) -> None:
        super().__init__()
        self.setObjectName(f"tilewise-{name}")
        self.viewer: napari.viewer.Viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
        self.message = message_label()
        self._was_shown = False
        self._height = window_height(self.viewer)
        self.setMinimumWidth(WIDTH)
        theme = self.viewer.events.theme
        theme.connect(self._change_theme)
        when_destroyed(self, partial(_disconnect, theme, ref(self)))

    def _change_theme(self, event: object = None) -> None:
        """Follow the viewer to another theme, once it has its colours."""
        QTimer.singleShot(0, self.recolour)

    def recolour(self) -> None:
        """Give texts the colours of the present theme."""
        for label in self.findChildren(QLabel):
            if label.property(FAINT):
                make_faint(label)

    def act_on(self, actions: Mapping[str, Callable[[], object]]) -> None:
        """Let keys act while the panel, or something in it, has the focus.

        Parameters
        ----------
        actions
            What to do, by Qt's name of a key.
        """
        for key, act in actions.items():
            shortcut = QShortcut(QKeySequence(key), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(lambda act=act: act())

    @contextmanager
    def focus_inside(self) -> Iterator[None]:
        """Let the panel have the focus if what has it inside is disabled in this context.

        Qt would give it to whatever follows, and the panel's keys, such as Esc, would not act.
        """
        before = QApplication.focusWidget()
        yield
        if before is not None and self.isAncestorOf(before) and not before.isEnabled():
            self.setFocus()

    @classmethod
    def prepare(cls) -> None:
        """Import what the panel imports when it is first shown; called in a thread."""
        import_module("magicgui.backends._qtpy")
        settings.prepare()

    def showEvent(self, event: QShowEvent | None) -> None:
        """Share a tab with the other panels, when shown for the first time."""
        super().showEvent(event)
        if not self._was_shown:
            self._was_shown = True
            QTimer.singleShot(0, self._tabify)  # once napari has docked it

    def _tabify(self) -> None:
        tabify_when_low(self, Panel, self._height)

    def say(self, line: str) -> None:
        """Show a message above the buttons.

        Parameters
        ----------
        line
            The message; an empty one clears it.
        """
        self.message.setText(plain_message(line))

    def complain(self, problem: str) -> None:
        """Show a problem above the buttons and as a notification.

        Parameters
        ----------
        problem
            One sentence.
        """
        show_error(plain_message(problem))
        self.say(problem)


def _disconnect(theme: EventEmitter, panel: ref[Panel]) -> None:
    """Let a panel of which only Python's part is left follow the theme no more."""
    ended = panel()
    if ended is not None:
        theme.disconnect(ended._change_theme)
