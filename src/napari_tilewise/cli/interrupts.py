"""Ctrl-C in the shell: the first is answered at once and cancels, the second ends the process.

A run that has been cancelled ends within two seconds, as tiles take no longer; a batch abandons the
items that it computes as soon, and writes its report.

A command computes in a thread of its own while the main thread, which alone handles signals,
waits. SIGTERM cancels too, and ends the process if that takes long: batch systems kill soon after
it. A run that ends like this is resumed by the same command, as after a crash.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, NoReturn, TypeVar

import typer

from napari_tilewise.cli import interrupt_helper
from napari_tilewise.cli.interrupt_helper import ACKNOWLEDGED, ENDED, GRACE, TILES, cancelling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

T = TypeVar("T")

LOOK = 0.1
"""Seconds between two looks at a command: Windows handles no signal while a lock is waited for."""
ITEMS = float("inf")
"""Seconds after which a cancelled batch ends in any case: a report of many items takes a while."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def cancellable(patience: float = TILES) -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C or SIGTERM sets; a second Ctrl-C ends the process.

    Parameters
    ----------
    patience
        Seconds after the first Ctrl-C at which the process ends in any case.
    """
    cancel = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield cancel
        return
    timers: list[threading.Timer] = []

    def end_after(seconds: float) -> None:
        if seconds != float("inf"):
            timers.append(threading.Timer(seconds, end_process))
            timers[-1].daemon = True
            timers[-1].start()

    with _helper_process(patience) as helper:

        def handle(number: int, frame: FrameType | None) -> None:
            if cancel.is_set() and number == signal.SIGINT:
                end_process()
            end_after(GRACE if number == signal.SIGTERM else patience)
            if not cancel.is_set():
                cancel.set()
                with suppress(OSError):
                    if helper is not None:
                        os.write(helper, ACKNOWLEDGED)
                typer.echo(cancelling(patience), err=True)

        handlers = {number: signal.signal(number, handle) for number in SIGNALS}
        try:
            yield cancel
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            for timer in timers:
                timer.cancel()


def in_background(work: Callable[[], T]) -> T:
    """Return what a function returns that runs in a thread, while this one handles signals.

    Parameters
    ----------
    work
        The function.
    """
    future: Future[T] = Future()
    context = copy_context()

    def compute() -> None:
        try:
            future.set_result(context.run(work))
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            future.set_exception(error)

    thread = threading.Thread(target=compute, name="tilewise-command", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(LOOK)
    return future.result()


def end_process() -> NoReturn:
    """End this process and those that it started, whatever their threads do; exit code 1."""
    import psutil

    show_cursor = "\x1b[?25h" if sys.stderr.isatty() else ""  # a progress bar hides it
    with suppress(OSError):
        os.write(2, f"{show_cursor}{ENDED}\n".encode())
    with suppress(psutil.Error):
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                child.kill()
    os._exit(1)


@contextmanager
def _helper_process(patience: float) -> Iterator[int | None]:
    """Start the process that answers where this one cannot; yield what is written to for it."""
    if sys.platform == "win32" or not sys.executable:
        yield None
        return
    arguments = [interrupt_helper.__file__, str(os.getpid()), str(patience)]
    command = [sys.executable, "-I", "-S", *arguments]
    reading, descriptor = os.pipe()
    try:
        process = subprocess.Popen(
            command, stdin=reading, stdout=subprocess.DEVNULL, start_new_session=True
        )
    except OSError:
        os.close(descriptor)
        yield None
        return
    finally:
        os.close(reading)
    os.set_blocking(descriptor, False)
    earlier = signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
    try:
        yield descriptor
    finally:
        signal.set_wakeup_fd(earlier)
        os.close(descriptor)
        process.wait()
