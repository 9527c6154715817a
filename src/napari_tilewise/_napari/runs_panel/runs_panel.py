"""The Runs panel: all runs and batches of this session, and unfinished ones of other processes.

It looks at the runs of this session ten times a second, and now and then, in a thread, for those of
other processes.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, cast

import napari
from napari.utils.notifications import show_error
from qtpy.QtCore import QItemSelectionModel, QTimer, QUrl
from qtpy.QtGui import QDesktopServices, QHideEvent, QShowEvent
from qtpy.QtWidgets import QGridLayout, QPushButton, QVBoxLayout

from napari_tilewise._napari.jobs.running import INTERVAL, Runner
from napari_tilewise._napari.jobs.session_runs import SESSION, SessionRuns, Status
from napari_tilewise._napari.layers import slicing
from napari_tilewise._napari.layers.item_layers import ImageLayerData, OpenItem, ViewState
from napari_tilewise._napari.layers.viewer_layers import add_result
from napari_tilewise._napari.runs_panel.run_queue import ResumedRun, RunQueue
from napari_tilewise._napari.runs_panel.run_rows import RunRow, rows
from napari_tilewise._napari.runs_panel.run_table import RunTableModel, view_of
from napari_tilewise._napari.widgets.ending import when_destroyed
from napari_tilewise._napari.widgets.notify import notify
from napari_tilewise._napari.widgets.panel_base import Panel
from napari_tilewise.batches import Item, unfinished
from napari_tilewise.batches.discover import stem_of
from napari_tilewise.errors import TilewiseError
from napari_tilewise.io.writers.values import SUFFIXES as VALUES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari_tilewise._napari.jobs.session_runs import SessionRun
    from napari_tilewise.batches.unfinished import UnfinishedRun

OTHERS = 5000
"""Milliseconds between two looks at the runs of other processes."""
NO_RUNS = "There are no runs, running or unfinished."


class RunsPanel(Panel):
    """Shows runs, and pauses, cancels, resumes and opens them.

    Parameters
    ----------
    napari_viewer
        The viewer that gets opened outputs.
    session
        The runs of this session.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer, session: SessionRuns = SESSION) -> None:
        super().__init__(napari_viewer, "runs")
        self._session = session
        self._unfinished: list[UnfinishedRun] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tilewise-runs")
        self._scan: Future[list[UnfinishedRun]] | None = None
        when_destroyed(self, partial(self._thread.shutdown, wait=False))
        self._ended = 0
        self._resumed: list[SessionRun] = []
        """Those that this panel resumed, and that have not ended."""
        self.queue = RunQueue(self)
        self.opener = Runner(self)
        self.opener.finished.connect(self._opened)
        self.opener.failed.connect(self._failed)
        self.table = RunTableModel(self)
        self.view = view_of(self.table)
        self._build()
        self._timers = [self._timer(INTERVAL, self.refresh), self._timer(OTHERS, self.look)]

    def _build(self) -> None:
        self.pause, self.cancel, self.resume, self.open, self.forget = map(
            QPushButton, ("Pause", "Cancel", "Resume", "Open output", "Forget")
        )
        self.pause.setToolTip("Start no more tiles or items until you resume")
        self.cancel.setToolTip("Stop within one tile; finished tiles are kept")
        self.resume.setToolTip("Resume where the run stopped: no finished tile is computed again")
        self.open.setToolTip(
            "Open the output as a layer; a folder or a table in its default application"
        )
        self.forget.setToolTip(
            "<qt>Remove the run from the list, and delete its unfinished output</qt>"
        )
        buttons = QGridLayout()
        for number, (button, act) in enumerate(
            (
                (self.pause, self.pause_or_resume),
                (self.cancel, self.cancel_runs),
                (self.resume, self.resume_runs),
                (self.open, self.open_output),
                (self.forget, self.forget_runs),
            )
        ):
            button.clicked.connect(lambda _, act=act: act())
            buttons.addWidget(button, number // 3, number % 3)
        layout = QVBoxLayout(self)
        layout.addWidget(self.view, 1)
        layout.addWidget(self.message)
        layout.addLayout(buttons)
        self.view.doubleClicked.connect(lambda _: self.open_output())
        self._selection.selectionChanged.connect(lambda *_: self._enable())

    def _timer(self, interval: int, act: Callable[[], None]) -> QTimer:
        timer = QTimer(self)
        timer.setInterval(interval)
        timer.timeout.connect(act)
        return timer

    @property
    def _selection(self) -> QItemSelectionModel:
        return cast("QItemSelectionModel", self.view.selectionModel())

    # ------------------------------------------------------------------ looking

    def showEvent(self, event: QShowEvent | None) -> None:
        """Watch the runs while the panel is visible."""
        super().showEvent(event)
        self.watch()

    def hideEvent(self, event: QHideEvent | None) -> None:
        """Stop watching."""
        super().hideEvent(event)
        for timer in self._timers:
            timer.stop()

    def watch(self) -> None:
        """Refresh now and repeatedly."""
        for timer in self._timers:
            timer.start()
        self.look()
        self.refresh()

    def look(self) -> None:
        """Look for the runs of other processes in a thread; `refresh` shows them."""
        self._scan = self._thread.submit(unfinished.unfinished_runs)

    def refresh(self) -> None:
        """Show the current states of the runs."""
        self._take_scan()
        runs = self._session.all()
        ended = sum(run.state.is_over for run in runs)
        if ended != self._ended:  # the unfinished runs on disk changed too
            self._ended = ended
            self.look()
            self._announce()
        self.table.show_rows(rows(runs, self._unfinished))
        self._enable()

    def _announce(self) -> None:
        """Say which resumed runs are complete, with a button that opens the output."""
        for run in [run for run in self._resumed if run.state.is_over]:
            self._resumed.remove(run)
            if run.state is Status.DONE and run.output is not None:
                show = partial(self._open, run.output, is_batch=run.unit == "items")
                notify(f"{run.title} into {run.output.name}: finished.", "Show", show)

    def _take_scan(self) -> None:
        if self._scan is None or not self._scan.done():
            return
        scan, self._scan = self._scan, None
        try:
            self._unfinished = scan.result()
        except TilewiseError as error:  # a run to be forgotten was resumed meanwhile
            self._failed(error)
            self.look()

    @property
    def selected(self) -> list[RunRow]:
        """The selected rows; the only row if there is just one."""
        if self.table.rowCount() == 1:
            return [self.table.row(0)]
        return [self.table.row(index.row()) for index in self._selection.selectedRows()]

    def _enable(self) -> None:
        selected = self.selected
        self.pause.setEnabled(any(row.can_pause for row in selected))
        self.pause.setText("Resume" if _all_paused(selected) else "Pause")
        self.cancel.setEnabled(any(row.can_cancel for row in selected))
        self.resume.setEnabled(any(row.can_resume for row in selected))
        self.open.setEnabled(any(row.can_open for row in selected) and not self.opener.is_running)
        self.forget.setEnabled(any(row.can_forget for row in selected))
        notes = [row.note for row in selected if row.note]
        self.say(NO_RUNS if not self.table.rowCount() else " ".join(notes[:1]))

    # ------------------------------------------------------------------ acting

    def pause_or_resume(self) -> None:
        """Pause the selected runs, or resume them if all are paused."""
        resume = _all_paused(self.selected)
        for row in self.selected:
            if row.can_pause and row.run is not None:
                (row.run.pause.clear if resume else row.run.pause.set)()
        self.refresh()

    def cancel_runs(self) -> None:
        """Cancel the selected runs."""
        for row in self.selected:
            if row.can_cancel and row.run is not None:
                self.queue.cancel(row.run)
        self.refresh()

    def resume_runs(self) -> None:
        """Resume the selected runs, one after another; they stay selected."""
        resumed = []
        for row in self.selected:
            if not row.can_resume:
                continue
            work = None if row.run is None else row.run.work
            if row.run is not None:
                self._session.remove(row.run)
            if work is None and row.unfinished is not None:
                work = ResumedRun(row.unfinished)
            if work is not None:
                resumed.append(self.queue.start(work))
        self._resumed += resumed
        self.refresh()
        self._select(resumed)

    def _select(self, runs: Sequence[SessionRun]) -> None:
        """Select the rows of runs."""
        flags = QItemSelectionModel.SelectionFlag
        self._selection.clearSelection()
        for number in range(self.table.rowCount()):
            if self.table.row(number).run in runs:
                self._selection.select(self.table.index(number, 0), flags.Select | flags.Rows)
        self._enable()

    def forget_runs(self) -> None:
        """Remove the selected runs from the list, and delete their unfinished outputs."""
        for row in self.selected:
            if not row.can_forget:
                continue
            if row.run is not None:
                self._session.remove(row.run)
            if row.unfinished is not None:
                self._forget(row.unfinished)
        self.refresh()

    def _forget(self, run: UnfinishedRun) -> None:
        """Delete the files of an unfinished run in a thread: there may be many."""
        self._unfinished = [other for other in self._unfinished if other is not run]
        self._scan = self._thread.submit(_forget_and_scan, run)

    # ------------------------------------------------------------------ opening

    def open_output(self) -> None:
        """Open the output of the selected run: an image as a layer, others in their application."""
        row = next((row for row in self.selected if row.can_open), None)
        if row is None or row.output is None or self.opener.is_running:
            return
        self._open(row.output, is_batch=row.unit == "items")

    def _open(self, path: Path, *, is_batch: bool) -> None:
        if self.opener.is_running:
            return
        if is_batch or path.name.lower().endswith(VALUES):
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))
            return
        view = ViewState(tuple(self.viewer.dims.point), int(self.viewer.dims.ndisplay))
        self.opener.start_work(OpenItem(Item(0, stem_of(path.name), str(path)), None, view))
        self._enable()

    def _opened(self, _: OpenItem, opened: tuple[ImageLayerData | None, object]) -> None:
        image = opened[0]
        if image is not None:
            layer = image.layer()
            slicing.prepare(layer, self.viewer, is_lazy=image.is_lazy)
            add_result(self.viewer, layer)
        self._enable()

    def _failed(self, error: Exception) -> None:
        self._enable()
        if isinstance(error, TilewiseError):
            show_error(str(error))


def _forget_and_scan(run: UnfinishedRun) -> list[UnfinishedRun]:
    """Delete an unfinished run, and return the others."""
    run.forget()
    return unfinished.unfinished_runs()


def _all_paused(selected: Sequence[RunRow]) -> bool:
    states = [row.state for row in selected if row.can_pause]
    return bool(states) and all(state is Status.PAUSED for state in states)
