"""A place is where tiles are computed: how many processes it has, and the crew that works there."""

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
    """How many processes beside this one; 0: none."""
    threads: int
    """How many tiles each process has in hand."""
    is_here: bool = True
    """Whether its processes share this machine's memory."""
    limit: int | None = None
    """Bytes that each process may take, where the place says."""

    @property
    def slots(self) -> int:
        """How many tiles are in work at a time."""
        return self.threads * max(1, self.processes)

    @abstractmethod
    def crew(
        self, assignment: Assignment, session: Session
    ) -> AbstractContextManager[WorkerPool | None]:
        """Return a context in which a crew works; None where this process does.

        Parameters
        ----------
        assignment
            What is to be done.
        session
            Whom to tell where it is done.
        """

    @abstractmethod
    def __str__(self) -> str:
        """Return the place in words."""


class ThisProcess(Executor):
    """The process that asks, and its threads.

    Parameters
    ----------
    threads
        Number of its threads.
    """

    processes = 0

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def crew(self, assignment: Assignment, session: Session) -> AbstractContextManager[None]:
        """Return a context without a crew."""
        return nullcontext()

    def __str__(self) -> str:
        """Return the place in words."""
        return f"{self.threads} thread{'s' * (self.threads > 1)} of this process"
