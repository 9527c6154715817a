"""Threads that wait for sources behind a network, so that those that compute need not.

What a tile needs is fetched together, and what the next tiles need ahead of time.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future
    from types import TracebackType

T = TypeVar("T")

FETCHERS = 16
"""Number of threads: most requests at a time."""
FARTHEST = 64
"""Most items that are looked ahead."""
BACK = 128
"""Items by which threads may begin their items in another order."""


class _Fetchers:
    """The process's threads, started when first needed; a forked process starts its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None
        self._pid = 0
        self._queued: set[Future[None]] = set()

    def submit(self, request: Callable[[], None]) -> Future[None]:
        with self._lock:
            if self._executor is None or self._pid != os.getpid():
                self._executor = ThreadPoolExecutor(FETCHERS, thread_name_prefix="tilewise-fetch")
                self._queued, self._pid = set(), os.getpid()
            future = self._executor.submit(request)
            self._queued.add(future)
        future.add_done_callback(self._queued.discard)
        return future

    def drop(self) -> None:
        with self._lock:
            queued = list(self._queued)
        for future in queued:
            future.cancel()


_FETCHERS = _Fetchers()


def fetch(request: Callable[[], None]) -> Future[None]:
    """Make a request in one of the threads; return its future.

    Parameters
    ----------
    request
        Makes the request; what it raises is nobody's.
    """
    return _FETCHERS.submit(request)


class LookAhead(Generic[T]):
    """Begins to read what the next items of a sweep need; what is not begun is dropped at its end.

    Parameters
    ----------
    items
        The items of the sweep, in the order in which they are begun.
    begin_reading
        Begins to read what an item needs; returns whether there was room for it.
    """

    def __init__(self, items: Sequence[T], begin_reading: Callable[[T], bool]) -> None:
        self._items, self._begin_reading = items, begin_reading
        self._lock = threading.Lock()
        self._latest = self._next = 0

    def __enter__(self) -> LookAhead[T]:
        """Return this object."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Drop what nobody will ask for."""
        if self._next:
            _FETCHERS.drop()

    def beyond(self, item: T) -> None:
        """Begin to read what the items after one need, as far as there is room.

        Parameters
        ----------
        item
            The item that is begun now.
        """
        if not self._lock.acquire(blocking=False):
            return  # another thread is looking ahead
        try:
            self._latest = self._number_of(item)
            self._next = max(self._next, self._latest + 1)
            last = min(len(self._items), self._latest + 1 + FARTHEST)
            while self._next < last and self._begin_reading(self._items[self._next]):
                self._next += 1
        finally:
            self._lock.release()

    def _number_of(self, item: T) -> int:
        start = max(0, self._latest - BACK)
        numbers = (n for n in range(start, len(self._items)) if self._items[n] == item)
        return next(numbers, self._latest)
