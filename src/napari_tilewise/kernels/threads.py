"""Threads that a kernel may use beside the one that calls it, where its work falls into parts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")

_PIECE = 2**15
"""Pixels between which NumPy's arithmetic stays in the cache."""

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

    Parameters
    ----------
    parts
        Functions that spend their time outside Python's lock.
    """
    count = min(_COUNT.get(), len(parts))
    if count < 2:
        return [part() for part in parts]
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda part: part(), parts))


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
