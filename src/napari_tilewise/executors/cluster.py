"""A dask cluster: one that runs already, one of this machine, or jobs that a batch system starts.

Its workers read and write through paths that they all see. When a worker is lost, the scheduler
gives its tasks to another.
"""

from __future__ import annotations

import shutil
import signal
import threading
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import dask
import psutil
from dask.utils import parse_timedelta

from napari_tilewise.engine.events import WorkersStarted
from napari_tilewise.engine.system.machine import processors
from napari_tilewise.errors import (
    ClusterLost,
    InvalidParameter,
    MissingExtra,
    OperationFailed,
    TilewiseError,
    option,
)
from napari_tilewise.executors.answers import LOOK, Answers
from napari_tilewise.executors.assignment import remove_assignment, write_assignment
from napari_tilewise.executors.executor import Executor
from napari_tilewise.executors.main_guard import check_main_guard, unguarded
from napari_tilewise.executors.worker import do
from napari_tilewise.sizes import parse_size, plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_tilewise.engine.session import Session
    from napari_tilewise.engine.tile_tasks import TileTask, WorkerPool
    from napari_tilewise.executors.assignment import Assignment

DISTRIBUTED = "distributed"
"""The name of the executor that starts a cluster of this machine."""
CONNECT = 8
"""Seconds within which a scheduler must answer."""

JOB_SYSTEMS = {
    "slurm": "SLURMCluster",
    "pbs": "PBSCluster",
    "lsf": "LSFCluster",
    "sge": "SGECluster",
    "oar": "OARCluster",
    "moab": "MoabCluster",
    "htcondor": "HTCondorCluster",
}
"""Batch systems by their names in dask's configuration, and dask-jobqueue's classes for them."""


class Cluster(Executor):
    """Workers of a dask scheduler.

    Parameters
    ----------
    opened
        Connects: returns a client, and enters all that is closed after the run into the stack.
    processes
        Number of workers.
    threads
        Threads of each worker.
    limit
        Bytes that each worker may take; None: unknown.
    description
        The cluster in words.
    is_local
        Whether its workers run on this machine.
    """

    def __init__(
        self,
        opened: Callable[[ExitStack], Any],
        processes: int,
        threads: int,
        limit: int | None,
        description: str,
        *,
        is_local: bool = False,
    ) -> None:
        self._opened = opened
        self.processes, self.threads, self.limit = max(1, processes), max(1, threads), limit
        self.is_local = is_local
        self._description = description

    @contextmanager
    def worker_pool(self, assignment: Assignment, session: Session) -> Iterator[WorkerPool]:
        """Connect to the workers; those that are started for this run end with it."""
        answers = Answers(session.control.cancel)
        with ExitStack() as stack:
            client = answers.opened(self._opened, stack)
            session.emit(WorkersStarted(str(self), str(client.dashboard_link or "")))
            _wait_for_workers(client, answers)
            answers.opened(lambda _: _check_packages(client), stack)
            folder, name = assignment.folder, write_assignment(assignment)
            stack.callback(remove_assignment, folder, name)
            stack.callback(answers.stop)
            yield ClusterPool(client, folder, name, self.slots, answers)

    def __str__(self) -> str:
        """Return the executor in words."""
        return self._description


class ClusterPool:
    """The workers behind a client.

    Parameters
    ----------
    client
        The client.
    folder
        The folder of the run's checkpoint.
    name
        Name of the assignment's file in it.
    slots
        How many tasks the workers run at a time.
    answers
        Waits for what they answer.
    """

    def __init__(self, client: Any, folder: str, name: str, slots: int, answers: Answers) -> None:
        self._client, self._folder, self._name = client, folder, name
        self._answers = answers
        self.slots = 2 * slots  # so that each worker has its next task already
        self._alone = threading.Lock()

    def run(self, task: TileTask) -> Any:
        """Have a worker do a task, and return its answer."""
        from distributed import KilledWorker

        try:
            return self._submit(task)
        except KilledWorker:
            pass
        with self._alone:  # the scheduler blames all that waited at a worker for its end
            try:
                return self._submit(task)
            except KilledWorker as error:
                raise OperationFailed(
                    f"Several workers of the cluster ended while they worked on the tiles "
                    f"{', '.join(map(str, task.positions[:3]))}: they may have run out of memory. "
                    f"Use a smaller {option('memory')}, or give them more."
                ) from error

    def _submit(self, task: TileTask) -> Any:
        try:
            future = self._client.submit(do, self._folder, self._name, task, pure=False)
            try:
                return self._answers.of(future).open(Path(self._folder))
            finally:
                future.release()
        except Exception as error:
            sentence = _cluster_error(error, self._client.scheduler.address)
            if sentence is None:
                raise
            raise sentence from error


