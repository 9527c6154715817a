"""Runs that the Runs panel resumes, one at a time: each may use half of the memory."""

from __future__ import annotations

import logging
import threading
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from napari.qt.threading import create_worker
from qtpy.QtCore import QObject, QTimer

from napari_tilewise._napari.jobs.running import INTERVAL, JobTask, JobWorker
from napari_tilewise._napari.jobs.session_runs import Pause, SessionRun, follow
from napari_tilewise._napari.widgets.ending import when_destroyed
from napari_tilewise._napari.widgets.plain_words import with_titles
from napari_tilewise.engine.control import Control
from napari_tilewise.errors import TilewiseError

if TYPE_CHECKING:
    from napari_tilewise._napari.jobs.session_runs import SessionWork
    from napari_tilewise.batches.unfinished import UnfinishedRun
    from napari_tilewise.engine.events import Listener

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ResumedRun:
    """An interrupted run or batch of another process, resumed by this one."""

    unfinished: UnfinishedRun
    pause: Pause = field(default_factory=Pause)

    def follow(self, cancel: threading.Event, listener: Listener | None) -> SessionRun:
        """List the run in the Runs panel.

        Parameters
        ----------
        cancel
            Set to stop the run.
        listener
            Also receives the run's events.
        """
        progress = self.unfinished.progress
        run = follow(
            with_titles(progress.task), source=progress.source, output=self.unfinished.destination,
            control=Control(listener, cancel, self.pause), work=self,
        )  # fmt: skip
        run.done, run.total = progress.done, progress.total
        return run

    def __call__(self, progress: Listener, cancel: threading.Event) -> object:
        """Resume the run with this process's memory budget, not the other's."""
        return self.unfinished.resume(
            progress=progress, cancel=cancel, pause=self.pause, memory=None
        )

    def __str__(self) -> str:
        """Return the run's title and its output."""
        return (
            f"{with_titles(self.unfinished.progress.task)} into {self.unfinished.destination.name}"
        )


class RunQueue(QObject):
    """Runs works in worker threads, one at a time.

    Parameters
    ----------
    parent
        Its end stops them.
    """

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._waiting: deque[tuple[SessionRun, SessionWork]] = deque()
        self._workers: list[JobWorker] = []
        self._current: SessionRun | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(INTERVAL)
        self._timer.timeout.connect(self._next)
        when_destroyed(parent, partial(_stop, self._waiting, self._workers))

    @property
    def is_running(self) -> bool:
        """Whether a work runs or waits."""
        return self._timer.isActive()

    def start(self, work: SessionWork) -> SessionRun:
        """Start a work when the ones before it have ended.

        Parameters
        ----------
        work
            Called in a thread.
        """
        run = work.follow(threading.Event(), None)
        self._waiting.append((run, work))
        self._timer.start()
        self._next()
        return run

    def cancel(self, run: SessionRun) -> None:
        """Cancel a run; one that waits is never started.

        Parameters
        ----------
        run
            Any run of this session, in this queue or not.
        """
        for entry in list(self._waiting):
            if entry[0] is run:
                self._waiting.remove(entry)
                run.drop()
        run.cancel.set()

    def _next(self) -> None:
        if self._current is not None and not self._current.state.is_over:
            return
        self._current = None
        self._workers.clear()
        if not self._waiting:
            self._timer.stop()
            return
        run, work = self._waiting.popleft()
        worker: JobWorker = create_worker(
            JobTask(str(work), partial(_perform, run, work)),
            _start_thread=False, _worker_class=JobWorker, _ignore_errors=True,
        )  # fmt: skip
        worker.cancel = run.cancel
        self._current = run
        self._workers.append(worker)
        worker.start()


def _perform(run: SessionRun, work: SessionWork) -> None:
    """Perform a work in its thread; the run notes how it ends."""
    try:
        with run:
            work(run, run.cancel)
    except TilewiseError as error:
        log.debug("%s: %s", work, error)
    except Exception:
        # Any failure becomes a row of the table: the window must not fail with it.
        log.debug("%s failed", work, exc_info=True)


def _stop(waiting: deque[tuple[SessionRun, SessionWork]], workers: list[JobWorker]) -> None:
    waiting.clear()
    for worker in workers:
        worker.quit()
