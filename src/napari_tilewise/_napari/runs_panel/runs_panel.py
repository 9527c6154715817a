"""The Runs panel: every run and batch, of this session and left by others, and what can be done.

It looks at the runs of this session ten times a second, and in a thread, now and then, for what
other processes run or left.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import napari
from napari.utils.notifications import show_error
from qtpy.QtCore import QItemSelectionModel, QTimer, QUrl
from qtpy.QtGui import QDesktopServices, QHideEvent, QShowEvent
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout

from napari_tilewise._napari.jobs.running import INTERVAL, Runner
from napari_tilewise._napari.jobs.session_runs import SESSION, SessionRuns, Status
from napari_tilewise._napari.layers import slicing
from napari_tilewise._napari.layers.item_layers import Look, Opening
from napari_tilewise._napari.runs_panel.run_rows import Row, rows
from napari_tilewise._napari.runs_panel.run_starter import Resumed, Starter
from napari_tilewise._napari.runs_panel.run_table import RunsTable, view_of
from napari_tilewise._napari.widgets.panel_base import Panel
from napari_tilewise.batches import Item, unfinished
from napari_tilewise.batches.discover import stem_of
from napari_tilewise.errors import TilewiseError
from napari_tilewise.io.writers.values import SUFFIXES as VALUES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise.batches.unfinished import UnfinishedRun

OTHERS = 5000
"""Milliseconds between two looks at what other processes run or left."""
NOTHING = "Nothing runs, and nothing was left unfinished."


class RunsPanel(Panel):
    """Shows runs and acts on them.

    Parameters
    ----------
    napari_viewer
        The viewer.
    session
        The runs of this session.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer, session: SessionRuns = SESSION) -> None:
        super().__init__(napari_viewer, "runs")
        self._session = session
        self._begun: list[UnfinishedRun] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tilewise-runs")
        self._looking: Future[list[UnfinishedRun]] | None = None
        self.destroyed.connect(partial(self._thread.shutdown, wait=False))
        self._over = 0
        self.starter = Starter(self)
        self.opener = Runner(self)
        self.opener.finished.connect(self._opened)
        self.opener.failed.connect(self._failed)
        self.table = RunsTable(self)
        self.view = view_of(self.table)
        self._build()
        self._timers = [self._timer(INTERVAL, self.refresh), self._timer(OTHERS, self.look)]

    def _build(self) -> None:
        self.pause, self.cancel, self.resume, self.open, self.forget = map(
            QPushButton, ("Pause", "Cancel", "Resume", "Open output", "Forget")
        )
        self.pause.setToolTip("Take no more tiles or items until you go on")
        self.cancel.setToolTip("Stop within one tile; what is done is kept")
        self.resume.setToolTip("Go on where it was: no finished tile is computed again")
        self.open.setToolTip("Show the output as a layer; a folder or a table as the system does")
        self.forget.setToolTip("<qt>Remove it from the list, and what it left unfinished</qt>")
        buttons = QHBoxLayout()
        for button, act in (
            (self.pause, self.pause_or_go_on),
            (self.cancel, self.cancel_runs),
            (self.resume, self.resume_runs),
            (self.open, self.open_output),
            (self.forget, self.forget_runs),
        ):
            button.clicked.connect(lambda _, act=act: act())
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.addWidget(self.view, 1)
        layout.addWidget(self.message)
        layout.addLayout(buttons)
        self.view.doubleClicked.connect(lambda _: self.open_output())
        self._selection.selectionChanged.connect(lambda *_: self._enable())
        self.setMinimumWidth(420)

    def _timer(self, interval: int, act: Any) -> QTimer:
        timer = QTimer(self)
        timer.setInterval(interval)
        timer.timeout.connect(act)
        return timer

    @property
    def _selection(self) -> QItemSelectionModel:
        found = self.view.selectionModel()
        assert found is not None
        return found

    # ------------------------------------------------------------------ looking

    def showEvent(self, event: QShowEvent | None) -> None:
        """Look at the runs while the panel can be seen."""
        super().showEvent(event)
        self.watch()

    def hideEvent(self, event: QHideEvent | None) -> None:
        """Look no more."""
        super().hideEvent(event)
        for timer in self._timers:
            timer.stop()

    def watch(self) -> None:
        """Look now, and again and again."""
        for timer in self._timers:
            timer.start()
        self.look()
        self.refresh()

    def look(self) -> None:
        """Look in a thread for what other processes run or left; `refresh` takes what it finds."""
        self._looking = self._thread.submit(unfinished.unfinished_runs)

    def refresh(self) -> None:
        """Show how the runs are now."""
        self._take_found()
        followed = self._session.all()
        over = sum(run.state.is_over for run in followed)
        if over != self._over:  # what it left, or left no more, is news too
            self._over = over
            self.look()
        self.table.show_rows(rows(followed, self._begun))
        self._enable()

    def _take_found(self) -> None:
        if self._looking is None or not self._looking.done():
            return
        found, self._looking = self._looking, None
        try:
            self._begun = found.result()
        except TilewiseError as error:  # what was to be forgotten is alive again
            self._failed(error)
            self.look()

    @property
    def selected(self) -> list[Row]:
        """The rows that are selected; where there is one only, that one."""
        if self.table.rowCount() == 1:
            return [self.table.row(0)]
        return [self.table.row(index.row()) for index in self._selection.selectedRows()]

    def _enable(self) -> None:
        chosen = self.selected
        self.pause.setEnabled(any(row.can_pause for row in chosen))
        self.pause.setText("Go on" if _all_paused(chosen) else "Pause")
        self.cancel.setEnabled(any(row.can_cancel for row in chosen))
        self.resume.setEnabled(any(row.can_resume for row in chosen))
        self.open.setEnabled(any(row.can_open for row in chosen) and not self.opener.is_running)
        self.forget.setEnabled(any(row.can_forget for row in chosen))
        notes = [row.note for row in chosen if row.note]
        self.say(NOTHING if not self.table.rowCount() else " ".join(notes[:1]))

    # ------------------------------------------------------------------ acting

    def pause_or_go_on(self) -> None:
        """Pause the selected runs, or go on with them where all are paused."""
        go_on = _all_paused(self.selected)
        for row in self.selected:
            if row.can_pause and row.followed is not None and row.followed.pause is not None:
                (row.followed.pause.clear if go_on else row.followed.pause.set)()
        self.refresh()

    def cancel_runs(self) -> None:
        """Cancel the selected runs."""
        for row in self.selected:
            if row.can_cancel and row.followed is not None:
                self.starter.cancel(row.followed)
        self.refresh()

    def resume_runs(self) -> None:
        """Go on with the selected runs, one after the other."""
        for row in self.selected:
            if not row.can_resume:
                continue
            again = None if row.followed is None else row.followed.again
            if row.followed is not None:
                self._session.remove(row.followed)
            if again is None and row.begun is not None:
                again = Resumed(row.begun)
            if again is not None:
                self.starter.start(again)
        self.refresh()

    def forget_runs(self) -> None:
        """Remove the selected runs from the list, and what they left unfinished."""
        for row in self.selected:
            if not row.can_forget:
                continue
            if row.followed is not None:
                self._session.remove(row.followed)
            if row.begun is not None:
                self._forget(row.begun)
        self.refresh()

    def _forget(self, left: UnfinishedRun) -> None:
        """Remove what a run left, in a thread: that may be many files."""
        self._begun = [one for one in self._begun if one is not left]
        self._looking = self._thread.submit(_without, left)

    # ------------------------------------------------------------------ opening

    def open_output(self) -> None:
        """Show the output of the selected run: an image as a layer, others as the system does."""
        row = next((row for row in self.selected if row.can_open), None)
        if row is None or row.output is None or self.opener.is_running:
            return
        path = row.output
        is_batch = row.unit == "items"
        if is_batch or path.name.lower().endswith(VALUES):
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))
            return
        look = Look(tuple(self.viewer.dims.point), int(self.viewer.dims.ndisplay))
        self.opener.start_work(Opening(Item(0, stem_of(path.name), str(path)), None, look))
        self._enable()

    def _opened(self, _: Any, shown: tuple[Any, Any]) -> None:
        picture, _ = shown
        layer = picture.layer()
        if picture.is_lazy:
            slicing.in_background(layer, self.viewer)
        self.viewer.add_layer(layer)
        self._enable()

    def _failed(self, error: Exception) -> None:
        self._enable()
        if isinstance(error, TilewiseError):
            show_error(str(error))


def _without(left: UnfinishedRun) -> list[UnfinishedRun]:
    """Forget what a run left, and return what others left."""
    left.forget()
    return unfinished.unfinished_runs()


def _all_paused(chosen: Sequence[Row]) -> bool:
    states = [row.state for row in chosen if row.can_pause]
    return bool(states) and all(state is Status.PAUSED for state in states)
