"""One owned pool of threads; the thread that asks for a sweep works in it too.

Because the caller pulls tiles like any other worker, a sweep started from within another sweep (or
from dask's threads) can never wait for a pool that is busy with its own ancestors. Libraries that
would start threads of their own (BLAS, OpenMP, blosc, OpenCV) are held at one meanwhile.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from threadpoolctl import ThreadpoolController

from napari_tilewise.engine.system.machine import processors
from napari_tilewise.errors import Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")

LOOK = 0.1
"""Seconds between two looks: whether a pause is over, which a cancel ends at once, and whether what
computes for long is cancelled."""
LINGER = 0.02
"""Seconds for which other libraries stay held after a task of many, in case that the next comes."""
_NEVER = threading.Event()
_CURRENT = threading.local()
"""The sweep that a thread pulls items of."""
CANCELLED = "Cancelled: nothing was changed by the part done so far."
"""What a caller reads whose run was cancelled."""


class _Pool:
    """The process's threads, started when first needed; survives a fork by starting anew."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None
        self._size = 0
        self._pid = 0

    def submit(self, work: Callable[[], None], workers: int) -> Future[None]:
        """Hand work to a pool of at least `workers` threads."""
        with self._lock:
            if self._executor is None or self._size < workers or self._pid != os.getpid():
                old = self._executor if self._pid == os.getpid() else None
                self._executor = ThreadPoolExecutor(workers, thread_name_prefix="tilewise")
                self._size, self._pid = workers, os.getpid()
                if old is not None:
                    old.shutdown(wait=False)
            return self._executor.submit(work)


_POOL = _Pool()


def alone(
    work: Callable[[], None], cancel: threading.Event | None, pause: threading.Event | None
) -> None:
    """Call `work` in this thread: there is nothing else that it could do meanwhile.

    Other libraries may use their threads, which have no others to share the processors with.

    Parameters
    ----------
    work
        All there is to do.
    cancel, pause
        See `sweep`.

    Raises
    ------
    Cancelled
        When `cancel` is set before it begins.
    """
    wait_while(lambda: pause is not None and pause.is_set(), cancel)
    check_cancelled(cancel)
    work()


def check_cancelled(cancel: threading.Event | None) -> None:
    """Raise if nobody waits for a result any more.

    Parameters
    ----------
    cancel
        See `sweep`.

    Raises
    ------
    Cancelled
        When it is set.
    """
    if cancel is not None and cancel.is_set():
        raise Cancelled(CANCELLED)


def abandonable(work: Callable[[], T], cancel: threading.Event | None, patience: float = 0.0) -> T:
    """Return what `work` returns; a cancel does not wait for it, nor does Ctrl-C in a script.

    A thread cannot be ended. One that nobody waits for computes to its end, and what it returns is
    dropped: `work` must change nothing that others see.

    Parameters
    ----------
    work
        Computes for long, such as a function of the whole image.
    cancel
        See `sweep`.
    patience
        Seconds that work which looks at `cancel` itself may go on after it.

    Raises
    ------
    Cancelled
        When `cancel` is set before the work is done.
    """
    job: _Sweep[Any] | None = getattr(_CURRENT, "sweep", None)
    if cancel is None and job is None and not is_interruptible():
        return work()  # nobody can cancel it
    results: list[T] = []
    errors: list[BaseException] = []
    is_done, context = threading.Event(), copy_context()

    def compute() -> None:
        try:
            with _INNER.one_thread():
                results.append(context.run(work))
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            errors.append(error)
        is_done.set()

    threading.Thread(target=compute, name="tilewise-whole", daemon=True).start()
    while not is_done.wait(LOOK):
        is_cancelled = cancel is not None and cancel.is_set()
        if is_cancelled and is_done.wait(patience):
            break
        if is_cancelled or (job is not None and job.is_interrupted):
            raise Cancelled(CANCELLED)
    if errors:
        raise errors.pop()  # held no longer by this frame, which it holds
    return results[0]


