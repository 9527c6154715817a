"""A batch as the window sees it: the worker queues the states of items, the window fetches them."""

from __future__ import annotations

import time
from collections import deque
from contextlib import nullcontext
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING

from napari_tilewise._napari.batch_panel.item_table import RUNNING, ItemState
from napari_tilewise._napari.jobs.session_runs import Pause, SessionRun, follow
from napari_tilewise.batches import BatchStarted, ItemDone, ItemStarted, batch
from napari_tilewise.batches.backends import AUTO
from napari_tilewise.engine.control import Control
from napari_tilewise.engine.events import Event, PassStarted, TileDone
from napari_tilewise.engine.system.machine import available_memory
from napari_tilewise.engine.system.switch_interval import short_turns
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

    from napari_tilewise._napari.batch_panel.batch_settings import BatchRequest
    from napari_tilewise._napari.batch_panel.item_listing import Listing
    from napari_tilewise._napari.batch_panel.output_page import Destination
    from napari_tilewise.batches import Item, Report
    from napari_tilewise.engine.events import Listener

RECENT = 20.0
"""Seconds over which the rate is averaged."""
MINUTE, HOUR = 60, 3600
PIXEL_BYTES = 8
"""The most bytes of a result's pixel."""


@dataclass(eq=False)
class BatchRun:
    """A batch; called in a thread.

    Parameters
    ----------
    request
        The task.
    items
        All listed items, whether they are run or not.
    output
        Where results go, and the resources.
    listing
        Listed the items.
    only
        The numbers of the items to run; None for all.
    """

    request: BatchRequest
    items: Sequence[Item]
    output: Destination
    listing: Listing
    only: Collection[int] | None = None
    pause: Pause = field(default_factory=Pause, init=False)
    """Set while the batch is paused."""
    report: Report | None = field(default=None, init=False)
    """The report, also of a cancelled batch; None before the end."""
    _news: deque[tuple[int, ItemState]] = field(default_factory=deque, init=False)

    @property
    def count(self) -> int:
        """The number of items to run."""
        return len(self.items) if self.only is None else len(self.only)

    def __call__(self, progress: Listener, cancel: threading.Event) -> Report:
        """Run the batch; `news` gives the states of items meanwhile."""

        def listen(event: Event) -> None:
            if isinstance(event, BatchStarted):
                progress(PassStarted(str(self), event.items))
            elif isinstance(event, ItemStarted):
                self._news.append((event.index, ItemState(RUNNING)))
            elif isinstance(event, ItemDone):
                self._news.append((event.index, ItemState.of(event.row)))
                progress(TileDone(str(self), event.done, event.items))
            progress(event)

        self._check()
        # "auto" measures with the interval that Python uses by default.
        is_auto = self.output.options["backend"] == AUTO
        with nullcontext() if is_auto else short_turns():
            self.report = batch(
                self.request.task, self.items, self.output.folder, progress=listen, cancel=cancel,
                pause=self.pause, inputs=self.request.inputs or None, only=self.only,
                **self.output.options,
            )  # fmt: skip
        return self.report

    def _check(self) -> None:
        """Refuse results that cannot become one layer, before anything runs."""
        recipe = self.request.recipe
        if self.output.folder is not None or recipe is None or recipe.output is Output.SCALAR:
            return
        if not recipe.output.is_image:
            raise InvalidParameter(
                f"{self.request} gives {recipe.output}, which cannot become one layer: write the "
                "results to files in a folder."
            )
        size = _pixels(self.items) * PIXEL_BYTES * len(self.items)
        free = available_memory()
        if size > free // 2:
            raise MemoryBudgetExceeded(
                f"{self.count:,} results as one layer may need {format_size(size)}, but only "
                f"{format_size(free)} are free: write the results to files in a folder."
            )

    def follow(self, cancel: threading.Event, listener: Listener | None) -> SessionRun:
        """List the batch in the Runs panel.

        Parameters
        ----------
        cancel
            Set to stop the batch.
        listener
            Also receives the batch's events.
        """
        folder = self.output.folder
        return follow(
            str(self), source=self.listing.label, output=folder,
            control=Control(listener, cancel, self.pause), work=None if folder is None else self,
        )  # fmt: skip

    def __str__(self) -> str:
        """Return the task and the number of items."""
        return f"{self.request} on {self.count:,} item{'s' * (self.count != 1)}"

    def news(self) -> Iterator[tuple[int, ItemState]]:
        """Yield the states that changed since the last call, the latest last; never waits."""
        for _ in range(len(self._news)):
            yield self._news.popleft()


def _pixels(items: Sequence[Item]) -> int:
    """Return the number of pixels of the first readable item; 0 if there is none."""
    for item in items:
        try:
            return prod(open_image(item.open()).data.shape)
        except (SourceNotFound, SourceUnreadable):
            continue  # the batch reports it in the item's row
    return 0


class Pace:
    """The current rate of a batch, and the time that remains."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])

    def describe(self, done: int, items: int) -> str:
        """Return the progress, the rate and the remaining time as text.

        Parameters
        ----------
        done
            Number of finished items.
        items
            Number of all items.
        """
        now = time.monotonic()
        self._samples.append((now, done))
        while len(self._samples) > 2 and now - self._samples[1][0] > RECENT:
            self._samples.popleft()
        then, before = self._samples[0]
        rate = (done - before) / max(now - then, 1e-9)
        progress = f"{done:,} of {items:,}"
        if not done or rate <= 0:
            return progress
        per = f"{rate:.1f} per second" if rate >= 1 else f"{1 / rate:.1f} s each"
        return f"{progress}, {per}, {duration((items - done) / rate)} left"


def duration(seconds: float) -> str:
    """Return a duration as text: ``"40 s"``, ``"12 min"``, ``"3 h 20 min"``.

    Parameters
    ----------
    seconds
        Any duration.
    """
    if seconds < 2 * MINUTE:
        return f"{seconds:.0f} s"
    if seconds < 2 * HOUR:
        return f"{seconds / MINUTE:.0f} min"
    hours, minutes = divmod(round(seconds / MINUTE), MINUTE)
    return f"{hours} h {minutes} min"
