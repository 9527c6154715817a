"""A session is what one call's passes share: workers, cancel, progress and a cache."""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from napari_tilewise.engine.events import PassDone, PassStarted, TileDone
from napari_tilewise.engine.pool import sweep
from napari_tilewise.engine.tile_tasks import task_size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_tilewise.engine.cache import ChunkCache
    from napari_tilewise.engine.events import Event, Listener
    from napari_tilewise.engine.pass_results import PassResults, SoFar
    from napari_tilewise.engine.tile_tasks import WorkerPool
    from napari_tilewise.grid import Position

T = TypeVar("T")


@dataclass(eq=False)
class Session:
    """How the passes of one call run and whom they tell."""

    workers: int | None = None
    """Threads; as many as processors unless given."""
    cancel: threading.Event | None = None
    """Set it to stop within one tile's time."""
    listener: Listener | None = None
    """Called with each event, one call at a time."""
    cache: ChunkCache | None = None
    """Cache for decoded chunks; the process's own unless given."""
    memory: int | None = None
    """Bytes that an operation on the whole image may take; what is available unless given."""
    tables: int | None = None
    """Bytes that gathered numbers may take; what is available unless given."""
    account: PassResults | None = None
    """Where what is done is noted, for a run that may be killed."""
    crew: WorkerPool | None = None
    """Other processes that do the tiles; this one's threads unless given."""
    pause: threading.Event | None = None
    """Set it to take no more tiles until it is cleared."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the number of workers only: a listener or a cancel lives in its own process."""
        return Session, (self.workers, None, None, None, self.memory, self.tables)

    def tell(self, event: Event) -> None:
        """Pass an event on to the listener."""
        if self.listener is not None:
            with self._lock:
                self.listener(event)

    @property
    def threads(self) -> int | None:
        """How many threads pull items: each waits for an answer where a crew does the work."""
        return self.workers if self.crew is None else self.crew.slots

    def once(
        self,
        name: str,
        what: str,
        work: Callable[[Position], None],
        items: Sequence[Position],
        afar: Callable[[Sequence[Position]], Any] | None = None,
    ) -> None:
        """Do `work` for every item that the account does not say is done, and note each.

        Parameters
        ----------
        name
            What the account calls the pass.
        what
            What listeners are told of it.
        work
            Does one item.
        items
            All of them.
        afar
            Has the crew do some of them, where there is one.
        """
        account = self.account
        done = set() if account is None else account.done(name)

        def noted(group: Sequence[Position]) -> None:
            if self.crew is not None and afar is not None:
                afar(group)
            else:
                for item in group:
                    work(item)
            if account is not None:
                for item in group:
                    account.note(name, item)

        left = [item for item in items if item not in done]
        groups = self.groups(left, afar=afar is not None)
        self.sweep(what, noted, groups, before=len(items) - len(left), size=len)

    def groups(self, items: Sequence[T], *, afar: bool) -> list[Sequence[T]]:
        """Return items in runs of neighbours: one by one, or several for one task of a crew.

        Parameters
        ----------
        items
            The items, in order.
        afar
            Whether a crew can do them.
        """
        size = task_size(len(items), self.crew.slots) if afar and self.crew is not None else 1
        return [items[start : start + size] for start in range(0, len(items), size)]

    def sweep(
        self,
        what: str,
        work: Callable[[T], None],
        items: Sequence[T],
        *,
        before: int = 0,
        size: Callable[[T], int] = lambda _: 1,
    ) -> None:
        """Do `work` for every item in the pool, telling the listener.

        Parameters
        ----------
        what
            What listeners are told of it.
        work
            Does one item.
        items
            All of them.
        before
            Number of tiles that are done already.
        size
            Number of tiles of an item.
        """
        started = time.perf_counter()
        count = sum(map(size, items)) + before
        done = before
        self.tell(PassStarted(what, count))

        def step(_: int, item: T) -> None:
            nonlocal done
            work(item)
            if self.listener is not None:
                with self._lock:
                    done += size(item)
                    self.listener(TileDone(what, done, count))

        sweep(step, items, workers=self.threads, cancel=self.cancel, pause=self.pause)
        self.tell(PassDone(what, time.perf_counter() - started))

    def reduce(
        self,
        what: str,
        of: Callable[[T], Any],
        merge: Callable[[Any, Any], Any],
        items: Sequence[T],
        so_far: SoFar | None = None,
        afar: Callable[[Sequence[T]], Sequence[Any]] | None = None,
    ) -> Any:
        """Return ``merge(...merge(of(first), of(second))..., of(last))``, merged as tiles finish.

        Contributions are always merged in the order of the items, so that the result does not
        depend on the threads; one that is early waits for those before it. With `so_far`, what a
        run that was killed had merged is not asked for again. With `afar` and a crew, that has
        others find the contributions of several items, in order.
        """
        waiting: dict[int, tuple[int, Sequence[Any]]] = {}
        lock = threading.Lock()
        next_number, before = (0, None) if so_far is None else so_far.load()
        total: list[Any] = [before] if next_number else []

        def work(numbered: tuple[int, Sequence[T]]) -> None:
            nonlocal next_number
            number, group = numbered
            is_far = afar is not None and self.crew is not None
            parts = afar(group) if is_far and afar else [of(item) for item in group]
            with lock:
                waiting[number] = (len(group), parts)
                while next_number in waiting:
                    length, ready = waiting.pop(next_number)
                    for part in ready:
                        total[:] = [merge(total[0], part)] if total else [part]
                    next_number += length
                    if so_far is not None:
                        so_far.note(next_number, total[0])

        groups = self.groups(items[next_number:], afar=afar is not None)
        starts = itertools.accumulate(map(len, groups), initial=next_number)
        self.sweep(
            what, work, list(zip(starts, groups, strict=False)),
            before=next_number, size=lambda one: len(one[1]),
        )  # fmt: skip
        return total[0]
