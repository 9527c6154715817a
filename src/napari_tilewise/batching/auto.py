"""Chooses how many items are in work at a time, and where, from what the first of them show.

The first items run in threads, which cost nothing to start. Meanwhile it is measured how long each
takes and how much of the time Python's global lock is held. Where threads leave processors idle, a
few items are done one after another, for comparison. Processes, which take seconds to start, follow
where the items that are left pay for it. Every way that was tried keeps being measured, and the
best one goes on: a wrong guess costs a few items.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_tilewise.batching.backends import LOKY, SERIAL, THREADING
from napari_tilewise.batching.work import DONE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from napari_tilewise.batching.work import Outcome

TILED = "tiled"
"""One item at a time, its tiles in as many threads as there would be items: for large ones."""
LARGE = 32 * 2**20
"""Bytes of an image that is cut into tiles enough for all threads."""
STARTING = 3.5
"""Seconds that processes take to start and to import what they need."""
HELD = 0.4
"""Share of the time that the global lock is held, above which threads do not scale."""
SPREAD = 1.2
"""Processors that are kept busy, from which on the lock is no hindrance, whatever was measured."""
BUSY = 0.9
"""Share of the processors that threads keep busy, from which on nothing else need be tried."""
TRIAL = 0.1
"""Seconds for which items are done one after another, to compare."""
TRIAL_SHARE = 1 / 40
"""Most of the items that this may take."""
WORTH = 0.9
"""Another way is tried where it should take less than this share of the time."""


class LockMeter:
    """Measures how often a thread that wants Python's global lock has to wait for it."""

    _NAP = 0.005
    _LATE = 0.002
    """A thread that runs Python gives the lock up after 5 ms; who need not wait wakes at once."""

    def __init__(self) -> None:
        self._naps = self._waited = 0

    def __enter__(self) -> LockMeter:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def share(self) -> float:
        """The share of the time that the lock was held."""
        return self._waited / self._naps if self._naps else 0.0

    def _watch(self) -> None:
        last = time.perf_counter()
        while not self._stop.wait(self._NAP):
            now = time.perf_counter()
            self._naps += 1
            self._waited += now - last > self._NAP + self._LATE
            last = now


@dataclass
class _Measured:
    """What one way showed so far."""

    items: int = 0
    seconds: float = 0.0

    @property
    def each(self) -> float:
        return self.seconds / self.items


class Auto:
    """Decides leg by leg how the next items are done.

    Parameters
    ----------
    n_jobs
        How many items may be in work at a time.
    large
        Whether the items are cut into tiles.
    holds_lock
        Whether what is done is known to hold the global lock; None: it is measured.
    """

    def __init__(self, n_jobs: int, *, large: bool, holds_lock: bool | None = None) -> None:
        self.n_jobs = n_jobs
        self.first = TILED if large else THREADING
        self.measured: dict[str, _Measured] = {}
        self.share = float(holds_lock) if holds_lock is not None else 0.0
        self._known = holds_lock
        self._cpu = _Measured()
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
        if not self.measured:
            at_once = self._known and self.first == TILED
            return (LOKY, left) if at_once else (self.first, self._leg(left))
        if trial := self._trial(left):
            return SERIAL, trial
        expected = self._expected(left)
        tried = {way: seconds for way, seconds in expected.items() if way in self.measured}
        best = min(tried, key=lambda way: tried[way])
        other = min(expected, key=lambda way: expected[way])
        if expected[other] < WORTH * expected[best]:
            best = other
        return best, self._leg(left, best)

    def _trial(self, left: int) -> int:
        """Return how many items are done one after another to compare; 0: that needs no trial."""
        threads = self.measured.get(THREADING)
        if threads is None or not threads.items or SERIAL in self.measured:
            return 0
        if self._used() >= BUSY * self.n_jobs:
            return 0
        wanted = max(2, round(TRIAL / max(threads.each, 1e-6)))  # the first is not counted
        return min(wanted, int(left * TRIAL_SHARE)) if left * TRIAL_SHARE >= 2 else 0

    def _leg(self, left: int, way: str = "") -> int:
        least = 1 if way in (TILED, SERIAL) or self.first == TILED else self._length
        if self.measured:
            self._length = min(left, 4 * self._length)
        # What would be left for a leg of its own is taken along.
        return left if left <= 2 * least else max(least, min(left, self._length))

    def _expected(self, left: int) -> dict[str, float]:
        """Return the seconds that the items left would take in each way that there is."""
        found = {way: left * one.each for way, one in self.measured.items() if one.items}
        if not self._cpu.seconds:
            return found or {self.first: 0.0}
        if self.share > HELD and self._used() < SPREAD:
            work, slower = left * self._cpu.each, self._slower()
            found.setdefault(LOKY, slower * (STARTING + work / self.n_jobs))
        return found

    def _slower(self) -> float:
        """Return how much slower than by itself this process is, as others use the processors."""
        threads = 1 / (self.share + (1 - self.share) / self.n_jobs)  # that the lock lets run
        return max(1.0, threads / self._used())

    def _used(self) -> float:
        """Return how many processors the first way kept busy."""
        measured = self.measured[self.first]
        return self._cpu.each / measured.each if measured.items else 1.0

    def watched(self, way: str, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
        """Give outcomes on, and learn from when they come.

        Parameters
        ----------
        way
            How these items are done.
        outcomes
            What comes of them.
        """
        is_new = way not in self.measured
        measured = self.measured.setdefault(way, _Measured())
        here, first = way != LOKY, 1 if way == SERIAL else self.n_jobs
        started, cpu = time.perf_counter(), time.process_time()
        ended, count, waited = started, 0, 0
        with LockMeter() as meter:
            for outcome in outcomes:
                count += outcome.status == DONE
                # The first of each way pays for what is started or imported.
                if is_new and count == first and not waited:
                    waited, started, cpu = count, time.perf_counter(), time.process_time()
                yield outcome
                ended = time.perf_counter()
        seconds = ended - started
        if count > waited:
            measured.items += count - waited
            measured.seconds += seconds
        if here and count > waited:
            self._cpu.items += count - waited
            self._cpu.seconds += time.process_time() - cpu
            if self._known is None:
                self.share = meter.share
