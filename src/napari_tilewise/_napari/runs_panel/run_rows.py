"""The rows of the Runs panel: the runs of this session, and unfinished runs of other processes.

A run of this session that failed or was cancelled is unfinished too; it has one row.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

import psutil

from napari_tilewise._napari.jobs.session_runs import Status
from napari_tilewise._napari.widgets import wording
from napari_tilewise._napari.widgets.plain_words import with_titles
from napari_tilewise.batches.unfinished import RunState
from napari_tilewise.engine.system.resident import resident
from napari_tilewise.sizes import format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from napari_tilewise._napari.jobs.session_runs import SessionRun
    from napari_tilewise.batches.unfinished import UnfinishedRun

STATES = {
    RunState.RUNNING: Status.RUNNING,
    RunState.INTERRUPTED: Status.INTERRUPTED,
    RunState.NOT_RESUMABLE: Status.NOT_RESUMABLE,
}

IN_ANOTHER = "This run belongs to another process: pause or cancel it there."

MemoryOf: TypeAlias = "Callable[[int | None], int | None]"
"""Returns the resident memory of a process by its id, or of this process for None."""


@dataclass(frozen=True)
class RunRow:
    """One run or batch."""

    title: str
    state: Status
    done: int = 0
    total: int = 0
    unit: str = "tiles"
    time_left: str = ""
    """The estimated remaining time."""
    rate: str = ""
    memory: str = ""
    source: str = ""
    output: Path | None = None
    note: str = ""
    """The current pass, or why the run failed."""
    run: SessionRun | None = None
    """The run, if this session started it."""
    unfinished: UnfinishedRun | None = None
    """The unfinished run, if there is one on disk."""

    @property
    def progress(self) -> str:
        """The number of finished tiles or items as text."""
        return wording.progress(self.done, self.total, self.unit) if self.total else ""

    @property
    def fraction(self) -> float:
        """The finished part, from 0 to 1."""
        if self.state is Status.DONE:
            return 1.0
        return min(1.0, self.done / self.total) if self.total else 0.0

    @property
    def can_pause(self) -> bool:
        """Whether the run can be paused or is paused."""
        run = self.run
        return run is not None and not self.state.is_over

    @property
    def can_cancel(self) -> bool:
        """Whether the run can be cancelled."""
        return self.run is not None and not self.state.is_over

    @property
    def can_resume(self) -> bool:
        """Whether the run can be resumed."""
        if self.state not in (Status.CANCELLED, Status.FAILED, Status.INTERRUPTED):
            return False
        has_work = self.run is not None and self.run.work is not None
        return has_work or (
            self.unfinished is not None and self.unfinished.state is RunState.INTERRUPTED
        )

    @property
    def can_open(self) -> bool:
        """Whether the output is complete."""
        return self.state is Status.DONE and self.output is not None

    @property
    def can_forget(self) -> bool:
        """Whether the run ended."""
        return self.state.is_over


def rows(
    runs: Iterable[SessionRun],
    unfinished: Iterable[UnfinishedRun],
    memory_of: MemoryOf | None = None,
) -> list[RunRow]:
    """Return a row for each run, the latest first; runs of other processes come last.

    Parameters
    ----------
    runs
        The runs of this session, the latest first.
    unfinished
        All unfinished runs on disk, of any process.
    memory_of
        Returns the resident memory of a process in bytes; `resident_of` by default.
    """
    memory_of = cache(memory_of or resident_of)
    by_output = {run.destination: run for run in unfinished}
    session_rows = []
    for run in runs:
        on_disk = by_output.pop(run.output, None) if run.output is not None else None
        session_rows.append(_session_row(run, on_disk, memory_of))
    return session_rows + [_unfinished_row(run, memory_of) for run in by_output.values()]


def resident_of(process: int | None) -> int | None:
    """Return the resident memory of a process in bytes; None if it cannot be read.

    Parameters
    ----------
    process
        The process id; None for this process.
    """
    if process is None:
        return resident()
    try:
        return int(psutil.Process(process).memory_info().rss)
    except psutil.Error:
        return None


def _session_row(run: SessionRun, on_disk: UnfinishedRun | None, memory_of: MemoryOf) -> RunRow:
    state = run.state
    rate = run.rate
    now = memory_of(None) if state in (Status.RUNNING, Status.PAUSED) else None
    return RunRow(
        run.title, state, run.done, run.total, run.unit, duration(run.seconds_left),
        speed(rate, run.unit), _memory(now, run.memory), run.source, run.output,
        run.error or with_titles(run.step), run, on_disk,
    )  # fmt: skip


def _unfinished_row(run: UnfinishedRun, memory_of: MemoryOf) -> RunRow:
    state = STATES[run.state]
    alive = run.state is RunState.RUNNING and run.entry.process is not None
    now = memory_of(run.entry.process) if alive else None
    note = run.reason or (IN_ANOTHER if alive else "")
    unit = "items" if run.is_batch else "tiles"
    return RunRow(
        with_titles(run.progress.task), state, run.progress.done, run.progress.total, unit,
        memory=_memory(now, None), source=run.progress.source, output=run.destination,
        note=note, unfinished=run,
    )  # fmt: skip


def _memory(now: int | None, most: int | None) -> str:
    parts = [] if now is None else [f"{format_size(now)} now"]
    parts += [] if most is None else [f"at most {format_size(most)}"]
    return ", ".join(parts)


def duration(seconds: float | None) -> str:
    """Return a duration as text; empty if it is not known.

    Parameters
    ----------
    seconds
        Any duration.
    """
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"


def speed(rate: float | None, unit: str) -> str:
    """Return a rate as text; empty if it is not known.

    Parameters
    ----------
    rate
        Units per second.
    unit
        ``"tiles"`` or ``"items"``.
    """
    if not rate:
        return ""
    return f"{rate:.1f} {unit}/s" if rate >= 1 else f"{1 / rate:.0f} s/{unit.removesuffix('s')}"
