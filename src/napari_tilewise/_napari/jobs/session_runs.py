"""The runs of this napari session, as they tell of themselves: plain data, nothing of Qt.

Events come from worker threads, at any rate. A run notes them in a few attributes; whoever shows it
looks at these when there is time.
"""

from __future__ import annotations

import threading
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from napari_tilewise.batches.batch_events import BatchDone, BatchStarted, ItemDone
from napari_tilewise.engine.events import (
    Event,
    Listener,
    PassStarted,
    RunResumed,
    RunStarted,
    TileDone,
)
from napari_tilewise.errors import Cancelled, TilewiseError
from napari_tilewise.io.writers.staging import local_path

if TYPE_CHECKING:
    import os
    from types import TracebackType

MOST = 200
"""Runs that are over and still shown."""


class Status(StrEnum):
    """What a run is doing."""

    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LEFT = "left"
    """It was begun by a process that is gone, and can be gone on with."""
    LOST = "lost"
    """It was begun by a process that is gone, and cannot."""

    @property
    def is_over(self) -> bool:
        """Whether nothing of it runs or will run by itself."""
        return self not in (Status.WAITING, Status.RUNNING, Status.PAUSED)


class Pause(threading.Event):
    """An event that is set while a run is paused, and knows for how long it was."""

    def __init__(self) -> None:
        super().__init__()
        self._since: float | None = None
        self._before = 0.0

    def set(self) -> None:
        """Pause."""
        if self._since is None:
            self._since = time.monotonic()
        super().set()

    def clear(self) -> None:
        """Go on."""
        self._before, self._since = self.seconds, None
        super().clear()

    @property
    def seconds(self) -> float:
        """For how long it was paused, all pauses together."""
        since = self._since
        return self._before + (0.0 if since is None else time.monotonic() - since)


class Followable(Protocol):
    """Work that says how it is shown; as a text it says what it is."""

    def follow(self, cancel: threading.Event, listener: Listener | None) -> Followed:
        """Return the run that is shown from now on.

        Parameters
        ----------
        cancel
            What stops it.
        listener
            Who else is told of its events.
        """

    def __call__(self, progress: Listener, cancel: threading.Event) -> Any:
        """Do the work, in a worker.

        Parameters
        ----------
        progress
            Who is told of events.
        cancel
            What stops it.
        """


