"""Threads that a kernel may use beside the one that calls it, where its work falls into parts."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
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
_BANDS = 4
"""Bands for each thread: one that others delay leaves some to the rest."""

_COUNT: ContextVar[int] = ContextVar("threads", default=1)


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

    with ThreadPoolExecutor(count - 1) as pool:
        others = [pool.submit(work) for _ in range(count - 1)]
        with several_threads(1):
            work()
    for other in others:
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
    count = min(length, size // _BAND, _BANDS * _COUNT.get()) if _COUNT.get() > 1 else 1
    bounds = [length * number // max(1, count) for number in range(max(1, count) + 1)]
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
