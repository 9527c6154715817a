"""The progress of a run: one bar per pass, or lines with the pass, its rate and the time left."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
from napari_tilewise.errors import option, worded
from napari_tilewise.progress.displays import BarsDisplay, TickingDisplay, can_show_bars
from napari_tilewise.progress.speed import Speed
from napari_tilewise.sizes import format_size, plural

if TYPE_CHECKING:
    from napari_tilewise.progress.displays import Messages

_MESSAGES = (RunStarted, WorkersStarted, DiskShort, FirstOnly, RunResumed, RunAfresh, RunLeft)
"""Events that people want to see; the others are steps."""


def run_progress(messages: Messages, *, bars: bool | None = None) -> RunBars | RunLines:
    """Return a listener that shows the progress of a run; it is open in a `with` statement.

    Parameters
    ----------
    messages
        Where lines go.
    bars
        Whether to show bars; None: where they can be shown.
    """
    has_bars = can_show_bars() if bars is None else bars
    return RunBars(messages) if has_bars else RunLines(messages)


class RunLines(TickingDisplay):
    """A run as plain lines."""

    def __init__(self, messages: Messages) -> None:
        super().__init__(messages)
        self._current: tuple[str, Speed] | None = None

    def __call__(self, event: Event) -> None:
        """Take the event; show it, unless it is one of many."""
        if isinstance(event, PassStarted):
            self._current = (event.title, Speed(event.tiles, "tile"))
        elif isinstance(event, TileDone):
            if self._current is not None:
                self._current[1].done = event.done
            return  # of many thousands, none has a line
        elif isinstance(event, PassDone | RunDone):
            self._current = None
        _show(self.messages, event, *_MESSAGES, RunDone)

    def line(self) -> str:
        """Return the pass that is running, and its speed."""
        current = self._current
        return "" if current is None else f"{current[0]}: {current[1]}"


class RunBars(BarsDisplay):
    """A run as one bar per pass."""

    def __init__(self, messages: Messages) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        super().__init__(
            messages,
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )

    def __call__(self, event: Event) -> None:
        """Move the bar of the current pass."""
        if isinstance(event, PassStarted):
            self.task = self.bars.add_task(event.title, total=event.tiles)
        elif isinstance(event, TileDone):
            if self.task is not None:
                self.bars.update(self.task, completed=event.done, total=event.tiles)
            return
        _show(self.messages, event, *_MESSAGES)


def _show(messages: Messages, event: Event, *shown: type[Event]) -> None:
    """Show an event if it is of one of some types; others only to who wants every step."""
    text = _text(event)
    if text:
        (messages.info if isinstance(event, shown) else messages.debug)("%s", text)


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
        return worded(
            f"The finished tiles are kept: the same command resumes the run "
            f"({option('resume', False)} starts over). The checkpoint is {event.folder}."
        )
    if isinstance(event, PassStarted):
        return f"{event.title}: {plural(event.tiles, 'tile')}"
    if isinstance(event, PassDone):
        return f"{event.title}: done in {event.seconds:.1f} s"
    return f"done in {event.seconds:.1f} s" if isinstance(event, RunDone) else ""
