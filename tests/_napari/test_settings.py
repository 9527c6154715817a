"""What the user sets in napari's preferences is what panels, runs and scripts in napari use."""

from __future__ import annotations

import numpy as np
import pytest
from napari._qt.dialogs.preferences_dialog import PreferencesDialog
from napari.settings import get_plugin_settings
from qtpy.QtWidgets import QLabel, QWidget

import napari_tilewise as tw
from napari_tilewise._napari.batch_panel.output_page import OutputPage
from napari_tilewise._napari.layers import layer_pyramids
from napari_tilewise._napari.operations_panel.operations_panel import OperationsPanel
from napari_tilewise._napari.widgets import settings
from napari_tilewise.errors import DestinationUnwritable, InvalidParameter
from napari_tilewise.runs.request import Resources
from napari_tilewise.sizes import parse_size


@pytest.fixture
def chosen(viewer):
    return get_plugin_settings("napari-tilewise")


def test_without_a_window_runs_take_the_machine():
    assert Resources.of() == Resources()


def test_a_script_in_napari_takes_what_the_user_set(chosen, tmp_path):
    chosen.computing.memory, chosen.computing.workers = " 3 GiB ", 1
    chosen.computing.executor = "one after another"
    assert Resources.of() == Resources(parse_size("3 GiB"), 1, "serial")
    plan = tw.plan("filters.gaussian", np.zeros((64, 64)))
    assert (plan.limit, plan.budget.workers) == (parse_size("3 GiB"), 1)
    assert Resources.of("1 GiB", 2, "threads") == Resources(parse_size("1 GiB"), 2, "threads")
    assert Resources.of(executor="slurm") == Resources(executor="slurm"), "not this computer's"


def test_a_size_that_is_none_is_named(chosen):
    chosen.computing.memory = "much"
    with pytest.raises(InvalidParameter, match=r"napari-tilewise, memory limit: .*'much'"):
        tw.plan("filters.gaussian", np.zeros((64, 64)))


def test_the_batch_panel_starts_with_them(chosen):
    chosen.computing.memory, chosen.computing.workers = "3 GiB", 2
    assert OutputPage().memory.text() == "3 GiB"
    assert OutputPage().jobs.value() == 2


def test_large_results_lie_in_the_chosen_folder(chosen, tmp_path):
    chosen.computing.folder = str(tmp_path)
    assert layer_pyramids.new_store().is_relative_to(tmp_path)
    chosen.computing.folder = str(tmp_path / "missing")
    with pytest.raises(DestinationUnwritable, match="folder for large results"):
        layer_pyramids.new_store()


@pytest.mark.parametrize(("choice", "is_on"), [("on", True), ("off", False)])
def test_a_panel_starts_with_or_without_its_preview(viewer, chosen, choice, is_on):
    chosen.panels.preview = choice
    panel = OperationsPanel(viewer)
    viewer.window.add_dock_widget(panel)
    assert panel.preview.is_on is is_on


def test_napari_shows_them_and_keeps_what_is_typed(viewer, chosen, qtbot):
    dialog = PreferencesDialog(parent=viewer.window._qt_window)
    qtbot.addWidget(dialog)
    names = [dialog._list.item(row).text() for row in range(dialog._list.count())]
    assert "napari-tilewise" in names
    labels = {label.text() for label in dialog.findChildren(QLabel)}
    assert {"Memory limit", "Folder for large results", "Live preview of a new panel"} <= labels
    forms = [child for child in dialog.findChildren(QWidget) if hasattr(child, "widgets")]
    computing = next(form for form in forms if "memory" in form.widgets)
    computing.widgets["memory"].setText("5 GiB")
    assert settings.memory() == parse_size("5 GiB")
