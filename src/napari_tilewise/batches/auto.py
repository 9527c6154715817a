"""Chooses how many items are in work at a time, and where, from what the first of them show.

The first items run in threads, which cost nothing to start; a few more are done one after another,
for comparison. Where threads leave processors idle although the work itself would keep them busy,
Python's global lock is what they wait for: processes, which take seconds to start, follow if the
items that are left pay for it. Every way that was tried keeps being measured, and the best one goes
on: a wrong guess costs a few items, and a right one is not held up by the question.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import psutil

from napari_tilewise.batches.backends import LOKY, SERIAL, THREADING
from napari_tilewise.batches.tasks import DONE

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Iterable, Iterator

    from napari_tilewise.batches.tasks import ItemOutcome

T = TypeVar("T")

TILED = "tiled"
"""One item at a time, its tiles in as many threads as there would be items: for large ones."""
LARGE = 32 * 2**20
"""Bytes of an image that is cut into tiles enough for all threads."""
STARTING = 2.5
"""Seconds that processes take to start and to import what they need, on idle processors."""
TRIAL = 0.1
"""Seconds for which items are done one after another, to compare."""
TRIAL_SHARE = 1 / 40
"""Most of the items that this may take."""
SEEN = 0.1
"""Seconds of work in threads that tell how many processors are idle (they are counted in 10 ms)."""
SETTLED = 0.5
"""Seconds of work in processes before they are judged: not all of them have started before."""
READ = 0.02
"""Seconds between two looks at the clock, which take as long as a very small item."""
WORTH = 0.9
"""Another way is tried where it should take less than this share of the time."""


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
    """What one way showed so far.

    Parameters
    ----------
    items
        How many were done.
    seconds
        How long that took.
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
    def each(self) -> float:
        """Return the seconds per item."""
        return self.seconds / self.items

    def after(self, items: int, start: Clock, end: Clock) -> Measured:
        """Return what it showed when so many more were done between two moments.

        Parameters
        ----------
        items
            How many more.
        start, end
            The two moments.
        """
        return Measured(
            self.items + items,
            self.seconds + end.wall - start.wall,
            self.cpu + end.cpu - start.cpu,
            self.idle + end.idle - start.idle,
        )


class Auto:
    """Decides how the next items are done, again and again.

    Parameters
    ----------
    n_jobs
        How many items may be in work at a time.
    large
        Whether the items are cut into tiles.
    holds_lock
        Whether what is done is known to hold the global lock.
    """

    def __init__(self, n_jobs: int, *, large: bool, holds_lock: bool = False) -> None:
        self.n_jobs = n_jobs
        self.first = TILED if large else THREADING
        self.measured: dict[str, Measured] = {}
        self._known = holds_lock
        self._warm = 0.0
        self._handed: Counter[str] = Counter()

    def choose(self, left: int, now: str | None = None) -> tuple[str, int]:
        """Return how the next items are done, and how many of them before this is asked again.

        Parameters
        ----------
        left
            How many items are left.
        now
            How those are done that are in work.
        """
        if self.n_jobs == 1:
            return SERIAL, left
        if self._known and self.first == TILED:
            return LOKY, left
        if self.measured and (trial := self._trial(left)):
            return SERIAL, trial
        way = self._best(left, now)
        # Thrice as many as so far, each time: seldom asked, and what a wrong answer costs is small.
        return way, min(left, max(self._together(way), 3 * self._handed[way]))

    def _together(self, way: str) -> int:
        """Return how many items are in work at a time."""
        return self.n_jobs if way in (THREADING, LOKY) else 1

    def _best(self, left: int, now: str | None) -> str:
        """Return how the next items are done, from what is known by now."""
        if now not in (None, SERIAL) and not self._is_tried(now):
            return now
        expected = self._expected(left)
        tried = {way: seconds for way, seconds in expected.items() if way in self.measured}
        if self.first not in tried:
            return self.first
        best = min(tried, key=lambda way: tried[way])
        other = min(expected, key=lambda way: expected[way])
        return other if expected[other] < WORTH * expected[best] else best

    def _is_tried(self, way: str) -> bool:
        """Return whether something came of a way, and not of its start alone."""
        one = self.measured[way]
        return one.items > 0 and (way != LOKY or one.seconds >= SETTLED)

    def _trial(self, left: int) -> int:
        """Return how many items are done one after another to compare; 0: that needs no trial."""
        if self.first != THREADING or SERIAL in self.measured or left * TRIAL_SHARE < 2:
            return 0
        wanted = max(2, round(TRIAL / max(self._warm, 1e-6)))
        return min(wanted, int(left * TRIAL_SHARE))

    def _expected(self, left: int) -> dict[str, float]:
        """Return the seconds that the items left would take in each way that there is."""
        found = {way: left * one.each for way, one in self.measured.items() if one.items}
        if LOKY not in found and self.first in found:
            first = self.measured[self.first]
            if first.seconds >= SEEN:
                found[LOKY] = self._in_processes(first, left)
        return found

    def _in_processes(self, first: Measured, left: int) -> float:
        """Return the seconds that the items left should take in processes not yet started."""
        # As many processors as the threads used, and those that nobody used beside them.
        usable = min(self.n_jobs, (first.cpu + first.idle) / first.seconds)
        serial = self.measured.get(SERIAL)
        if serial is not None and serial.items:
            # What an item waits for the disk by itself, it waits there too.
            each = max(serial.cpu / serial.items / usable, serial.each / self.n_jobs)
        else:
            each = first.cpu / first.items / usable
        return STARTING * self.n_jobs / usable + left * each

    def handed(self, way: str, count: int, rest: deque[T]) -> Iterator[T]:
        """Give what is done in one way, until another one is better; each leaves the rest.

        Nothing waits for what is in work, unless the way changes.

        Parameters
        ----------
        way, count
            What `choose` said.
        rest
            What is left to do.
        """
        best = way
        while best == way:
            for _ in range(count):
                self._handed[way] += 1
                yield rest.popleft()
            if not rest:
                return
            best, count = self.choose(len(rest), way)

    def watched(self, way: str, outcomes: Iterable[ItemOutcome]) -> Iterator[ItemOutcome]:
        """Give outcomes on, and learn from when they come.

        Parameters
        ----------
        way
            How these items are done.
        outcomes
            What comes of them.
        """
        # The first items of all, and of other processes, pay for what is started or imported.
        first = way not in self.measured and way != SERIAL
        together = self._together(way)
        unmeasured = together if first else 0
        self.measured.setdefault(way, Measured())
        began = start = Clock.now()
        count = done = 0
        for outcome in outcomes:
            count += 1
            done += outcome.status == DONE
            passed = time.perf_counter() - start.wall
            if count == unmeasured:
                start, done = Clock.now(), 0
                self._warm = self._warm or (start.wall - began.wall) / count
            elif count > unmeasured and done >= together and passed >= READ:
                start, done = self._learn(way, done, start), 0
            yield outcome
        if count > unmeasured and done:
            self._learn(way, done, start)

    def _learn(self, way: str, items: int, start: Clock) -> Clock:
        """Add so many items, done since `start`, to what a way showed; return the time."""
        now = Clock.now()
        self.measured[way] = self.measured[way].after(items, start, now)
        return now
