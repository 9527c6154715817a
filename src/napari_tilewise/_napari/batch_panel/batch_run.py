"""A batch as the window sees it: the worker leaves what came of items, the window fetches it."""

from __future__ import annotations

import time
from collections import deque
from contextlib import nullcontext
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING

from napari_tilewise._napari.batch_panel.item_listing import POLITE
from napari_tilewise._napari.batch_panel.item_table import RUNNING, Line
from napari_tilewise._napari.jobs.session_runs import Followed, Pause, follow
from napari_tilewise.batches import BatchStarted, ItemDone, ItemStarted, batch
from napari_tilewise.batches.backends import AUTO
from napari_tilewise.engine.events import Event, PassStarted, TileDone
from napari_tilewise.engine.machine import available_memory
from napari_tilewise.errors import (
    InvalidParameter,
    MemoryBudgetExceeded,
    SourceNotFound,
    SourceUnreadable,
)
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.operations.spec.operation import Output
from napari_tilewise.sizes import format_size

if TYPE_CHECKING:
    import threading
    from collections.abc import Collection, Iterator, Sequence

    from napari_tilewise._napari.batch_panel.batch_request import What
    from napari_tilewise._napari.batch_panel.item_listing import Listing
    from napari_tilewise._napari.batch_panel.output_page import Destination
    from napari_tilewise.batches import Item, Report
    from napari_tilewise.engine.events import Listener

RECENT = 20.0
"""Seconds over which the rate is measured."""
MINUTE, HOUR = 60, 3600
NUMBER = 8
"""Bytes of a pixel of a result, at most."""


@dataclass(eq=False)
class BatchRun:
    """A batch; called in a thread.

    Parameters
    ----------
    what
        What is done.
    items
        All items.
    output
        Where results go.
    listing
        What found the items.
    only
        The numbers of those to do; None: all.
    """

    what: What
    items: Sequence[Item]
    output: Destination
    listing: Listing
    only: Collection[int] | None = None
    pause: Pause = field(default_factory=Pause, init=False)
    """Set while it is paused."""
    report: Report | None = field(default=None, init=False)
    """What came of it, also where it was cancelled; None before it ends."""
    _news: deque[tuple[int, Line]] = field(default_factory=deque, init=False)

    @property
    def count(self) -> int:
        """How many items are done."""
        return len(self.items) if self.only is None else len(self.only)

    def __call__(self, progress: Listener, cancel: threading.Event) -> Report:
        """Do it; what comes of items can be fetched meanwhile."""

        def listen(event: Event) -> None:
            if isinstance(event, BatchStarted):
                progress(PassStarted(str(self), event.items))
            elif isinstance(event, ItemStarted):
                self._news.append((event.index, Line(RUNNING)))
            elif isinstance(event, ItemDone):
                self._news.append((event.index, Line.of(event.row)))
                progress(TileDone(str(self), event.done, event.items))
            progress(event)

        self._check()
        # "auto" measures how the lock is held, by the interval that Python has by itself.
        is_auto = self.output.options["backend"] == AUTO
        with nullcontext() if is_auto else POLITE.held():
            self.report = batch(
                self.what.thing, self.items, self.output.folder, progress=listen, cancel=cancel,
                pause=self.pause, inputs=self.what.inputs or None, only=self.only,
                **self.output.options,
            )  # fmt: skip
        return self.report

    def _check(self) -> None:
        """Refuse what makes no layer of all items, before anything is done."""
        recipe = self.what.recipe
        if self.output.folder is not None or recipe is None or recipe.output is Output.SCALAR:
            return
        if not recipe.output.is_image:
            raise InvalidParameter(
                f"{self.what} gives {recipe.output}, which makes no layer of all items: let "
                "results go to files in a folder."
            )
        size = _pixels(self.items) * NUMBER * len(self.items)
        free = available_memory()
        if size > free // 2:
            raise MemoryBudgetExceeded(
                f"{self.count:,} results as one layer may need {format_size(size)}, of "
                f"which {format_size(free)} are free: let results go to files in a folder."
            )

    def follow(self, cancel: threading.Event, listener: Listener | None) -> Followed:
        """Show the batch in the Runs panel.

        Parameters
        ----------
        cancel
            What stops it.
        listener
            Who else is told of its events.
        """
        folder = self.output.folder
        return follow(
            str(self), source=self.listing.place, output=folder, cancel=cancel, pause=self.pause,
            listener=listener, again=None if folder is None else self,
        )  # fmt: skip

    def __str__(self) -> str:
        """Return what is done."""
        return f"{self.what} on {self.count:,} item{'s' * (self.count != 1)}"

    def news(self) -> Iterator[tuple[int, Line]]:
        """Give what came since this was asked last, in its order; never waits."""
        for _ in range(len(self._news)):
            yield self._news.popleft()


def _pixels(items: Sequence[Item]) -> int:
    """Return how many pixels the first item has that can be read; 0 where none can."""
    for item in items:
        try:
            return prod(open_image(item.open()).data.shape)
        except (SourceNotFound, SourceUnreadable):
            continue  # its task says it, in its row
    return 0


class Pace:
    """How fast a batch goes, and how long it will take, from what was done of late."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])

    def words(self, done: int, items: int) -> str:
        """Return how far it is, in words.

        Parameters
        ----------
        done
            Items done.
        items
            Items in all.
        """
        now = time.monotonic()
        self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[1][0] > RECENT:
            self._seen.popleft()
        then, before = self._seen[0]
        rate = (done - before) / max(now - then, 1e-9)
        words = f"{done:,} of {items:,}"
        if not done or rate <= 0:
            return words
        per = f"{rate:.1f} per second" if rate >= 1 else f"{1 / rate:.1f} s each"
        return f"{words}, {per}, {duration((items - done) / rate)} left"


def duration(seconds: float) -> str:
    """Return a duration in words: ``"40 s"``, ``"12 min"``, ``"3 h 20 min"``.

    Parameters
    ----------
    seconds
        The duration.
    """
    if seconds < 2 * MINUTE:
        return f"{seconds:.0f} s"
    if seconds < 2 * HOUR:
        return f"{seconds / MINUTE:.0f} min"
    hours, rest = divmod(round(seconds / MINUTE), MINUTE)
    return f"{hours} h {rest} min"
