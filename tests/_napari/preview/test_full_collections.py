"""Python's full collections while a parameter moves: with a collector that only notes calls."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QObject
from tests._napari.conftest import TIMEOUT

from napari_tilewise._napari.preview import full_collections
from napari_tilewise._napari.preview.full_collections import FullCollections


class Collector:
    """Stands in for the module `gc`: the tests freeze the objects of the real one."""

    def __init__(self):
        self.calls = []
        self.full = self.frozen = 0
        self.is_on = True

    def isenabled(self):
        return self.is_on

    def get_freeze_count(self):
        return self.frozen

    def get_stats(self):
        return [{"collections": 0}, {"collections": 0}, {"collections": self.full}]

    def freeze(self):
        self.frozen = 9
        self.calls.append("freeze")

    def unfreeze(self):
        self.frozen = 0
        self.calls.append("unfreeze")

    def collect(self):
        self.calls.append("collect")


@pytest.fixture
def collector(monkeypatch):
    collector = Collector()
    monkeypatch.setattr(full_collections, "gc", collector)
    return collector


@pytest.fixture
def collections(qtbot):
    parent = QObject()
    yield FullCollections(parent)
    parent.deleteLater()


def test_objects_are_set_aside_once_and_back_when_the_parameter_rests(
    qtbot, collector, collections
):
    collections._rest.setInterval(0)
    collections.postpone()
    collections.postpone()
    assert collector.calls == ["freeze"]
    qtbot.waitUntil(lambda: collector.calls == ["freeze", "unfreeze"], timeout=TIMEOUT)


def test_a_full_collection_that_fell_due_is_done_when_the_parameter_rests(collector, collections):
    collections.postpone()
    collector.full += 1
    collections.resume()
    assert collector.calls == ["freeze", "unfreeze", "collect"]
    collections.resume()
    assert collector.calls == ["freeze", "unfreeze", "collect"], "once"


def test_what_another_has_set_aside_stays(collector, collections):
    collector.frozen = 3
    collections.postpone()
    collections.resume()
    assert not collector.calls


def test_a_collector_that_is_off_is_left_alone(collector, collections):
    collector.is_on = False
    collections.postpone()
    collections.resume()
    assert not collector.calls


def test_the_preview_postpones_them_while_it_is_on(panel, viewer, collector):
    """A parameter that moves begins it; switching the preview off ends it."""
    viewer.add_image(np.eye(8))
    panel.choose("filters.gaussian")
    panel.form.set_values({"sigma": 2})
    assert not collector.calls
    panel.preview.bar.on.setChecked(True)
    panel.form.set_values({"sigma": 3})
    panel.preview.bar.on.setChecked(False)
    assert collector.calls == ["freeze", "unfreeze"]
