"""A session is what one call's passes share: workers, cancel, progress and a cache."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from napari_tilewise.engine.control import Control
from napari_tilewise.engine.events import PassDone, PassStarted, TileDone
from napari_tilewise.engine.stored.many_tiles import not_done
from napari_tilewise.engine.system.machine import processors
from napari_tilewise.engine.system.pool import alone, sweep
from napari_tilewise.engine.tile_tasks import task_size
from napari_tilewise.grid import LazySequence

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence, Set

    from napari_tilewise.engine.checkpoints.pass_results import PartialResult, PassResults
    from napari_tilewise.engine.events import Event
    from napari_tilewise.engine.system.cache import ChunkCache
    from napari_tilewise.engine.tile_tasks import WorkerPool
    from napari_tilewise.grid import Position

T = TypeVar("T")
V = TypeVar("V")


@dataclass(eq=False)
class Session:
    """Workers, control and limits of the passes of one call."""

    workers: int | None = None
    """Threads; as many as processors unless given."""
    control: Control = field(default_factory=Control)
    """Progress, which is called with one event at a time, cancel and pause."""
    cache: ChunkCache | None = None
    """Cache for decoded chunks; the process's own unless given."""
    memory: int | None = None
    """Bytes that an operation on the whole image may take; what is available unless given."""
    tables: int | None = None
    """Bytes that the totals of reductions may take; what is available unless given."""
    budget_for: Callable[[int, bool], int | None] | None = field(default=None, repr=False)
    """Returns the memory budget that leaves so many bytes, for tables beside tiles or for one
    region alone; None where there is no budget."""
    in_tiles: int = 0
    """Bytes that the tiles in work take together: up to these, what may need the whole image at
    once takes it from the start."""
    seconds_of_tile: float | None = None
    """Seconds that a tile takes; None: unknown."""
    checkpoint: PassResults | None = None
    """Where finished tiles and passes are noted, for a run that may be killed."""
    worker_pool: WorkerPool | None = None
    """Workers in other processes that compute the tiles; this one's threads unless given."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the number of workers and the limits: the control is of its own process."""
        return Session, (self.workers, Control(), None, self.memory, self.tables)

    def sufficient(self, needed: int, *, beside_tiles: bool = False) -> int | None:
        """Return a memory budget that leaves so many bytes for one purpose; None without any.

        Parameters
        ----------
        needed
            The bytes.
        beside_tiles
            Whether tiles are in work at the same time.
        """
        return None if self.budget_for is None else self.budget_for(needed, beside_tiles)

    def one_by_one(self, needed: int) -> Session:
        """Return the session with as many workers as may take so many bytes each.

        Parameters
        ----------
        needed
            The bytes.
        """
        count = self.workers or processors()
        fitting = max(1, (self.memory or count * needed) // max(1, needed))
        return self if fitting >= count else replace(self, workers=fitting)

    def emit(self, event: Event) -> None:
        """Pass an event on to the listener."""
        if self.control.progress is not None:
            with self._lock:
                self.control.progress(event)

    @property
    def threads(self) -> int | None:
        """How many threads pull items: each waits for a task where a pool of workers runs them."""
        return self.workers if self.worker_pool is None else self.worker_pool.slots

    def once(
        self,
        name: str,
        title: str,
        work: Callable[[Position], None],
        items: Sequence[Position],
        remote: Callable[[Sequence[Position]], Any] | None = None,
        after: Callable[[Position], None] | None = None,
    ) -> None:
        """Do `work` for every item that the checkpoint does not list as done, and note each.

        Parameters
        ----------
        name
            The checkpoint's name of the pass.
        title
            The pass in words, for progress.
        work
            Does one item in this process.
        items
            Positions of all items, in order.
        remote
            Has the worker pool do some of the items; without it they are done in this process.
        after
            Called in this process with each item that is done, by an earlier run too.
        """
        checkpoint = self.checkpoint
        done: Set[Position] = frozenset() if checkpoint is None else checkpoint.done(name)

        def note(item: Position) -> None:
            if checkpoint is not None:
                checkpoint.mark_done(name, item)
            if after is not None:
                after(item)

        def complete(item: Position) -> None:
            work(item)
            note(item)

        def complete_group(items: Sequence[Position]) -> None:
            group = tuple(items)  # made once
            remote(group)  # type: ignore[misc]  # there is one
            for item in group:
                note(item)

        if after is not None:
            for item in done:
                after(item)
        remaining = not_done(items, done)
        before, tiles = len(items) - len(remaining), len(remaining)
        if remote is None or self.worker_pool is None:
            self.sweep(title, complete, remaining, before=before, tiles=tiles)
            return
        groups = self.groups(remaining, remote=True)
        self.sweep(title, complete_group, groups, before=before, size=len, tiles=tiles)

    def task_size(self, count: int) -> int:
        """Return how many of so many tiles one task of the worker pool holds."""
        pool = self.worker_pool
        return 1 if pool is None else task_size(count, pool.slots, self.seconds_of_tile)

    def groups(self, items: Sequence[T], *, remote: bool) -> Sequence[Sequence[T]]:
        """Return items in runs of neighbours: one by one, or several for one task of a worker.

        Parameters
        ----------
        items
            The items, in order.
        remote
            Whether a worker pool can do them.
        """
        size = self.task_size(len(items)) if remote else 1
        return LazySequence(-(-len(items) // size), lambda n: items[n * size : (n + 1) * size])

    def sweep(
        self,
        title: str,
        work: Callable[[T], None],
        items: Sequence[T],
        *,
        before: int = 0,
        size: Callable[[T], int] | None = None,
        tiles: int | None = None,
    ) -> None:
        """Do `work` for every item in the pool of threads, and emit events.

        Parameters
        ----------
        title
            The pass in words, for progress.
        work
            Does one item.
        items
            All of them, in order.
        before
            Number of tiles that an earlier run finished.
        size
            Number of tiles of an item; each is one unless given.
        tiles
            Number of tiles of all items, if the caller has it.
        """
        started = time.perf_counter()
        if tiles is None:
            tiles = len(items) if size is None else sum(map(size, items))
        count = before + tiles
        done = before
        self.emit(PassStarted(title, count))

        def step(_: int, item: T) -> None:
            nonlocal done
            work(item)
            if self.control.progress is not None:
                with self._lock:
                    done += 1 if size is None else size(item)
                    self.control.progress(TileDone(title, done, count))

        control = self.control
        if len(items) == 1 and self.worker_pool is None:
            alone(lambda: step(0, items[0]), control.cancel, control.pause)
        else:
            sweep(step, items, workers=self.threads, cancel=control.cancel, pause=control.pause)
        self.emit(PassDone(title, time.perf_counter() - started))

    def reduce(
        self,
        title: str,
        contribution: Callable[[T], V],
        merge: Callable[[V, V], V],
        items: Sequence[T],
        partial: PartialResult | None = None,
        remote: Callable[[Sequence[T]], Sequence[V]] | None = None,
    ) -> V | None:
        """Return the contributions of all items, merged as they come; None where there is no item.

        Contributions are always merged in the order of the items, so that the result does not
        depend on the threads; one that is early waits for those before it.

        Parameters
        ----------
        title
            The pass in words, for progress.
        contribution
            Returns what one item contributes.
        merge
            Joins two contributions, the running total first.
        items
            All of them, in order.
        partial
            The total that an earlier run had merged, and where the next ones are noted.
        remote
            Returns the contributions of several items, in order, from the worker pool.
        """
        waiting: dict[int, tuple[int, Sequence[V]]] = {}
        lock = threading.Lock()
        next_number, earlier = (0, None) if partial is None else partial.load()
        total: list[Any] = [earlier] if next_number else []

        def work(numbered: tuple[int, Sequence[T]]) -> None:
            nonlocal next_number
            number, group = numbered
            if remote is not None and self.worker_pool is not None:
                parts = remote(group)
            else:
                parts = [contribution(item) for item in group]
            with lock:
                waiting[number] = (len(group), parts)
                while next_number in waiting:
                    length, ready = waiting.pop(next_number)
                    for part in ready:
                        total[:] = [merge(total[0], part)] if total else [part]
                    next_number += length
                    if partial is not None:
                        partial.save(next_number, total[0])

        groups, before = self.groups(items[next_number:], remote=remote is not None), next_number
        length = len(groups[0]) if groups else 1  # all are as long as the first, but the last
        numbered = LazySequence(len(groups), lambda n: (before + n * length, groups[n]))
        self.sweep(
            title, work, numbered,
            before=before, size=lambda group: len(group[1]), tiles=len(items) - before,
        )  # fmt: skip
        return total[0] if total else None
