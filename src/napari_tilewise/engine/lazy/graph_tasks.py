"""What the tasks of a lazy result's graph do, in whatever process they are."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from napari_tilewise.engine.lazy import cluster_passes
from napari_tilewise.engine.stack import Stack
from napari_tilewise.engine.system.pool import single_threaded_libraries
from napari_tilewise.engine.system.prepared import Prepared, SharedStatistics, is_child_process

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_tilewise.engine.planes import Planes
    from napari_tilewise.grid import Position

_thread = threading.local()

_MOST_HELD = 8
_retained: list[Planes] = []
"""Operations whose passes a child process keeps from one task to the next."""


def operation(planes: Planes) -> Planes:
    """Return an operation on its images, as it came with the graph.

    Parameters
    ----------
    planes
        The operation.
    """
    return planes


def result(planes: Planes, number: int | None, has_alpha: bool = False) -> Stack:
    """Return one of the results of an operation.

    Parameters
    ----------
    planes
        The operation on its images.
    number
        Which of several results it is; None where there is one.
    has_alpha
        Whether the result has the alpha of the image.
    """
    return Stack(planes, number, has_alpha=has_alpha)


def statistics(planes: Planes) -> SharedStatistics:
    """Return where operations on one image share what they compute of it.

    Parameters
    ----------
    planes
        One of the operations.
    """
    return planes.statistics() or SharedStatistics(uuid4().hex)


def prepare(
    planes: Planes,
    index: Position,
    upstream: Sequence[Prepared],
    shared: SharedStatistics | None = None,
    done: Prepared | None = None,
) -> Prepared:
    """Do the passes of an operation on a plane, on all workers of a cluster.

    Parameters
    ----------
    planes
        The operation on its images.
    index
        The plane's position along the looped axes.
    upstream
        The results of passes that it needs; to hold them is enough.
    shared
        What other operations on the same image have computed.
    done
        Their results, where the process that made the graph has them.
    """
    if done is not None:
        return done
    runner = planes.runner(index)
    if runner.statistics is None:
        runner.statistics = shared
    if not getattr(_thread, "is_within", False) and cluster_passes.is_on_worker():
        return cluster_passes.prepare(planes, index, upstream, shared)
    is_child = is_child_process()
    if is_child and planes not in _retained:
        _retained[:] = [*_retained, planes][-_MOST_HELD:]
    return runner.prepared(portable=is_child)


@contextmanager
def within_task() -> Iterator[None]:
    """Do passes in this process: those of an expression that a task computes a part of."""
    before = getattr(_thread, "is_within", False)
    _thread.is_within = True
    try:
        yield
    finally:
        _thread.is_within = before


def together(prepared: list[Prepared]) -> list[Prepared]:
    """Return the results of several passes.

    Parameters
    ----------
    prepared
        The results.
    """
    return prepared


def tile(block_id: Position, stack: Stack, ready: Sequence[Prepared] = ()) -> np.ndarray:
    """Return the pixels of a tile.

    Parameters
    ----------
    block_id
        The tile's position in the grid.
    stack
        The operation.
    ready
        The results of passes that it needs; to hold them is enough.
    """
    with single_threaded_libraries(lingers=True):  # dask brings a thread per processor already
        return np.ascontiguousarray(stack.read(stack.grid().region(block_id)))


def scalar(stack: Stack, ready: Sequence[Prepared] = ()) -> np.ndarray:
    """Return a number as an array without axes.

    Parameters
    ----------
    stack
        The operation.
    ready
        The results of passes that it needs.
    """
    return np.asarray(stack.value(), dtype=stack.dtype)


def value(stack: Stack, ready: Sequence[Prepared] = ()) -> Any:
    """Return points, a table, or anything else that is not an array of pixels.

    Parameters
    ----------
    stack
        The operation.
    ready
        The results of passes that it needs.
    """
    return stack.value()
