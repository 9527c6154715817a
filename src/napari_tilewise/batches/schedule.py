"""Takes a batch through legs: so many items each, in one way, within one memory budget."""

from __future__ import annotations

from collections import deque
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_tilewise.batches.auto import LARGE, TILED, Auto
from napari_tilewise.batches.backends import AUTO, SERIAL, THREADING, Supply, outcomes
from napari_tilewise.batches.function import BatchFunction
from napari_tilewise.batches.tasks import ALONE, How, ItemOutcome, ItemTask, there
from napari_tilewise.engine.budget import resident
from napari_tilewise.engine.machine import available_memory
from napari_tilewise.engine.pool import single_threaded_libraries, wait_while

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence


def drive(
    tasks: Sequence[ItemTask],
    backend: str,
    n_jobs: int,
    memory: int | None,
    cancel: threading.Event | None,
    begun: Callable[[int], None],
    pause: threading.Event | None = None,
) -> Iterator[ItemOutcome]:
    """Give what comes of tasks, as it comes.

    Parameters
    ----------
    tasks
        The tasks.
    backend
        How they are done.
    n_jobs
        How many items are in work at a time.
    memory
        Bytes for all that are in work together, the interpreter included; half of what is available
        unless given.
    cancel
        Set it to begin no more items.
    begun
        Called with an item's number when it is handed out, from any thread.
    pause
        Set it to begin no more items until it is cleared.
    """
    limit = memory or resident() + available_memory() // 2
    driver = _Driver(n_jobs, limit, cancel, begun, pause)
    if backend != AUTO:
        yield from driver.legs(backend, tasks)
    else:
        yield from driver.automatic(tasks)
    # What did not fit beside others, one by one.
    yield from driver.legs(TILED, driver.put_off)


class _Driver:
    def __init__(
        self,
        n_jobs: int,
        limit: int,
        cancel: threading.Event | None,
        begun: Callable[[int], None],
        pause: threading.Event | None,
    ) -> None:
        self.n_jobs = n_jobs
        self.limit = limit
        self.cancel = cancel
        self.begun = begun
        self.pause = pause
        self.put_off: list[ItemTask] = []
        self.process = resident()

    def _is_paused(self) -> bool:
        return self.pause is not None and self.pause.is_set()

    def _goes_on(self, rest: Collection[ItemTask]) -> bool:
        """Return whether there is more to begin, when no pause holds it up."""
        if rest:
            wait_while(self._is_paused, self.cancel)
        return bool(rest) and not (self.cancel is not None and self.cancel.is_set())

    def legs(self, way: str, tasks: Iterable[ItemTask]) -> Iterator[ItemOutcome]:
        """Give what comes of tasks, all done in one way; a pause ends a leg."""
        rest = deque(tasks)
        while self._goes_on(rest):
            yield from self.leg(way, _taken(rest, len(rest)))

    def leg(self, way: str, tasks: Iterable[ItemTask]) -> Iterator[ItemOutcome]:
        """Give what comes of some tasks, all done in one way."""
        how = self._how(way)
        backend = SERIAL if way == TILED else way
        given: dict[int, ItemTask] = {}

        def prepared() -> Iterator[ItemTask]:
            for task in tasks:
                given[task.item.index] = task
                self.begun(task.item.index)
                yield replace(task, how=how, vacant=there(task) is None)

        # Held once: every sweep of every small item would else set the limits and lift them.
        with single_threaded_libraries() if way in (SERIAL, THREADING) else nullcontext():
            supply = Supply(prepared(), self.cancel, self.pause)
            for outcome in outcomes(backend, self.n_jobs, supply):
                task = given.pop(outcome.index)
                if outcome.status == ALONE:
                    self.put_off.append(task)
                else:
                    yield outcome

    def _how(self, way: str) -> How:
        if way == TILED:
            return How(self.n_jobs, self.limit)
        if way == SERIAL:
            return How(1, self.limit)
        if way == THREADING and self.n_jobs > 1:
            share = (self.limit - self.process) // self.n_jobs
            return How(1, max(0, share), beside=True, alone=False)
        return How(1, self.limit // self.n_jobs, alone=self.n_jobs == 1)

    def automatic(self, tasks: Sequence[ItemTask]) -> Iterator[ItemOutcome]:
        """Give what comes of tasks, done as it turns out to be fastest."""
        large = [task for task in tasks if (task.item.bytes() or 0) >= LARGE]
        ids = {task.item.index for task in large}
        small = [task for task in tasks if task.item.index not in ids]
        for some, is_large in ((small, False), (large, True)):
            auto = Auto(self.n_jobs, large=is_large, holds_lock=_holds_lock(some))
            rest = deque(some)
            while self._goes_on(rest):
                way, count = auto.choose(len(rest))
                yield from auto.watched(way, self.leg(way, auto.handed(way, count, rest)))


def _taken(rest: deque[ItemTask], count: int) -> Iterator[ItemTask]:
    """Give so many tasks; each leaves the rest when it is begun."""
    for _ in range(count):
        yield rest.popleft()


def _holds_lock(tasks: Sequence[ItemTask]) -> bool:
    """Return whether a recipe's steps are known to hold the global lock."""
    if not tasks or isinstance(tasks[0].work.what, BatchFunction):
        return False
    recipe = tasks[0].work.what
    return any(recipe.steps[number].op.cost.holds_gil for number in recipe.running)
