"""Progress in the shell: bars on a terminal, a line every few seconds elsewhere, both on stderr.

Lines come from a thread of their own, so that an hour in one tile is no hour of silence.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Self

from napari_tilewise.batches.batch_events import BatchDone, BatchStarted, ItemDone, ItemStarted
from napari_tilewise.cli.messages import SHELL, is_quiet
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
from napari_tilewise.sizes import duration, format_size, plural

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

LINE_SECONDS = 5.0
"""Time between two lines of progress."""

_MESSAGES = (RunStarted, WorkersStarted, DiskShort, FirstOnly, RunResumed, RunAfresh, RunLeft)
"""Events that are shown unless the command is to be quiet."""


def progress() -> Bars | Lines:
    """Return a listener for stderr: bars on a terminal, lines elsewhere."""
    return Bars() if _has_bars() else Lines()


def item_progress() -> ItemBars | ItemLines:
    """Return a listener for a batch: a bar on a terminal, lines elsewhere; failures are shown."""
    return ItemBars() if _has_bars() else ItemLines()


def _has_bars() -> bool:
    return sys.stderr.isatty() and not is_quiet()


class Speed:
    """How many of a number of tiles or items are done, how fast, and when the rest will be."""

    def __init__(self, total: int, unit: str) -> None:
        self.done, self._total, self._unit = 0, total, unit
        self._started = time.monotonic()

    def __str__(self) -> str:
        """Return the pace as text."""
        seconds = time.monotonic() - self._started
        text = f"{self.done}/{plural(self._total, self._unit)}"
        if not self.done:
            return f"{text} after {duration(seconds)}"
        rate = self.done / max(seconds, 1e-9)
        speed = f"{rate:.1f} per second" if rate >= 1 else f"{1 / rate:.1f} s each"
        return f"{text}, {speed}, {duration((self._total - self.done) / rate)} left"


class _Listener:
    """A listener that is open for the length of a run."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Close."""


class _Ticking(_Listener):
    """Shows a line every few seconds as long as it is open."""

    def __init__(self) -> None:
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._tick, name="tilewise-progress", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _tick(self) -> None:
        while not self._is_over.wait(LINE_SECONDS):
            line = self.line()
            if line:
                SHELL.info("%s", line)

    def line(self) -> str:
        """Return how far the work is; empty if it has not started or is over."""
        raise NotImplementedError


class Lines(_Ticking):
    """A run as plain lines."""

    def __init__(self) -> None:
        super().__init__()
        self._current: tuple[str, Speed] | None = None

    def __call__(self, event: Event) -> None:
        """Take the event; show it, unless it is one of many."""
        if isinstance(event, PassStarted):
            self._current = (event.title, Speed(event.tiles, "tile"))
        elif isinstance(event, TileDone) and self._current is not None:
            self._current[1].done = event.done
        elif isinstance(event, PassDone | RunDone):
            self._current = None
        _show(event, *_MESSAGES, RunDone)

    def line(self) -> str:
        """Return the pass that is running, and its pace."""
        current = self._current
        return "" if current is None else f"{current[0]}: {current[1]}"


class ItemLines(_Ticking):
    """A batch as plain lines."""

    def __init__(self) -> None:
        super().__init__()
        self._speed: Speed | None = None
        self._failures = Failures()

    def __call__(self, event: Event) -> None:
        """Take the event; show a failure, and how many items there are."""
        if isinstance(event, BatchStarted):
            self._speed = Speed(event.items, "item")
        elif isinstance(event, ItemDone) and self._speed is not None:
            self._speed.done = event.done
        elif isinstance(event, BatchDone):
            self._speed = None
        self._failures(event)
        _show(event, BatchStarted)

    def line(self) -> str:
        """Return the pace of the batch."""
        return str(self._speed or "")


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


class Bars(_Bars):
    """Progress as one bar per pass, which disappear when the run is done."""

    def __init__(self) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        super().__init__(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )

    def __call__(self, event: Event) -> None:
        """Move the bar of the current pass."""
        if isinstance(event, PassStarted):
            self._task = self._bars.add_task(event.title, total=event.tiles)
        elif isinstance(event, TileDone) and self._task is not None:
            self._bars.update(self._task, completed=event.done, total=event.tiles)
        _show(event, *_MESSAGES)


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
        self._failures = Failures()

    def __call__(self, event: Event) -> None:
        """Move the bar; show a failure above it."""
        if isinstance(event, BatchStarted):
            self._task = self._bars.add_task("", total=event.items, rate="")
        elif isinstance(event, ItemDone):
            speed = self._bars.tasks[0].speed
            rate = "" if speed is None else f"{speed:.1f} per second"
            self._bars.update(self._task, completed=event.done, rate=rate)
        self._failures(event)
        _show(event)


class Failures:
    """Shows why items fail: each reason once, with the first item; at the end, of how many."""

    def __init__(self) -> None:
        self._items: dict[str, list[str]] = {}

    def __call__(self, event: Event) -> None:
        """Take an event of a batch."""
        if isinstance(event, ItemDone) and event.row["error"]:
            name, error = str(event.row["input"]), str(event.row["error"])
            reason = error.replace(name, "...")
            items = self._items.setdefault(reason, [])
            (SHELL.debug if items else SHELL.error)("%s: %s", name, error)
            items.append(name)
        elif isinstance(event, BatchDone):
            for first, *others in self._items.values():
                if others:
                    SHELL.error("%s failed like %s", plural(len(others), "more item"), first)


def _show(event: Event, *shown: type[Event]) -> None:
    """Show an event if it is of one of some types; others only to who wants every step."""
    text = _text(event)
    if text:
        (SHELL.info if isinstance(event, shown) else SHELL.debug)("%s", text)


def _text(event: Event) -> str:
    """Return an event as a line of text; empty for events that are never shown."""
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
    if isinstance(event, PassDone):
        return f"{event.title}: done in {event.seconds:.1f} s"
    if isinstance(event, RunDone):
        return f"done in {event.seconds:.1f} s"
    return _item_text(event)


def _item_text(event: Event) -> str:
    if isinstance(event, BatchStarted):
        return plural(event.items, "item")
    if isinstance(event, ItemStarted):
        return f"item {event.index}: started"
    if isinstance(event, ItemDone) and not event.row["error"]:
        row = event.row
        return f"{row['input']}: {row['status']} in {row['seconds']:.1f} s"
    if isinstance(event, BatchDone):
        return f"done in {event.seconds:.1f} s"
    return ""
