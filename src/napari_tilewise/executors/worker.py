"""A worker does tasks in its own process, with the pipeline of the run that it belongs to.

It is created for the first task of a run, and dropped when later runs have workers here.
"""

from __future__ import annotations

import pickle
import threading
import warnings
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial, singledispatchmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.engine.system.fetchers import LookAhead
from napari_tilewise.engine.system.pool import single_threaded_libraries
from napari_tilewise.engine.tile_tasks import (
    LevelTask,
    MaterializeTask,
    ReduceTask,
    SweepTask,
    TileTask,
    WriteTask,
)
from napari_tilewise.errors import OperationFailed, SourceWarning
from napari_tilewise.executors.assignment import check_assignment, read_assignment
from napari_tilewise.executors.sent_files import read_sent, write_sent

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_tilewise.engine.passes.pass_runner import PassRunner
    from napari_tilewise.executors.assignment import Assignment
    from napari_tilewise.grid import Grid
    from napari_tilewise.io.writers.image_writer import ImageWriter

SENT = 2**20
"""Bytes up to which an answer is sent; a larger one is left in a file."""
MOST_WORKERS = 2
"""Number of runs whose pipelines a process holds."""


@dataclass(frozen=True)
class Answer:
    """The pickled answer to a task, or the name of a file in the checkpoint's folder with it."""

    pickled: bytes
    file: str = ""

    def open(self, folder: Path) -> Any:
        """Return the answer.

        Parameters
        ----------
        folder
            The checkpoint's folder.
        """
        if not self.file:
            return pickle.loads(self.pickled)
        answer = pickle.loads(read_sent(folder, self.file))
        (folder / self.file).unlink()
        return answer


def do(folder: str, name: str, task: TileTask) -> Answer:
    """Do a task of a run, in any process that sees its folder.

    Parameters
    ----------
    folder
        The folder of the run's checkpoint.
    name
        Name of its assignment's file.
    task
        The task.
    """
    worker = _worker(folder, name)
    with worker.slots, single_threaded_libraries():
        check_assignment(folder, name)  # it may have waited while the run was cancelled
        pickled = pickle.dumps(worker.do(task))
    if len(pickled) <= SENT:
        return Answer(pickled)
    return Answer(b"", write_sent(Path(folder), "answer", pickled))


_workers: OrderedDict[str, Worker] = OrderedDict()
_lock = threading.Lock()


def _worker(folder: str, name: str) -> Worker:
    with _lock:
        if name not in _workers:
            _workers[name] = Worker(
                read_assignment(folder, name), partial(check_assignment, folder, name)
            )
            while len(_workers) > MOST_WORKERS:
                _workers.popitem(last=False)
        _workers.move_to_end(name)
        return _workers[name]


class Worker:
    """Does the tasks of one run.

    Parameters
    ----------
    assignment
        Describes the run.
    check
        Raises an error when the run has ended.
    """

    def __init__(self, assignment: Assignment, check: Callable[[], None] = lambda: None) -> None:
        self.assignment, self._check = assignment, check
        with warnings.catch_warnings():  # the process of the run has said it
            warnings.simplefilter("ignore", SourceWarning)
            self.pipeline = assignment.pipeline()
        self.slots = threading.BoundedSemaphore(assignment.threads)

    @singledispatchmethod
    def do(self, task: TileTask) -> Any:
        """Do a task; return its answer, as `engine.tile_tasks` describes it.

        Parameters
        ----------
        task
            The task.
        """
        raise NotImplementedError(type(task).__name__)

    @do.register
    def _reduce(self, task: ReduceTask) -> list[Any]:
        return self._runner(task).contributions(task.number, task.positions)

    @do.register
    def _sweep(self, task: SweepTask) -> list[tuple[int, ...]]:
        return self._runner(task).sweep(task)

    @do.register
    def _materialize(self, task: MaterializeTask) -> None:
        for position in task.positions:
            self.pipeline.materialized[task.step].fill(position)

    @do.register
    def _write(self, task: WriteTask) -> None:
        writer, grid = self._output
        last = self.pipeline.last
        with LookAhead(task.positions, lambda p: last.fetch(grid.region(p))) as ahead:
            for position in task.positions:
                region = grid.region(position)
                if last.waits:
                    ahead.beyond(position)
                pixels = np.ascontiguousarray(last.read(region))
                self._check()  # another run may write there by now
                writer.write(region, pixels)

    @do.register
    def _level(self, task: LevelTask) -> None:
        writer, _ = self._output
        parts = writer.pyramid_tasks(task.level)
        for (number,) in task.positions:
            parts[number]()

    @property
    def _output(self) -> tuple[ImageWriter, Grid]:
        writer, grid = self.assignment.writer, self.assignment.grid
        if writer is None or grid is None:
            raise OperationFailed("A task writes pixels, but the run's result is not an image.")
        return writer, grid

    def _runner(self, task: ReduceTask | SweepTask) -> PassRunner:
        return self.pipeline.stacks[task.step].runner(task.index)
