"""Runs tasks through joblib and yields their outcomes, whatever happens to a task's process.

A pool that loses a worker forgets all the tasks that were running. Here each of them runs once
more, in a process of its own; a task that ends that one too is reported, and the pool starts again.
"""

from __future__ import annotations

import os
import re
import threading
import warnings
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import psutil
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import BrokenProcessPool

from napari_tilewise.batches.task_groups import TaskGroups, run_group_in_worker
from napari_tilewise.batches.tasks import (
    FAILED,
    ItemOutcome,
    ItemTask,
    row_of,
    run_task,
    run_task_in_worker,
)
from napari_tilewise.engine.system import subprocesses
from napari_tilewise.engine.system.cancelling import ended_when_cancelled
from napari_tilewise.errors import MissingExtra, SourceWarning, option
from napari_tilewise.executors.main_guard import check_main_guard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from napari_tilewise.engine.control import Control

T = TypeVar("T")
Outcomes = TypeVar("Outcomes")

SERIAL, THREADING, LOKY, DASK, AUTO = "serial", "threading", "loky", "dask", "auto"
BACKENDS = (AUTO, SERIAL, THREADING, LOKY, DASK)

_worked: set[int] = set()
"""The processes that worked for the last batch in processes; joblib keeps them for some minutes."""


def have_started(n_jobs: int) -> bool:
    """Return whether so many processes of an earlier batch wait for tasks.

    Parameters
    ----------
    n_jobs
        Number of processes.
    """
    return len(_worked) == n_jobs and all(map(psutil.pid_exists, _worked))


class TaskSupply:
    """Tasks that joblib's threads take one at a time; ends early when cancelled or paused.

    Parameters
    ----------
    tasks
        The tasks in order.
    control
        Its cancel and pause end the supply; after a pause another supply has the rest.
    """

    def __init__(self, tasks: Iterable[ItemTask], control: Control) -> None:
        self._tasks = iter(tasks)
        self.control = control
        self._lock = threading.Lock()
        self.running: dict[int, ItemTask] = {}
        """Tasks that were taken and have no outcome."""

    def __iter__(self) -> Iterator[ItemTask]:
        return self

    def __next__(self) -> ItemTask:
        with self._lock:
            if self.control.is_cancelled or self.control.is_paused:
                raise StopIteration
            task = next(self._tasks)
            self.running[task.item.index] = task
            return task

    def finish(self, outcome: ItemOutcome) -> ItemOutcome:
        """Note that a task has finished, and return its outcome.

        Parameters
        ----------
        outcome
            The outcome, of any status.
        """
        with self._lock:
            self.running.pop(outcome.index, None)
        return outcome


def outcomes(backend: str, n_jobs: int, supply: TaskSupply) -> Iterator[ItemOutcome]:
    """Yield the outcomes of tasks as they finish; some that were taken may have none.

    Parameters
    ----------
    backend
        Any but ``"auto"``.
    n_jobs
        Number of tasks that run at a time.
    supply
        The tasks.
    """
    finished: Iterator[ItemOutcome]
    if backend == SERIAL or (backend == THREADING and n_jobs == 1):
        finished = map(run_task, supply)
    elif backend == THREADING:
        finished = _parallel(run_task, supply, n_jobs=n_jobs, backend=THREADING)
    elif backend == LOKY:
        finished = _in_processes(supply, n_jobs) if n_jobs > 1 else _in_one_process(supply)
    else:
        finished = _on_cluster(supply, n_jobs)
    for outcome in finished:
        for text in outcome.warnings:
            warnings.warn(text, SourceWarning, stacklevel=2)
        yield supply.finish(outcome)


def _parallel(
    function: Callable[[T], Outcomes], tasks: Iterator[T], **options: Any
) -> Iterator[Outcomes]:
    # One at a time: a lost worker costs known tasks, and a cancel does not wait for many.
    dispatch = {"return_as": "generator_unordered", "batch_size": 1, "pre_dispatch": "1.5*n_jobs"}
    pool = Parallel(**dispatch, **options)
    yield from pool(delayed(function)(task) for task in tasks)


def _in_processes(supply: TaskSupply, n_jobs: int) -> Iterator[ItemOutcome]:
    """Yield the outcomes of tasks in loky's processes, any of which may end at any time."""
    groups = TaskGroups(supply)
    with ended_when_cancelled(supply.control.cancel, _end_processes), ExitStack() as stack:
        single: _SingleProcess | None = None
        while True:
            try:
                with _without_worker_warnings():
                    ends = {"initializer": subprocesses.end_with, "initargs": (os.getpid(),)}
                    options = {"n_jobs": n_jobs, "backend": LOKY, **ends}
                    _worked.clear()
                    for finished in _parallel(run_group_in_worker, groups, **options):
                        groups.note(finished)
                        _worked.update(outcome.process for outcome in finished)
                        yield from finished
                return
            except RuntimeError as error:
                if supply.control.is_cancelled:  # ended because of that
                    return
                if not isinstance(error, BrokenProcessPool):
                    raise
                single = single or stack.enter_context(_SingleProcess(supply.control))
                yield from single.outcomes(list(supply.running.values()))


def _end_processes() -> None:
    """End the processes that joblib keeps, whatever they compute."""
    subprocesses.end(get_reusable_executor(reuse=True))
    _worked.clear()