class Followed:
    """One run of this session: a listener of its events, and a context of its work.

    Made by `follow`.
    """

    def __init__(
        self,
        what: str,
        source: str,
        output: Path | None,
        cancel: threading.Event,
        pause: threading.Event | None,
        listener: Listener | None,
        again: Followable | None,
    ) -> None:
        self.what = what
        self.source = source
        self.output = output
        self.cancel = cancel
        self.pause = pause
        self.again = again
        """The work, for who wants to go on with it after a failure or a cancel."""
        self.error = ""
        self.step = ""
        """What the pass does that is under way."""
        self.unit = "tiles"
        self.done = self.total = 0
        self.memory: int | None = None
        """The stated peak of resident memory in bytes."""
        self._listener = listener
        self._state = Status.WAITING
        self._first: int | None = None
        self._tiles = 0
        self._began = self._paused_before = 0.0

    # -- what is known ---------------------------------------------------------------------------

    @property
    def state(self) -> Status:
        """What it is doing."""
        is_paused = self.pause is not None and self.pause.is_set()
        return Status.PAUSED if is_paused and self._state is Status.RUNNING else self._state

    @property
    def rate(self) -> float | None:
        """Tiles or items per second since the pass began, pauses left out; None: not known."""
        if self._first is None or self.state is not Status.RUNNING:
            return None
        seconds = time.monotonic() - self._began - (self._paused() - self._paused_before)
        return (self.done - self._first) / seconds if seconds > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """How long the pass still takes at this rate; None: not known."""
        rate = self.rate
        return (self.total - self.done) / rate if rate else None

    def _paused(self) -> float:
        return self.pause.seconds if isinstance(self.pause, Pause) else 0.0

    def drop(self) -> None:
        """Note that it is cancelled before it began."""
        self.cancel.set()
        self._state = Status.CANCELLED

    # -- what it is told -------------------------------------------------------------------------

    def __call__(self, event: Event) -> None:
        """Take note of an event, and pass it on."""
        if isinstance(event, TileDone | ItemDone):
            count = event.tiles if isinstance(event, TileDone) else event.items
            if self._first is None:
                self._first = event.done - 1
            self.done, self.total = event.done, count
        elif isinstance(event, PassStarted):
            self._begin(event.title, event.tiles)
        elif isinstance(event, BatchStarted):
            self.unit = "items"
            self._begin("", event.items)
        elif isinstance(event, RunStarted):
            self.memory, self._tiles = event.memory, event.tiles
            self._state = Status.RUNNING
        elif isinstance(event, RunResumed):
            self.done, self.total = event.done, event.tiles
        elif isinstance(event, BatchDone) and event.cancelled:
            self._state = Status.CANCELLED
        if self._listener is not None:
            self._listener(event)

    def _begin(self, step: str, total: int) -> None:
        self.step, self.done, self.total, self._first = step, 0, total, None
        self._began, self._paused_before = time.monotonic(), self._paused()
        self._state = Status.RUNNING

    def __enter__(self) -> Self:
        """Begin the work; it is shown as waiting until the first event comes."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the work: it is done, cancelled, or failed."""
        if isinstance(error, Cancelled):
            self._state = Status.CANCELLED
        elif error is not None:
            known = isinstance(error, TilewiseError)
            self.error = str(error) if known else f"{type(error).__name__}: {error}"
            self._state = Status.FAILED
        elif self._state is not Status.CANCELLED:
            self._state, self.again = Status.DONE, None  # the images of the work may go
            if self._tiles:  # of the output, not of the last pass
                self.done = self.total = self._tiles
        if self.pause is not None:
            self.pause.clear()  # lazy results live on, and read with the same session


class SessionRuns:
    """All runs that are followed, the latest first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: list[Followed] = []

    def add(self, run: Followed) -> None:
        """Follow a run; the oldest of many that are over go.

        Parameters
        ----------
        run
            The run.
        """
        with self._lock:
            over = [one for one in self._runs if one.state.is_over]
            for one in over[MOST - 1 :]:
                self._runs.remove(one)
            self._runs.insert(0, run)

    def remove(self, run: Followed) -> None:
        """Show a run no more.

        Parameters
        ----------
        run
            The run.
        """
        with self._lock:
            if run in self._runs:
                self._runs.remove(run)

    def all(self) -> list[Followed]:
        """Return the runs, the latest first."""
        with self._lock:
            return list(self._runs)


SESSION = SessionRuns()
"""The one of this process."""


def follow(
    what: str,
    *,
    source: str = "",
    output: str | os.PathLike[str] | None = None,
    cancel: threading.Event | None = None,
    pause: threading.Event | None = None,
    listener: Listener | None = None,
    again: Followable | None = None,
    session: SessionRuns = SESSION,
) -> Followed:
    """Return a run that the Runs panel shows from now on.

    It is a listener and a context::

        with follow("Gaussian", output=path) as run:
            tw.run(..., progress=run, cancel=run.cancel, pause=run.pause)

    Parameters
    ----------
    what
        What is done, in words.
    source
        What is read, in words.
    output
        Where the output goes, if anywhere: a file, or the folder of a batch.
    cancel
        What stops it; a new event unless given.
    pause
        What holds it up, best a `Pause`; a new one unless given.
    listener
        Who else is told of each event.
    again
        The same work once more, for **Resume** after a cancel or a failure.
    session
        Where it is shown.
    """
    run = Followed(
        what, source, None if output is None else local_path(output),
        cancel or threading.Event(), pause or Pause(), listener, again,
    )  # fmt: skip
    session.add(run)
    return run
