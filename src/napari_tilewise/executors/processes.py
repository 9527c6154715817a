"""Other processes of this machine, for operations that hold the interpreter's lock.

When one of them ends (by a crash, or because the system runs out of memory), all tasks of the pool
fail, and run once more in a new one. A task that fails again runs alone; the error for one that
ends its process even then names its tiles.
"""

from __future__ import annotations

import re
import threading
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from joblib.externals.loky.process_executor import BrokenProcessPool

from napari_tilewise.engine.events import WorkersStarted
from napari_tilewise.engine.system import subprocesses
from napari_tilewise.errors import OperationFailed, option
from napari_tilewise.executors.answers import Answers
from napari_tilewise.executors.assignment import remove_assignment, write_assignment
from napari_tilewise.executors.executor import Executor
from napari_tilewise.executors.worker import do

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_tilewise.engine.session import Session
    from napari_tilewise.engine.tile_tasks import TileTask, WorkerPool
    from napari_tilewise.executors.assignment import Assignment
    from napari_tilewise.executors.worker import Answer


SHARED_TRIES = 2
"""How often a task runs next to others, which may be the ones that end their process."""


class Processes(Executor):
    """Processes that joblib's loky starts on this machine.

    Parameters
    ----------
    processes
        Their number.
    """

    threads = 1

    def __init__(self, processes: int) -> None:
        self.processes = processes

    @contextmanager
    def worker_pool(self, assignment: Assignment, session: Session) -> Iterator[WorkerPool]:
        """Start the processes for this run, and end them with it."""
        count = session.workers or self.processes
        name, answers = write_assignment(assignment), Answers(session.control.cancel)
        pool = ProcessPool(assignment.folder, name, count, answers)
        session.emit(WorkersStarted(f"{count} processes"))
        try:
            yield pool
        finally:
            pool.close()

    def __str__(self) -> str:
        """Return the executor in words."""
        return f"{self.processes} processes of this machine"


class ProcessPool:
    """A pool of processes, one task each at a time.

    Parameters
    ----------
    folder
        The folder of the run's checkpoint.
    name
        Name of the assignment's file in it.
    processes
        Their number.
    answers
        Waits for what they answer.
    """

    def __init__(self, folder: str, name: str, processes: int, answers: Answers) -> None:
        self._folder, self._name, self._processes = folder, name, processes
        self._answers = answers
        self.slots = processes + 1  # so that one task waits where the next is done
        self._lock = threading.Lock()
        self._alone = threading.Lock()
        self._pool: Any = None

    def run(self, task: TileTask) -> Any:
        """Have a process do a task, and return its answer."""
        for _ in range(SHARED_TRIES):
            pool = self._running()
            try:
                return self._submit(pool, task).open(Path(self._folder))
            except BrokenProcessPool:
                self._answers.check()
                self._discard(pool)
        return self._run_alone(task).open(Path(self._folder))

    def _submit(self, pool: Any, task: TileTask) -> Answer:
        with warnings.catch_warnings():
            # loky replaces a process that grew large, as images make them grow.
            warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
            future = pool.submit(do, self._folder, self._name, task)
        answer: Answer = self._answers.of(future)
        return answer

    def _run_alone(self, task: TileTask) -> Answer:
        """Do a task in a process of its own, one such at a time, to know which task ends it."""
        with self._alone:
            pool = subprocesses.pool(1)
            try:
                return self._submit(pool, task)
            except BrokenProcessPool as error:
                signals = re.findall(r"SIG\w+\(-?\d+\)|EXIT\(\d+\)", str(error))
                cause = f" ({', '.join(signals)})" if signals else ""
                raise OperationFailed(
                    f"The process that worked on the tiles {_few(task)} ended{cause}, and so did "
                    "one that ran nothing else: the system may have run out of memory, or "
                    f"the code crashed. Use a smaller {option('memory')} or fewer workers."
                ) from error
            finally:
                subprocesses.end(pool)

    def _running(self) -> Any:
        with self._lock:
            self._answers.check()
            if self._pool is None:
                self._pool = subprocesses.pool(self._processes)
            return self._pool

    def _discard(self, pool: Any) -> None:
        """Shut down a pool that lost a process; the next task starts another."""
        with self._lock:
            if self._pool is not pool:
                return
            self._pool = None
        subprocesses.end(pool)

    def close(self) -> None:
        """End the processes, whatever they compute."""
        self._answers.stop()
        with self._lock:
            pool, self._pool = self._pool, None
        remove_assignment(self._folder, self._name)
        if pool is not None:
            subprocesses.end(pool)


def _few(task: TileTask) -> str:
    shown = ", ".join(map(str, task.positions[:3]))
    return shown + (f" and {len(task.positions) - 3} more" if len(task.positions) > 3 else "")
