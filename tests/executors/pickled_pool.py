"""A worker pool in this process: all that would travel is pickled, and nothing else is shared."""

from __future__ import annotations

import pickle
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_tilewise.executors.assignment import write_assignment
from napari_tilewise.executors.executor import Executor
from napari_tilewise.executors.worker import do

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_tilewise.engine.session import Session
    from napari_tilewise.engine.tile_tasks import TileTask
    from napari_tilewise.executors.assignment import Assignment


class PickledPool:
    """Does each task at once, with a pipeline of its own."""

    slots = 2

    def __init__(self, folder: str, name: str) -> None:
        self.folder, self.name = folder, name
        self.tasks: list[TileTask] = []
        self.sent = 0

    def run(self, task: TileTask) -> Any:
        """Do a task, and return its answer."""
        self.tasks.append(task)
        request = pickle.dumps(task)
        answer = pickle.dumps(do(self.folder, self.name, pickle.loads(request)))
        self.sent = max(self.sent, len(request), len(answer))
        return pickle.loads(answer).open(Path(self.folder))


class Pickled(Executor):
    """An executor with a `PickledPool`."""

    processes, threads = 2, 1

    @contextmanager
    def worker_pool(self, assignment: Assignment, session: Session) -> Iterator[PickledPool]:
        """Yield the pool."""
        self.made = PickledPool(assignment.folder, write_assignment(assignment))
        yield self.made

    def __str__(self) -> str:
        """Return the executor in words."""
        return "two processes that are this one"
