"""One thread that computes the newest request; the window's thread takes what is ready.

Requests that come while one is computed replace each other: only the newest waits. A slow
computation that is stale is cancelled, unless the one before it was: a drag would show nothing.

While computations are quick, the window's thread can wait for one: the window is then repainted
once for the parameter and its result, where two repaints would come one after the other.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_tilewise._napari.jobs.job import as_error
from napari_tilewise.errors import Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 0.25
"""Seconds after which a stale computation is cancelled."""
IDLE = 2.0
"""Seconds without a request after which the thread ends."""
QUICK = 0.02
"""Seconds that the window's thread waits at most."""
SHARED = 2
"""Factor by which painting the window at the same time slows a computation down.

Without it, one that was slow once would never be waited for again.
"""


class LatestWorker(QObject):
    """Computes requests in a thread, the newest first and only.

    Parameters
    ----------
    compute
        Called in the thread with a request and an event that is set if it need not go on.
    parent
        Its end stops the thread.
    title
        What is computed, as messages of errors name it.
    """

    ready = Signal()
    """A result can be taken; emitted once until it is acknowledged."""

    def __init__(
        self,
        compute: Callable[[Any, threading.Event], Any],
        parent: QObject,
        title: str = "The preview",
    ) -> None:
        super().__init__(parent)
        self._compute, self._title = compute, title
        self._state = _State()
        parent.destroyed.connect(self._state.stop)

    @property
    def computed(self) -> int:
        """How many requests were computed to their end."""
        return self._state.computed

    @property
    def is_still(self) -> bool:
        """Whether nothing waits, is computed, or is announced but not acknowledged."""
        with self._state.condition:
            return self._state.is_idle and not self._state.is_announced

    def submit(self, request: Any, *, is_awaited: bool = False) -> None:
        """Compute a request; one that waits is dropped.

        Parameters
        ----------
        request
            The request.
        is_awaited
            Whether `wait` is called next: a result that is ready by then is not announced. It is
            announced as usual if the computation before took longer than a moment, or if the result
            that was taken last is not painted yet.
        """
        state = self._state
        with state.condition:
            if is_awaited and not state.is_announced and state.slowness <= QUICK:
                state.is_announced = state.is_awaited = True
            state.next = request
            state.cancel_stale()
            if state.thread is None and not state.is_stopped:
                state.thread = threading.Thread(
                    target=_work, args=(state, self._outcome, self._announce),
                    name="tilewise-preview", daemon=True,
                )  # fmt: skip
                state.thread.start()
            state.condition.notify_all()

    def drop(self) -> None:
        """Drop the request that waits, the one that is computed, and what is ready."""
        state = self._state
        with state.condition:
            state.next, state.done = None, None
            state.generation += 1
            state.cancel.set()

    def wait(self) -> bool:
        """Wait a moment for an awaited result; return whether there is one, which must be taken.

        A result that is late is announced as usual.
        """
        state = self._state
        with state.condition:
            if not state.is_awaited:
                return False
            state.is_awaited, state.is_alone = False, not state.is_idle
            state.condition.wait_for(lambda: state.done is not None or state.is_idle, QUICK)
            is_done = state.is_announced = state.done is not None
        return is_done

    def take(self) -> tuple[Any, Any] | None:
        """Return the newest request that is done, and its result or error; None if none is."""
        with self._state.condition:
            done, self._state.done = self._state.done, None
            return done

    def acknowledge(self) -> None:
        """Say that what was taken is painted: the next result is announced."""
        state = self._state
        with state.condition:
            state.is_announced = state.done is not None
            again = state.is_announced
        if again:
            self.ready.emit()

    def _announce(self) -> None:
        self.ready.emit()

    def _outcome(self, request: Any, cancel: threading.Event) -> Any:
        """Return what a request gives, or the error that it ends with."""
        try:
            return self._compute(request, cancel)
        except Cancelled as error:
            return error
        except Exception as error:  # noqa: BLE001 - functions may raise anything
            return as_error(self._title, error)


class _State:
    """What the thread and its owner share; it outlives the owner."""

    def __init__(self) -> None:
        self.condition = threading.Condition()
        self.thread: threading.Thread | None = None
        self.next: Any = None
        self.done: tuple[Any, Any] | None = None
        self.cancel = threading.Event()
        self.started = 0.0
        self.seconds = 0.0
        """How long the last computation took, or would have taken alone."""
        self.is_alone = False
        """Whether the window's thread waits meanwhile, instead of painting."""
        self.generation = 0
        self.computed = 0
        self.is_announced = False
        """Whether the owner was told of a result that is not painted yet, or waits for one."""
        self.is_awaited = False
        self.was_cancelled = False
        self.is_stopped = False

    @property
    def is_idle(self) -> bool:
        """Whether no request is computed or waits."""
        return self.next is None and not self.started

    @property
    def slowness(self) -> float:
        """How long the last computation took, or how long the present one has taken if longer."""
        running = time.perf_counter() - self.started if self.started else 0.0
        return max(self.seconds, running)

    def cancel_stale(self) -> None:
        """Cancel what is computed if that is slow, and the one before it was not cancelled."""
        if self.started and not self.was_cancelled:
            if time.perf_counter() - self.started > PATIENCE:
                self.cancel.set()

    def stop(self) -> None:
        """Let the thread end soon."""
        with self.condition:
            self.is_stopped = True
            self.next = None
            self.cancel.set()
            self.condition.notify_all()


def _work(
    state: _State,
    compute: Callable[[Any, threading.Event], Any],
    announce: Callable[[], None],
) -> None:
    while True:
        with state.condition:
            if state.next is None and not state.is_stopped:
                state.condition.wait(IDLE)
            if state.next is None:
                state.thread = None
                return
            request, state.next = state.next, None
            cancel = state.cancel = threading.Event()
            state.started, generation = time.perf_counter(), state.generation
        result = compute(request, cancel)
        with state.condition:
            state.was_cancelled = isinstance(result, Cancelled)
            seconds, state.started = time.perf_counter() - state.started, 0.0
            state.seconds = seconds if state.is_alone else seconds / SHARED
            state.is_alone = False
            state.condition.notify_all()
            is_dropped = state.is_stopped or generation != state.generation
            if is_dropped or state.was_cancelled:
                continue
            state.computed += 1
            state.done = (request, result)
            is_first, state.is_announced = not state.is_announced, True
        if is_first:
            announce()
