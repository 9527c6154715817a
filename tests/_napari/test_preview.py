"""The preview in a window: when it computes, what it shows, and what it leaves alone."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np
import pytest
from napari.layers import Labels, Points, Vectors
from qtpy.QtCore import QCoreApplication, QEvent, QObject
from qtpy.QtWidgets import QApplication
from tests._napari.conftest import TIMEOUT
from tests._napari.previews import speckles

import napari_tilewise as tw
from napari_tilewise._napari.jobs import latest_worker
from napari_tilewise._napari.jobs.latest_worker import LatestWorker
from napari_tilewise._napari.preview import bound
from napari_tilewise._napari.preview.view import camera_of, view_of
from napari_tilewise._napari.recipe_panel.recipe_panel import RecipePanel

IMAGE = speckles((200, 240))


@pytest.fixture
def source(viewer):
    return viewer.add_image(IMAGE, name="spots")


@pytest.fixture
def shown(panel, qtbot):
    """Show the preview of an operation, and return its layer."""

    def show(name, **params):
        if panel.operation.name != name:
            panel.choose(name)
        panel.form.set_values(params)
        panel.preview.bar.on.setChecked(True)
        settle(panel, qtbot)
        return panel.preview.shown.layer

    return show


def settle(panel, qtbot):
    """Wait until nothing is asked for, computed, or ready."""
    qtbot.waitUntil(lambda: panel.preview.is_still, timeout=TIMEOUT)


def test_it_shows_the_pixels_of_apply_above_the_layer(viewer, source, shown):
    layer = shown("filters.gaussian", sigma=3)
    box = view_of(source, viewer).box
    expected = tw.apply("filters.gaussian", IMAGE, sigma=3)[box].astype(np.float32)
    np.testing.assert_array_equal(layer.data, expected)
    assert list(viewer.layers) == [source, layer]
    assert viewer.layers.selection.active is source


def test_no_layer_hides_it(viewer, source, panel, shown):
    """The results of earlier trials lie above the source, which the next trial starts from."""
    viewer.add_image(IMAGE, name="result")
    labels = viewer.add_labels(np.ones(IMAGE.shape, int))
    channel = viewer.add_image(IMAGE, name="channel", blending="additive")
    hidden = viewer.add_image(IMAGE, name="hidden", visible=False)
    viewer.layers.selection.active = source
    shown("filters.gaussian", sigma=3)
    names = [layer.name for layer in viewer.layers]
    assert names[1:3] == ["result", "Preview of spots"], "labels and channels show above it"
    shown("filters.threshold_otsu")
    assert list(viewer.layers)[2:] == [labels, panel.preview.shown.layer, channel, hidden]


def test_it_is_no_target_and_goes_when_switched_off(viewer, source, panel, shown):
    layer = shown("filters.gaussian", sigma=3)
    viewer.layers.selection.active = layer
    assert panel.target.layer is source
    assert panel.target.layer_box.choices == (source,)
    panel.preview.bar.on.setChecked(False)
    assert list(viewer.layers) == [source]


def test_parameters_move_the_same_layer(source, panel, shown, qtbot):
    layer = shown("filters.gaussian", sigma=1)
    before = layer.data.copy()
    assert shown("filters.gaussian", sigma=4) is layer
    assert (layer.data != before).any()


def test_a_quick_result_is_shown_with_its_parameter(source, panel, shown, monkeypatch):
    """Before the window comes to repaint itself."""
    monkeypatch.setattr(latest_worker, "QUICK", 60)
    layer = shown("filters.gaussian", sigma=1)
    before = layer.data.copy()
    panel.form.set_values({"sigma": 4})
    assert (layer.data != before).any()


def test_new_pixels_paint_the_canvas_and_not_the_list_of_layers(viewer, source, shown):
    """Painting the list draws the window a second time."""
    layer = shown("filters.gaussian", sigma=1)
    drawn, listed = [], []
    layer.events.set_data.connect(lambda: drawn.append(layer))
    viewer.layers.events.connect(lambda event: listed.append(event.type))
    shown("filters.gaussian", sigma=4)
    assert drawn
    assert "set_data" not in listed


def test_texts_that_change_are_laid_out_before_the_window_is_painted(source, panel, shown):
    """Such as the halo in the operation's description, which depends on the parameters."""
    shown("filters.gaussian", sigma=1)
    panel.window().show()
    QApplication.processEvents()
    watch = LayoutRequests(panel)
    requests = watch.seen
    for widget in (panel.kind.parentWidget(), panel.kind.parentWidget().parentWidget()):
        widget.installEventFilter(watch)
    panel.form.set_values({"sigma": 4})
    assert len(requests) > 1, "a layout tells the one around it"
    requests.clear()
    for _ in range(5):
        QCoreApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest.value)
    assert not requests


