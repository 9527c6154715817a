"""One run at a time in a worker thread, which only computes; the window asks it how far it is.

The worker leaves its latest progress in a plain attribute; a timer on the window's thread reads it
ten times a second and moves the bar in napari's activity dock, however many tiles there are.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from napari.qt.threading import FunctionWorker, create_worker
from napari.utils import progress
from qtpy.QtCore import QObject, QTimer, Signal  # type: ignore[attr-defined]

from napari_tilewise._napari.jobs.compute import compute, show
from napari_tilewise._napari.jobs.job import as_error
from napari_tilewise.engine.events import Event, Listener, PassStarted, TileDone
from napari_tilewise.errors import Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_tilewise._napari.jobs.job import Job, JobOutcome
    from napari_tilewise._napari.layers.snapshot import Box

Outcomes: TypeAlias = "tuple[JobOutcome, ...]"
Work: TypeAlias = "Callable[[Listener, threading.Event], Any]"
"""Called in the worker with what takes events and what is set to stop; as a text it says what."""

SPINS = 3
"""How often a lazy result is shown again because the viewer moved on while it was computed."""
INTERVAL = 100
"""Milliseconds between two looks at the progress."""


class Latest:
    """The latest progress of a run; written by its threads, read by the window's."""

    state: tuple[str, int, int] = ("", 0, 0)

    def __call__(self, event: Event) -> None:
        """Take note of an event."""
        if isinstance(event, TileDone):
            self.state = (event.title, event.done, event.tiles)
        elif isinstance(event, PassStarted):
            self.state = (event.title, 0, event.tiles)


class JobTask:
    """What the worker calls; its text is what napari shows when asked to close meanwhile."""

    def __init__(self, text: str, work: Callable[[], Any]) -> None:
        self._text = text
        self._work: list[Callable[[], Any]] = [work]

    def __call__(self) -> Any:
        """Do the work, once: napari keeps every worker, which must not keep the images alive."""
        return self._work.pop()()

    def __repr__(self) -> str:
        return self._text


class Worker(FunctionWorker):  # type: ignore[misc]  # napari has no types
    """A worker that really stops: napari calls `quit` when its window closes."""

    cancel: threading.Event | None = None

    def quit(self) -> None:
        """Ask the engine to stop within one tile's time."""
        super().quit()
        if self.cancel is not None:
            self.cancel.set()


def _quit(workers: list[Worker], *_: object) -> None:
    for worker in workers:
        worker.quit()


def _followed(work: Any, call: Work) -> Work:
    """Return a call that the Runs panel shows, where the work says how."""
    if not hasattr(work, "follow"):
        return call

    def watched(listener: Listener, cancel: threading.Event) -> Any:
        with work.follow(cancel, listener) as run:
            return call(run, cancel)

    return watched


class Runner(QObject):
    """Runs jobs, one at a time.

    Parameters
    ----------
    parent
        The widget whose end ends the run.
    """

    progressed = Signal(str, int, int)
    """What is done, tiles done, tiles in all."""
    finished = Signal(object, object)
    """A job and its outcomes, one per result; or another work and what it returned."""
    failed = Signal(object)
    """Why a run ended without an outcome (`Cancelled` among others)."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._worker: Worker | None = None
        self._live: list[Worker] = []
        parent.destroyed.connect(partial(_quit, self._live))
        self._work: Any = None
        self._shown: Callable[[], Box] | None = None
        self.again = 0
        """How often the last job's results were shown again."""
        self._bar: Any = None
        self._latest = Latest()
        self._timer = QTimer(self)
        self._timer.setInterval(INTERVAL)
        self._timer.timeout.connect(self._look)

    @property
    def is_running(self) -> bool:
        """Whether a job runs."""
        return self._worker is not None

    def start(self, job: Job, shown: Callable[[], Box] | None = None) -> None:
        """Start a job.

        Parameters
        ----------
        job
            What to do.
        shown
            Returns the part of the source that is shown by now; where the viewer has moved on when
            a lazy result comes, that part is brought into memory too.
        """
        self.again = 0
        self._shown = shown
        self._start(job, _followed(job, partial(compute, job)))

    def start_work(self, work: Work) -> None:
        """Start any other work.

        Parameters
        ----------
        work
            The work.
        """
        self._shown = None
        self._start(work, _followed(work, work))

    def _moved_on(self, outcomes: Outcomes) -> Box | None:
        """Return the part of the source that is shown now, where it is not the one computed."""
        boxes = [outcome.box for outcome in outcomes if outcome.box is not None]
        if not boxes or self._shown is None or self.again >= SPINS:
            return None
        box = self._shown()
        return box if box != boxes[0] else None

    def cancel(self) -> None:
        """Ask the run to stop; it ends within one tile's time."""
        if self._worker is not None:
            self._worker.quit()

    def _start(self, work: Any, call: Work) -> None:
        self._work = work
        self._latest = latest = Latest()
        cancel = threading.Event()
        worker: Worker = create_worker(
            JobTask(str(work), lambda: call(latest, cancel)),
            _start_thread=False, _worker_class=Worker, _ignore_errors=True,
        )  # fmt: skip
        worker.cancel = cancel
        worker.returned.connect(self._returned)
        worker.errored.connect(self._errored)
        worker.finished.connect(self._ended)
        self._worker = worker
        self._live[:] = [worker]
        self._bar = self._bar or progress(total=0, desc=str(work))
        self._timer.start()
        worker.start()

    def _look(self) -> None:
        what, done, tiles = self._latest.state
        if self._bar is None or not tiles:
            return
        if self._bar.total != tiles:
            self._bar.total = tiles
        if self._bar.n != done:
            self._bar.update(done - self._bar.n)
        self.progressed.emit(what, done, tiles)

    def _returned(self, result: Any) -> None:
        work = self._work
        box = self._moved_on(result) if self._shown is not None else None
        if box is not None:
            self.again += 1
            self._start(work, lambda _, cancel: show(work, result, box, cancel))
            return
        self._stop()
        self.finished.emit(work, result)

    def _errored(self, error: Exception) -> None:
        work = self._stop()
        self.failed.emit(as_error(work, error))

    def _ended(self) -> None:
        """Tell of a run that was cancelled so late that it neither returned nor failed."""
        if self._worker is not None and self.sender() is self._worker.signals:
            self._stop()
            self.failed.emit(Cancelled("Cancelled: no layer was added."))

    def _stop(self) -> Any:
        work, bar, self._work, self._bar = self._work, self._bar, None, None
        self._shown = None
        self._timer.stop()
        self._worker = None
        self._live.clear()
        if bar is not None:
            bar.close()  # handles waiting events: everything else is settled by now
        return work
