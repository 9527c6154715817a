"""What the Runs panel shows of each run: those of this session, and those that others left.

A run that this session began and that failed or was cancelled is in both lists; it is one row.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import psutil

from napari_tilewise._napari.jobs.session_runs import Status
from napari_tilewise.batches.unfinished import RunState
from napari_tilewise.engine.budget import resident
from napari_tilewise.sizes import format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from napari_tilewise._napari.jobs.session_runs import Followed
    from napari_tilewise.batches.unfinished import UnfinishedRun

STATES = {
    RunState.RUNNING: Status.RUNNING,
    RunState.INTERRUPTED: Status.LEFT,
    RunState.NOT_RESUMABLE: Status.LOST,
}


@dataclass(frozen=True)
class Row:
    """One run."""

    what: str
    state: Status
    done: int = 0
    total: int = 0
    unit: str = "tiles"
    left: str = ""
    """How long it still takes."""
    rate: str = ""
    memory: str = ""
    source: str = ""
    output: Path | None = None
    note: str = ""
    """What else is to be known: the pass, or why it failed."""
    followed: Followed | None = None
    """The run, where this session began it."""
    begun: UnfinishedRun | None = None
    """What it left, where it left something."""

    @property
    def progress(self) -> str:
        """How far it is, in words."""
        return f"{self.done:,} of {self.total:,} {self.unit}" if self.total else ""

    @property
    def fraction(self) -> float:
        """How far it is, from 0 to 1."""
        if self.state is Status.DONE:
            return 1.0
        return min(1.0, self.done / self.total) if self.total else 0.0

    @property
    def can_pause(self) -> bool:
        """Whether it can be paused, or is."""
        run = self.followed
        return run is not None and run.pause is not None and not self.state.is_over

    @property
    def can_cancel(self) -> bool:
        """Whether it can be cancelled."""
        return self.followed is not None and not self.state.is_over

    @property
    def can_resume(self) -> bool:
        """Whether it can be gone on with."""
        if self.state not in (Status.CANCELLED, Status.FAILED, Status.LEFT):
            return False
        again = self.followed is not None and self.followed.again is not None
        return again or (self.begun is not None and self.begun.state is RunState.INTERRUPTED)

    @property
    def can_open(self) -> bool:
        """Whether its output is complete."""
        return self.state is Status.DONE and self.output is not None

    @property
    def can_forget(self) -> bool:
        """Whether it is over."""
        return self.state.is_over


def rows(
    followed: Iterable[Followed],
    begun: Iterable[UnfinishedRun],
    used: Callable[[int | None], int | None] | None = None,
) -> list[Row]:
    """Return a row for each run, the latest first; those that others left come last.

    Parameters
    ----------
    followed
        The runs of this session, the latest first.
    begun
        All that was begun and is not complete, whoever began it.
    used
        Returns the resident memory of a process, or of this one.
    """
    used = cache(used or resident_of)
    left = {one.destination: one for one in begun}
    made = []
    for run in followed:
        found = left.pop(run.output, None) if run.output is not None else None
        made.append(_of_session(run, found, used))
    return made + [_of_others(one, used) for one in left.values()]


def resident_of(process: int | None) -> int | None:
    """Return the resident memory of a process in bytes; None where that cannot be told.

    Parameters
    ----------
    process
        Its number; this process unless given.
    """
    if process is None:
        return resident()
    try:
        return int(psutil.Process(process).memory_info().rss)
    except psutil.Error:
        return None


def _of_session(
    run: Followed, found: UnfinishedRun | None, used: Callable[[int | None], int | None]
) -> Row:
    state = run.state
    rate = run.rate
    now = used(None) if state in (Status.RUNNING, Status.PAUSED) else None
    return Row(
        run.what, state, run.done, run.total, run.unit, duration(run.seconds_left),
        speed(rate, run.unit), _memory(now, run.memory), run.source, run.output,
        run.error or run.step, run, found,
    )  # fmt: skip


def _of_others(one: UnfinishedRun, used: Callable[[int | None], int | None]) -> Row:
    state = STATES[one.state]
    alive = one.state is RunState.RUNNING and one.entry.process is not None
    now = used(one.entry.process) if alive else None
    note = one.reason or ("in another process" if alive else "")
    unit = "items" if one.is_batch else "tiles"
    return Row(
        one.progress.task, state, one.progress.done, one.progress.total, unit,
        memory=_memory(now, None), source=one.progress.source, output=one.destination,
        note=note, begun=one,
    )  # fmt: skip


def _memory(now: int | None, most: int | None) -> str:
    parts = [] if now is None else [f"{format_size(now)} now"]
    parts += [] if most is None else [f"at most {format_size(most)}"]
    return ", ".join(parts)


def duration(seconds: float | None) -> str:
    """Return a length of time as people say it; nothing where it is not known.

    Parameters
    ----------
    seconds
        The time.
    """
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"


def speed(rate: float | None, unit: str) -> str:
    """Return a rate in words; nothing where it is not known.

    Parameters
    ----------
    rate
        How many per second.
    unit
        Of what, such as ``"tiles"``.
    """
    if not rate:
        return ""
    return f"{rate:.1f} {unit}/s" if rate >= 1 else f"{1 / rate:.0f} s/{unit.removesuffix('s')}"
