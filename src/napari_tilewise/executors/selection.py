"""One argument says where tiles are computed: a name, an address, a client, or a cluster."""

from __future__ import annotations

from math import prod
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.engine.system.machine import processors
from napari_tilewise.errors import InvalidParameter, InvalidParameterType, did_you_mean, option
from napari_tilewise.executors.assignment import belongs_to_process
from napari_tilewise.executors.executor import Executor, ThisProcess
from napari_tilewise.io.image import Image

if TYPE_CHECKING:
    from napari_tilewise.pipeline.bind import Pipeline

AUTO, THREADS, SERIAL, PROCESSES, DISTRIBUTED = EXECUTORS = (
    "auto",
    "threads",
    "serial",
    "processes",
    "distributed",
)
"""The names of executors; those of batch systems are `cluster.JOB_SYSTEMS`."""

WORTH = 2**23
"""Pixels from which starting other processes pays, for an operation that holds the lock."""


MOST_WORKERS = 4096
"""More than any machine has, and as many as a plan tries one by one."""


def check_workers(workers: object) -> None:
    """Raise `InvalidParameter` unless a number of workers is a positive integer, or None.

    Parameters
    ----------
    workers
        The number.
    """
    if workers is None:
        return
    if not isinstance(workers, Integral) or isinstance(workers, bool):
        raise InvalidParameterType(f"{option('workers', workers)}: expected an integer.")
    if workers < 1:
        raise InvalidParameter(f"{option('workers', workers)}: expected at least 1.")
    if int(workers) > MOST_WORKERS:
        raise InvalidParameter(f"{option('workers', workers)}: expected at most {MOST_WORKERS}.")


def choose(executor: Any, workers: int | None) -> Executor:
    """Return where tiles are computed.

    Parameters
    ----------
    executor
        ``"threads"`` or ``"auto"``, ``"serial"``, ``"processes"``, ``"distributed"`` (a dask
        cluster of this machine), the name of a batch system such as ``"slurm"``, the address of a
        dask scheduler, a `distributed.Client`, a cluster object, or an `Executor`.
    workers
        Threads, processes or jobs; as many as processors unless given.

    Raises
    ------
    InvalidParameter
        When it is none of these.
    MissingExtra
        When a package for it is not installed.
    """
    check_workers(workers)
    if isinstance(executor, Executor):
        return executor
    if executor in (AUTO, THREADS):
        return ThisProcess(workers or processors())
    if executor == SERIAL:
        return ThisProcess(1)
    if executor == PROCESSES:
        return _processes(workers or processors())
    return _cluster(executor, workers)


def _cluster(executor: Any, workers: int | None) -> Executor:
    from napari_tilewise.executors import cluster  # dask's configuration takes its time

    if executor == DISTRIBUTED:
        return cluster.local(workers)
    if isinstance(executor, str):
        if executor in cluster.JOB_SYSTEMS:
            return cluster.of_jobs(executor, workers)
        if "://" in executor:
            return cluster.of_address(executor)
        names = (*EXECUTORS, *cluster.JOB_SYSTEMS)
        raise InvalidParameter(
            f"{option('executor', executor)}: expected one of {', '.join(map(repr, names))}, or a "
            f"scheduler's address such as 'tcp://10.0.0.1:8786'.{did_you_mean(executor, names)}"
        )
    if hasattr(executor, "scheduler_info") and hasattr(executor, "submit"):
        return cluster.of_client(executor)
    if hasattr(executor, "scheduler_address"):
        return cluster.of_cluster(executor)
    raise InvalidParameter(
        f"{option('executor', executor)}: expected a name such as 'threads', a scheduler's "
        "address, a distributed.Client or a cluster object."
    )


def better(executor: Executor, pipeline: Pipeline, source: Any) -> Executor:
    """Return processes instead of threads, where an operation holds the interpreter's lock.

    Parameters
    ----------
    executor
        Threads of this process.
    pipeline
        The run's operations.
    source
        The image; an array in memory would have to be written to disk first.
    """
    stacks = [stack for stack in pipeline.order if stack.call.operation.cost.holds_gil]
    pixels = max((prod(stack.source.shape) for stack in stacks), default=0)
    if executor.threads > 1 and pixels >= WORTH and not _is_in_memory(source):
        return _processes(executor.threads)
    return executor


def _is_in_memory(source: Any) -> bool:
    data = source.data if isinstance(source, Image) else source
    return isinstance(data, np.ndarray) or belongs_to_process(source)


def _processes(count: int) -> Executor:
    from napari_tilewise.executors.processes import Processes  # imports joblib

    return Processes(count)
