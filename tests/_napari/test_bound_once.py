"""Apply binds an operation's parameters once: the form had checked them when they were edited."""

from __future__ import annotations

import numpy as np
import pytest
import skimage as ski
from tests._napari.conftest import TIMEOUT

from napari_tilewise.operations.spec.operation import Operation
from napari_tilewise.pipeline.bind import Pipeline

pytestmark = pytest.mark.gui


@pytest.fixture
def calls(monkeypatch):
    """Return the methods that bind parameters or build pipelines, as they are called."""
    calls = []

    def counted(owner, name):
        method = getattr(owner, name)

        def call(*args, **kwargs):
            calls.append(owner)
            return method(*args, **kwargs)

        monkeypatch.setattr(owner, name, call)

    counted(Operation, "bind")
    counted(Pipeline, "__init__")
    return calls


def test_apply(panel, viewer, qtbot, calls):
    viewer.add_image(ski.data.coins())
    panel.choose("filters.gaussian")
    panel.form.set_values({"sigma": 3})
    assert Operation in calls  # the form says at once what is wrong
    calls.clear()
    panel.run()
    qtbot.waitUntil(lambda: not panel.runner.is_running, timeout=TIMEOUT)
    assert calls.count(Operation) == 1
    assert 1 <= calls.count(Pipeline) <= 2
    expected = ski.filters.gaussian(ski.data.coins(), sigma=3)
    np.testing.assert_array_equal(viewer.layers[-1].data, expected)
