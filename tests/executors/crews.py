"""A crew that is this process: all that would travel is pickled, and nothing else is shared."""

from __future__ import annotations

import pickle
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_tilewise.executors.assignment import leave
from napari_tilewise.executors.executor import Executor
from napari_tilewise.executors.worker import do

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_tilewise.engine.session import Session
    from napari_tilewise.engine.tile_tasks import TileTask
    from napari_tilewise.executors.assignment import Assignment


class PickledCrew:
    """Does each task where it is asked for, by a chain of its own."""

    slots = 2

    def __init__(self, folder: str, name: str) -> None:
        self.folder, self.name = folder, name
        self.tasks: list[TileTask] = []
        self.sent = 0

    def ask(self, task: TileTask) -> Any:
        """Have a task done, and return its answer once it is."""
        self.tasks.append(task)
        asked = pickle.dumps(task)
        answered = pickle.dumps(do(self.folder, self.name, pickle.loads(asked)))
        self.sent = max(self.sent, len(asked), len(answered))
        return pickle.loads(answered).open(Path(self.folder))


class Pickled(Executor):
    """Where everything is done by a `PickledCrew`."""

    processes, threads = 2, 1

    @contextmanager
    def crew(self, assignment: Assignment, session: Session) -> Iterator[PickledCrew]:
        """Give the crew."""
        self.made = PickledCrew(assignment.folder, leave(assignment))
        yield self.made

    def __str__(self) -> str:
        """Return the place in words."""
        return "two processes that are this one"
