"""Panels of ours that come into a low window share a place, one behind the other, as tabs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QDockWidget, QMainWindow

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

ROOM = 550
"""Pixels of a window's height, per panel one below the other, that it takes to show their forms."""


def share_place(panel: QWidget, kind: type[QWidget]) -> None:
    """Put a panel that was just docked behind another one's tab where the window is low.

    Parameters
    ----------
    panel
        The panel; docked beside others of ours, or not.
    kind
        What all our panels are.
    """
    dock = _above(panel, QDockWidget)
    window = None if dock is None else _above(dock, QMainWindow)
    if not isinstance(dock, QDockWidget) or not isinstance(window, QMainWindow):
        return
    if dock.isFloating() or window.tabifiedDockWidgets(dock):
        return
    places = _places(window, dock, kind)
    if places and window.height() < ROOM * (len(places) + 1):
        window.tabifyDockWidget(places[-1], dock)
        dock.raise_()


def _places(window: QMainWindow, dock: QDockWidget, kind: type[QWidget]) -> list[QDockWidget]:
    """Return the docks of other panels of ours on the same side, one for each place."""
    found: list[QDockWidget] = []
    for other in window.findChildren(QDockWidget):
        shown = other is not dock and not other.isHidden() and not other.isFloating()
        beside = shown and window.dockWidgetArea(other) == window.dockWidgetArea(dock)
        tabbed = any(other in window.tabifiedDockWidgets(place) for place in found)
        if beside and not tabbed and other.findChildren(kind):
            found.append(other)
    return found


def _above(widget: QWidget, kind: type[QWidget]) -> QWidget | None:
    found = widget.parentWidget()
    while found is not None and not isinstance(found, kind):
        found = found.parentWidget()
    return found
