"""What other processes compute has a moment to finish after a cancel; then they are ended."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from napari_tilewise.engine.system.pool import LOOK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 2.0
"""Seconds that what has begun may go on after a cancel."""


@contextmanager
def ended_when_cancelled(
    cancel: threading.Event | None, end: Callable[[], object]
) -> Iterator[None]:
    """End what computes in other processes, if a cancel finds it at work and it does not finish.

    Parameters
    ----------
    cancel
        Set where nobody waits any more; None: nobody cancels.
    end
        Called in another thread, at most once and only while the context lasts.
    """
    if cancel is None:
        yield
        return
    is_over, lock = threading.Event(), threading.Lock()

    def watch() -> None:
        while not is_over.is_set():
            if cancel.wait(LOOK):
                is_over.wait(PATIENCE)
                with lock:
                    if not is_over.is_set():
                        end()
                return

    threading.Thread(target=watch, name="tilewise-cancel", daemon=True).start()
    try:
        yield
    finally:
        with lock:
            is_over.set()
