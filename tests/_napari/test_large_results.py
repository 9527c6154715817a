"""Before a large result is stored the panel shows the plan and asks; what cannot fit is refused."""

from __future__ import annotations

import numpy as np
import pytest
from tests._napari.conftest import TIMEOUT

from napari_tilewise._napari.operations_panel import operations_panel
from napari_tilewise.runs import traffic


@pytest.fixture
def pyramid(viewer, monkeypatch):
    monkeypatch.setattr(operations_panel, "LARGE_RESULT", 0)
    monkeypatch.setattr("napari_tilewise._napari.jobs.compute.LARGE", 1)
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


def test_what_does_not_fit_is_refused(viewer, pyramid, panel, qtbot, monkeypatch):
    monkeypatch.setattr(traffic, "free_bytes", lambda path: 1000)
    panel.choose("filters.gaussian")
    panel.run()
    qtbot.waitUntil(lambda: "refused" in panel.plan.text.text(), timeout=TIMEOUT)
    assert "1000" in panel.plan.text.text().replace(",", "").replace(".", "")
    assert not panel.plan.run.isEnabled()
    panel.plan.reject()


def test_a_run_that_was_not_asked_for_is_refused_too(viewer, pyramid, panel, qtbot, monkeypatch):
    monkeypatch.setattr(operations_panel, "LARGE_RESULT", 2**40)
    monkeypatch.setattr(traffic, "free_bytes", lambda path: 1000)
    panel.choose("filters.gaussian")
    panel.run()
    qtbot.waitUntil(lambda: not panel.runner.is_running, timeout=TIMEOUT)
    assert panel.message.text().startswith("Not enough space")
    assert list(viewer.layers) == [pyramid]
