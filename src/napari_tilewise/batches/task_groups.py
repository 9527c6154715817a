"""Quick items travel to a process in groups: handing over one task takes as long as a small item.

A group is as long as a few hundredths of a second, so that the last ones hardly wait for one
another and a cancel ends soon. Each item has an outcome of its own. A process that finds the items
of its group slower than those before does not start all of them; the others are scheduled again.
"""

from __future__ import annotations

import itertools
import threading
import time
from typing import TYPE_CHECKING

from napari_tilewise.batches.tasks import run_task_in_worker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_tilewise.batches.tasks import ItemOutcome, ItemTask

SECONDS = 0.04
"""Seconds that the items of a group should take together."""
LONGEST = 16
"""Most items of a group: so many are processed once more if their process ends."""
PATIENCE = 5
"""How many times as long a process stays with a group before it leaves the rest of it."""


class TaskGroups:
    """Groups of tasks, as many in each as the outcomes so far suggest; joblib's threads take them.

    Parameters
    ----------
    tasks
        The tasks in order, taken only as the groups are.
    """

    def __init__(self, tasks: Iterator[ItemTask]) -> None:
        self._tasks = tasks
        self._lock = threading.Lock()
        self._seconds: float | None = None

    def __iter__(self) -> Iterator[tuple[ItemTask, ...]]:
        return self

    def __next__(self) -> tuple[ItemTask, ...]:
        group = tuple(itertools.islice(self._tasks, self.size))
        if not group:
            raise StopIteration
        return group

    @property
    def size(self) -> int:
        """Number of items of the next group: one until a time is known."""
        with self._lock:
            seconds = self._seconds
        if seconds is None:
            return 1
        return max(1, int(SECONDS / max(seconds, SECONDS / LONGEST)))

    def note(self, outcomes: Sequence[ItemOutcome]) -> None:
        """Note how long items took; the latest count most.

        Parameters
        ----------
        outcomes
            The outcomes of a group.
        """
        with self._lock:
            for outcome in outcomes:
                latest = outcome.row["seconds"]
                before = latest if self._seconds is None else self._seconds
                self._seconds = (3 * before + latest) / 4


def run_group_in_worker(group: Sequence[ItemTask]) -> list[ItemOutcome]:
    """Run the tasks of a group in a worker process; return the outcomes of those that it started.

    Parameters
    ----------
    group
        The tasks, one after another.
    """
    outcomes, started = [], time.perf_counter()
    for task in group:
        outcomes.append(run_task_in_worker(task))
        if time.perf_counter() - started > PATIENCE * SECONDS:
            break
    return outcomes
