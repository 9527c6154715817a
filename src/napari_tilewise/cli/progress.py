"""A run as a shell sees it: progress on stderr, and Ctrl-C that leaves nothing behind.

On a terminal a bar per pass; in a log file a line now and then.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import typer

from napari_tilewise.batches.batch_events import BatchStarted, ItemDone
from napari_tilewise.engine.events import (
    DiskShort,
    Event,
    FirstOnly,
    PassDone,
    PassStarted,
    RunAfresh,
    RunDone,
    RunLeft,
    RunResumed,
    RunStarted,
    TileDone,
    WorkersStarted,
)
from napari_tilewise.sizes import format_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import ProgressColumn

LOG_SECONDS = 10.0
"""How long a log stays silent at most while tiles are being done."""


_SAID = (RunStarted, WorkersStarted, DiskShort, FirstOnly, RunResumed, RunAfresh, RunLeft)
"""What is said above the bars."""


def progress() -> Bars | Lines:
    """Return a listener for stderr: bars on a terminal, lines elsewhere."""
    return Bars() if sys.stderr.isatty() else Lines()


class _Listener:
    """Something that is told of events between its begin and its end."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """End; lines need nothing for it."""


class _Bars(_Listener):
    """Bars of these columns on stderr, gone in the end."""

    def __init__(self, *columns: ProgressColumn) -> None:
        from rich.console import Console
        from rich.progress import Progress

        self._bars = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task: Any = None

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.stop()


class Lines(_Listener):
    """Progress as plain lines: passes as they start and end, tiles now and then."""

    def __init__(self) -> None:
        self._said = 0.0

    def __call__(self, event: Event) -> None:
        """Write what the event says, unless a line was written just now."""
        if isinstance(event, TileDone) and time.monotonic() - self._said < LOG_SECONDS:
            return
        text = _words(event)
        if text:
            self._said = time.monotonic()
            typer.echo(text, err=True)


class Bars(_Bars):
    """Progress as one bar per pass, gone when the run is done."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn

        super().__init__(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )

    def __call__(self, event: Event) -> None:
        """Move the bar of the current pass."""
        if isinstance(event, PassStarted):
            self._task = self._bars.add_task(event.title, total=event.tiles)
        elif isinstance(event, TileDone) and self._task is not None:
            self._bars.update(self._task, completed=event.done, total=event.tiles)
        elif isinstance(event, _SAID):
            self._bars.console.print(_words(event), highlight=False, markup=False)


def item_progress() -> ItemBars | ItemLines:
    """Return a listener for a batch: a bar on a terminal, lines elsewhere; failures are told."""
    return ItemBars() if sys.stderr.isatty() else ItemLines()


class ItemLines(_Listener):
    """A batch as plain lines: every failure, and now and then how far it is."""

    def __init__(self) -> None:
        self._said = self._started = time.monotonic()

    def __call__(self, event: Event) -> None:
        """Write what the event says, unless a line was written just now."""
        now = time.monotonic()
        if isinstance(event, BatchStarted):
            self._started = now
            typer.echo(f"{event.items} items", err=True)
        if not isinstance(event, ItemDone):
            return
        if event.row["error"]:
            typer.echo(_failure(event), err=True)
        if now - self._said >= LOG_SECONDS:
            self._said = now
            rate = event.done / max(now - self._started, 1e-9)
            left = (event.items - event.done) / rate
            words = f"{event.done}/{event.items}, {rate:.1f} per second, {left:.0f} s left"
            typer.echo(words, err=True)


class ItemBars(_Bars):
    """A batch as one bar with its rate and the time that is left; failures above it."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

        super().__init__(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
        )

    def __call__(self, event: Event) -> None:
        """Move the bar; write a failure above it."""
        if isinstance(event, BatchStarted):
            self._task = self._bars.add_task("", total=event.items, rate="")
        elif isinstance(event, ItemDone):
            if event.row["error"]:
                self._bars.console.print(_failure(event), highlight=False, markup=False)
            speed = self._bars.tasks[0].speed
            rate = "" if speed is None else f"{speed:.1f} per second"
            self._bars.update(self._task, completed=event.done, rate=rate)


def _failure(event: ItemDone) -> str:
    return f"{event.row['input']}: {event.row['error']}"


def _words(event: Event) -> str:
    """Return an event as a line of text, empty where there is nothing to say."""
    if isinstance(event, RunStarted):
        return f"{event.tiles} tiles per pass, at most {format_size(event.memory)} of memory"
    if isinstance(event, WorkersStarted):
        board = f", to be watched at {event.dashboard}" if event.dashboard else ""
        return f"computed by {event.executor}{board}"
    if isinstance(event, RunResumed):
        return f"going on: {event.done} of {event.tiles} tiles were done before"
    if isinstance(event, DiskShort):
        return f"the disk may be too small: {event.amounts}"
    if isinstance(event, FirstOnly):
        return (
            f"{event.operation} gives {event.count} images: the first of them is written; in a "
            "recipe, a further step can take another one, as NAME[1]"
        )
    if isinstance(event, RunAfresh):
        return (
            "starting afresh: the unfinished run to this destination was of another recipe, source "
            "or size of tiles"
        )
    if isinstance(event, RunLeft):
        return (
            "What is done is kept: the same command goes on with it (--no-resume starts afresh); "
            f"it is noted in {event.folder}"
        )
    if isinstance(event, PassStarted):
        return f"{event.title}: {event.tiles} tiles"
    if isinstance(event, TileDone):
        return f"{event.title}: {event.done}/{event.tiles}"
    if isinstance(event, PassDone):
        return f"{event.title}: done in {event.seconds:.1f} s"
    if isinstance(event, RunDone):
        return f"done in {event.seconds:.1f} s"
    return ""


@contextmanager
def cancellable() -> Iterator[threading.Event]:
    """Give an event that Ctrl-C (or SIGTERM) sets; a second Ctrl-C interrupts at once."""
    cancel = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield cancel
        return

    def ask(number: int, frame: object) -> None:
        if cancel.is_set():
            raise KeyboardInterrupt
        cancel.set()
        typer.echo("Cancelling: the tiles in work are finished first.", err=True)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield cancel
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