class LayoutRequests(QObject):
    """Notes that widgets are laid out."""

    def __init__(self, parent):
        super().__init__(parent)
        self.seen = []

    def eventFilter(self, widget, event):
        if event.type() == QEvent.Type.LayoutRequest:
            self.seen.append(widget)
        return False


def test_it_lies_where_its_source_was_put(source, shown):
    layer = shown("filters.gaussian", sigma=1)
    source.scale, source.rotate, source.affine = (2, 3), 30, np.diag([2, 2, 1])
    assert shown("filters.gaussian", sigma=4) is layer
    np.testing.assert_allclose(layer.scale, source.scale)
    np.testing.assert_allclose(layer.rotate, source.rotate)
    np.testing.assert_allclose(layer.affine.affine_matrix, source.affine.affine_matrix)


def test_many_moves_cost_few_computations(source, panel, shown, qtbot):
    shown("filters.gaussian", sigma=1)
    first = panel.preview.worker.computed
    for step in range(50):
        panel.form.set_values({"sigma": 1 + step / 10})
    settle(panel, qtbot)
    assert panel.preview.worker.computed - first <= 2  # the first move at once, and the last one
    expected = tw.apply("filters.gaussian", IMAGE, sigma=5.9).astype(np.float32)
    box = panel.preview._last[1].view.box
    np.testing.assert_array_equal(panel.preview.shown.layer.data, expected[box])


def test_a_result_of_another_operation_does_not_stay(viewer, source, panel, shown, qtbot):
    shown("filters.gaussian", sigma=3)
    panel.choose("measure.shannon_entropy")
    settle(panel, qtbot)
    assert "there is no preview" in panel.preview.bar.note.text()
    assert list(viewer.layers) == [source]


def test_the_last_good_result_stays(source, panel, shown, qtbot):
    layer = shown("filters.gaussian", sigma=2)
    before = layer.data.copy()
    panel.form.editors["sigma"].widget.value = "nonsense"
    settle(panel, qtbot)
    np.testing.assert_array_equal(panel.preview.shown.layer.data, before)
    assert "sigma" in panel.message.text()
    assert not panel.preview.bar.note.text()  # said once


@pytest.mark.parametrize(
    ("name", "params", "kind"),
    [
        ("filters.threshold_otsu", {}, Labels),
        ("measure.label", {}, Labels),
        ("feature.peak_local_max", {}, Points),
        ("feature.blob_dog", {"threshold": 0.01, "max_sigma": 4}, Points),
        ("measure.find_contours", {"level": 100}, Vectors),
    ],
)
def test_objects_are_outlines_points_and_lines(source, shown, name, params, kind):
    layer = shown(name, **params)
    assert type(layer) is kind
    assert np.count_nonzero(layer.data)


def test_zoomed_out_it_is_an_overview(viewer, source, panel, shown, monkeypatch, qtbot):
    monkeypatch.setattr("napari_tilewise._napari.preview.view.FEWEST", 1)
    monkeypatch.setattr("napari_tilewise._napari.preview.view.MOST", 100 * 120)
    layer = shown("filters.gaussian", sigma=4)
    assert "overview" in layer.name
    assert panel.preview.bar.note.text().startswith("Overview at 1:2")
    np.testing.assert_array_equal(layer.scale, (2, 2))
    camera_of(viewer).zoom *= 4
    settle(panel, qtbot)
    assert panel.preview.bar.note.text().startswith("Exact")
    assert "overview" not in panel.preview.shown.layer.name