def _cluster_error(error: Exception, address: str) -> TilewiseError | None:
    """Return the sentence for a failure of the cluster itself; None for any other."""
    if isinstance(error, ModuleNotFoundError):
        return _missing_there(address, str(error.name))
    names = {kind.__name__ for kind in type(error).__mro__}
    if isinstance(error, CancelledError) or names & _LOST:
        return ClusterLost(
            f"The dask scheduler at {address} was lost during the run: expected it to run until "
            "the end. Start it, and then the run, again: finished tiles are not computed again."
        )
    return None


def _missing_there(address: str, package: str) -> MissingExtra:
    return MissingExtra(
        f"The workers of the scheduler at {address} cannot import {package!r}: expected the same "
        "packages there as here. Install napari-tilewise, and what your functions import, in the "
        "environment of the workers."
    )


def _wait_for_workers(client: Any, answers: Answers) -> None:
    """Wait for the first worker: a batch system may start it hours later."""
    while True:
        try:
            client.wait_for_workers(1, timeout=LOOK)
        except TimeoutError:
            answers.check_cancel()
        else:
            return


def _check_packages(client: Any) -> None:
    """Refuse workers without this package: they would take tasks, and never answer."""
    package = __name__.partition(".")[0]
    # A function of the standard library: one of this package could not be sent to them.
    answers = client.run(resolve_name, f"{package}:__version__", on_error="return")
    if any(isinstance(answer, ImportError) for answer in answers.values()):
        raise _missing_there(client.scheduler.address, package)


_LOST = {"CancelledError", "FutureCancelledError", "CommClosedError"}
"""Names of distributed's errors when the scheduler, or the connection to it, is gone."""


def of_client(client: Any) -> Cluster:
    """Return the workers of a client, which stays open after the run.

    Parameters
    ----------
    client
        A `distributed.Client`.
    """
    if client.asynchronous:
        raise InvalidParameter(
            f"{option('executor', client)} is an asynchronous client: expected one without "
            "asynchronous=True."
        )
    return _running_cluster(client, lambda _: client)


def of_address(address: str) -> Cluster:
    """Return the workers of a scheduler.

    Parameters
    ----------
    address
        Where it listens, such as ``"tcp://10.0.0.1:8786"``.
    """
    client_of = _distributed().Client

    def opened(stack: ExitStack) -> Any:
        return stack.enter_context(_in_time(partial(client_of, address, timeout=_timeout())))

    with ExitStack() as stack:
        try:
            return _running_cluster(opened(stack), opened)
        except (OSError, ValueError, RuntimeError) as error:
            raise InvalidParameter(
                f"{option('executor', address)}: no dask scheduler answers there ({error}); "
                "expected an address such as 'tcp://10.0.0.1:8786' of one that runs."
            ) from error


def _timeout() -> float:
    configured = dask.config.get("distributed.comm.timeouts.connect", None)
    return min(CONNECT, parse_timedelta(configured) if configured else CONNECT)


def _in_time(connect: Callable[[], Any]) -> Any:
    """Return a client; give up where whatever listens at the address is not a scheduler.

    The client's own timeout does not end its wait for an answer that never comes.
    """
    answers: list[Any] = []

    def wait() -> None:
        try:
            answers.append(connect())
        except Exception as error:  # noqa: BLE001 - raised below
            answers.append(error)

    thread = threading.Thread(target=wait, name="tilewise-connect", daemon=True)
    thread.start()
    limit = 2 * _timeout()
    thread.join(limit)
    answer = answers[0] if answers else OSError(f"no answer within {limit:g} s")
    if isinstance(answer, Exception):
        raise answer
    return answer


def of_cluster(cluster: Any) -> Cluster:
    """Return the workers of a cluster object, such as dask-jobqueue's; it stays open.

    Parameters
    ----------
    cluster
        Anything with `scheduler_address`.
    """
    client_of = _distributed().Client

    def opened(stack: ExitStack) -> Any:
        return stack.enter_context(client_of(cluster))

    with ExitStack() as stack:
        return _running_cluster(opened(stack), opened)


