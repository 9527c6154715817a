"""The wait for workers' answers, which ends soon after the run is cancelled or interrupted.

A thread that waits for a worker computes nothing itself, so that it need not wait to the end: what
a worker computes by then is lost, and computed again when the run is resumed.
"""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeVar

from napari_tilewise.engine.system.pool import CANCELLED
from napari_tilewise.errors import Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

LOOK = 0.1
"""Seconds between two looks at whether the run is cancelled."""
PATIENCE = 1.0
"""Seconds that tasks have after a cancel: what is done within them is not lost."""


class Answers:
    """The wait for the answers of a pool's workers.

    Parameters
    ----------
    cancel
        Set by the caller to cancel the run; None: nothing does.
    """

    def __init__(self, cancel: threading.Event | None) -> None:
        self._cancel = cancel
        self._stopped = threading.Event()

    def stop(self) -> None:
        """End all waits, and those to come."""
        self._stopped.set()

    def check(self) -> None:
        """Raise `Cancelled` if nobody waits for answers any more."""
        if self._stopped.is_set():
            raise Cancelled(CANCELLED)

    def check_cancel(self) -> None:
        """Raise `Cancelled` if the run was cancelled, too."""
        self.check()
        if self._is_cancelled:
            raise Cancelled(CANCELLED)

    def of(self, future: Any) -> Any:
        """Wait for a future, and return its result.

        Parameters
        ----------
        future
            One of `concurrent.futures`, or of `distributed`.

        Raises
        ------
        Cancelled
            When the answer has not come `PATIENCE` seconds after the run was cancelled.
        """
        self.check()
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        try:
            self._wait(lambda: done.wait(LOOK) or future.done(), PATIENCE)
        except BaseException as error:
            if not isinstance(error, Exception):
                self.stop()  # Ctrl-C in a script; the other threads wait no longer either
            raise
        return future.result()

    def opened(self, opening: Callable[[ExitStack], T], stack: ExitStack) -> T:
        """Return what a function opens, which a cancel does not wait for.

        Parameters
        ----------
        opening
            Enters all that is closed later into the stack that it gets.
        stack
            Closes it.
        """
        inner, done, context = ExitStack(), threading.Event(), copy_context()
        results: list[T] = []
        errors: list[BaseException] = []
        lock = threading.Lock()
        is_abandoned = False

        def work() -> None:
            try:
                results.append(context.run(opening, inner))
            except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
                errors.append(error)
            with lock:
                done.set()
                if is_abandoned:
                    context.run(inner.close)

        threading.Thread(target=work, name="tilewise-opening", daemon=True).start()
        try:
            self._wait(lambda: done.wait(LOOK), 0)
        except BaseException:
            with lock:
                is_abandoned = True
                if done.is_set():
                    context.run(inner.close)
            raise
        # What is opened may be current in the context that it was opened in.
        stack.push(lambda *error: context.run(inner.__exit__, *error))
        if errors:
            raise errors[0]
        return results[0]

    @property
    def _is_cancelled(self) -> bool:
        return self._cancel is not None and self._cancel.is_set()

    def _wait(self, is_done: Callable[[], bool], patience: float) -> None:
        end = None
        while not is_done():
            self.check()
            if end is None and self._is_cancelled:
                end = time.monotonic() + patience
            if end is not None and time.monotonic() >= end:
                raise Cancelled(CANCELLED)
