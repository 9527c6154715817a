"""The progress of a batch: a bar, or lines with the rate and the time left; each failure once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_tilewise.batches.batch_events import BatchDone, BatchStarted, ItemDone, ItemStarted
from napari_tilewise.progress.displays import BarsDisplay, TickingDisplay, can_show_bars
from napari_tilewise.progress.speed import Speed
from napari_tilewise.sizes import plural

if TYPE_CHECKING:
    from napari_tilewise.engine.events import Event
    from napari_tilewise.progress.displays import Messages


def item_progress(messages: Messages, *, bars: bool | None = None) -> ItemBars | ItemLines:
    """Return a listener that shows the progress of a batch; it is open in a `with` statement.

    Parameters
    ----------
    messages
        Where lines go.
    bars
        Whether to show a bar; None: where it can be shown.
    """
    has_bars = can_show_bars() if bars is None else bars
    return ItemBars(messages) if has_bars else ItemLines(messages)


class ItemLines(TickingDisplay):
    """A batch as plain lines."""

    def __init__(self, messages: Messages) -> None:
        super().__init__(messages)
        self._speed: Speed | None = None
        self._failures = Failures(messages)

    def __call__(self, event: Event) -> None:
        """Take the event; show a failure, and how many items there are."""
        if isinstance(event, BatchStarted):
            self._speed = Speed(event.items, "item")
            self.messages.info("%s", "; ".join(_counts(event)))
        elif isinstance(event, ItemDone) and self._speed is not None:
            self._speed.done = event.done
        elif isinstance(event, BatchDone):
            self._speed = None
        self._failures(event)
        _show_step(self.messages, event)

    def line(self) -> str:
        """Return how far the batch is."""
        return str(self._speed or "")


class ItemBars(BarsDisplay):
    """A batch as one bar with its rate and the remaining time; failures above it."""

    def __init__(self, messages: Messages) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

        super().__init__(
            messages,
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
        )
        self._failures = Failures(messages)

    def __call__(self, event: Event) -> None:
        """Move the bar; show a failure above it."""
        if isinstance(event, BatchStarted):
            self.task = self.bars.add_task("", total=event.items, rate="")
            if event.left_out:
                self.messages.info("%s", event.left_out)
        elif isinstance(event, ItemDone):
            speed = self.bars.tasks[0].speed
            rate = "" if speed is None else f"{speed:.1f} per second"
            self.bars.update(self.task, completed=event.done, rate=rate)
        self._failures(event)
        _show_step(self.messages, event)


def _counts(event: BatchStarted) -> list[str]:
    return [plural(event.items, "item"), *([event.left_out] if event.left_out else [])]


class Failures:
    """Shows why items fail: each reason once, with the first item; at the end, how many more.

    Parameters
    ----------
    messages
        Where the lines go.
    """

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self._items: dict[str, list[str]] = {}

    def __call__(self, event: Event) -> None:
        """Take an event of a batch."""
        if isinstance(event, ItemDone) and event.row["error"]:
            name, error = str(event.row["input"]), str(event.row["error"])
            items = self._items.setdefault(error.replace(name, "..."), [])
            (self._messages.debug if items else self._messages.error)("%s: %s", name, error)
            items.append(name)
        elif isinstance(event, BatchDone):
            for first, *others in self._items.values():
                if others:
                    count = plural(len(others), "more item")
                    self._messages.error("%s failed like %s", count, first)


def _show_step(messages: Messages, event: Event) -> None:
    """Show an event to who wants every step."""
    if isinstance(event, ItemStarted):
        messages.debug("item %d: started", event.index)
    elif isinstance(event, ItemDone) and not event.row["error"]:
        row = event.row
        messages.debug("%s: %s in %.1f s", row["input"], row["status"], row["seconds"])
    elif isinstance(event, BatchDone):
        messages.debug("done in %.1f s", event.seconds)
