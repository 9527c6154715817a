"""Panels end without a trace, however they end."""

from __future__ import annotations

import ast
import gc
from pathlib import Path
from weakref import ref

import pytest
from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QApplication

import napari_tilewise._napari as room
from napari_tilewise._napari.batch_panel.batch_panel import BatchPanel
from napari_tilewise._napari.operations_panel.operations_panel import OperationsPanel
from napari_tilewise._napari.recipe_panel.recipe_panel import RecipePanel
from napari_tilewise._napari.widgets import ending
from napari_tilewise.operations import OPERATIONS

PANELS = (OperationsPanel, RecipePanel, BatchPanel)
"""The others are known to their viewer or to the session, and end with it."""
METHODS = (ast.Attribute, ast.Name)


@pytest.mark.parametrize("panel", PANELS)
def test_the_collector_can_free_a_panel_that_is_in_no_dock(viewer, panel):
    listeners = len(OPERATIONS.listeners)
    reference = ref(panel(viewer))
    assert len(OPERATIONS.listeners) > listeners
    QApplication.processEvents()
    gc.collect()
    assert reference() is None
    assert len(OPERATIONS.listeners) == listeners


def test_a_function_is_called_once_when_qt_deletes_a_widget(qapp):
    calls, owner = [], QObject()
    ending.when_destroyed(owner, lambda: calls.append(1))
    owner.deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    assert calls == [1]
    del owner
    gc.collect()
    assert calls == [1]


def test_a_function_is_called_once_when_python_frees_a_widget(qapp):
    calls, owner = [], QObject()
    ending.when_destroyed(owner, lambda: calls.append(1))
    owner.itself = owner
    del owner
    gc.collect()
    assert calls == [1]


def test_no_function_that_only_the_signal_refers_to_waits_for_an_end():
    """The collector clears it before it is called; see `when_destroyed`."""
    for path in Path(room.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".destroyed.connect"):
                assert isinstance(node.args[0], METHODS), f"{path.name}: {ast.unparse(node)}"
