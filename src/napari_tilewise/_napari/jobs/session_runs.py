"""The runs of this napari session, as their events describe them: plain data, nothing of Qt.

Events come from worker threads, at any rate. A run keeps the latest in a few attributes, and a
panel reads these when it has time.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from napari_tilewise.batches.batch_events import BatchDone, BatchStarted, ItemDone
from napari_tilewise.engine.control import NO_CONTROL, Control
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
"""The most ended runs that are still shown."""


class Status(StrEnum):
    """The state of a run."""

    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    """Its process is gone; it can be resumed."""
    NOT_RESUMABLE = "not resumable"
    """Its process is gone, and it cannot be resumed."""

    @property
    def is_over(self) -> bool:
        """Whether the run ended: it neither runs nor waits."""
        return self not in (Status.WAITING, Status.RUNNING, Status.PAUSED)


class Pause(threading.Event):
    """An event that is set while a run is paused, and measures the pauses."""

    def __init__(self) -> None:
        super().__init__()
        self._since: float | None = None
        self._before = 0.0

    def set(self) -> None:
        """Pause the run."""
        if self._since is None:
            self._since = time.monotonic()
        super().set()

    def clear(self) -> None:
        """Resume the run."""
        self._before, self._since = self.seconds, None
        super().clear()

    @property
    def seconds(self) -> float:
        """The length of all pauses together."""
        since = self._since
        return self._before + (0.0 if since is None else time.monotonic() - since)


class SessionWork(Protocol):
    """Work that the Runs panel can list and repeat; its text is its title."""

    def follow(self, cancel: threading.Event, listener: Listener | None) -> SessionRun:
        """List the work in the Runs panel.

        Parameters
        ----------
        cancel
            Set to stop the work.
        listener
            Also receives the work's events.
        """

    def __call__(self, progress: Listener, cancel: threading.Event) -> object:
        """Perform the work, in a worker thread.

        Parameters
        ----------
        progress
            Receives the events.
        cancel
            Set to stop the work.
        """


@dataclass(frozen=True, eq=False)
class RunListing:
    """What a run does, as the Runs panel shows it."""

    title: str
    source: str
    output: Path | None
    """The file or folder of the output; None for a layer."""
    work: SessionWork | None
    """The work to repeat; None if it cannot be."""


class SessionRun:
    """One run of this session: a listener of its events, and a context around its work.

    Made by `follow`.

    Parameters
    ----------
    request
        What runs.
    cancel
        Set to stop the run.
    pause
        Set to pause the run.
    listener
        Also receives the events.
    """

    def __init__(
        self,
        request: RunListing,
        cancel: threading.Event,
        pause: threading.Event,
        listener: Listener | None,
    ) -> None:
        self.title = request.title
        self.source = request.source
        self.output = request.output
        self.work = request.work
        """The work to repeat after a failure or a cancel, if it can be."""
        self.cancel = cancel
        self.pause = pause
        self.error = ""
        self.step = ""
        """The title of the current pass."""
        self.unit = "tiles"
        self.done = self.total = 0
        self.memory: int | None = None
        """The stated peak of the resident memory in bytes."""
        self._listener = listener
        self._state = Status.WAITING
        self._first: int | None = None
        self._tiles = 0
        self._began = self._paused_before = 0.0

    # -- state -----------------------------------------------------------------------------------

    @property
    def state(self) -> Status:
        """The state now."""
        is_paused = self.pause.is_set()
        return Status.PAUSED if is_paused and self._state is Status.RUNNING else self._state

    @property
    def rate(self) -> float | None:
        """Tiles or items per second since the pass began, without pauses; None if not known."""
        if self._first is None or self.state is not Status.RUNNING:
            return None
        seconds = time.monotonic() - self._began - (self._paused() - self._paused_before)
        return (self.done - self._first) / seconds if seconds > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """The remaining time of the pass at this rate; None if not known."""
        rate = self.rate
        return (self.total - self.done) / rate if rate else None

    def _paused(self) -> float:
        return self.pause.seconds if isinstance(self.pause, Pause) else 0.0

    def drop(self) -> None:
        """Cancel the run before it starts."""
        self.cancel.set()
        self._state = Status.CANCELLED

    # -- events ----------------------------------------------------------------------------------

    def __call__(self, event: Event) -> None:
        """Take in an event, and pass it on."""
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
        """Begin the work; the run is shown as waiting until the first event."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the run: it is done, cancelled, or failed."""
        state = self._state
        if isinstance(error, Cancelled):
            state = Status.CANCELLED
        elif error is not None:
            is_ours = isinstance(error, TilewiseError)
            self.error = str(error) if is_ours else f"{type(error).__name__}: {error}"
            state = Status.FAILED
        elif state is not Status.CANCELLED:
            state, self.work = Status.DONE, None  # frees the images of the work
            if self._tiles:  # of the output, not of the last pass
                self.done = self.total = self._tiles
        self.pause.clear()  # lazy results live on, and check the same event when read
        self._state = state  # the last: who sees that it is over sees all of the rest


class SessionRuns:
    """All listed runs, the latest first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: list[SessionRun] = []

    def add(self, run: SessionRun) -> None:
        """List a run; the oldest of many ended runs are removed.

        Parameters
        ----------
        run
            A new run.
        """
        with self._lock:
            ended = [other for other in self._runs if other.state.is_over]
            for other in ended[MOST - 1 :]:
                self._runs.remove(other)
            self._runs.insert(0, run)

    def remove(self, run: SessionRun) -> None:
        """Remove a run from the list.

        Parameters
        ----------
        run
            Listed or not.
        """
        with self._lock:
            if run in self._runs:
                self._runs.remove(run)

    def all(self) -> list[SessionRun]:
        """Return the runs, the latest first."""
        with self._lock:
            return list(self._runs)


SESSION = SessionRuns()
"""The runs of this process."""


def follow(
    title: str,
    *,
    source: str = "",
    output: str | os.PathLike[str] | None = None,
    control: Control = NO_CONTROL,
    work: SessionWork | None = None,
    session: SessionRuns = SESSION,
) -> SessionRun:
    """List a run in the Runs panel, and return it.

    The run is a listener and a context::

        with follow("Gaussian", output=path) as run:
            tw.run(..., progress=run, cancel=run.cancel, pause=run.pause)

    Parameters
    ----------
    title
        Shown in the panel, such as the operation's title.
    source
        The name or path of the image, as the panel shows it.
    output
        The file of the output, or the folder of a batch; None for a layer.
    control
        Progress, which also receives each event; cancel and pause, new events unless they are set.
        A pause that is not a `Pause` measures no pauses.
    work
        The work, to be repeated by **Resume** after a cancel or a failure.
    session
        The list of runs.
    """
    path = None if output is None else local_path(output)
    run = SessionRun(
        RunListing(title, source, path, work),
        control.cancel or threading.Event(),
        control.pause or Pause(),
        control.progress,
    )
    session.add(run)
    return run
