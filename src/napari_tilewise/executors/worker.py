"""A hand does tasks in its own process: it holds the chain of the run that it belongs to.

It is made when the first task of a run comes, and forgotten when one of a later run does.
"""

from __future__ import annotations

import pickle
import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import singledispatchmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from napari_tilewise.engine.pool import single_threaded_libraries
from napari_tilewise.engine.sweeps import Sweeping
from napari_tilewise.engine.tile_tasks import (
    LevelTask,
    MaterializeTask,
    ReduceTask,
    SweepTask,
    TileTask,
    WriteTask,
)
from napari_tilewise.executors.assignment import take
from napari_tilewise.operations.spec.operation import Sweep

if TYPE_CHECKING:
    from napari_tilewise.engine.pass_runner import PassRunner
    from napari_tilewise.executors.assignment import Assignment

SENT = 2**20
"""Bytes up to which an answer is sent; a larger one lies in a file."""
HELD = 2
"""Runs whose chains a process holds."""


@dataclass(frozen=True)
class Answer:
    """What came of a task, pickled: here, or in a file of the account's folder."""

    pickled: bytes
    file: str = ""

    def open(self, folder: Path) -> Any:
        """Return what came of it.

        Parameters
        ----------
        folder
            The account's folder.
        """
        if not self.file:
            return pickle.loads(self.pickled)
        path = folder / self.file
        found = pickle.loads(path.read_bytes())
        path.unlink()
        return found


def do(folder: str, name: str, task: TileTask) -> Answer:
    """Do a task of a run, in any process that sees its folder.

    Parameters
    ----------
    folder
        The folder of the run's account.
    name
        The name of its assignment.
    task
        The task.
    """
    hand = _hand(folder, name)
    with hand.room, single_threaded_libraries():
        pickled = pickle.dumps(hand.do(task))
    if len(pickled) <= SENT:
        return Answer(pickled)
    file = f"answer-{uuid4().hex[:12]}"
    (Path(folder) / file).write_bytes(pickled)
    return Answer(b"", file)


_hands: OrderedDict[str, Worker] = OrderedDict()
_lock = threading.Lock()


def _hand(folder: str, name: str) -> Worker:
    with _lock:
        if name not in _hands:
            _hands[name] = Worker(take(folder, name))
            while len(_hands) > HELD:
                _hands.popitem(last=False)
        _hands.move_to_end(name)
        return _hands[name]


class Worker:
    """Does the tasks of one run.

    Parameters
    ----------
    assignment
        What the run is.
    """

    def __init__(self, assignment: Assignment) -> None:
        self.assignment = assignment
        self.chain = assignment.chain()
        self.room = threading.BoundedSemaphore(assignment.threads)

    @singledispatchmethod
    def do(self, task: TileTask) -> Any:
        """Do a task; return its answer, as `engine.crew` says.

        Parameters
        ----------
        task
            The task.
        """
        raise NotImplementedError(type(task).__name__)

    @do.register
    def _gather(self, task: ReduceTask) -> list[Any]:
        return self._driver(task).contributions(task.number, task.positions)

    @do.register
    def _sweep(self, task: SweepTask) -> list[tuple[int, ...]]:
        driver = self._driver(task)
        sweep = driver.pass_at(task.number)
        assert isinstance(sweep, Sweep)
        return Sweeping(driver, sweep, task.number).do_task(task)

    @do.register
    def _keep(self, task: MaterializeTask) -> None:
        for position in task.positions:
            self.chain.materialized[task.step].fill(position)

    @do.register
    def _write(self, task: WriteTask) -> None:
        writer, grid = self.assignment.writer, self.assignment.grid
        assert writer is not None
        assert grid is not None
        for position in task.positions:
            region = grid.region(position)
            writer.write(region, np.ascontiguousarray(self.chain.last.read(region)))

    @do.register
    def _level(self, task: LevelTask) -> None:
        assert self.assignment.writer is not None
        pieces = self.assignment.writer.pyramid_tasks(task.level)
        for (number,) in task.positions:
            pieces[number]()

    def _driver(self, task: ReduceTask | SweepTask) -> PassRunner:
        return self.chain.stacks[task.step].runner(task.index)
