"""Progress in the shell: bars on a terminal, lines in a log file, both on stderr."""

from __future__ import annotations

import sys
import time
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
from napari_tilewise.sizes import format_size, plural

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

LOG_SECONDS = 10.0
"""Longest time without a line in a log while tiles are computed."""


_MESSAGES = (RunStarted, WorkersStarted, DiskShort, FirstOnly, RunResumed, RunAfresh, RunLeft)
"""Events that are printed above the bars."""


def progress() -> Bars | Lines:
    """Return a listener for stderr: bars on a terminal, lines elsewhere."""
    return Bars() if sys.stderr.isatty() else Lines()


class _Listener:
    """A listener that is open for the length of a run."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Close; lines need nothing for it."""


class _Bars(_Listener):
    """Bars on stderr that disappear at the end."""

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
        self._printed = 0.0

    def __call__(self, event: Event) -> None:
        """Print the event, unless a line was printed just now."""
        if isinstance(event, TileDone) and time.monotonic() - self._printed < LOG_SECONDS:
            return
        text = _text(event)
        if text:
            self._printed = time.monotonic()
            typer.echo(text, err=True)


class Bars(_Bars):
    """Progress as one bar per pass, which disappear when the run is done."""

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
        elif isinstance(event, _MESSAGES):
            self._bars.console.print(_text(event), highlight=False, markup=False)


def item_progress() -> ItemBars | ItemLines:
    """Return a listener for a batch: a bar on a terminal, lines elsewhere; failures are printed."""
    return ItemBars() if sys.stderr.isatty() else ItemLines()


class ItemLines(_Listener):
    """A batch as plain lines: every failure, and the progress from time to time."""

    def __init__(self) -> None:
        self._printed = self._started = time.monotonic()

    def __call__(self, event: Event) -> None:
        """Print the event, unless a line was printed just now."""
        now = time.monotonic()
        if isinstance(event, BatchStarted):
            self._started = now
            typer.echo(plural(event.items, "item"), err=True)
        if not isinstance(event, ItemDone):
            return
        if event.row["error"]:
            typer.echo(_failure(event), err=True)
        if now - self._printed >= LOG_SECONDS:
            self._printed = now
            rate = event.done / max(now - self._started, 1e-9)
            seconds = (event.items - event.done) / rate
            text = f"{event.done}/{event.items}, {rate:.1f} per second, {seconds:.0f} s left"
            typer.echo(text, err=True)


class ItemBars(_Bars):
    """A batch as one bar with its rate and the remaining time; failures above it."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

        super().__init__(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
        )

    def __call__(self, event: Event) -> None:
        """Move the bar; print a failure above it."""
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


def _text(event: Event) -> str:
    """Return an event as a line of text; empty for events that are not printed."""
    if isinstance(event, RunStarted):
        return (
            f"{plural(event.tiles, 'tile')} per pass, at most {format_size(event.memory)} of memory"
        )
    if isinstance(event, WorkersStarted):
        dashboard = f", dashboard at {event.dashboard}" if event.dashboard else ""
        return f"computed by {event.executor}{dashboard}"
    if isinstance(event, RunResumed):
        return f"resuming: {event.done} of {plural(event.tiles, 'tile')} done before"
    if isinstance(event, DiskShort):
        return f"the disk may be too small: {event.amounts}"
    if isinstance(event, FirstOnly):
        return (
            f"{event.operation} returns {event.count} images: the first is written; in a recipe, "
            "a further step can take another, as NAME[1]"
        )
    if isinstance(event, RunAfresh):
        return (
            "starting over: the unfinished run to this destination has another recipe, source or "
            "tile size"
        )
    if isinstance(event, RunLeft):
        return (
            "The finished tiles are kept: the same command resumes the run (--no-resume starts "
            f"over). The checkpoint is {event.folder}."
        )
    if isinstance(event, PassStarted):
        return f"{event.title}: {plural(event.tiles, 'tile')}"
    if isinstance(event, TileDone):
        return f"{event.title}: {event.done}/{event.tiles}"
    if isinstance(event, PassDone):
        return f"{event.title}: done in {event.seconds:.1f} s"
    if isinstance(event, RunDone):
        return f"done in {event.seconds:.1f} s"
    return ""
