"""Hands tasks to joblib and gives back what came of each, whatever happens to its process.

A pool that loses a worker forgets all that was in flight. Here each of these items is done once
more, in a process of its own; the one that ends that one too is reported, and the pool starts anew.
"""

from __future__ import annotations

import os
import re
import threading
import warnings
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import BrokenProcessPool

from napari_tilewise.batches.tasks import FAILED, ItemOutcome, ItemTask, do, do_elsewhere, row_of
from napari_tilewise.engine import subprocesses
from napari_tilewise.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SERIAL, THREADING, LOKY, DASK, AUTO = "serial", "threading", "loky", "dask", "auto"
BACKENDS = (AUTO, SERIAL, THREADING, LOKY, DASK)


class Supply:
    """Tasks that joblib's threads take one at a time; ends early when cancelled or paused.

    Parameters
    ----------
    tasks
        The tasks.
    cancel
        Set it to hand out no more.
    pause
        Set it to hand out no more here; the others are for another supply.
    """

    def __init__(
        self,
        tasks: Iterable[ItemTask],
        cancel: threading.Event | None = None,
        pause: threading.Event | None = None,
    ) -> None:
        self._tasks = iter(tasks)
        self._ends = [event for event in (cancel, pause) if event is not None]
        self._lock = threading.Lock()
        self.out: dict[int, ItemTask] = {}
        """Tasks that were taken and of which nothing was heard."""

    def __iter__(self) -> Iterator[ItemTask]:
        return self

    def __next__(self) -> ItemTask:
        with self._lock:
            if any(event.is_set() for event in self._ends):
                raise StopIteration
            task = next(self._tasks)
            self.out[task.item.index] = task
            return task

    def heard(self, outcome: ItemOutcome) -> ItemOutcome:
        """Note that a task is done, and return what came of it.

        Parameters
        ----------
        outcome
            What came of it.
        """
        with self._lock:
            self.out.pop(outcome.index, None)
        return outcome


def outcomes(backend: str, n_jobs: int, supply: Supply) -> Iterator[ItemOutcome]:
    """Give what comes of tasks, as it comes.

    Parameters
    ----------
    backend
        Any but ``"auto"``.
    n_jobs
        How many items are in work at a time.
    supply
        The tasks.
    """
    if backend == SERIAL or (backend == THREADING and n_jobs == 1):
        found: Iterator[ItemOutcome] = map(do, supply)
    elif backend == THREADING:
        found = _parallel(do, supply, n_jobs=n_jobs, backend=THREADING)
    elif backend == LOKY:
        found = _guarded(supply, n_jobs) if n_jobs > 1 else _one_by_one(supply)
    else:
        found = _on_cluster(supply, n_jobs)
    for outcome in found:
        yield supply.heard(outcome)


def _parallel(
    work: Callable[[ItemTask], ItemOutcome], supply: Supply, **options: Any
) -> Iterator[ItemOutcome]:
    # One task at a time: what a lost worker costs is known, and a cancel does not wait for many.
    how = {"return_as": "generator_unordered", "batch_size": 1, "pre_dispatch": "1.5*n_jobs"}
    pool = Parallel(**how, **options)
    yield from pool(delayed(work)(task) for task in supply)


def _guarded(supply: Supply, n_jobs: int) -> Iterator[ItemOutcome]:
    """Give what comes of tasks in loky's processes, any of which may end at any time."""
    with ExitStack() as stack:
        alone: _Alone | None = None
        while True:
            try:
                with _quiet():
                    ends = {"initializer": subprocesses.end_with, "initargs": (os.getpid(),)}
                    yield from _parallel(do_elsewhere, supply, n_jobs=n_jobs, backend=LOKY, **ends)
                return
            except BrokenProcessPool:
                alone = alone or stack.enter_context(_Alone())
                for task in list(supply.out.values()):
                    yield alone.do(task)


