"""Runs one job at a time in a worker thread; the window's thread polls its progress.

The worker keeps its latest progress in a plain attribute. A timer on the window's thread reads it
ten times a second and updates napari's activity dock, however many tiles there are.
"""

from __future__ import annotations

import atexit
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakSet

from napari.qt.threading import FunctionWorker, create_worker
from napari.utils import progress
from qtpy.QtCore import QObject, QThreadPool, QTimer, Signal

from napari_tilewise._napari.jobs.compute import compute, compute_shown
from napari_tilewise._napari.jobs.job import as_error
from napari_tilewise._napari.widgets.ending import when_destroyed
from napari_tilewise.engine.events import Event, Listener, PassStarted, TileDone
from napari_tilewise.errors import Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_tilewise._napari.jobs.job import Job, JobOutcome
    from napari_tilewise._napari.layers.snapshot import Box

Outcomes: TypeAlias = "tuple[JobOutcome, ...]"
Work: TypeAlias = "Callable[[Listener, threading.Event], Any]"
"""Called in the worker with a listener and an event to stop it; its text is its title."""

MOST_REPEATS = 3
"""How often a lazy result is computed for another view because the viewer moved meanwhile."""
INTERVAL = 100
"""Milliseconds between two looks at the progress."""
LONGEST_END = 30_000
"""Milliseconds that the end of the program waits for cancelled workers."""


class LatestProgress:
    """The latest progress of a run; written by its threads, read by the window's thread."""

    state: tuple[str, int, int] = ("", 0, 0)

    def __call__(self, event: Event) -> None:
        """Take in an event."""
        if isinstance(event, TileDone):
            self.state = (event.title, event.done, event.tiles)
        elif isinstance(event, PassStarted):
            self.state = (event.title, 0, event.tiles)


class JobTask:
    """The worker's function; napari shows its text if the user closes the window meanwhile."""

    def __init__(self, text: str, work: Callable[[], Any]) -> None:
        self._text = text
        self._work: list[Callable[[], Any]] = [work]

    def __call__(self) -> Any:
        """Perform the work once; napari keeps every worker, which must not keep images alive."""
        return self._work.pop()()

    def __repr__(self) -> str:
        return self._text


_started: WeakSet[JobWorker] = WeakSet()
"""The workers of this process."""


class JobWorker(FunctionWorker):  # type: ignore[misc]  # napari has no types
    """A worker that stops when napari calls `quit`, as it does when its window closes."""

    cancel: threading.Event | None = None

    def start(self) -> None:
        """Start the worker's thread; it is stopped when the program ends."""
        _started.add(self)
        super().start()

    def quit(self) -> None:
        """Ask the engine to stop within one tile's time."""
        super().quit()
        if self.cancel is not None:
            self.cancel.set()


def _end_all() -> None:
    """Cancel all workers, and wait until their runs can be resumed."""
    for worker in list(_started):
        worker.quit()
    pool = QThreadPool.globalInstance()
    if pool is not None and _started:
        pool.waitForDone(LONGEST_END)


# A script may end while a worker runs. After the threads of Python's executors are gone, and then
# Qt's objects, a worker cannot end any more: it would abort the process. `atexit` is too late.
getattr(threading, "_register_atexit", atexit.register)(_end_all)

_abandoned: list[JobWorker] = []
"""Workers of cancelled jobs whose threads compute their last tiles."""


def _forget(worker: JobWorker) -> None:
    if worker in _abandoned:
        _abandoned.remove(worker)


def _quit(workers: list[JobWorker]) -> None:
    for worker in workers:
        worker.quit()


