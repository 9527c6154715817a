"""Panels can be used in 300 pixels of width, and the whole way by keyboard."""

from __future__ import annotations

from pathlib import Path

import napari
import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QScrollArea, QWidget
from tests._napari.conftest import FRAME, TIMEOUT

from napari_tilewise._napari.batch_panel.batch_panel import BatchPanel
from napari_tilewise._napari.manifest.panels import OperationsDock
from napari_tilewise._napari.measurements.measurements_panel import MeasurementsPanel
from napari_tilewise._napari.operations_panel.operations_panel import OperationsPanel
from napari_tilewise._napari.recipe_panel.recipe_panel import RecipePanel
from napari_tilewise._napari.runs_panel.runs_panel import RunsPanel
from napari_tilewise._napari.widgets.panel_base import WIDTH
from napari_tilewise._napari.widgets.save_dialog import ask_path


@pytest.mark.parametrize(
    "panel", [OperationsPanel, RecipePanel, BatchPanel, RunsPanel, MeasurementsPanel]
)
def test_a_panel_needs_no_more_width(viewer, panel):
    viewer.add_image(np.zeros((30, 30)))
    made = panel(viewer)
    viewer.window.add_dock_widget(made)
    made.show()
    assert made.minimumSizeHint().width() <= WIDTH
    assert made.minimumWidth() == WIDTH
    for area in made.findChildren(QScrollArea):
        content = area.widget()
        assert content.minimumSizeHint().width() <= WIDTH - FRAME, content


def test_a_panel_that_opened_at_once_has_no_gap_above(make_napari_viewer, qtbot, monkeypatch):
    """napari lays out the dock before the panel is there."""
    monkeypatch.setattr(OperationsDock, "_look", lambda self: None)
    viewer = make_napari_viewer(show=True)
    dock = OperationsDock(viewer)
    viewer.window.add_dock_widget(dock, area="right")
    assert dock._panel is None
    panel = dock.panel
    qtbot.waitUntil(lambda: panel.height() > 0.9 * dock.height(), timeout=TIMEOUT)


def focused(qtbot):
    """Return what the keys go to, in the window to which a user would have come back.

    Windows of tests that run beside this one, on the same display, take the focus at any time.
    """
    window = napari.current_viewer().window._qt_window

    def has_keys():
        if not window.isActiveWindow():
            window.activateWindow()
        return window.isActiveWindow() and QApplication.focusWidget() is not None

    qtbot.waitUntil(has_keys, timeout=TIMEOUT)
    return QApplication.focusWidget()


def type_keys(qtbot, text):
    qtbot.keyClicks(focused(qtbot), text)


def press(qtbot, key, modifier=Qt.KeyboardModifier.NoModifier):
    qtbot.keyClick(focused(qtbot), key, modifier)


def test_the_whole_way_by_keyboard(make_napari_viewer, qtbot):
    """Search, choose, set a number, switch the preview on, apply, cancel."""
    viewer = make_napari_viewer(show=True)
    image = np.random.default_rng(0).random((60, 60))
    viewer.add_image(image, name="noise")
    panel = OperationsPanel(viewer)
    viewer.window.add_dock_widget(panel)
    panel.choose("filters.threshold_otsu")  # so that another form is shown, which is new
    panel.chooser.search.setFocus()
    assert focused(qtbot) is panel.chooser.search
    type_keys(qtbot, "blur")
    press(qtbot, Qt.Key.Key_Return)
    assert panel.operation.name == "filters.gaussian"
    slider = panel.form.sliders["sigma"]
    assert focused(qtbot) is slider
    before = panel.form.values()["sigma"]
    press(qtbot, Qt.Key.Key_Right)
    assert panel.form.values()["sigma"] > before
    press(qtbot, Qt.Key.Key_Tab)
    focused(qtbot).selectAll()
    type_keys(qtbot, "2.5")
    assert panel.form.values()["sigma"] == 2.5
    order = []
    while focused(qtbot) is not panel.preview.bar.on:
        press(qtbot, Qt.Key.Key_Tab)
        order.append(focused(qtbot))
        assert panel.isAncestorOf(order[-1]), "Tab stays in the panel"
    assert order[-4:-1] == [panel.form_box.advanced, panel.form_box.presets, panel.form_box.reset]
    press(qtbot, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: panel.preview.shown.is_shown, timeout=TIMEOUT)
    press(qtbot, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: "noise - Gaussian" in viewer.layers, timeout=TIMEOUT)
    cancelled = []
    panel.cancel.clicked.connect(lambda: cancelled.append(True))
    panel.cancel.setEnabled(True)
    press(qtbot, Qt.Key.Key_Escape)
    assert cancelled == [True]


