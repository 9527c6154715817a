"""Chooses how many items are in work at a time, and where, from what the first of them show.

The first items run in threads, which cost nothing to start; a few more are done one after another,
for comparison. Where threads leave processors idle although the work itself would keep them busy,
Python's global lock is what they wait for: processes, which take seconds to start, follow if the
items that are left pay for it. Every way that was tried keeps being measured, and the best one goes
on: a wrong guess costs a few items.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from napari_tilewise.batching.backends import LOKY, SERIAL, THREADING
from napari_tilewise.batching.work import DONE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from napari_tilewise.batching.work import Outcome

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
WORTH = 0.9
"""Another way is tried where it should take less than this share of the time."""


@dataclass
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


class Auto:
    """Decides leg by leg how the next items are done.

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
        self._length = 1 if large else n_jobs

    def choose(self, left: int) -> tuple[str, int]:
        """Return how the next items are done, and how many of them before this is asked again.

        Parameters
        ----------
        left
            How many items are left.
        """
        if self.n_jobs == 1:
            return SERIAL, left
        if self._known and self.first == TILED:
            return LOKY, left
        if not self.measured:
            return self.first, self._leg(left)
        if trial := self._trial(left):
            return SERIAL, trial
        expected = self._expected(left)
        tried = {way: seconds for way, seconds in expected.items() if way in self.measured}
        if self.first not in tried:
            return self.first, self._leg(left)
        best = min(tried, key=lambda way: tried[way])
        other = min(expected, key=lambda way: expected[way])
        if expected[other] < WORTH * expected[best]:
            best = other
        return best, self._leg(left, best)

    def _trial(self, left: int) -> int:
        """Return how many items are done one after another to compare; 0: that needs no trial."""
        if self.first != THREADING or SERIAL in self.measured or left * TRIAL_SHARE < 2:
            return 0
        wanted = max(2, round(TRIAL / max(self._warm, 1e-6)))
        return min(wanted, int(left * TRIAL_SHARE))

    def _leg(self, left: int, way: str = "") -> int:
        least = 1 if way in (TILED, SERIAL) or self.first == TILED else self._length
        if self.measured:
            self._length = min(left, 4 * self._length)
        # What would be left for a leg of its own is taken along.
        return left if left <= 2 * least else max(least, min(left, self._length))

    def _expected(self, left: int) -> dict[str, float]:
        """Return the seconds that the items left would take in each way that there is."""
        found = {way: left * one.each for way, one in self.measured.items() if one.items}
        first = self.measured[self.first]
        if LOKY not in found and first.items and first.seconds >= SEEN:
            # As many processors as the threads used, and those that nobody used beside them.
            usable = min(self.n_jobs, (first.cpu + first.idle) / first.seconds)
            serial = self.measured.get(SERIAL)
            if serial is not None and serial.items:
                # What an item waits for the disk by itself, it waits there too.
                each = max(serial.cpu / serial.items / usable, serial.each / self.n_jobs)
            else:
                each = first.cpu / first.items / usable
            found[LOKY] = STARTING * self.n_jobs / usable + left * each
        return found

    def watched(self, way: str, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
        """Give outcomes on, and learn from when they come.

        Parameters
        ----------
        way
            How these items are done.
        outcomes
            What comes of them.
        """
        # The first items of all, and of other processes, pay for what is started or imported.
        unmeasured = 0 if way in self.measured or way == SERIAL else self.n_jobs
        measured = self.measured.setdefault(way, Measured())
        began = start = Clock.now()
        count = done = 0
        for outcome in outcomes:
            count += 1
            done += outcome.status == DONE
            if count == unmeasured:
                start, done = Clock.now(), 0
                self._warm = self._warm or (start.wall - began.wall) / count
            yield outcome
        ended = Clock.now()
        if done and count > unmeasured:
            measured.items += done
            measured.seconds += ended.wall - start.wall
            measured.cpu += ended.cpu - start.cpu
            measured.idle += ended.idle - start.idle