def test_a_key_and_a_button_show_the_image_before(viewer, source, panel, shown):
    layer = shown("filters.gaussian", sigma=4)
    held = panel.preview._held._while_pressed(viewer)
    next(held)
    assert not layer.visible
    next(held, None)
    assert layer.visible
    panel.preview.bar.before.pressed.emit()
    assert not layer.visible
    panel.preview.bar.before.released.emit()
    assert layer.visible


def test_a_line_splits_before_and_after(viewer, source, panel, shown):
    whole = shown("filters.gaussian", sigma=4).data.copy()
    panel.preview.bar.splits.setChecked(True)
    half = panel.preview.shown.layer
    width = half.data.shape[1]
    assert abs(width - whole.shape[1] / 2) <= 1
    np.testing.assert_array_equal(half.data, whole[:, -width:])
    assert panel.preview.line.layer in viewer.layers
    panel.preview.bar.splits.setChecked(False)
    np.testing.assert_array_equal(panel.preview.shown.layer.data, whole)
    assert panel.preview.line.layer is None


def test_an_estimate_becomes_exact(source, panel, shown, monkeypatch, qtbot):
    monkeypatch.setattr(bound, "SMALL", 64)
    notes = []
    say = panel.preview._say
    monkeypatch.setattr(panel.preview, "_say", lambda text: (notes.append(text), say(text)))
    shown("filters.threshold_otsu")
    settle(panel, qtbot)
    assert any(note.startswith("Estimated from what is visible.") for note in notes)
    assert panel.preview.bar.note.text().startswith("Exact")


def test_painted_pixels_are_noticed(source, panel, shown, qtbot):
    before = shown("filters.threshold_otsu").data.copy()
    source.data = 255 - IMAGE
    settle(panel, qtbot)
    assert (panel.preview.shown.layer.data != before).any()


def test_undone_and_redone_strokes_are_noticed(viewer, panel, shown, qtbot):
    """napari has no event of them."""
    labels = viewer.add_labels(np.zeros((60, 80), np.int32), name="painted")
    layer = shown("measure.label")
    stroke = (slice(20, 30), slice(20, 30))

    def seen():
        settle(panel, qtbot)
        return bool(np.any(panel.preview.shown.layer.data))

    labels.data_setitem(np.nonzero(np.pad(np.ones((10, 10)), 20)), 3)
    assert seen()
    labels.undo()
    assert not np.any(labels.data[stroke])
    assert not seen()
    labels.redo()
    assert seen()
    assert layer in viewer.layers


def test_it_is_remembered(viewer, source, panel, shown):
    from napari_tilewise._napari.operations_panel.operations_panel import OperationsPanel

    shown("filters.gaussian", sigma=3)
    panel.preview.pause()
    other = OperationsPanel(viewer)
    viewer.window.add_dock_widget(other, name="Other")
    assert other.preview.is_on
    other.preview.bar.on.setChecked(False)
    third = OperationsPanel(viewer)
    viewer.window.add_dock_widget(third, name="Third")
    assert not third.preview.is_on


def test_removing_the_source_removes_the_preview(viewer, source, panel, shown, qtbot):
    shown("filters.gaussian", sigma=3)
    viewer.layers.remove(source)
    assert not list(viewer.layers)
    settle(panel, qtbot)
    assert panel.message.text() == "Open an image to begin."
    assert not panel.preview.bar.note.text()  # said once


def test_deleting_all_layers_leaves_it_on_and_deleting_it_alone_switches_it_off(
    viewer, source, panel, shown, qtbot
):
    shown("filters.gaussian", sigma=3)
    viewer.layers.clear()
    settle(panel, qtbot)
    assert panel.preview.is_on
    viewer.add_image(IMAGE, name="spots")
    qtbot.waitUntil(lambda: panel.preview.shown.is_shown)
    viewer.layers.remove(panel.preview.shown.layer)
    settle(panel, qtbot)
    assert not panel.preview.is_on


