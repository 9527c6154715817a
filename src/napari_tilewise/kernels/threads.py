"""Threads that a kernel may use beside the one that calls it, where its work falls into parts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")

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
