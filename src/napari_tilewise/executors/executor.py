"""An executor computes tiles: in this process, or with a pool of workers in other processes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_tilewise.engine.session import Session
    from napari_tilewise.engine.tile_tasks import WorkerPool
    from napari_tilewise.executors.assignment import Assignment


class Executor(ABC):
    """Where the tiles of a run are computed."""

    processes: int
    """Number of processes besides this one; 0: none."""
    threads: int
    """How many tiles each process computes at a time."""
    is_local: bool = True
    """Whether its processes share this machine's memory."""
    limit: int | None = None
    """Bytes that each process may take; None: unknown."""

    @property
    def slots(self) -> int:
        """How many tiles are computed at a time."""
        return self.threads * max(1, self.processes)

    @abstractmethod
    def worker_pool(
        self, assignment: Assignment, session: Session
    ) -> AbstractContextManager[WorkerPool | None]:
        """Return a context with a pool of workers; None where this process computes.

        Parameters
        ----------
        assignment
            Describes the run to the workers.
        session
            Its listener is told which workers start.
        """

    @abstractmethod
    def __str__(self) -> str:
        """Return the executor in words."""


class ThisProcess(Executor):
    """Threads of this process.

    Parameters
    ----------
    threads
        Their number.
    """

    processes = 0

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def worker_pool(self, assignment: Assignment, session: Session) -> AbstractContextManager[None]:
        """Return a context without workers."""
        return nullcontext()

    def __str__(self) -> str:
        """Return the executor in words."""
        return f"{self.threads} thread{'s' * (self.threads > 1)} of this process"
