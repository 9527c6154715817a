"""Runs that the Runs panel itself starts, one after the other: each may take half of the memory."""

from __future__ import annotations

import logging
import threading
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.qt.threading import create_worker
from qtpy.QtCore import QObject, QTimer

from napari_tilewise._napari.jobs.running import INTERVAL, JobTask, Worker
from napari_tilewise._napari.jobs.session_runs import Followed, Pause, follow
from napari_tilewise.errors import TilewiseError

if TYPE_CHECKING:
    from napari_tilewise._napari.jobs.session_runs import Followable
    from napari_tilewise.batches.unfinished import UnfinishedRun
    from napari_tilewise.engine.events import Listener

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Resumed:
    """A run or a batch that another process left, gone on with here."""

    left: UnfinishedRun
    pause: Pause = field(default_factory=Pause)

    def follow(self, cancel: threading.Event, listener: Listener | None) -> Followed:
        """Show it in the Runs panel.

        Parameters
        ----------
        cancel
            What stops it.
        listener
            Who else is told of its events.
        """
        run = follow(
            self.left.progress.task, source=self.left.progress.source, output=self.left.destination,
            cancel=cancel, pause=self.pause, listener=listener, again=self,
        )  # fmt: skip
        run.done, run.total = self.left.progress.done, self.left.progress.total
        return run

    def __call__(self, progress: Listener, cancel: threading.Event) -> Any:
        """Go on with it. The memory it was promised was another process's: this one has its own."""
        return self.left.resume(progress=progress, cancel=cancel, pause=self.pause, memory=None)

    def __str__(self) -> str:
        """Return what is done."""
        return f"{self.left.progress.task} into {self.left.destination.name}"


class Starter(QObject):
    """Starts works in worker threads, one at a time.

    Parameters
    ----------
    parent
        The widget whose end ends them.
    """

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._waiting: deque[tuple[Followed, Followable]] = deque()
        self._live: list[Worker] = []
        self._current: Followed | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(INTERVAL)
        self._timer.timeout.connect(self._next)
        parent.destroyed.connect(partial(_end, self._waiting, self._live))

    @property
    def is_running(self) -> bool:
        """Whether any of them runs."""
        return self._timer.isActive()

    def start(self, work: Followable) -> Followed:
        """Begin a work as soon as those before it are over.

        Parameters
        ----------
        work
            The work.
        """
        run = work.follow(threading.Event(), None)
        self._waiting.append((run, work))
        self._timer.start()
        self._next()
        return run

    def cancel(self, run: Followed) -> None:
        """Cancel a run, whoever started it; one that waits never begins.

        Parameters
        ----------
        run
            The run.
        """
        for one in list(self._waiting):
            if one[0] is run:
                self._waiting.remove(one)
                run.drop()
        run.cancel.set()

    def _next(self) -> None:
        if self._current is not None and not self._current.state.is_over:
            return
        self._current = None
        self._live.clear()
        if not self._waiting:
            self._timer.stop()
            return
        run, work = self._waiting.popleft()
        worker: Worker = create_worker(
            JobTask(str(work), partial(_do, run, work)),
            _start_thread=False, _worker_class=Worker, _ignore_errors=True,
        )  # fmt: skip
        worker.cancel = run.cancel
        self._current = run
        self._live.append(worker)
        worker.start()


def _do(run: Followed, work: Followable) -> None:
    """Do a work in its worker; what came of it, and why it failed, is known to the run."""
    try:
        with run:
            work(run, run.cancel)
    except TilewiseError as error:
        log.debug("%s: %s", work, error)
    except Exception:
        # The one place where any failure becomes a row: the window must go on.
        log.debug("%s failed", work, exc_info=True)


def _end(waiting: deque[Any], live: list[Worker], *_: object) -> None:
    waiting.clear()
    for worker in live:
        worker.quit()