def test_a_recipe_by_keyboard(make_napari_viewer, qtbot):
    """Add a step, set its number, add another, switch it off."""
    viewer = make_napari_viewer(show=True)
    viewer.add_image(np.random.default_rng(0).random((60, 60)), name="noise")
    panel = RecipePanel(viewer)
    viewer.window.add_dock_widget(panel)
    panel.list.setFocus()
    assert focused(qtbot) is panel.list
    press(qtbot, Qt.Key.Key_Insert)
    type_keys(qtbot, "blur")
    press(qtbot, Qt.Key.Key_Return)
    assert [step.operation for step in panel.recipe.steps] == ["filters.gaussian"]
    assert focused(qtbot) is panel.step.form.sliders["sigma"]
    press(qtbot, Qt.Key.Key_Right)
    assert panel.recipe.steps[0].parameters["sigma"] > 1
    panel.list.setFocus()
    press(qtbot, Qt.Key.Key_Insert)
    type_keys(qtbot, "otsu")
    press(qtbot, Qt.Key.Key_Return)
    assert panel.recipe.steps[1].operation == "filters.threshold_otsu"
    panel.list.setFocus()
    press(qtbot, Qt.Key.Key_Space)
    assert not panel.recipe.steps[1].enabled
    press(qtbot, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=TIMEOUT)


def test_keys_act_after_a_button_that_is_disabled_was_pressed(make_napari_viewer, qtbot):
    """Qt gives the focus of a disabled button away, and Esc would not reach the panel."""
    viewer = make_napari_viewer(show=True)
    panel = OperationsPanel(viewer)
    viewer.window.add_dock_widget(panel)
    panel.apply.setEnabled(True)
    panel.apply.setFocus()
    assert focused(qtbot) is panel.apply
    with panel.focus_inside():
        panel.apply.setEnabled(False)
    assert focused(qtbot) is panel
    cancelled = []
    panel.cancel.setEnabled(True)
    panel.cancel.clicked.connect(lambda: cancelled.append(True))
    press(qtbot, Qt.Key.Key_Escape)
    assert cancelled == [True]
    assert panel.isAncestorOf(focused(qtbot)) or focused(qtbot) is panel
    panel.chooser.search.setFocus()
    with panel.focus_inside():
        panel.apply.setEnabled(True)
        panel.apply.setEnabled(False)
    assert focused(qtbot) is panel.chooser.search, "what is enabled keeps the focus"


def test_a_low_panel_shows_the_form_first(viewer, qtbot):
    """With another panel above or below it; what describes the operation stays within reach."""
    panel = OperationsPanel(viewer)
    qtbot.addWidget(panel)
    panel.show()

    def order():
        parts = {"form": panel.form_box, "kind": panel.kind, "page": panel.page}
        return sorted(parts, key=lambda name: panel._body.indexOf(parts[name]))

    panel.resize(300, 900)
    assert order() == ["kind", "page", "form"]
    panel.resize(300, 380)
    assert order() == ["form", "kind", "page"]
    panel.resize(300, 900)
    assert order() == ["kind", "page", "form"]


@pytest.mark.parametrize(
    ("chosen", "chosen_filter", "expected"),
    [("out", "OME-TIFF (*.ome.tif)", "out.ome.tif"), ("out", "", "out.ome.zarr"),
     ("out.npy", "OME-TIFF (*.ome.tif)", "out.npy"), ("", "", None)],
)  # fmt: skip
def test_a_file_to_write_has_a_suggested_name(qtbot, monkeypatch, chosen, chosen_filter, expected):
    """Without a suffix: the format that is chosen in the dialog gives it."""
    asked = []

    def ask(parent, title, name, filters):
        asked.append(name)
        return chosen, chosen_filter

    monkeypatch.setattr("qtpy.QtWidgets.QFileDialog.getSaveFileName", ask)
    widget = QWidget()
    qtbot.addWidget(widget)
    filters = "OME-Zarr (*.ome.zarr);;OME-TIFF (*.ome.tif)"
    path = ask_path(widget, "Write", "plate 1/B2.tif - Otsu: *", filters)
    assert path == (Path(expected) if expected else None)
    assert asked == ["plate_1_B2_tif_-_Otsu"]
