"""Compute: all pixels of a lazy layer, into memory or into an OME-Zarr."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import skimage as ski
from skimage import data
from tests._napari.conftest import TIMEOUT

from napari_tilewise._napari.jobs import layer_pixels
from napari_tilewise._napari.jobs.session_runs import SESSION
from napari_tilewise._napari.layers import layer_record, snapshot
from napari_tilewise._napari.manifest import commands

pytestmark = pytest.mark.gui

COINS = data.coins()
STACK = np.stack([COINS, COINS[::-1], COINS[:, ::-1]])
BLURRED = ski.filters.gaussian(STACK, sigma=2)


@pytest.fixture
def lazy(viewer, panel, run):
    """Return the layer of a lazy result: a Gaussian of a stack."""
    stack = da.from_array(STACK, chunks=(1, 100, 100))
    viewer.add_image(stack, name="coins", contrast_limits=(0, 255), axis_labels=("z", "y", "x"),
                     scale=(2, 0.5, 0.5))  # fmt: skip
    layer = run("filters.gaussian", sigma=2)
    assert isinstance(layer.data, da.Array)
    panel.target.layer_box.value = layer
    return layer


def finish(qtbot, panel):
    qtbot.waitUntil(lambda: not panel.runner.is_running, timeout=TIMEOUT)


def test_a_small_layer_is_computed_in_memory_and_stays_itself(viewer, panel, lazy, qtbot):
    record, colormap = layer_record.of(lazy), lazy.colormap
    assert panel.compute.isVisibleTo(panel)
    panel.compute.click()
    panel.target.layer_box.value = viewer.layers["coins"]  # another one is chosen meanwhile
    finish(qtbot, panel)
    assert isinstance(lazy.data, np.ndarray)
    np.testing.assert_array_equal(lazy.data, BLURRED)
    assert (lazy in viewer.layers, len(viewer.layers)) == (True, 2)
    assert isinstance(viewer.layers["coins"].data, da.Array)
    assert layer_record.of(lazy).recipe == record.recipe
    assert lazy.colormap == colormap
    assert snapshot.take(lazy).in_memory
    panel.target.layer_box.value = lazy
    assert not panel.compute.isVisibleTo(panel)
    assert SESSION.all()[0].title == f"Compute {lazy.name!r}"


def test_a_large_layer_is_written_and_its_pyramid_takes_its_place(
    viewer, panel, lazy, qtbot, tmp_path, monkeypatch
):
    monkeypatch.setattr(layer_pixels, "SHARE", 0)
    path, name = tmp_path / "blurred.ome.zarr", lazy.name
    viewer.add_points(name="above")
    lazy.gamma = 0.7
    record = layer_record.of(lazy)
    monkeypatch.setattr(
        "qtpy.QtWidgets.QFileDialog.getSaveFileName",
        lambda *_: (str(path).removesuffix(".ome.zarr"), ""),
    )
    panel.compute.click()
    qtbot.waitUntil(lambda: "tile" in panel.compute.plan.text.text(), timeout=TIMEOUT)
    panel.compute.plan.accept()
    finish(qtbot, panel)
    assert [layer.name for layer in viewer.layers] == ["coins", name, "above"]
    layer = viewer.layers[name]
    assert layer.multiscale
    np.testing.assert_array_equal(np.asarray(layer.data[0]), BLURRED)
    assert (layer.gamma, tuple(layer.scale)) == (0.7, (2, 0.5, 0.5))
    assert layer_record.of(layer).recipe == record.recipe
    assert path.exists()


def test_the_menu_computes_the_selected_layer(qtbot, make_napari_viewer):
    viewer = make_napari_viewer(show=False)
    layer = viewer.add_image(da.from_array(COINS, chunks=100), contrast_limits=(0, 255))
    commands.compute_layer(viewer)
    qtbot.waitUntil(lambda: isinstance(layer.data, np.ndarray), timeout=60_000)
    np.testing.assert_array_equal(layer.data, COINS)


def test_a_mask_is_computed_as_it_is_shown(viewer, panel, run, lazy, qtbot):
    mask = run("filters.threshold_otsu", layer=lazy)
    panel.target.layer_box.value = mask
    expected = np.asarray(mask.data)
    panel.compute.click()
    finish(qtbot, panel)
    assert isinstance(mask.data, np.ndarray)
    np.testing.assert_array_equal(mask.data, expected)
    assert snapshot.take(mask).dtype == bool  # the next step takes what the recipe gives


def test_cancel_leaves_the_layer_as_it_was(viewer, panel, lazy, qtbot, monkeypatch):
    before, block = lazy.data, layer_pixels.prefetch.block

    def cancelling(level, position):
        panel.runner._worker.cancel.set()
        return block(level, position)

    monkeypatch.setattr(layer_pixels.prefetch, "block", cancelling)
    panel.compute.click()
    finish(qtbot, panel)
    assert lazy.data is before
    assert panel.message.text() == "Cancelled."
