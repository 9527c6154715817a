"""A real viewer with the panel in its window, and how a test waits for a run."""

from __future__ import annotations

import functools
import gc

import napari
import pytest
from npe2 import PluginManifest
from qtpy.QtCore import QSettings

from napari_tilewise._napari.operations_panel.operations_panel import OperationsPanel

TIMEOUT = 60_000
FRAME = 26
"""Pixels that a panel's margins and a scroll bar take."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Let warnings of napari and Qt themselves pass; what needs Qt needs a display."""
    for item in items:
        if "qapp" in item.fixturenames:
            item.add_marker(pytest.mark.gui)
        if "_napari" in str(item.path):
            item.add_marker(pytest.mark.filterwarnings("default"))


@pytest.fixture(autouse=True, scope="session")
def manifests_are_read_once():
    """Each viewer reads all plugins' manifests, half a second of it; here none changes."""
    read = PluginManifest.discover

    @functools.cache
    def discover(paths=()):
        return list(read(paths=paths))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PluginManifest, "discover", lambda paths=(): discover(tuple(paths)))
        yield


@pytest.fixture
def qtbot(qtbot):
    """Waits that name no time last as long as a loaded machine needs; Qt's would be 5 seconds."""
    for name in ("waitUntil", "waitSignal"):
        setattr(qtbot, name, functools.partial(getattr(qtbot, name), timeout=TIMEOUT))
    return qtbot


@pytest.fixture
def viewer(make_napari_viewer):
    # Closing a window collects garbage: not once more what was there before it was opened.
    gc.freeze()
    return make_napari_viewer(show=False)


@pytest.fixture
def panel(viewer):
    made = OperationsPanel(viewer)
    viewer.window.add_dock_widget(made, name="Operations")
    return made


@pytest.fixture
def run(panel, qtbot):
    """Apply an operation to the active layer and select the new layer (None: there is none)."""

    def apply(name, layer=None, **params):
        panel.choose(name)
        if layer is not None:
            panel.target.layer_box.value = layer
        panel.form.set_values(params)
        before = list(panel.viewer.layers)
        panel.run()
        qtbot.waitUntil(lambda: not panel.runner.is_running, timeout=TIMEOUT)
        new = [layer for layer in panel.viewer.layers if layer not in before]
        if new:
            panel.viewer.layers.selection.active = new[-1]
        return new[0] if new else None

    return apply


@pytest.fixture
def notes():
    """The notifications that the user saw."""
    manager = napari.utils.notifications.notification_manager
    manager.records.clear()
    return manager.records


@pytest.fixture(autouse=True)
def settings_of_this_test(monkeypatch, tmp_path_factory):
    """What panels remember goes to a file of this test, in the processes that it starts too."""
    scope, form = QSettings.Scope.UserScope, QSettings.Format.IniFormat
    folder = str(tmp_path_factory.mktemp("settings"))
    QSettings.setPath(form, scope, folder)
    monkeypatch.setenv("XDG_CONFIG_HOME", folder)


@pytest.fixture(autouse=True)
def preferences_of_this_test(monkeypatch, tmp_path_factory):
    """What napari's preferences hold of plugins goes to a folder of this test."""
    folder = tmp_path_factory.mktemp("preferences")
    monkeypatch.setattr(napari.settings, "_PLUGIN_SETTINGS", {})
    monkeypatch.setattr(napari.settings, "_CFG_PATH", str(folder / "settings.yaml"))
