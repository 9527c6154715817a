"""A session is what one call's passes share: workers, cancel, progress and a cache."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from napari_tilewise.engine.events import PassDone, PassStarted, TileDone
from napari_tilewise.engine.pool import sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_tilewise.engine.account import Account, SoFar
    from napari_tilewise.engine.cache import ChunkCache
    from napari_tilewise.engine.events import Event, Listener

T = TypeVar("T")
Position = tuple[int, ...]


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
    account: Account | None = None
    """Where what is done is noted, for a run that may be killed."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the number of workers only: a listener or a cancel lives in its own process."""
        return Session, (self.workers, None, None, None, self.memory, self.tables)

    def tell(self, event: Event) -> None:
        """Pass an event on to the listener."""
        if self.listener is not None:
            with self._lock:
                self.listener(event)

    def once(
        self, name: str, what: str, work: Callable[[Position], None], items: Sequence[Position]
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
        """
        account = self.account
        if account is None:
            self.sweep(what, work, items)
            return
        done = account.done(name)

        def noted(item: Position) -> None:
            work(item)
            account.note(name, item)

        left = [item for item in items if item not in done]
        self.sweep(what, noted, left, before=len(items) - len(left))

    def sweep(
        self, what: str, work: Callable[[T], None], items: Sequence[T], *, before: int = 0
    ) -> None:
        """Do `work` for every item in the pool, telling the listener; `before` are done already."""
        started = time.perf_counter()
        count = len(items) + before
        done = before
        self.tell(PassStarted(what, count))

        def step(_: int, item: T) -> None:
            nonlocal done
            work(item)
            if self.listener is not None:
                with self._lock:
                    done += 1
                    self.listener(TileDone(what, done, count))

        sweep(step, items, workers=self.workers, cancel=self.cancel)
        self.tell(PassDone(what, time.perf_counter() - started))

    def reduce(
        self,
        what: str,
        of: Callable[[T], Any],
        merge: Callable[[Any, Any], Any],
        items: Sequence[T],
        so_far: SoFar | None = None,
    ) -> Any:
        """Return ``merge(...merge(of(first), of(second))..., of(last))``, merged as tiles finish.

        Contributions are always merged in the order of the items, so that the result does not
        depend on the threads; one that is early waits for those before it. With `so_far`, what a
        run that was killed had merged is not asked for again.
        """
        waiting: dict[int, Any] = {}
        lock = threading.Lock()
        next_number, before = (0, None) if so_far is None else so_far.load()
        total: list[Any] = [before] if next_number else []

        def work(numbered: tuple[int, T]) -> None:
            nonlocal next_number
            number, item = numbered
            part = of(item)
            with lock:
                waiting[number] = part
                while next_number in waiting:
                    ready = waiting.pop(next_number)
                    total[:] = [merge(total[0], ready)] if total else [ready]
                    next_number += 1
                    if so_far is not None:
                        so_far.note(next_number, total[0])

        self.sweep(what, work, list(enumerate(items))[next_number:])
        return total[0]
