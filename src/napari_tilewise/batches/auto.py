"""Chooses how many items are processed at a time, and where, from measurements of the first ones.

The first items run in threads, which cost nothing to start; a few more are processed one after
another, for comparison. If threads leave processors idle although the tasks would keep them busy,
the tasks wait for Python's global lock: processes, which take seconds to start, follow if the
remaining items pay for it. Every mode that was tried stays measured, and the fastest one continues:
a wrong guess costs a few items, and a right one is not held up by the question.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import psutil

from napari_tilewise.batches.backends import LOKY, SERIAL, THREADING, have_started
from napari_tilewise.batches.tasks import DONE

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Iterable, Iterator

    from napari_tilewise.batches.tasks import ItemOutcome

T = TypeVar("T")

TILED = "tiled"
"""Mode for large items: one at a time, its tiles in as many threads as there are jobs."""
LARGE = 32 * 2**20
"""Bytes of an image that has enough tiles for all threads."""
STARTING = 2.5
"""Seconds that processes take to start and to import what they need, on idle processors."""
STARTED = 0.05
"""Seconds that those of an earlier batch take."""
TRIAL = 0.1
"""Seconds for which items are processed one after another, to compare."""
TRIAL_SHARE = 1 / 40
"""Largest share of the items that this may take."""
SEEN = 0.1
"""Seconds in threads after which idle processors are counted reliably (the system counts 10 ms)."""
SETTLED = 0.5
"""Seconds in processes before they are judged: not all of them have started before."""
READ = 0.02
"""Seconds between two readings of the clock, each of which takes as long as a very small item."""
WORTH = 0.9
"""Another mode is tried if it should take less than this share of the time."""


@dataclass(frozen=True)
class Clock:
    """The time, what this process computed, and how long processors were idle, in seconds."""

    wall: float
    cpu: float
    idle: float

    @classmethod
    def now(cls) -> Clock:
        """Read all three."""
        idle: float = psutil.cpu_times().idle
        return cls(time.perf_counter(), time.process_time(), idle)


@dataclass(frozen=True)
class Measured:
    """Measurements of one mode.

    Parameters
    ----------
    items
        Number of items that were done.
    seconds
        How long they took.
    cpu
        Seconds that this process computed meanwhile.
    idle
        Seconds that the machine's processors were idle meanwhile, summed over them.
    """

    items: int = 0
    seconds: float = 0.0
    cpu: float = 0.0
    idle: float = 0.0

    @property
    def per_item(self) -> float:
        """Seconds per item."""
        return self.seconds / self.items

    def after(self, items: int, start: Clock, end: Clock) -> Measured:
        """Return the measurements with those of further items added.

        Parameters
        ----------
        items
            Number of items that were done between the two readings.
        start, end
            Readings of the clock.
        """
        return Measured(
            self.items + items,
            self.seconds + end.wall - start.wall,
            self.cpu + end.cpu - start.cpu,
            self.idle + end.idle - start.idle,
        )


class Auto:
    """Chooses the mode of the next items, repeatedly.

    Parameters
    ----------
    n_jobs
        Number of items that may be processed at a time.
    large
        Whether the items are large enough to be tiled.
    holds_lock
        Whether the tasks are known to hold the global lock.
    """

    def __init__(self, n_jobs: int, *, large: bool, holds_lock: bool = False) -> None:
        self.n_jobs = n_jobs
        self.first = TILED if large else THREADING
        self.measured: dict[str, Measured] = {}
        self._holds_lock = holds_lock
        self._warm = 0.0
        self._taken: Counter[str] = Counter()

    def choose(self, remaining: int, current: str | None = None) -> tuple[str, int]:
        """Return the mode of the next items, and for how many of them it holds.

        Parameters
        ----------
        remaining
            Number of items that have not started.
        current
            Mode of the items that are being processed.
        """
        if self.n_jobs == 1:
            return SERIAL, remaining
        if self._holds_lock and self.first == TILED:
            return LOKY, remaining
        if self.measured and (trial := self._trial(remaining)):
            return SERIAL, trial
        mode = self._best(remaining, current)
        # Three times as many each time: seldom asked, and a wrong answer costs little.
        return mode, min(remaining, max(self._at_a_time(mode), 3 * self._taken[mode]))

    def _at_a_time(self, mode: str) -> int:
        """Return how many items are processed at a time."""
        return self.n_jobs if mode in (THREADING, LOKY) else 1

    def _best(self, remaining: int, current: str | None) -> str:
        """Return the mode of the next items, from the measurements so far."""
        if current not in (None, SERIAL) and not self._is_tried(current):
            return current
        expected = self._expected(remaining)
        tried = {mode: seconds for mode, seconds in expected.items() if mode in self.measured}
        if self.first not in tried:
            return self.first
        best = min(tried, key=lambda mode: tried[mode])
        other = min(expected, key=lambda mode: expected[mode])
        return other if expected[other] < WORTH * expected[best] else best

    def _is_tried(self, mode: str) -> bool:
        """Return whether a mode has been measured beyond its start."""
        figures = self.measured[mode]
        return figures.items > 0 and (mode != LOKY or figures.seconds >= SETTLED)

    def _trial(self, remaining: int) -> int:
        """Return how many items are processed one after another to compare; 0: no trial."""
        if self.first != THREADING or SERIAL in self.measured or remaining * TRIAL_SHARE < 2:
            return 0
        count = max(2, round(TRIAL / max(self._warm, 1e-6)))
        return min(count, int(remaining * TRIAL_SHARE))

    def _expected(self, remaining: int) -> dict[str, float]:
        """Return the seconds that the remaining items would take in each available mode."""
        seconds = {
            mode: remaining * figures.per_item
            for mode, figures in self.measured.items()
            if figures.items
        }
        if LOKY not in seconds and self.first in seconds:
            first = self.measured[self.first]
            if first.seconds >= SEEN:
                seconds[LOKY] = self._in_processes(first, remaining)
        return seconds

    def _in_processes(self, first: Measured, remaining: int) -> float:
        """Return the seconds that the remaining items should take in processes yet to start."""
        # As many processors as the threads used, and those that were idle meanwhile.
        usable = min(self.n_jobs, (first.cpu + first.idle) / first.seconds)
        serial = self.measured.get(SERIAL)
        if serial is not None and serial.items:
            # An item that waits for the disk alone waits for it in a process too.
            per_item = max(serial.cpu / serial.items / usable, serial.per_item / self.n_jobs)
        else:
            per_item = first.cpu / first.items / usable
        starting = STARTED if have_started(self.n_jobs) else STARTING
        return starting * self.n_jobs / usable + remaining * per_item

    def take(self, mode: str, count: int, queue: deque[T]) -> Iterator[T]:
        """Yield tasks that run in one mode until another is better; each leaves the queue.

        Nothing waits for running tasks, unless the mode changes.

        Parameters
        ----------
        mode, count
            As returned by `choose`.
        queue
            The tasks that have not started.
        """
        best = mode
        while best == mode:
            for _ in range(count):
                self._taken[mode] += 1
                yield queue.popleft()
            if not queue:
                return
            best, count = self.choose(len(queue), mode)

    def measure(self, mode: str, outcomes: Iterable[ItemOutcome]) -> Iterator[ItemOutcome]:
        """Yield outcomes unchanged, and measure when they come.

        Parameters
        ----------
        mode
            Mode of these tasks.
        outcomes
            Their outcomes, as they finish.
        """
        # The very first items, and the first of new processes, pay for imports and start-up.
        is_first = mode not in self.measured and mode != SERIAL
        at_a_time = self._at_a_time(mode)
        unmeasured = at_a_time if is_first else 0
        self.measured.setdefault(mode, Measured())
        first_reading = start = Clock.now()
        count = done = 0
        for outcome in outcomes:
            count += 1
            done += outcome.status == DONE
            passed = time.perf_counter() - start.wall
            if count == unmeasured:
                start, done = Clock.now(), 0
                self._warm = self._warm or (start.wall - first_reading.wall) / count
            elif count > unmeasured and done >= at_a_time and passed >= READ:
                start, done = self._add(mode, done, start), 0
            yield outcome
        if count > unmeasured and done:
            self._add(mode, done, start)

    def _add(self, mode: str, items: int, start: Clock) -> Clock:
        """Add items that were done since `start` to a mode's measurements; return the time."""
        now = Clock.now()
        self.measured[mode] = self.measured[mode].after(items, start, now)
        return now