def _one_by_one(supply: Supply) -> Iterator[ItemOutcome]:
    """Give what comes of tasks in one other process."""
    with _Alone() as alone:
        for task in supply:
            yield alone.do(task, tries=2)


@contextmanager
def _quiet() -> Iterator[None]:
    """Not warn of a worker that was replaced because it had grown: images make them grow."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
        yield


class _Alone:
    """A process that does one task at a time; another takes its place when it ends."""

    def __enter__(self) -> _Alone:
        self._pool: Any = None
        return self

    def __exit__(self, *error: object) -> None:
        self._end()

    def _end(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, kill_workers=True)
            self._pool = None

    def do(self, task: ItemTask, tries: int = 1) -> ItemOutcome:
        """Do a task; where its process ends, again in another, until it was tried so many times.

        Parameters
        ----------
        task
            The task.
        tries
            How many times.
        """
        for number in range(tries):
            if self._pool is None:
                self._pool = subprocesses.pool(1)
            # What the first try left may be replaced; what was there before it may not.
            again = task.vacant and number + 1 >= tries
            try:
                done: ItemOutcome = self._pool.submit(
                    do_elsewhere, replace(task, again=again)
                ).result()
            except BrokenProcessPool as error:
                self._end()
                lost = _lost(task, error)
            else:
                return done
        return lost


def _lost(task: ItemTask, error: BaseException | None) -> ItemOutcome:
    """Return the outcome of a task that ended its process twice."""
    signals = re.findall(r"SIG\w+\(-?\d+\)|EXIT\(\d+\)", str(error or ""))
    shown = ", ".join(signals) or " ".join(str(error or "").split())[:200]
    why = f" ({shown})" if shown else ""
    text = (
        f"The process that worked on it ended{why}, and so did a second one that did nothing else: "
        "the system may have run out of memory, or the code crashed."
    )
    return ItemOutcome(
        task.item.index, row_of(task, {"status": FAILED, "error": text}, 0.0), None, text
    )


def _on_cluster(supply: Supply, n_jobs: int) -> Iterator[ItemOutcome]:
    """Give what comes of tasks on the current client's cluster, or on one of this machine.

    They are handed to the client itself: joblib's backend for dask waits for ever for a task whose
    workers were killed.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise MissingExtra(
            "backend='dask' needs the package distributed: pip install 'napari-tilewise[cluster]'."
        ) from error
    with ExitStack() as stack:
        try:
            client = Client.current()  # type: ignore[no-untyped-call]
        except ValueError:
            options = {"n_workers": n_jobs, "threads_per_worker": 1, "dashboard_address": ":0"}
            client = stack.enter_context(Client(**options))  # type: ignore[no-untyped-call]
        lost: list[ItemTask] = []
        yield from _submitted(client, supply, n_jobs + n_jobs // 2, lost)
        for task in lost:  # one at a time: none of them can end the process of another now
            again: list[ItemTask] = []
            yield from _submitted(client, iter([task]), 1, again)
            if again:
                yield _lost(task, None)


def _submitted(
    client: Any, tasks: Iterator[ItemTask], ahead: int, lost: list[ItemTask]
) -> Iterator[ItemOutcome]:
    """Give what comes of tasks on a cluster; those that end their workers are `lost`."""
    from distributed import KilledWorker, as_completed

    running: dict[Any, ItemTask] = {}
    completed = as_completed()  # type: ignore[no-untyped-call]

    def submit_more() -> None:
        while len(running) < ahead and (task := next(tasks, None)) is not None:
            # The scheduler does a task again whose result was lost with its worker: what stands
            # there then was its own.
            future = client.submit(do_elsewhere, replace(task, again=task.vacant), pure=False)
            running[future] = task
            completed.add(future)  # type: ignore[no-untyped-call]

    submit_more()
    while running:
        future = next(completed)
        task = running.pop(future)
        submit_more()
        try:
            done: ItemOutcome = future.result()
        except KilledWorker:
            lost.append(task)
        else:
            yield done
