"""Passes on a dask cluster: one task per plane directs them, all workers do the tiles.

The results stay on the cluster under a key of their own, for later computations of the same lazy
result; the worker that asked for them holds the last ones.
"""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from dask.base import tokenize
from dask.sizeof import sizeof

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from napari_tilewise.engine.planes import Planes
    from napari_tilewise.engine.system.prepared import Prepared, SharedStatistics
    from napari_tilewise.engine.tile_tasks import PassTask
    from napari_tilewise.grid import Position

MOST_RESULTS = 256
"""Number of planes whose passes a worker holds for later computations."""
MOST_BYTES = 2**28
"""Bytes of them."""


def is_on_worker() -> bool:
    """Return whether this thread runs a task of a dask cluster."""
    distributed: Any = sys.modules.get("distributed")
    if distributed is None:
        return False
    try:
        distributed.get_worker()
    except ValueError:
        return False
    return True


def prepare(
    planes: Planes,
    index: Position,
    upstream: Sequence[Prepared],
    shared: SharedStatistics | None,
) -> Prepared:
    """Do the passes on a plane, or find their results on the cluster.

    Parameters
    ----------
    planes
        The operation on its images.
    index
        The plane's position along the looped axes.
    upstream
        The results of passes that it needs.
    shared
        What other operations on the same image have computed.
    """
    import distributed

    address = distributed.get_worker().address
    name = "-".join(map(str, ("tilewise-passes-of", planes.key, *index)))
    with distributed.worker_client() as client:
        earlier: list[Prepared] = _results_of(client, name)
        if earlier:
            return earlier[0]
        (work,) = client.scatter([(planes, upstream, shared)], hash=False)
        future = client.submit(
            _direct, work, index, key=name, workers=[address], allow_other_workers=True
        )
        prepared: Prepared = future.result()
    _retained.add(name, future, sizeof(prepared.results))
    return prepared


def _results_of(client: Any, key: str) -> list[Any]:
    """Return a list with the result that the cluster has under a key; it is empty without one.

    To submit its task again would find it too, but the scheduler warns of a key whose task has
    other inputs.
    """
    future = _retained.get(key)
    if future is not None:
        return [future.result()]

    async def gathered() -> list[Any]:
        workers = await client.scheduler.who_has(keys=[key])
        if not workers.get(key):
            return []
        response = await client.scheduler.gather(keys=[key])
        return [response["data"][key]] if response["status"] == "OK" else []

    results: list[Any] = client.sync(gathered)
    return results


def fetched(future: Any) -> Any:
    """Return a result that the cluster holds or computes.

    A task that waits for it leaves its place to others: all might wait for one that has none.

    Parameters
    ----------
    future
        A `distributed.Future`, perhaps of another process.
    """
    import distributed
    from distributed.threadpoolexecutor import thread_state

    if future.client is not None and future.client.status == "running":
        return future.result()
    # A task that depends on it: this process's client hears nothing of other clients' futures.
    copy = distributed.get_client().submit(_same, future, pure=False)
    if getattr(thread_state, "proceed", False):
        distributed.secede()
    return copy.result()


def _same(value: Any) -> Any:
    return value


def _direct(
    work: tuple[Planes, Sequence[Prepared], SharedStatistics | None], index: Position
) -> Prepared:
    """Do the passes on a plane, with all workers."""
    import distributed

    planes, upstream, shared = work
    runner = planes.runner(index)
    with distributed.worker_client() as client:
        workers = WorkerTasks(client, planes, upstream)
        runner.statistics = None if shared is None else _ClusterStatistics(workers, shared, index)
        return runner.prepared(workers, portable=True)


def _contributions(
    work: tuple[Planes, Sequence[Prepared]],
    done: Prepared,
    task: PassTask,
) -> list[Any]:
    """Return what some tiles contribute to a reduction; `done` holds the passes before it."""
    planes, _ = work
    return planes.runner(task.index).contributions(task.number, task.positions)


class WorkerTasks:
    """All workers of the cluster that this process is a worker of.

    Parameters
    ----------
    client
        The worker's client.
    planes
        The operation on its images.
    upstream
        The results of passes that it needs.
    done
        The results of its own passes so far; those of this process's runner unless given.
    """

    def __init__(
        self,
        client: Any,
        planes: Planes,
        upstream: Sequence[Prepared],
        done: Prepared | None = None,
    ) -> None:
        self.client, self._planes = client, planes
        (self.work,) = client.scatter([(planes, upstream)], hash=False)
        self._lock = threading.Lock()
        self._done: dict[int, Any] = {}
        self._results = done
        self.slots = 2 * max(1, sum(client.nthreads().values()))

    def run(self, task: Any) -> list[Any]:
        """Have a worker do a task, and return its answer.

        Parameters
        ----------
        task
            Some tiles of a reduction.
        """
        future = self.client.submit(
            _contributions, self.work, self.done_before(task.index, task.number), task, pure=False
        )
        try:
            contributions: list[Any] = future.result()
            return contributions
        finally:
            future.release()

    def done_before(self, index: Position, number: int) -> Any:
        """Return the results of the passes before one, sent to the cluster once.

        Parameters
        ----------
        index
            The plane's position along the looped axes.
        number
            The pass, from 0.
        """
        with self._lock:
            if number not in self._done:
                done = self._results or self._planes.runner(index).done
                self._done = {number: self.client.scatter([done], hash=False)[0]}
            return self._done[number]


class _ClusterStatistics:
    """Statistics as keys of the scheduler, which computes each once."""

    def __init__(self, workers: WorkerTasks, shared: SharedStatistics, index: Position) -> None:
        self._workers, self._shared, self._index = workers, shared, index

    def get(self, name: Hashable, number: int, compute: Callable[[], Any]) -> Any:
        import distributed

        key = f"tilewise-statistic-{self._shared.key}-{tokenize(name)}"
        earlier = _results_of(self._workers.client, key)
        if earlier:
            return earlier[0]
        # Others ask at the same time, each with its own operation.
        with distributed.Lock(key):
            earlier = _results_of(self._workers.client, key)
            return earlier[0] if earlier else self._computed(key, number)

    def _computed(self, key: str, number: int) -> Any:
        workers = self._workers
        done = workers.done_before(self._index, number)
        future = workers.client.submit(_statistic, workers.work, done, self._index, number, key=key)
        result = future.result()
        _retained.add(key, future, sizeof(result))
        return result


def _statistic(
    work: tuple[Planes, Sequence[Prepared]], done: Prepared, index: Position, number: int
) -> Any:
    """Return the result of a pass that several operations need, computed by all workers."""
    import distributed

    planes, upstream = work
    with distributed.worker_client() as client:
        return planes.runner(index).statistic(number, WorkerTasks(client, planes, upstream, done))


class _RetainedResults:
    """Futures of the last results, so that the cluster keeps them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._futures: OrderedDict[str, tuple[Any, int]] = OrderedDict()

    def get(self, name: str) -> Any:
        """Return a future whose result the cluster has; None where there is no such."""
        with self._lock:
            future, nbytes = self._futures.get(name, (None, 0))
        if future is None or future.status != "finished":
            return None
        self.add(name, future, nbytes)
        return future

    def add(self, name: str, future: Any, nbytes: int) -> None:
        with self._lock:
            self._futures[name] = future, nbytes
            self._futures.move_to_end(name)
            while len(self._futures) > MOST_RESULTS or self._bytes() > MOST_BYTES:
                self._futures.popitem(last=False)

    def _bytes(self) -> int:
        return sum(nbytes for _, nbytes in self._futures.values())


_retained = _RetainedResults()
