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

    from napari_tilewise.engine.cache import ChunkCache
    from napari_tilewise.engine.events import Event, Listener

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
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the number of workers only: a listener or a cancel lives in its own process."""
        return Session, (self.workers, None, None, None, self.memory, self.tables)

    def tell(self, event: Event) -> None:
        """Pass an event on to the listener."""
        if self.listener is not None:
            with self._lock:
                self.listener(event)

    def sweep(self, what: str, work: Callable[[T], None], items: Sequence[T]) -> None:
        """Do `work` for every item in the pool, telling the listener."""
        started = time.perf_counter()
        count = len(items)
        done = 0
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
    ) -> Any:
        """Return ``merge(...merge(of(first), of(second))..., of(last))``, merged as tiles finish.

        Contributions are always merged in the order of the items, so that the result does not
        depend on the threads; one that is early waits for those before it.
        """
        waiting: dict[int, Any] = {}
        lock = threading.Lock()
        total: list[Any] = []
        next_number = 0

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

        self.sweep(what, work, list(enumerate(items)))
        return total[0]
