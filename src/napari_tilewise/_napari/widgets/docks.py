"""Our panels as napari's docks: opened by title, and tabbed if the window is too low for both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

from napari_tilewise._napari.widgets.panel_titles import PLUGIN, PanelTitle

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_tilewise._napari.widgets.panel_dock import PanelDock

PANEL_HEIGHT = 550
"""Pixels of a window's height that a panel needs to show its form."""


def open_panel(viewer: Viewer, title: PanelTitle) -> QWidget:
    """Show one of our panels, and return it; waits until its modules are imported.

    Parameters
    ----------
    viewer
        The viewer whose window holds the panel.
    title
        The panel.
    """
    panel: QWidget = _shown_dock(viewer, title).panel
    return panel


def with_panel(viewer: Viewer, title: PanelTitle, act: Callable[[Any], object]) -> None:
    """Show one of our panels, and call a function with it as soon as it is there.

    Parameters
    ----------
    viewer
        The viewer whose window holds the panel.
    title
        The panel.
    act
        Called once with the panel.
    """
    _shown_dock(viewer, title).when_ready(act)


def _shown_dock(viewer: Viewer, title: PanelTitle) -> PanelDock:
    """Return the contents of a panel's dock, shown; napari creates it if it is not open."""
    dock, contents = viewer.window.add_plugin_dock_widget(PLUGIN, title.value)
    dock.show()
    dock.raise_()
    inner: PanelDock = getattr(contents, "__wrapped__", contents)
    return inner


def show_measurements(viewer: Viewer, layer: Layer) -> None:
    """Show the Measurements panel with what was measured on a layer.

    Parameters
    ----------
    viewer
        The viewer whose window holds the panel.
    layer
        A layer of the viewer.
    """
    with_panel(viewer, PanelTitle.MEASUREMENTS, lambda panel: panel.show_layer(layer))


def window_height(viewer: ViewerModel) -> int | None:
    """Return the height of a viewer's window in pixels; None if it has none, or napari hides it.

    Parameters
    ----------
    viewer
        The viewer.
    """
    window = getattr(getattr(viewer, "window", None), "_qt_window", None)
    return None if window is None else int(window.height())


def tabify_when_low(panel: QWidget, kind: type[QWidget], height: int | None = None) -> None:
    """Put a docked panel behind another panel's tab if the window is too low for both.

    Parameters
    ----------
    panel
        The panel that was just docked.
    kind
        The base class of all our panels.
    height
        The window's height before: it grows for two panels, and need not for two tabs. By default
        that of now.
    """
    dock = _ancestor(panel, QDockWidget)
    window = None if dock is None else _ancestor(dock, QMainWindow)
    if not isinstance(dock, QDockWidget) or not isinstance(window, QMainWindow):
        return
    if dock.isFloating() or window.tabifiedDockWidgets(dock):
        return
    docks = _docks_in_area(window, dock, kind)
    height = window.height() if height is None else height
    if docks and height < PANEL_HEIGHT * (len(docks) + 1):
        window.tabifyDockWidget(docks[-1], dock)
        dock.raise_()
        if window.height() > height and not window.isMaximized() and not window.isFullScreen():
            QTimer.singleShot(0, lambda: window.resize(window.width(), height))  # once laid out


def _docks_in_area(
    window: QMainWindow, dock: QDockWidget, kind: type[QWidget]
) -> list[QDockWidget]:
    """Return the docks of our other panels on the same side, one for each group of tabs."""
    docks: list[QDockWidget] = []
    for other in window.findChildren(QDockWidget):
        is_shown = other is not dock and not other.isHidden() and not other.isFloating()
        same_area = is_shown and window.dockWidgetArea(other) == window.dockWidgetArea(dock)
        is_tabbed = any(other in window.tabifiedDockWidgets(first) for first in docks)
        if same_area and not is_tabbed and other.findChildren(kind):
            docks.append(other)
    return docks


def _ancestor(widget: QWidget, kind: type[QWidget]) -> QWidget | None:
    ancestor = widget.parentWidget()
    while ancestor is not None and not isinstance(ancestor, kind):
        ancestor = ancestor.parentWidget()
    return ancestor
