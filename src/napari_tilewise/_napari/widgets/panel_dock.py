"""The contents of a dock: opens at once, and shows its panel when the panel's modules are imported.

A panel needs about a thousand modules, its own and those of dask, zarr and SciPy. They are imported
in a thread, so that the window can be used meanwhile.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

import napari
from napari.utils.notifications import show_error
from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtWidgets import QGridLayout, QLabel, QWidget

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

INTERVAL = 10
"""Milliseconds between two looks at whether the modules are imported."""
NAPARIS_OWN = frozenset({"native", "reset_choices"})
"""Attributes that napari and magicgui look for in any widget, and no panel has."""


@dataclass(frozen=True)
class PanelSource:
    """Where a panel's class is."""

    module: str
    """Below `napari_tilewise._napari`."""
    name: str
    width: int
    """The width that the panel likes, in pixels."""


class _Import:
    """The import of a panel's class, with what its first look needs, in a thread."""

    def __init__(self, source: PanelSource) -> None:
        self._source = source
        self._panel_class: Any = None
        self._error: Exception | None = None
        self._thread = threading.Thread(
            target=self._import, name=f"tilewise-{source.name}", daemon=True
        )
        self._thread.start()

    def _import(self) -> None:
        try:
            module = import_module(f"napari_tilewise._napari.{self._source.module}")
            panel_class = getattr(module, self._source.name)
            panel_class.prepare()
        except Exception as error:  # noqa: BLE001 - raised again in the window's thread
            self._error = error
        else:
            self._panel_class = panel_class

    @property
    def is_running(self) -> bool:
        """Whether the thread still imports."""
        return self._thread.is_alive()

    def result(self) -> Any:
        """Wait for the class, and return it; raise what went wrong."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._panel_class


_imports: dict[PanelSource, _Import] = {}
"""One per panel and process."""


class PanelDock(QWidget):
    """Shows a panel as soon as its modules are imported.

    Any public attribute is the panel's; the first one waits for the panel.

    Parameters
    ----------
    napari_viewer
        The viewer that the panel gets.
    """

    source: ClassVar[PanelSource]

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._panel: Any = None
        self._acts: list[Callable[[Any], object]] = []
        self._label = QLabel("Loading ...")
        self._label.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._label.setWordWrap(True)
        self._layout = QGridLayout(self)  # napari adds a stretch to a box
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.addWidget(self._label)
        self._import = _imports.get(self.source) or _imports.setdefault(
            self.source, _Import(self.source)
        )
        self._timer = QTimer(self)
        self._timer.setInterval(INTERVAL)
        self._timer.timeout.connect(self._look)
        self._look()
        if self._panel is None:
            self._timer.start()

    def sizeHint(self) -> QSize:
        """Return the panel's size: napari sizes the dock before the panel is there."""
        hint = super().sizeHint()
        return hint if self._panel is not None else QSize(self.source.width, hint.height())

    def __getattr__(self, name: str) -> Any:
        """Return the panel's attribute."""
        if name.startswith("_") or name in NAPARIS_OWN:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.panel, name)

    @property
    def panel(self) -> Any:
        """The panel; waits until its modules are imported."""
        if self._panel is None:
            self._timer.stop()
            self._show(self._import.result()(self._viewer))
        return self._panel

    def when_ready(self, act: Callable[[Any], object]) -> None:
        """Call a function with the panel: now, or as soon as there is one.

        Parameters
        ----------
        act
            Called once, in the window's thread.
        """
        if self._panel is None:
            self._acts.append(act)
        else:
            act(self._panel)

    def _look(self) -> None:
        """Show the panel if its modules are imported."""
        if self._import.is_running:
            return
        self._timer.stop()
        try:
            panel = self.panel
        except Exception as error:
            log.debug("%s cannot be imported", self.source.module, exc_info=error)
            problem = f"The panel cannot be opened: {type(error).__name__}: {error}"
            self._label.setText(problem)
            show_error(problem)
            return
        acts, self._acts = self._acts, []
        for act in acts:
            act(panel)

    def _show(self, panel: QWidget) -> None:
        self._panel = panel
        self._label.hide()
        self._layout.removeWidget(self._label)
        self._layout.addWidget(panel)
