"""Long work never stops the window, can be cancelled, and fails in one sentence."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from napari.utils import progress
from qtpy.QtCore import QThreadPool
from tests._napari.conftest import TIMEOUT
from window_work import Beats

from napari_tilewise import OPERATIONS
from napari_tilewise._napari.jobs import job_run, result_layers, running
from napari_tilewise._napari.operations_panel.operations_panel import OperationsPanel

pytestmark = pytest.mark.gui


class Gated:
    """An array whose pixels come only when a gate opens; tells when the first was asked for."""

    def __init__(self, shape=(6, 64, 64)):
        self.shape, self.dtype, self.ndim = shape, np.dtype(np.uint8), len(shape)
        self.size = int(np.prod(shape))
        self.chunks = (1, *shape[1:])
        self.gate, self.asked, self.reads = threading.Event(), threading.Event(), 0
        self.readers = set()

    def __getitem__(self, key):
        found = np.zeros(self.shape, self.dtype)[key]
        if not self.is_open_to_napari:
            self.asked.set()
            self.reads += 1
            self.readers.add(threading.current_thread())
            assert self.gate.wait(120)
        return found

    @property
    def is_open_to_napari(self):
        return threading.current_thread() is threading.main_thread()


@pytest.fixture
def gated(viewer):
    array = Gated()
    viewer.add_image(array, name="gated", contrast_limits=(0, 255))
    yield array
    array.gate.set()


def start(panel, qtbot, array):
    panel.choose("filters.gaussian")
    panel.run()
    qtbot.waitUntil(array.asked.is_set, timeout=TIMEOUT)


def done(panel):
    return lambda: not panel.runner.is_running


def test_cancel_takes_effect_at_once_and_stops_within_one_tile(panel, qtbot, notes, monkeypatch):
    monkeypatch.setattr("napari_tilewise.engine.system.pool.processors", lambda: 2)
    gated, chunks = Gated((4096, 2048)), 128
    gated.chunks = (256, 256)
    panel.viewer.add_image(gated, name="gated", contrast_limits=(0, 255))
    start(panel, qtbot, gated)
    assert not panel.apply.isEnabled()
    assert panel.cancel.isEnabled()
    assert len(progress._all_instances) == 1
    panel.stop()
    assert done(panel)()  # while its tile is still being computed
    (worker,) = running._abandoned
    gated.gate.set()
    qtbot.waitUntil(lambda: worker not in running._abandoned, timeout=TIMEOUT)
    assert gated.reads < chunks // 2, "those of the tiles that were begun, with their halos"
    assert panel.message.text() == "Cancelled."
    assert len(panel.viewer.layers) == 1
    assert panel.apply.isEnabled()
    assert not panel.cancel.isEnabled()
    assert not progress._all_instances
    assert not notes


def test_a_worker_whose_end_waits_among_the_events_when_it_is_cancelled_is_forgotten(
    panel, gated, qtbot
):
    start(panel, qtbot, gated)
    worker = panel.runner._worker
    gated.gate.set()
    QThreadPool.globalInstance().waitForDone(TIMEOUT)  # handles no events
    assert not done(panel)()
    panel.stop()
    assert worker in running._abandoned
    qtbot.waitUntil(lambda: worker not in running._abandoned, timeout=TIMEOUT)


def test_next_run_works_beside_a_cancelled_one(panel, gated, qtbot):
    start(panel, qtbot, gated)
    panel.stop()
    panel.run()
    gated.gate.set()
    qtbot.waitUntil(lambda: len(panel.viewer.layers) == 2, timeout=TIMEOUT)


def test_moving_on_meanwhile_brings_the_new_plane_into_memory(panel, gated, qtbot):
    viewer = panel.viewer
    start(panel, qtbot, gated)
    viewer.dims.set_current_step(0, 0)
    gated.gate.set()
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=TIMEOUT)
    plane = viewer.layers[-1].data[0]
    held = [v for v in dict(plane.__dask_graph__()).values() if isinstance(v, np.ndarray)]
    assert panel.runner.repeats >= 1
    assert viewer.layers[-1].data.name.startswith("shown-")
    assert held or np.asarray(plane).shape == (64, 64)


def test_closing_the_viewer_cancels(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=False)
    panel = OperationsPanel(viewer)
    viewer.window.add_dock_widget(panel)
    array = Gated()
    viewer.add_image(array, name="gated", contrast_limits=(0, 255))
    start(panel, qtbot, array)
    cancel = panel.runner._worker.cancel
    threading.Thread(target=lambda: cancel.wait(60) and array.gate.set()).start()
    viewer.close()
    assert cancel.is_set()


def test_failure_is_one_sentence(panel, viewer, run, notes, monkeypatch):
    def fail(*args, **kwargs):
        raise ZeroDivisionError("first line\nsecond line")

    viewer.add_image(np.zeros((20, 20)), name="zeros", contrast_limits=(0, 1))
    monkeypatch.setattr(job_run, "apply_recipe", fail)
    assert run("filters.gaussian") is None
    expected = "Gaussian on 'zeros' failed: ZeroDivisionError: first line"
    assert [note.message for note in notes] == [expected]
    assert panel.message.text() == expected
    assert panel.apply.isEnabled()


def test_a_layer_that_cannot_be_made_is_one_sentence(panel, viewer, run, notes, monkeypatch):
    def fail(*args, **kwargs):
        raise ZeroDivisionError("first line\nsecond line")

    viewer.add_image(np.zeros((20, 20)), name="zeros", contrast_limits=(0, 1))
    with monkeypatch.context() as patched:
        patched.setattr(result_layers, "layer", fail)
        assert run("filters.gaussian") is None
    expected = "Gaussian on 'zeros' failed: ZeroDivisionError: first line"
    assert [note.message for note in notes] == [expected]
    assert panel.message.text() == expected
    assert panel.apply.isEnabled()
    assert not panel.cancel.isEnabled()
    assert not panel.bar.isVisibleTo(panel)
    assert run("filters.gaussian") is not None


def test_values_that_do_not_fit_are_told_before_anything_runs(panel, viewer, run, notes):
    viewer.add_image(np.zeros((20, 20)), name="zeros", contrast_limits=(0, 1))
    panel.choose("filters.gaussian")
    panel.form.editors["sigma"].widget.value = "three"
    assert not panel.apply.isEnabled()
    assert "'three'" in panel.message.text()
    panel.form.editors["sigma"].widget.value = "-1"
    assert "at least 0" in panel.message.text()
    panel.run()
    assert not panel.runner.is_running
    assert "at least 0" in notes[-1].message
    panel.form_box.reset.click()
    assert panel.apply.isEnabled()
    assert panel.message.text() == ""


def test_no_layer_is_told(panel, notes):
    assert not panel.apply.isEnabled()
    panel.run()
    assert notes[-1].message == "Open an image to begin."


def test_unsuitable_images_are_told(viewer, run, notes):
    viewer.add_image(np.ones((20, 20)), name="floats", contrast_limits=(0, 1))
    name = next(op.name for op in OPERATIONS.values() if "f" not in op.limits.dtypes)
    assert run(name) is None
    assert "64-bit float" in notes[-1].message


def test_halo_in_words_follows_the_parameters(panel, viewer):
    viewer.add_image(np.zeros((20, 20)), contrast_limits=(0, 1))
    panel.choose("filters.gaussian")
    panel.form.set_values({"sigma": 2})
    assert "needs 8 px around each tile" in panel.kind.text()
    assert "identical to scikit-image" in panel.kind.text()


def test_search_and_category_narrow_the_list(panel):
    panel.chooser.search.setText("gauss")
    assert panel.chooser.visible()[0] == "filters.gaussian"
    assert "filters.median" not in panel.chooser.visible()
    panel.chooser.search.setText("no such thing")
    assert panel.chooser.visible() == []
    panel.choose("filters.gaussian")
    assert "filters.gaussian" in panel.chooser.visible()


def test_layers_come_go_and_change_names(panel, viewer):
    first = viewer.add_image(np.zeros((9, 9)), name="first", contrast_limits=(0, 1))
    second = viewer.add_labels(np.zeros((9, 9), int), name="second")
    viewer.add_points(name="points")
    assert panel.target.layer is second
    second.name = "renamed"
    assert [text for text, _ in panel.target._choices(None)] == ["renamed", "first"]
    viewer.layers.remove(second)
    assert panel.target.layer is first
    viewer.layers.clear()
    assert not panel.apply.isEnabled()


def test_the_event_loop_runs_while_an_operation_computes(panel, viewer, gated, qtbot):
    beats = Beats()
    start(panel, qtbot, gated)
    beats.wait(qtbot)
    assert panel.runner.is_running
    gated.gate.set()
    qtbot.waitUntil(done(panel), timeout=TIMEOUT)
    beats.stop()
    assert len(viewer.layers) == 2
    assert gated.readers
    assert threading.main_thread() not in gated.readers


def test_cancelled_pyramid_leaves_nothing(panel, viewer, qtbot, monkeypatch, tmp_path):
    monkeypatch.setattr(job_run.layer_pyramids, "new_store", lambda: tmp_path / "out.ome.zarr")
    fine, coarse = Gated((256, 256)), np.zeros((128, 128), np.uint8)
    fine.chunks = (64, 64)
    viewer.add_image([fine, coarse], multiscale=True, name="gated", contrast_limits=(0, 255))
    start(panel, qtbot, fine)
    panel.stop()
    fine.gate.set()
    qtbot.waitUntil(done(panel), timeout=TIMEOUT)
    assert panel.message.text() == "Cancelled."
    assert len(viewer.layers) == 1
    assert not list(tmp_path.glob("*.ome.zarr"))