def _followed(work: object, call: Work) -> Work:
    """Return a call that the Runs panel lists, if the work supports it."""
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
        Its end stops the run.
    """

    progressed = Signal(str, int, int)
    """The current pass, tiles done, all tiles."""
    finished = Signal(object, object)
    """A job and its outcomes, one per result; or another work and its return value."""
    failed = Signal(object)
    """The error of a run without an outcome; `Cancelled` if the user cancelled it."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._worker: JobWorker | None = None
        self._workers: list[JobWorker] = []
        when_destroyed(parent, partial(_quit, self._workers))
        self._work: Any = None
        self._is_job = False
        self._shown: Callable[[], Box] | None = None
        self.repeats = 0
        """How often the last job's results were computed for another view."""
        self._bar: Any = None
        self._latest = LatestProgress()
        self._timer = QTimer(self)
        self._timer.setInterval(INTERVAL)
        self._timer.timeout.connect(self._poll)

    @property
    def is_running(self) -> bool:
        """Whether a job runs."""
        return self._worker is not None

    def start(self, job: Job, shown: Callable[[], Box] | None = None) -> None:
        """Start a job.

        Parameters
        ----------
        job
            A recipe on a layer.
        shown
            Returns the part of the source that the viewer shows now. If the viewer moved before a
            lazy result is ready, that part is computed too.
        """
        self.repeats = 0
        self._is_job = True
        self._shown = shown
        self._start(job, _followed(job, partial(compute, job)))

    def start_work(self, work: Work) -> None:
        """Start other work.

        Parameters
        ----------
        work
            Called in a thread.
        """
        self._shown = None
        self._is_job = False
        self._start(work, _followed(work, work))

    def _moved_on(self, outcomes: Outcomes) -> Box | None:
        """Return the part of the source that is shown now, if it was not computed."""
        boxes = [outcome.box for outcome in outcomes if outcome.box is not None]
        if not boxes or self._shown is None or self.repeats >= MOST_REPEATS:
            return None
        box = self._shown()
        return box if box != boxes[0] else None

    def cancel(self) -> None:
        """Cancel the run.

        A job ends for the user at once: its thread stops within one tile's time, and its results
        are dropped. Other work, which may write a file, ends when its thread has cleaned up.
        """
        worker = self._worker
        if worker is None:
            return
        worker.quit()
        if not self._is_job:
            return
        worker.returned.disconnect(self._returned)
        worker.errored.disconnect(self._errored)
        worker.finished.disconnect(self._ended)
        _abandoned.append(worker)
        memo = getattr(self._work, "memo", None)
        if memo is not None:
            memo.is_abandoned = True  # the thread still uses it
        self._stop()
        self.failed.emit(Cancelled("Cancelled: no layer was added."))

    def _start(self, work: object, call: Work) -> None:
        self._work = work
        self._latest = latest = LatestProgress()
        cancel = threading.Event()
        worker: JobWorker = create_worker(
            JobTask(str(work), lambda: call(latest, cancel)),
            _start_thread=False, _worker_class=JobWorker, _ignore_errors=True,
        )  # fmt: skip
        worker.cancel = cancel
        worker.returned.connect(self._returned)
        worker.errored.connect(self._errored)
        worker.finished.connect(self._ended)
        # From the start on: the end of a worker that is cancelled may wait among the events.
        worker.finished.connect(partial(_forget, worker))
        self._worker = worker
        self._workers[:] = [worker]
        self._bar = self._bar or progress(total=0, desc=str(work))
        self._timer.start()
        worker.start()

    def _poll(self) -> None:
        step, done, tiles = self._latest.state
        if self._bar is None or not tiles:
            return
        if self._bar.total != tiles:
            self._bar.total = tiles
        if self._bar.n != done:
            self._bar.update(done - self._bar.n)
        self.progressed.emit(step, done, tiles)

    def _returned(self, result: Any) -> None:
        work = self._work
        box = self._moved_on(result) if self._shown is not None else None
        if box is not None:
            self.repeats += 1
            self._start(work, lambda _, cancel: compute_shown(work, result, box, cancel))
            return
        self._stop()
        self.finished.emit(work, result)

    def _errored(self, error: Exception) -> None:
        work = self._stop()
        self.failed.emit(as_error(work, error))

    def _ended(self) -> None:
        """Report a run that was cancelled so late that it neither returned nor failed."""
        if self._worker is not None and self.sender() is self._worker.signals:
            self._stop()
            self.failed.emit(Cancelled("Cancelled: no layer was added."))

    def _stop(self) -> Any:
        work, bar, self._work, self._bar = self._work, self._bar, None, None
        self._shown = None
        self._timer.stop()
        self._worker = None
        self._workers.clear()
        if bar is not None:
            bar.close()  # may handle waiting events: the state is consistent by now
        return work
