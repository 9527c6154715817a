"""A panel opens at once: its modules are imported in a thread, and none on the window's."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest
from qtpy.QtWidgets import QApplication, QLabel

from napari_tilewise._napari.manifest import commands, panels
from napari_tilewise._napari.operations_panel.operations_panel import OperationsPanel
from napari_tilewise._napari.widgets import panel_dock
from napari_tilewise._napari.widgets.panel_dock import PanelDock, PanelSource
from napari_tilewise._napari.widgets.panel_titles import PanelTitle

pytestmark = pytest.mark.gui

MOST_IN_WINDOW = 25
"""Modules that the window's thread may import when a panel opens; a panel needs 1200."""
OPEN_ALL = """
import sys, threading
from collections import Counter
import napari
from npe2 import PluginManifest
from qtpy.QtCore import QEventLoop
from qtpy.QtWidgets import QApplication

imported, window = [], threading.main_thread()

class Recorder:
    def find_spec(self, name, path=None, target=None):
        imported.append((threading.current_thread() is window, name))

viewer = napari.Viewer(show=False)
sys.meta_path.insert(0, Recorder())
discover, reading = PluginManifest.discover, []

def recorded(*arguments, **keywords):
    reading.append(threading.current_thread() is window)
    return discover(*arguments, **keywords)

PluginManifest.discover = recorded
for title in sys.argv[1:]:
    imported.clear()
    dock, contents = viewer.window.add_plugin_dock_widget("napari-tilewise", title)
    ready = []
    contents.when_ready(ready.append)
    while not ready:  # without a turn for nothing, which would keep the thread from importing
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
    count = Counter(in_window for in_window, _ in imported)
    print(title, count[True], count[False], sum(reading), flush=True)
viewer.close()
"""


def test_the_window_imports_next_to_nothing_when_a_panel_opens():
    done = subprocess.run(
        [sys.executable, "-c", OPEN_ALL, *PanelTitle],
        capture_output=True, text=True, timeout=170, check=False,
    )  # fmt: skip
    lines = [line.split() for line in done.stdout.splitlines() if line.split()[0] in [*PanelTitle]]
    assert [title for title, *_ in lines] == [*PanelTitle], done.stderr
    assert int(lines[0][2]) > 500  # in the thread: else the test counts nothing
    window = {title: int(count) for title, count, *_ in lines}
    assert {title: count for title, count in window.items() if count > MOST_IN_WINDOW} == {}
    assert {title: int(count) for title, *_, count in lines} == dict.fromkeys(PanelTitle, 0), (
        "the manifests of all plugins were read by the window's thread"
    )


def test_every_panel_has_a_dock_that_names_its_class():
    for title in PanelTitle:
        source = getattr(panels, f"{title}Dock").source
        module = import_module(f"napari_tilewise._napari.{source.module}")
        assert getattr(module, source.name).__name__ == f"{title}Panel"


def test_a_dock_stands_for_its_panel(make_napari_viewer_proxy):
    viewer = make_napari_viewer_proxy()
    _, contents = viewer.window.add_plugin_dock_widget("napari-tilewise", "Operations")
    contents = getattr(contents, "__wrapped__", contents)
    assert not hasattr(contents, "native")  # what napari looks for is not the panel's
    contents.choose("filters.median")
    assert isinstance(contents.panel, OperationsPanel)
    assert contents.panel.operation.name == "filters.median"
    assert contents.panel.isVisibleTo(contents)
    assert contents.layout().count() == 1  # napari adds no stretch beside it


def test_a_command_chooses_its_operation_when_the_panel_has_arrived(
    qtbot, make_napari_viewer_proxy
):
    viewer = make_napari_viewer_proxy()
    commands.filters_sobel(viewer)
    dock = viewer.window.dock_widgets["Operations (napari-tilewise)"]
    dock = getattr(dock, "__wrapped__", dock)
    ready = []
    dock.when_ready(ready.append)
    qtbot.waitUntil(lambda: bool(ready), timeout=60_000)
    assert ready[0].operation.name == "filters.sobel"


def test_a_panel_that_cannot_be_imported_says_so(qtbot, monkeypatch, make_napari_viewer_proxy):
    class BrokenDock(PanelDock):
        source = PanelSource("no_such_room.no_such_panel", "Panel", 100)

    viewer = make_napari_viewer_proxy()
    problems = []
    monkeypatch.setattr(panel_dock, "show_error", problems.append)
    dock = BrokenDock(viewer)
    qtbot.addWidget(dock)
    qtbot.waitUntil(lambda: bool(problems), timeout=60_000)
    assert "No module named" in problems[0]
    assert problems[0] in [label.text() for label in dock.findChildren(QLabel)]
    QApplication.processEvents()
