"""Schedules the tasks of a batch in legs: tasks that run in one mode, within the memory budget."""

from __future__ import annotations

from collections import deque
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_tilewise.batches.auto import LARGE, TILED, Auto
from napari_tilewise.batches.backends import AUTO, SERIAL, THREADING, TaskSupply, outcomes
from napari_tilewise.batches.function import BatchFunction
from napari_tilewise.batches.tasks import (
    ALONE,
    CANCELLED,
    ItemOutcome,
    ItemResources,
    ItemTask,
    existing_output,
)
from napari_tilewise.engine.system.machine import available_memory
from napari_tilewise.engine.system.pool import single_threaded_libraries, wait_while
from napari_tilewise.engine.system.resident import resident
from napari_tilewise.engine.system.switch_interval import short_turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from napari_tilewise.engine.control import Control


@dataclass(frozen=True)
class BatchResources:
    """Where the tasks of a batch run, and with how much of the machine."""

    backend: str
    n_jobs: int
    """Number of items that are processed at a time."""
    memory: int | None
    """Bytes for all tasks that run at a time, the interpreter included; None: half of what is
    available."""


def run_tasks(
    tasks: Sequence[ItemTask],
    resources: BatchResources,
    control: Control,
    on_start: Callable[[int], None],
) -> Iterator[ItemOutcome]:
    """Yield the outcomes of tasks as they finish.

    Parameters
    ----------
    tasks
        At most one per item.
    resources
        Backend, number of jobs and memory.
    control
        Its cancel and pause hold back the tasks that have not started.
    on_start
        Called with an item's index when its task starts, from any thread.
    """
    scheduler = _Scheduler(resources, control, on_start)
    if resources.backend != AUTO:
        yield from scheduler.legs(resources.backend, tasks)
    else:
        yield from scheduler.automatic(tasks)
    # Tasks that did not fit next to others, one at a time.
    yield from scheduler.legs(TILED, scheduler.postponed)


class _Scheduler:
    def __init__(
        self, resources: BatchResources, control: Control, on_start: Callable[[int], None]
    ) -> None:
        self.n_jobs = resources.n_jobs
        self.control = control
        self.on_start = on_start
        self.postponed: list[ItemTask] = []
        self.unstarted: list[ItemTask] = []
        """Tasks of a leg that no process came to."""
        self.process = resident()
        self.limit = resources.memory or self.process + available_memory() // 2

    def _has_more(self, queue: deque[ItemTask]) -> bool:
        """Return whether there is a task to start, after any pause."""
        queue.extend(self.unstarted)
        self.unstarted.clear()
        if queue:
            wait_while(lambda: self.control.is_paused, self.control.cancel)
        return bool(queue) and not self.control.is_cancelled

    def legs(self, mode: str, tasks: Iterable[ItemTask]) -> Iterator[ItemOutcome]:
        """Yield the outcomes of tasks that all run in one mode; a pause ends a leg."""
        queue = deque(tasks)
        while self._has_more(queue):
            yield from self.leg(mode, _popped(queue, len(queue)))

    def leg(self, mode: str, tasks: Iterable[ItemTask]) -> Iterator[ItemOutcome]:
        """Yield the outcomes of tasks that all run in one mode."""
        resources = self._resources(mode)
        backend = SERIAL if mode == TILED else mode
        running: dict[int, ItemTask] = {}

        def started() -> Iterator[ItemTask]:
            for task in tasks:
                running[task.item.index] = task
                self.on_start(task.item.index)
                is_vacant = existing_output(task) is None
                yield replace(task, resources=resources, is_vacant=is_vacant)

        # Limited once: every pass over every small item would set the limits and lift them.
        with (
            single_threaded_libraries() if mode in (SERIAL, THREADING) else nullcontext(),
            short_turns() if mode == THREADING else nullcontext(),
        ):
            supply = TaskSupply(started(), self.control)
            for outcome in outcomes(backend, self.n_jobs, supply):
                task = running.pop(outcome.index)
                if outcome.status == ALONE:
                    self.postponed.append(task)
                elif outcome.status != CANCELLED:
                    yield outcome
        self.unstarted.extend(running.values())

    def _resources(self, mode: str) -> ItemResources:
        cancel = self.control.cancel
        if mode == TILED:
            return ItemResources(self.n_jobs, self.limit, cancel=cancel)
        if mode == SERIAL or (mode == THREADING and self.n_jobs == 1):
            return ItemResources(1, self.limit, cancel=cancel)
        if mode == THREADING:
            share = (self.limit - self.process) // self.n_jobs
            return ItemResources(1, max(0, share), is_shared=True, is_alone=False, cancel=cancel)
        return ItemResources(1, self.limit // self.n_jobs, is_alone=self.n_jobs == 1)

    def automatic(self, tasks: Sequence[ItemTask]) -> Iterator[ItemOutcome]:
        """Yield the outcomes of tasks in the mode that proves fastest."""
        large = [task for task in tasks if (task.item.bytes() or 0) >= LARGE]
        indices = {task.item.index for task in large}
        small = [task for task in tasks if task.item.index not in indices]
        for group, is_large in ((small, False), (large, True)):
            auto = Auto(self.n_jobs, large=is_large, holds_lock=_holds_lock(group))
            queue = deque(group)
            while self._has_more(queue):
                mode, count = auto.choose(len(queue))
                yield from auto.measure(mode, self.leg(mode, auto.take(mode, count, queue)))


def _popped(queue: deque[ItemTask], count: int) -> Iterator[ItemTask]:
    """Yield so many tasks; each leaves the queue when it starts."""
    for _ in range(count):
        yield queue.popleft()


def _holds_lock(tasks: Sequence[ItemTask]) -> bool:
    """Return whether a recipe's steps are known to hold the global interpreter lock."""
    if not tasks or isinstance(tasks[0].batch.recipe, BatchFunction):
        return False
    recipe = tasks[0].batch.recipe
    return any(recipe.steps[number].op.cost.holds_gil for number in recipe.running)