def test_it_lies_above_a_source_that_is_moved_to_the_top(viewer, source, panel, shown):
    other = viewer.add_image(IMAGE, name="other")
    viewer.layers.selection.active = source
    layer = shown("filters.gaussian", sigma=3)
    viewer.layers.move(viewer.layers.index(source), len(viewer.layers))
    assert list(viewer.layers) == [other, source, layer]


def test_it_stops_when_the_panel_is_hidden(viewer, source, panel, shown, qtbot):
    shown("filters.gaussian", sigma=3)
    panel.preview.pause()
    assert list(viewer.layers) == [source]
    panel.preview.resume()
    settle(panel, qtbot)
    assert len(viewer.layers) == 2


class Computation:
    """What a worker computes: the test lets each request go on, or waits for its cancel."""

    def __init__(self):
        self.begun, self.go_on = threading.Semaphore(0), threading.Event()
        self.cancelled = []

    def __call__(self, request, cancel):
        self.begun.release()
        while not cancel.wait(0.001) and not self.go_on.is_set():
            pass
        if cancel.is_set():
            self.cancelled.append(request)
            raise tw.errors.Cancelled("stale")
        return request


@pytest.fixture
def computation():
    return Computation()


@pytest.fixture
def latest(qapp, computation):
    from qtpy.QtCore import QObject

    parent = QObject()
    worker = LatestWorker(computation, parent)
    yield worker
    worker._state.stop()
    parent.deleteLater()


def test_a_slow_stale_request_is_cancelled_but_not_twice(qtbot, computation, latest, monkeypatch):
    """During a drag something is always shown."""
    monkeypatch.setattr(latest_worker, "PATIENCE", 0)
    for request in range(2):
        latest.submit(request)
        assert computation.begun.acquire(timeout=60)
    latest.submit(2)
    computation.go_on.set()
    qtbot.waitUntil(lambda: latest.computed == 2, timeout=TIMEOUT)
    assert computation.cancelled == [0]
    assert latest.take() == (2, 2)


def test_a_quick_result_is_waited_for_and_not_announced(qtbot, computation, latest, monkeypatch):
    """So the window is painted once, for the parameter and its result."""
    monkeypatch.setattr(latest_worker, "QUICK", 60)
    announced = []
    latest.ready.connect(lambda: announced.append(latest.take()))
    computation.go_on.set()
    latest.submit(1, is_awaited=True)
    qtbot.waitUntil(lambda: latest.computed == 1, timeout=TIMEOUT)
    assert latest.wait(), "ready before it is waited for"
    assert latest.take() == (1, 1)
    latest.submit(2, is_awaited=True)
    assert not latest.wait(), "the first one is not painted yet"
    qtbot.waitUntil(lambda: latest.computed == 2, timeout=TIMEOUT)
    assert not announced
    latest.acknowledge()
    assert announced == [(2, 2)]
    latest.acknowledge()
    assert not latest.wait(), "no request: no wait"
    latest.submit(3, is_awaited=True)
    assert latest.wait()
    assert latest.take() == (3, 3)