def _in_one_process(supply: TaskSupply) -> Iterator[ItemOutcome]:
    """Yield the outcomes of tasks that run in one other process."""
    with _SingleProcess(supply.control) as single:
        yield from single.outcomes(supply, tries=2)


@contextmanager
def _without_worker_warnings() -> Iterator[None]:
    """Hide loky's warning that it replaced a worker that had grown: images make them grow."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
        yield


class _SingleProcess:
    """A process that runs one task at a time; another replaces it when it ends."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def __enter__(self) -> _SingleProcess:
        self._pool: Any = None
        return self

    def __exit__(self, *error: object) -> None:
        self._end()

    def _end(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            subprocesses.end(pool)

    def outcomes(self, tasks: Iterable[ItemTask], tries: int = 1) -> Iterator[ItemOutcome]:
        """Yield the outcomes of tasks; a task whose process ends runs again in another.

        Parameters
        ----------
        tasks
            The tasks. After a cancel the one that runs has no outcome.
        tries
            Number of processes that a task may end before it counts as failed.
        """
        with ended_when_cancelled(self._control.cancel, self._end):
            for task in tasks:
                outcome = self._outcome(task, tries)
                if outcome is None:
                    return
                yield outcome

    def _outcome(self, task: ItemTask, tries: int) -> ItemOutcome | None:
        reason = ""
        for number in range(tries):
            if self._pool is None:
                self._pool = subprocesses.pool(1)
            # What the first try wrote may be replaced; what existed before it may not.
            is_retry = task.is_vacant and number + 1 >= tries
            try:
                attempt = replace(task, is_retry=is_retry)
                outcome: ItemOutcome = self._pool.submit(run_task_in_worker, attempt).result()
            except (RuntimeError, CancelledError) as error:
                self._end()
                if self._control.is_cancelled:
                    return None
                if not isinstance(error, BrokenProcessPool):
                    raise
                reason = str(error)
            else:
                return outcome
        return _process_ended(task, reason)


def _process_ended(task: ItemTask, reason: str) -> ItemOutcome:
    """Return the outcome of a task that ended its process twice."""
    signals = re.findall(r"SIG\w+\(-?\d+\)|EXIT\(\d+\)", reason)
    details = ", ".join(signals) or " ".join(reason.split())[:200]
    suffix = f" ({details})" if details else ""
    text = (
        f"The process of this item ended{suffix}, and so did a second one that ran nothing else: "
        "the system may have run out of memory, or the code crashed."
    )
    row = row_of(task, {"status": FAILED, "error": text}, 0.0)
    return ItemOutcome(task.item.index, row, None, text)


def _on_cluster(supply: TaskSupply, n_jobs: int) -> Iterator[ItemOutcome]:
    """Yield the outcomes of tasks on the current client's cluster, or on one of this machine.

    They are submitted to the client itself: joblib's backend for dask waits forever for a task
    whose workers were killed.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise MissingExtra(
            "backend='dask' needs the package distributed: pip install 'napari-tilewise[cluster]'."
        ) from error
    with ExitStack() as stack:
        try:
            client = Client.current()
        except ValueError:
            check_main_guard(option("backend", "dask"))
            options = {"n_workers": n_jobs, "threads_per_worker": 1, "dashboard_address": ":0"}
            client = stack.enter_context(Client(**options))
        killed: list[ItemTask] = []
        cluster = _Cluster(client, supply.control)
        yield from cluster.outcomes(supply, n_jobs + n_jobs // 2, killed)
        for task in killed:  # one at a time, so that none can end the process of another
            killed_again: list[ItemTask] = []
            yield from cluster.outcomes(iter([task]), 1, killed_again)
            if killed_again:
                yield _process_ended(task, "")


class _Cluster:
    """The cluster of a client, to which tasks are submitted a few ahead of those that run."""

    def __init__(self, client: Any, control: Control) -> None:
        self._client, self._control = client, control
        self._running: dict[Any, ItemTask] = {}

    def outcomes(
        self, tasks: Iterator[ItemTask], ahead: int, killed: list[ItemTask]
    ) -> Iterator[ItemOutcome]:
        """Yield the outcomes of tasks; those that end their workers join `killed`.

        Parameters
        ----------
        tasks
            The tasks. Those that are at work some time after a cancel have no outcome.
        ahead
            How many are submitted at a time.
        killed
            Tasks whose workers ended.
        """
        from distributed import KilledWorker, as_completed

        completed = as_completed()
        with ended_when_cancelled(self._control.cancel, self._forget):
            self._submit(tasks, ahead, completed)
            while self._running:
                future = next(completed)
                task = self._running.pop(future)
                self._submit(tasks, ahead, completed)
                try:
                    outcome: ItemOutcome = future.result()
                except KilledWorker:
                    killed.append(task)
                except CancelledError:
                    if not self._control.is_cancelled:
                        raise
                else:
                    yield outcome

    def _submit(self, tasks: Iterator[ItemTask], ahead: int, completed: Any) -> None:
        while len(self._running) < ahead and (task := next(tasks, None)) is not None:
            # The scheduler repeats a task whose result was lost with its worker: an output that
            # exists then is the task's own.
            attempt = replace(task, is_retry=task.is_vacant)
            future = self._client.submit(run_task_in_worker, attempt, pure=False)
            self._running[future] = task
            completed.add(future)

    def _forget(self) -> None:
        """Wait no longer for what is submitted; a worker goes on with what it has begun."""
        self._client.cancel(list(self._running))
