"""Before a large result is stored the panel shows the plan and asks; what cannot fit is refused."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from tests._napari.conftest import TIMEOUT

import napari_tilewise as tw
from napari_tilewise._napari.jobs import compute, plan_dialog, running
from napari_tilewise._napari.preview.view import view_of
from napari_tilewise._napari.recipe_panel.recipe_panel import RecipePanel
from napari_tilewise.runs import traffic


@pytest.fixture
def pyramid(viewer, monkeypatch):
    monkeypatch.setattr(plan_dialog, "LARGE", 0)
    monkeypatch.setattr("napari_tilewise._napari.jobs.job_run.LARGE", 1)
    image = np.arange(60_000, dtype=np.uint16).reshape(200, 300)
    return viewer.add_image([image, image[::2, ::2]], multiscale=True, name="slide")


def test_the_plan_is_shown_before_anything_is_written(viewer, pyramid, panel, qtbot):
    panel.choose("filters.gaussian")
    panel.run()
    assert not panel.runner.is_running
    qtbot.waitUntil(lambda: "memory" in panel.plan.text.text(), timeout=TIMEOUT)
    assert "300" in panel.plan.text.text()
    panel.plan.reject()
    assert list(viewer.layers) == [pyramid]
    panel.run()
    qtbot.waitUntil(lambda: "memory" in panel.plan.text.text(), timeout=TIMEOUT)
    panel.plan.accept()
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=TIMEOUT)


@pytest.fixture
def go_on(monkeypatch):
    """Runs wait until it is set, or they are cancelled."""
    event = threading.Event()

    def waiting(job, progress, cancel):
        while not event.wait(0.001) and not cancel.is_set():
            pass
        return compute.compute(job, progress, cancel)

    monkeypatch.setattr(running, "compute", waiting)
    yield event
    event.set()


def test_the_result_is_seen_while_it_is_stored(viewer, pyramid, panel, qtbot, monkeypatch, go_on):
    monkeypatch.setattr(plan_dialog, "LARGE", 2**40)
    panel.choose("filters.gaussian")
    panel.run()
    qtbot.waitUntil(lambda: panel.in_view.shown.is_shown, timeout=TIMEOUT)
    shown = panel.in_view.shown.layer
    assert shown.name == "slide - Gaussian (computing)"
    box = view_of(pyramid, viewer).box
    expected = tw.apply("filters.gaussian", pyramid.data[0])[box].astype(np.float32)
    np.testing.assert_array_equal(shown.data, expected)
    assert panel.target.layer_box.choices == (pyramid,)
    go_on.set()
    qtbot.waitUntil(lambda: not panel.runner.is_running, timeout=TIMEOUT)
    assert [layer.name for layer in viewer.layers] == ["slide", "slide - Gaussian"]


def test_cancel_removes_what_is_seen(viewer, pyramid, panel, qtbot, monkeypatch, go_on):
    monkeypatch.setattr(plan_dialog, "LARGE", 2**40)
    panel.choose("filters.gaussian")
    panel.run()
    qtbot.waitUntil(lambda: panel.in_view.shown.is_shown, timeout=TIMEOUT)
    panel.stop()
    assert list(viewer.layers) == [pyramid]


def test_the_recipe_panel_asks_and_shows_too(viewer, pyramid, run, qtbot, monkeypatch, go_on):
    monkeypatch.setattr(plan_dialog, "LARGE", 2**40)
    go_on.set()
    result = run("filters.gaussian", pyramid)
    go_on.clear()
    recipes = RecipePanel(viewer)
    viewer.window.add_dock_widget(recipes, name="Recipe")
    viewer.layers.selection.active = result
    recipes.step.form.set_values({"sigma": 3})
    monkeypatch.setattr(plan_dialog, "LARGE", 0)
    recipes.run()
    assert not recipes.runner.is_running
    recipes.runs.plan.accept()
    qtbot.waitUntil(lambda: recipes.runs.in_view.shown.is_shown, timeout=TIMEOUT)
    go_on.set()
    qtbot.waitUntil(lambda: not recipes.runner.is_running, timeout=TIMEOUT)
    assert list(viewer.layers) == [pyramid, result]


def test_what_does_not_fit_is_refused(viewer, pyramid, panel, qtbot, monkeypatch):
    monkeypatch.setattr(traffic, "free_bytes", lambda path: 1000)
    panel.choose("filters.gaussian")
    panel.run()
    qtbot.waitUntil(lambda: "refused" in panel.plan.text.text(), timeout=TIMEOUT)
    assert "1000" in panel.plan.text.text().replace(",", "").replace(".", "")
    assert not panel.plan.run.isEnabled()
    panel.plan.reject()


def test_a_run_that_was_not_asked_for_is_refused_too(viewer, pyramid, panel, qtbot, monkeypatch):
    monkeypatch.setattr(plan_dialog, "LARGE", 2**40)
    monkeypatch.setattr(traffic, "free_bytes", lambda path: 1000)
    panel.choose("filters.gaussian")
    panel.run()
    qtbot.waitUntil(lambda: not panel.runner.is_running, timeout=TIMEOUT)
    assert panel.message.text().startswith("Not enough space")
    assert list(viewer.layers) == [pyramid]