def test_a_result_that_painting_slowed_down_is_waited_for_again(qtbot, monkeypatch):
    """Else the window is painted twice from then on, which slows all others down."""
    clock = SimpleNamespace(now=1.0)

    def compute(seconds, cancel):
        clock.now += seconds

    monkeypatch.setattr(latest_worker, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    monkeypatch.setattr(latest_worker, "QUICK", 60)
    parent = QObject()
    worker = LatestWorker(compute, parent)
    for number, seconds in enumerate((200, 80), start=1):
        worker.submit(seconds, is_awaited=number > 1)
        assert not worker.wait(), "200 s, halved, are too long"
        qtbot.waitUntil(lambda number=number: worker.computed == number, timeout=TIMEOUT)
        worker.take()
        worker.acknowledge()
    worker.submit(0, is_awaited=True)
    assert worker.wait()
    worker._state.stop()
    parent.deleteLater()


def test_a_slow_result_is_not_waited_for_again_and_announced(
    qtbot, computation, latest, monkeypatch
):
    monkeypatch.setattr(latest_worker, "QUICK", 0.001)
    latest.submit(1, is_awaited=True)
    assert not latest.wait()
    with qtbot.waitSignal(latest.ready, timeout=TIMEOUT):
        computation.go_on.set()
    assert latest.take() == (1, 1)
    latest.acknowledge()
    latest.submit(2, is_awaited=True)
    assert not latest.wait(), "as slow as the one before"
    qtbot.waitUntil(lambda: latest.computed == 2, timeout=TIMEOUT)
    latest.take()
    latest.acknowledge()
    monkeypatch.setattr(latest_worker, "QUICK", 60)
    latest.submit(3, is_awaited=True)
    assert latest.wait()


def test_a_recipe_is_previewed_up_to_the_selected_step(viewer, source, run, qtbot):
    blurred = run("filters.gaussian", source, sigma=2)
    mask = run("filters.threshold_otsu", blurred)
    recipes = RecipePanel(viewer)
    viewer.window.add_dock_widget(recipes, name="Recipe")
    viewer.layers.selection.active = mask
    recipes.preview.bar.on.setChecked(True)
    settle(recipes, qtbot)
    assert isinstance(recipes.preview.shown.layer, Labels)
    recipes.list.setCurrentRow(0)
    settle(recipes, qtbot)
    layer, box = recipes.preview.shown.layer, view_of(source, viewer).box
    expected = tw.apply("filters.gaussian", IMAGE, sigma=2)[box].astype(np.float32)
    np.testing.assert_array_equal(layer.data, expected)
    recipes.step.form.set_values({"sigma": 5})
    settle(recipes, qtbot)
    expected = tw.apply("filters.gaussian", IMAGE, sigma=5)[box].astype(np.float32)
    np.testing.assert_array_equal(recipes.preview.shown.layer.data, expected)
    recipes._edit(lambda draft: draft.switch(0, False))
    settle(recipes, qtbot)
    assert "switched off" in recipes.preview.bar.note.text()


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("filters.gaussian", {"sigma": 1}),
        ("filters.gaussian", {"sigma": 8}),
        ("filters.sobel", {}),
        ("filters.laplace", {}),
        ("filters.median", {}),
    ],
)
def test_contrast_limits_are_those_of_the_result(viewer, source, panel, shown, run, name, params):
    limits = shown(name, **params).contrast_limits
    panel.preview.bar.on.setChecked(False)
    np.testing.assert_allclose(run(name, **params).contrast_limits, limits, rtol=1e-6)


def test_contrast_limits_follow_the_view_and_the_parameters(viewer, panel, shown, qtbot):
    """Zoomed out, spots are smaller than a pixel: their limits would cut off the spots at 1:1."""
    image = np.full((4096, 4096), 1000, np.uint16)
    image[32::64, 32::64] = 60_000
    image[::8] += 50
    pyramid = [image, image[8::16, 8::16]]
    source = viewer.add_image(pyramid, multiscale=True, contrast_limits=(0, 65535))
    layer = shown("filters.gaussian", sigma=4, preserve_range=True)
    overview = tuple(layer.contrast_limits)
    assert overview[1] < 1100
    camera_of(viewer).center = (0, 2048, 2048)
    camera_of(viewer).zoom = 8
    settle(panel, qtbot)
    assert panel.preview.shown.layer is layer
    assert layer.contrast_limits[1] == pytest.approx(layer.data.max(), rel=1e-6)
    assert layer.contrast_limits[1] > overview[1] + 200
    layer.contrast_limits = (0, 500)
    shown("filters.gaussian", sigma=1)
    assert layer.contrast_limits == [0, 500], "the user's own limits stay"
    assert source in viewer.layers
