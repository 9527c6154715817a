"""A huge plane without a pyramid is offered one, once, where it is opened or chosen."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from skimage import data
from tests._napari.conftest import TIMEOUT

from napari_tilewise._napari.batch_panel.batch_panel import BatchPanel
from napari_tilewise._napari.jobs import layer_computer, pyramid_offer
from napari_tilewise._napari.jobs.pyramid_offer import ACTION
from napari_tilewise._napari.operations_panel.operations_panel import OperationsPanel
from napari_tilewise._napari.recipe_panel.recipe_panel import RecipePanel

pytestmark = pytest.mark.gui

COINS = data.coins()


@pytest.fixture(autouse=True)
def limit(monkeypatch):
    monkeypatch.setattr(pyramid_offer, "LARGE", COINS.size - 1)


def accept(note):
    """Press the button of a notification."""
    ((text, act),) = note.actions
    assert text == ACTION
    act(None)


@pytest.mark.parametrize("kind", ["image", "labels", "lazy"])
def test_the_layer_gets_a_pyramid_where_it_is(viewer, panel, notes, qtbot, kind):
    pixels = (COINS > 120).astype(np.int32) if kind == "labels" else COINS
    given = da.from_array(pixels, chunks=100) if kind == "lazy" else pixels
    add = viewer.add_labels if kind == "labels" else viewer.add_image
    layer = add(given, name="coins", scale=(0.5, 0.5))
    viewer.add_points(name="above")
    assert len(notes) == 1
    assert "303 x 384" in notes[0].message
    assert notes[0].source == "napari-tilewise"
    viewer.layers.selection.active = layer
    accept(notes[0])
    qtbot.waitUntil(lambda: not panel.pyramids.runner.is_running, timeout=TIMEOUT)
    assert [layer.name for layer in viewer.layers] == ["coins", "above"]
    pyramid = viewer.layers["coins"]
    assert pyramid.multiscale
    assert panel.target.layer is pyramid
    assert tuple(pyramid.scale) == (0.5, 0.5)
    np.testing.assert_array_equal(np.asarray(pyramid.data[0]), pixels)
    assert len(notes) == 1


def test_it_is_offered_once_and_only_where_napari_reads_a_huge_plane(viewer, panel, notes):
    viewer.add_image(COINS[::2], name="small")
    viewer.add_image([COINS, COINS[::2, ::2]], multiscale=True, name="pyramid")
    viewer.add_image(np.stack([COINS[::2]] * 3), name="stack of small planes")
    assert not notes
    huge = viewer.add_image(COINS, name="huge")
    panel.target.layer_box.value = viewer.layers["small"]
    panel.target.layer_box.value = huge
    assert len(notes) == 1


def test_a_large_pyramid_is_planned_first(viewer, panel, notes, qtbot, monkeypatch):
    monkeypatch.setattr(layer_computer, "LARGE", 0)
    layer = viewer.add_image(COINS)
    accept(notes[0])
    plan = panel.pyramids.computer.plan
    qtbot.waitUntil(
        lambda: "disk" in plan.text.text() or "memory" in plan.text.text(), timeout=TIMEOUT
    )
    plan.reject()
    assert list(viewer.layers) == [layer]


def test_what_cannot_be_built_is_said(viewer, panel, notes):
    layer = viewer.add_image(COINS)
    viewer.layers.remove(layer)
    accept(notes[0])
    assert "removed" in panel.message.text()
    panel.pyramids.end()
    accept(notes[0])
    assert "closed" in notes[-1].message


@pytest.mark.parametrize("kind", [RecipePanel, BatchPanel])
def test_other_panels_offer_it_too(viewer, notes, qtbot, kind):
    panel = kind(viewer)
    viewer.window.add_dock_widget(panel)
    layer = viewer.add_image(da.from_array(COINS, chunks=100), name="coins")
    if kind is BatchPanel:
        panel.source.tick(layer)
    assert len(notes) == 1
    viewer.window.add_dock_widget(OperationsPanel(viewer), name="Operations")
    assert len(notes) == 1, "once for all panels"
    accept(notes[0])
    qtbot.waitUntil(lambda: not panel.pyramids.runner.is_running, timeout=TIMEOUT)
    assert viewer.layers["coins"].multiscale
    if kind is BatchPanel:
        assert panel.source.ticked == [viewer.layers["coins"]]
    else:
        assert "Computed" in panel.message.text()
