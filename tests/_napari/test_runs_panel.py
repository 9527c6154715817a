"""The Runs panel: what runs and what was left, paused, gone on with, cancelled, resumed, opened."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels
from qtpy.QtGui import QDesktopServices
from tests._napari.conftest import TIMEOUT
from window_work import WindowWork

import napari_tilewise as tw
from napari_tilewise._napari.jobs import session_runs
from napari_tilewise._napari.jobs.session_runs import Pause, SessionRuns, Status, follow
from napari_tilewise._napari.recipe_panel.recipe_panel import RecipePanel
from napari_tilewise._napari.runs_panel.run_rows import duration, rows, speed
from napari_tilewise._napari.runs_panel.run_table import HEADERS, PROGRESS, STATE
from napari_tilewise._napari.runs_panel.runs_panel import RunsPanel
from napari_tilewise.batches import unfinished
from napari_tilewise.batches.unfinished import RunState
from napari_tilewise.engine.control import Control
from napari_tilewise.engine.events import PassStarted, RunStarted, TileDone
from napari_tilewise.errors import Cancelled, OperationFailed
from napari_tilewise.runs import registry

pytestmark = pytest.mark.gui

IMAGE = (np.arange(160 * 160).reshape(160, 160) % 251).astype(np.uint8)
TILES = 25


class Gate:
    """A listener that holds a run up after so many tiles and one, until it is opened."""

    def __init__(self, tiles):
        self.permits = threading.Semaphore(tiles)
        self.done = 0

    def __call__(self, event):
        if isinstance(event, TileDone) and event.title == "filters.gaussian":
            self.done = event.done
            assert self.permits.acquire(timeout=120)

    def open(self):
        self.permits.release(1000)


class Work:
    """A run into a file that goes as far as a gate lets it."""

    def __init__(self, source, path, gate, fails=False):
        self.source, self.path, self.gate, self.fails = source, path, gate, fails
        self.pause = Pause()

    def follow(self, cancel, listener):
        return follow(
            "Gaussian", source=str(self.source), output=self.path,
            control=Control(listener or self.gate, cancel, self.pause), work=self,
        )  # fmt: skip

    def __call__(self, progress, cancel):
        if self.fails:
            self.fails = False
            raise OperationFailed("The tile cannot be computed.")
        tw.run(
            "filters.gaussian", self.source, self.path, workers=1, pyramid=False,
            progress=progress, cancel=cancel, pause=self.pause,
        )  # fmt: skip


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv(registry.STATE, str(tmp_path / "state"))
    monkeypatch.setattr(session_runs.SESSION, "_runs", [])
    monkeypatch.setattr(
        "napari_tilewise.runs.planner.default_chunks", lambda shape, axes, looped: (32, 32)
    )
    monkeypatch.setattr("napari_tilewise.runs.planner.LONGEST_TILE", {2: 32})
    monkeypatch.setattr("napari_tilewise.engine.system.pool.LOOK", 0.01)


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source.npy"
    np.save(path, IMAGE)
    return path


@pytest.fixture
def viewer():
    """Return a viewer without a window, which would take most of the time."""
    return ViewerModel()


@pytest.fixture
def panel(viewer, qtbot):
    made = RunsPanel(viewer)
    made.watch()
    yield made
    for run in session_runs.SESSION.all():
        run.cancel.set()
    qtbot.waitUntil(lambda: not made.queue.is_running, timeout=TIMEOUT)
    made.hideEvent(None)
    made.close()
    made.deleteLater()  # by qtbot it would be gone before this


@pytest.fixture
def gated(source, tmp_path):
    work = Work(source, tmp_path / "out.ome.zarr", Gate(3))
    yield work
    work.gate.open()


def only(panel):
    panel.refresh()
    assert panel.table.rowCount() == 1
    return panel.table.row(0)


def wait(qtbot, panel, state):
    qtbot.waitUntil(
        lambda: panel.table.rowCount() == 1 and panel.table.row(0).state is state, timeout=TIMEOUT
    )


# -- runs of this session --------------------------------------------------------------------------


def test_a_run_is_shown_with_how_far_it_is(panel, gated, qtbot):
    run = panel.queue.start(gated)
    qtbot.waitUntil(lambda: run.done == 4, timeout=TIMEOUT)
    row = only(panel)
    assert (row.title, row.state) == ("Gaussian", Status.RUNNING)
    assert row.progress == f"4 of {TILES} tiles"
    assert "now, at most" in row.memory
    assert row.rate
    assert row.time_left
    cells = [panel.table.data(panel.table.index(0, n)) for n in range(len(HEADERS))]
    assert cells[-2:] == ["source.npy", "out.ome.zarr"]
    gated.gate.open()
    wait(qtbot, panel, Status.DONE)
    assert only(panel).fraction == 1
    assert run.work is None


def test_a_pause_stops_tiles_until_it_goes_on(panel, gated, qtbot):
    run = panel.queue.start(gated)
    qtbot.waitUntil(lambda: run.done == 4, timeout=TIMEOUT)
    only(panel)
    panel.pause.click()
    assert only(panel).state is Status.PAUSED
    assert panel.pause.text() == "Resume"
    gated.gate.open()
    looks = []
    looking = gated.pause.is_set

    def is_set():  # who pulls tiles looks again and again, and takes none
        looks.append(run.done)
        return looking()

    gated.pause.is_set = is_set
    qtbot.waitUntil(lambda: len(looks) > 60, timeout=TIMEOUT)
    assert run.done <= 5
    assert looks[-1] == looks[-40]
    assert only(panel).rate == ""
    panel.pause.click()
    wait(qtbot, panel, Status.DONE)
    assert not gated.pause.is_set()


def test_a_cancelled_run_is_gone_on_with(panel, gated, source, tmp_path, qtbot):
    run = panel.queue.start(gated)
    qtbot.waitUntil(lambda: run.done == 4, timeout=TIMEOUT)
    only(panel)
    assert not panel.resume.isEnabled()
    panel.cancel.click()
    gated.gate.open()
    wait(qtbot, panel, Status.CANCELLED)
    assert not gated.path.exists()
    qtbot.waitUntil(lambda: only(panel).unfinished is not None, timeout=TIMEOUT)
    assert only(panel).unfinished.state is RunState.INTERRUPTED
    panel.resume.click()
    wait(qtbot, panel, Status.DONE)
    assert only(panel).run is not run
    tw.run("filters.gaussian", source, tmp_path / "whole.ome.zarr", pyramid=False)
    found, expected = (tw_pixels(p) for p in (gated.path, tmp_path / "whole.ome.zarr"))
    np.testing.assert_array_equal(found, expected)


def test_a_paused_run_can_be_cancelled(panel, gated, qtbot):
    run = panel.queue.start(gated)
    qtbot.waitUntil(lambda: run.done == 4, timeout=TIMEOUT)
    only(panel)
    panel.pause.click()
    gated.gate.open()
    panel.cancel.click()
    wait(qtbot, panel, Status.CANCELLED)
    assert not gated.pause.is_set()


def test_a_failure_is_told_and_can_be_tried_again(panel, source, tmp_path, qtbot):
    gate = Gate(1000)
    panel.queue.start(Work(source, tmp_path / "out.ome.zarr", gate, fails=True))
    wait(qtbot, panel, Status.FAILED)
    only(panel)
    assert panel.message.text() == "The tile cannot be computed."
    panel.resume.click()
    wait(qtbot, panel, Status.DONE)


def test_one_at_a_time_and_one_that_waits_never_begins_when_cancelled(
    panel, gated, source, tmp_path, qtbot
):
    first = panel.queue.start(gated)
    second = panel.queue.start(Work(source, tmp_path / "b.ome.zarr", Gate(1000)))
    third = panel.queue.start(Work(source, tmp_path / "c.ome.zarr", Gate(1000)))
    qtbot.waitUntil(lambda: first.done == 4, timeout=TIMEOUT)
    panel.refresh()
    states = [panel.table.row(n).state for n in range(3)]
    assert states == [Status.WAITING, Status.WAITING, Status.RUNNING]
    panel.view.selectRow(1)
    panel.cancel.click()
    assert second.state is Status.CANCELLED
    gated.gate.open()
    qtbot.waitUntil(lambda: third.state is Status.DONE, timeout=TIMEOUT)
    assert not (tmp_path / "b.ome.zarr").exists()


def test_selection_stays_with_its_run(panel, source, tmp_path):
    first = follow("first")
    panel.refresh()
    second = follow("second")
    panel.refresh()
    panel.view.selectRow(1)
    follow("third")
    panel.refresh()
    assert [row.run for row in panel.selected] == [first]
    with second:
        pass
    panel.refresh()
    panel.view.selectRow(1)
    panel.forget.click()
    assert [panel.table.row(n).title for n in range(2)] == ["third", "first"]


def test_what_the_other_panels_do_is_shown(make_napari_viewer, panel, qtbot):
    viewer = make_napari_viewer(show=False)
    viewer.add_image(IMAGE, name="coins", contrast_limits=(0, 255))
    recipes = RecipePanel(viewer)
    viewer.window.add_dock_widget(recipes, name="Recipe")
    recipes.add_step("filters.gaussian")
    recipes.update_layer.click()
    qtbot.waitUntil(lambda: not recipes.runner.is_running, timeout=TIMEOUT)
    wait(qtbot, panel, Status.DONE)
    row = only(panel)
    assert (row.title, row.source) == ("Gaussian on 'coins'", "coins")
    assert not row.can_open


def test_a_full_run_of_the_recipe_panel_that_was_cancelled_goes_on(
    make_napari_viewer, panel, qtbot, tmp_path, monkeypatch
):
    viewer = make_napari_viewer(show=False)
    viewer.add_image(IMAGE, name="coins", contrast_limits=(0, 255))
    recipes = RecipePanel(viewer)
    viewer.window.add_dock_widget(recipes, name="Recipe")
    recipes.add_step("filters.gaussian")
    path = tmp_path / "full.ome.zarr"
    gate = Gate(3)
    listening = session_runs.SessionRun.__call__

    def gated(self, event):
        listening(self, event)
        gate(event)

    monkeypatch.setattr(session_runs.SessionRun, "__call__", gated)
    recipes.files.run(path)
    qtbot.waitUntil(lambda: gate.done >= 3, timeout=TIMEOUT)
    only(panel)
    panel.cancel.click()
    gate.open()
    qtbot.waitUntil(lambda: not recipes.runner.is_running, timeout=TIMEOUT)
    wait(qtbot, panel, Status.CANCELLED)
    assert not path.exists()
    panel.resume.click()
    wait(qtbot, panel, Status.DONE)
    assert path.exists()


# -- what was left ---------------------------------------------------------------------------------


def leave(source, path):
    cancel = threading.Event()

    def listen(event):
        if isinstance(event, TileDone) and event.done == 5 and event.title == "filters.gaussian":
            cancel.set()

    with pytest.raises(Cancelled):
        tw.run("filters.gaussian", source, path, progress=listen, cancel=cancel, workers=1)


def test_a_left_run_is_listed_gone_on_with_and_opened(
    viewer, panel, source, tmp_path, qtbot, notes
):
    path = tmp_path / "left.ome.zarr"
    leave(source, path)
    panel.look()
    wait(qtbot, panel, Status.INTERRUPTED)
    row = only(panel)
    assert (row.title, row.progress) == ("Gaussian", f"5 of {TILES} tiles")
    assert row.fraction == pytest.approx(0.2)
    assert not panel.open.isEnabled()
    follow("another")
    panel.refresh()
    panel.view.selectRow(1)
    panel.resume.click()
    (row,) = panel.selected  # it stays selected, and its buttons work
    assert row.output == path
    assert row.run in session_runs.SESSION.all()
    assert panel.pause.isEnabled() or row.state.is_over
    qtbot.waitUntil(lambda: row.run.state is Status.DONE, timeout=TIMEOUT)
    panel.refresh()
    assert [row.run for row in panel.selected] == [row.run]
    ((text, show),) = notes[-1].actions
    assert (notes[-1].message, text) == ("Gaussian into left.ome.zarr: finished.", "Show")
    show(None)
    qtbot.waitUntil(lambda: len(viewer.layers) == 1, timeout=TIMEOUT)
    assert isinstance(viewer.layers[0], Image)
    assert viewer.layers[0].name == "left"
    np.testing.assert_array_equal(np.asarray(viewer.layers[0].data), tw_pixels(path))
    assert unfinished.unfinished_runs() == []


def test_labels_are_opened_as_labels(viewer, panel, source, tmp_path, qtbot):
    path = tmp_path / "labels.ome.zarr"
    with follow("Label", output=path) as run:
        tw.run("measure.label", source, path, progress=run)
    only(panel)
    panel.open.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 1, timeout=TIMEOUT)
    assert isinstance(viewer.layers[0], Labels)


def test_folders_and_tables_are_opened_by_the_system(panel, source, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened.append(url.toLocalFile()))
    with follow("Batch", output=tmp_path / "out") as run:
        tw.batch("filters.gaussian", str(source), tmp_path / "out", progress=run, n_jobs=1)
    assert only(panel).progress == "1 of 1 item"
    panel.open.click()
    assert opened == [str(tmp_path / "out")]


def test_a_left_run_is_forgotten(panel, source, tmp_path, qtbot):
    leave(source, tmp_path / "left.ome.zarr")
    panel.look()
    wait(qtbot, panel, Status.INTERRUPTED)
    only(panel)
    panel.forget.click()
    qtbot.waitUntil(lambda: not list(tmp_path.glob(".left*")), timeout=TIMEOUT)
    qtbot.waitUntil(lambda: panel.table.rowCount() == 0, timeout=TIMEOUT)
    qtbot.waitUntil(lambda: unfinished.unfinished_runs() == [], timeout=TIMEOUT)


def test_why_one_cannot_be_gone_on_with_is_said(panel, tmp_path, qtbot):
    leave(IMAGE, tmp_path / "left.ome.zarr")
    panel.look()
    wait(qtbot, panel, Status.NOT_RESUMABLE)
    only(panel)
    assert not panel.resume.isEnabled()
    assert "in memory" in panel.message.text()


def test_nothing_is_told(panel, qtbot):
    panel.refresh()
    assert panel.table.rowCount() == 0
    assert "There are no runs" in panel.message.text()
    assert not any(b.isEnabled() for b in (panel.pause, panel.cancel, panel.resume, panel.forget))


# -- the window ------------------------------------------------------------------------------------


def test_the_work_of_the_window_does_not_depend_on_the_number_of_events(panel):
    runs = [follow(f"run {number}", output=f"/out/{number}") for number in range(150)]
    drawn = []
    panel.table.dataChanged.connect(lambda first, last: drawn.append((first.row(), last.row())))
    for run in runs:
        run(RunStarted(None, 10**6, 2**30))
        run(PassStarted("gaussian", 10**6))
        run(TileDone("gaussian", 1, 10**6))
    panel.refresh()
    drawn.clear()

    def send(events):
        for done in events:
            for run in runs:
                run(TileDone("gaussian", done, 10**6))

    lines = []
    for events in (range(2, 4), range(4, 400)):
        sender = threading.Thread(target=send, args=(events,))
        with WindowWork() as work:
            sender.start()
            sender.join()
            panel.refresh()
        lines.append(work.lines)
    assert lines[0]
    assert lines[0] == lines[1]
    assert drawn == [(0, 149)] * 2
    for run in runs:
        run.drop()


def test_only_what_changed_is_drawn_again(panel, qtbot):
    first, second = follow("first"), follow("second")
    panel.refresh()
    drawn = []
    panel.table.dataChanged.connect(lambda a, b: drawn.append((a.row(), b.row())))
    first(PassStarted("x", 3))
    panel.refresh()
    assert drawn == [(1, 1)]
    assert panel.table.data(panel.table.index(1, STATE)) == "running"
    assert panel.table.data(panel.table.index(1, PROGRESS)) == "0 of 3 tiles"
    for run in (first, second):
        run.drop()


# -- words and numbers -----------------------------------------------------------------------------


def test_rate_and_time_left_leave_pauses_out(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(session_runs.time, "monotonic", lambda: now[0])
    run = follow("run", session=SessionRuns())
    run(PassStarted("pass", 20))
    assert run.rate is None
    for done in (6, 7, 8, 9, 10):  # five were done before
        now[0] += 2
        run(TileDone("pass", done, 20))
    assert run.rate == pytest.approx(0.5)
    run.pause.set()
    now[0] += 1000
    run.pause.clear()
    assert run.rate == pytest.approx(0.5)
    assert run.seconds_left == pytest.approx(20)


def test_what_is_over_does_not_pile_up():
    session = SessionRuns()
    for number in range(session_runs.MOST + 30):
        with follow(str(number), session=session):
            pass
    names = [run.title for run in session.all()]
    assert len(names) == session_runs.MOST
    assert names[0] == str(session_runs.MOST + 29)


def test_words():
    assert [duration(n) for n in (None, 5, 300, 7600)] == ["", "5 s", "5 min", "2 h 07 min"]
    assert [speed(r, "tiles") for r in (None, 12.34, 0.1)] == ["", "12.3 tiles/s", "10 s/tile"]
    assert rows([], []) == []


def tw_pixels(path):
    from napari_tilewise.io.readers.open_image import open_image

    return np.asarray(open_image(path).data[:])