def local(workers: int | None) -> Cluster:
    """Return a cluster of this machine, started for the run and closed after it.

    Parameters
    ----------
    workers
        Number of its processes; one per processor unless given.
    """
    distributed = _distributed()
    count = workers or processors()

    request = option("executor", DISTRIBUTED)
    check_main_guard(request)

    def opened(stack: ExitStack) -> Any:
        try:
            cluster = distributed.LocalCluster(
                n_workers=count, threads_per_worker=1, dashboard_address=":0", memory_limit=0
            )
        except RuntimeError as error:
            raise unguarded(request, str(error)) from error
        client = stack.enter_context(distributed.Client(stack.enter_context(cluster)))
        stack.push(partial(_end_workers, cluster))
        return client

    return Cluster(opened, count, 1, None, f"a dask cluster of {count} processes", is_local=True)


def _end_workers(cluster: Any, error: type[BaseException] | None, *_: object) -> None:
    """End the workers of a run that failed or was cancelled, whatever they compute.

    A cluster that is closed waits seconds for each, and they complain of what they lose.
    """
    if error is None:
        return
    for nanny in cluster.workers.values():
        nanny.auto_restart = False
        with suppress(psutil.Error, TypeError):  # it may have ended, or never begun
            psutil.Process(nanny.pid).kill()


def of_jobs(system: str, jobs: int | None) -> Cluster:
    """Return workers that a batch system starts, described in dask's configuration.

    Parameters
    ----------
    system
        One of `JOB_SYSTEMS`.
    jobs
        Number of jobs; up to 16, as the tasks need, unless given.
    """
    try:
        with _interrupts_untouched():
            import dask_jobqueue
    except ImportError as error:
        raise MissingExtra(
            f"{option('executor', system)} needs the package dask-jobqueue: "
            "pip install 'napari-tilewise[cluster]'."
        ) from error
    described = dask.config.get(f"jobqueue.{system}", {})
    cores, memory = described.get("cores"), described.get("memory")
    if not cores or not memory:
        raise InvalidParameter(
            f"{option('executor', system)}: dask's configuration does not describe a job: expected "
            f"jobqueue.{system}.cores and jobqueue.{system}.memory in a file such as "
            "~/.config/dask/jobqueue.yaml."
        )
    processes = int(described.get("processes") or 1)
    make = getattr(dask_jobqueue, JOB_SYSTEMS[system])
    command = (getattr(make.job_cls, "submit_command", None) or "").partition(" ")[0]
    if command and shutil.which(command) is None:
        raise InvalidParameter(
            f"{option('executor', system)}: the command {command!r}, which submits jobs, is not on "
            "this machine: expected a machine from which jobs are submitted, such as the cluster's "
            "login node. Start the run there, or give the address of a scheduler that runs."
        )

    def opened(stack: ExitStack) -> Any:
        # Another scheduler on this machine may have the usual port of the dashboard.
        options = {"dashboard_address": ":0", **(described.get("scheduler-options") or {})}
        cluster = stack.enter_context(make(scheduler_options=options))
        if jobs is None:
            cluster.adapt(minimum_jobs=1, maximum_jobs=_MOST_JOBS)
        else:
            cluster.scale(jobs=jobs)
        return stack.enter_context(_distributed().Client(cluster))

    count = (jobs or _MOST_JOBS) * processes
    description = f"up to {jobs or _MOST_JOBS} {system.upper()} jobs"
    threads = max(1, int(cores) // processes)
    return Cluster(opened, count, threads, parse_size(str(memory)) // processes, description)


@contextmanager
def _interrupts_untouched() -> Iterator[None]:
    """Import dask-jobqueue in the block: it takes over Ctrl-C, which only the main thread may."""
    module: Any = signal
    original = module.signal

    def signal_of_others(number: Any, handler: Any) -> Any:
        if str(getattr(handler, "__module__", "")).startswith("dask_jobqueue"):
            return signal.getsignal(number)
        return original(number, handler)

    module.signal = signal_of_others
    try:
        yield
    finally:
        module.signal = original


_MOST_JOBS = 16


def _running_cluster(client: Any, opened: Callable[[ExitStack], Any]) -> Cluster:
    """Return a cluster that runs already, as its scheduler describes it."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    threads = max((int(worker["nthreads"]) for worker in workers), default=1)
    limits = [int(worker["memory_limit"]) for worker in workers if worker["memory_limit"]]
    address = client.scheduler.address
    description = f"{plural(len(workers), 'worker')} of the scheduler at {address}"
    return Cluster(opened, len(workers), threads, min(limits, default=None), description)


def _distributed() -> Any:
    try:
        import distributed
    except ImportError as error:
        raise MissingExtra(
            "This executor needs the package distributed: pip install 'napari-tilewise[cluster]'."
        ) from error
    return distributed
