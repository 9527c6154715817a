"""Threads that a kernel may use beside the one that calls it, where its work falls into parts."""

from __future__ import annotations

import os
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")

_PIECE = 2**15
"""Pixels between which NumPy's arithmetic stays in the cache."""

_BAND = 2**17
"""Pixels that are worth handing out."""
_FURTHER_BAND = 2**20
"""Pixels that are worth a band, where every thread has one."""
_BANDS = 4
"""Bands for each thread at most: one that others delay leaves some to the rest."""

_COUNT: ContextVar[int] = ContextVar("threads", default=1)


class _Helpers:
    """Threads that wait for parts: to start one takes longer than a small part itself.

    They are there from the first use on; a process that was forked starts its own.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._count = self._process = 0

    def submit(self, work: Callable[[], None], count: int) -> list[Future[None]]:
        """Call a function in so many threads, which none of them waits for another in."""
        with self._lock:
            if self._pool is None or self._count < count or self._process != os.getpid():
                self._pool = ThreadPoolExecutor(count, thread_name_prefix="tilewise-kernels")
                self._count, self._process = count, os.getpid()
            return [self._pool.submit(work) for _ in range(count)]


_HELPERS = _Helpers()


@contextmanager
def several_threads(count: int) -> Iterator[None]:
    """Let the kernels that are called inside use threads: nothing else computes meanwhile.

    Parameters
    ----------
    count
        How many in all. The results do not depend on it.
    """
    token = _COUNT.set(count)
    try:
        yield
    finally:
        _COUNT.reset(token)


def several() -> int:
    """Return how many threads a kernel may use."""
    return _COUNT.get()


def run_parts(parts: Sequence[Callable[[], T]]) -> list[T]:
    """Return what each part returns: one after the other, or at once where there are threads.

    The thread that calls is one of them.

    Parameters
    ----------
    parts
        Functions that spend their time outside Python's lock.
    """
    count = min(_COUNT.get(), len(parts))
    if count < 2:
        return [part() for part in parts]
    results: dict[int, T] = {}
    waiting = deque(enumerate(parts))

    def work() -> None:
        while waiting:
            try:
                number, part = waiting.popleft()
            except IndexError:  # another thread took the last one
                return
            results[number] = part()

    others = _HELPERS.submit(work, count - 1)
    try:
        with several_threads(1):
            work()
    finally:
        waiting.clear()  # where a part failed; else there are none
        started = [other for other in others if not other.cancel()]
        wait(started)
    for other in started:
        other.result()
    return [results[number] for number in range(len(parts))]


def in_bands(function: Callable[[int, int], T], length: int, size: int) -> list[T]:
    """Return what a function returns for every band of an image; see `run_parts`.

    Parameters
    ----------
    function
        What is called with the first row (of a volume: plane) of a band, and the one behind it.
    length
        Number of rows.
    size
        Number of pixels.
    """
    threads = _COUNT.get()
    several = max(threads, min(_BANDS * threads, size // _FURTHER_BAND))
    count = max(1, min(length, size // _BAND, several)) if threads > 1 else 1
    bounds = [length * number // count for number in range(count + 1)]
    return run_parts([partial(function, *pair) for pair in pairwise(bounds)])


def in_pieces(function: Callable[[slice], None], size: int) -> None:
    """Call a function for every piece of the pixels; see `run_parts`.

    Parameters
    ----------
    function
        What is called with the bounds of each piece.
    size
        Number of pixels.
    """
    pieces = [slice(begin, min(begin + _PIECE, size)) for begin in range(0, size, _PIECE)]
    run_parts([partial(function, piece) for piece in pieces])