def unless_cancelled(
    work: Callable[[], T], cancel: threading.Event | None, patience: float = 0.0
) -> T:
    """Return what `work` returns: in this thread, unless there is an event that may abandon it.

    Parameters
    ----------
    work
        See `abandonable`.
    cancel
        See `sweep`; None where nobody can cancel but by Ctrl-C, for which `work` itself looks.
    patience
        See `abandonable`.

    Raises
    ------
    Cancelled
        When `cancel` is set before the work is done.
    """
    return work() if cancel is None else abandonable(work, cancel, patience)


def is_interruptible() -> bool:
    """Return whether Ctrl-C interrupts this thread: a batch's worker process ignores it."""
    if threading.current_thread() is not threading.main_thread():
        return False
    return signal.getsignal(signal.SIGINT) is not signal.SIG_IGN


class _InnerThreads:
    """Holds other libraries' threads at one while any sweep runs (the limits are per process).

    One thread of its own sets and lifts the limits: OpenBLAS obeys only the thread that set its
    limit first, and a sweep may end in another thread than the one that began first. OpenMP asks
    each thread for a number of its own, so there every thread that works sets it too.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders = 0
        self._governor: ThreadPoolExecutor | None = None
        self._pid = 0
        self._limits: ExitStack | None = None
        self._libraries: ThreadpoolController | None = None
        self._modules = 0
        self._openmp: ThreadpoolController | None = None
        self._acquired = 0
        self._lingers_in = 0  # the process whose governor waits for the limits to be idle
        self._hurry = threading.Event()

    def acquire(self) -> None:
        with self._lock:
            self._holders += 1
            self._acquired += 1
            if self._holders == 1 and self._modules != len(sys.modules):
                self._lift()  # what lingers may know less libraries
            if self._limits is None:
                libraries = self._loaded()
                self._openmp = libraries.select(user_api="openmp")
                self._limits = self._govern(partial(_limited, libraries))

    def release(self, *, lingers: bool = False) -> None:
        with self._lock:
            self._holders -= 1
            if self._holders:
                return
            if not lingers:
                self._lift()
            elif self._lingers_in != os.getpid():
                self._lingers_in = os.getpid()
                lifted = self._running().submit(self._lift_when_idle)
                lifted.add_done_callback(Future.result)  # nobody waits: what it raises is logged

    def _lift(self) -> None:
        """Lift the limits now; the caller has the lock."""
        limits, self._limits = self._limits, None
        if self._lingers_in == os.getpid():
            self._hurry.set()
        if limits is not None:
            self._govern(limits.close)

    def _lift_when_idle(self) -> None:
        """Lift the limits in the governor, when nobody has asked for them for a while.

        Who has the lock may wait for the governor, which therefore never waits for the lock.
        """
        while True:
            before = self._acquired
            if self._hurry.wait(LINGER):
                self._hurry.clear()
                self._lingers_in = 0
                return
            if self._acquired != before or not self._lock.acquire(blocking=False):
                continue
            try:
                if self._holders or self._limits is None:  # whoever releases them sees to it
                    self._lingers_in = 0
                    return
                if self._acquired == before:
                    limits, self._limits, self._lingers_in = self._limits, None, 0
                    limits.close()
                    return
            finally:
                self._lock.release()

    def one_thread(self) -> AbstractContextManager[Any]:
        """Hold OpenMP at one thread where this thread asks for it, while any sweep runs."""
        if self._openmp is None or not self._holders:
            return nullcontext()
        limited: AbstractContextManager[Any] = self._openmp.limit(limits=1)
        return limited

    def _loaded(self) -> ThreadpoolController:
        """Return the libraries in this process, looked for again where a module was imported.

        To look for them takes some milliseconds; what sweeps until nothing changes sweeps often.
        """
        if self._libraries is None or self._modules != len(sys.modules):
            self._modules = len(sys.modules)
            self._libraries = ThreadpoolController()
        return self._libraries

    def _govern(self, work: Callable[[], T]) -> T:
        return self._running().submit(work).result()

    def _running(self) -> ThreadPoolExecutor:
        if self._governor is None or self._pid != os.getpid():
            self._governor = ThreadPoolExecutor(1, thread_name_prefix="tilewise-limits")
            self._pid = os.getpid()
        return self._governor


def _limited(libraries: ThreadpoolController) -> ExitStack:
    """Set the limits and return what lifts them."""
    limits = ExitStack()
    limits.enter_context(libraries.limit(limits=1))
    cv2: Any = sys.modules.get("cv2")
    if cv2 is not None:
        limits.callback(cv2.setNumThreads, cv2.getNumThreads())
        cv2.setNumThreads(1)
    blosc: Any = sys.modules.get("numcodecs.blosc")
    if blosc is not None:
        limits.callback(setattr, blosc, "use_threads", blosc.use_threads)
        blosc.use_threads = False
    return limits


_INNER = _InnerThreads()


@contextmanager
def single_threaded_libraries(*, lingers: bool = False) -> Iterator[None]:
    """Hold BLAS, OpenMP, blosc and OpenCV at one thread each.

    Parameters
    ----------
    lingers
        Whether they may stay held for a moment after the block: the next of many follows.
    """
    _INNER.acquire()
    try:
        with _INNER.one_thread():
            yield
    finally:
        _INNER.release(lingers=lingers)


def hold_libraries() -> None:
    """Hold them so as long as this thread lives: that of one of a pool, in work beside others."""
    _INNER.acquire()
    _INNER.one_thread().__enter__()


def wait_while(paused: Callable[[], bool], cancel: threading.Event | None) -> None:
    """Wait as long as something is paused, or until it is cancelled.

    Parameters
    ----------
    paused
        Tells whether it is.
    cancel
        Ends the wait at once when it is set.
    """
    while paused() and not (cancel or _NEVER).wait(LOOK):
        pass


class _Sweep(Generic[T]):
    """Items that several threads pull from, until all are taken, one fails, or it is cancelled."""

    def __init__(
        self,
        work: Callable[[int, T], None],
        items: Iterable[T],
        cancel: threading.Event | None,
        pause: threading.Event | None,
    ) -> None:
        self._work = work
        self._items = enumerate(items)
        self._lock = threading.Lock()
        self._cancel = cancel
        self._pause = pause
        self.is_over = False
        self.is_interrupted = False
        """Whether the thread that sweeps was interrupted, as by Ctrl-C in a script."""
        self.error: BaseException | None = None

    def pull(self) -> None:
        outer = getattr(_CURRENT, "sweep", None)
        _CURRENT.sweep = self
        try:
            self._pull()
        finally:
            _CURRENT.sweep = outer

    def _pull(self) -> None:
        while (step := self._next()) is not None:
            try:
                self._work(*step)
            except BaseException as error:
                with self._lock:
                    self.is_over = True
                    self.error = self.error or error
                if not isinstance(error, Exception):
                    raise
                return

    def help(self) -> None:
        """Pull in another thread than the one that sweeps."""
        with _INNER.one_thread():
            self.pull()

    def _next(self) -> tuple[int, T] | None:
        with self._lock:
            if self._cancel is not None and self._cancel.is_set() and self.error is None:
                self.is_over = True
                self.error = Cancelled(CANCELLED)
            if self.is_over or self.is_paused():
                return None
            step = next(self._items, None)
            self.is_over = step is None
            return step

    def is_paused(self) -> bool:
        return self._pause is not None and self._pause.is_set()

    def interrupt(self) -> None:
        with self._lock:
            self.is_over = self.is_interrupted = True


def sweep(
    work: Callable[[int, T], None],
    items: Iterable[T],
    *,
    workers: int | None = None,
    cancel: threading.Event | None = None,
    pause: threading.Event | None = None,
) -> None:
    """Call ``work(number, item)`` for every item, in up to `workers` threads.

    Items are pulled one at a time, so that an unbounded queue never builds up and a cancel takes
    effect within one item's time; so does a pause, which lasts as long as `pause` is set.

    Raises
    ------
    Cancelled
        When `cancel` is set before the last item was pulled.
    """
    workers = workers or processors()
    job = _Sweep(work, items, cancel, pause)
    while not job.is_over:
        # Nobody waits in the pool: other sweeps have it while this one is paused.
        wait_while(job.is_paused, cancel)
        with single_threaded_libraries():
            helpers = [_POOL.submit(job.help, workers) for _ in range(workers - 1)]
            try:
                job.pull()
            except BaseException:
                job.interrupt()
                raise
            finally:
                wait([helper for helper in helpers if not helper.cancel()])
    if job.error is not None:
        raise job.error
