"""Progress leaves the engine as typed events; the engine knows no user interface.

A listener is any callable that takes an event. It is called from worker threads, one call at a
time, and should return quickly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Event:
    """Base of all events."""


@dataclass(frozen=True)
class RunStarted(Event):
    """A run passed its checks and starts."""

    passes: int | None
    """Number of passes over the image, where it is known before."""
    tiles: int
    """Tiles per pass."""
    memory: int
    """Stated peak of resident memory in bytes."""


@dataclass(frozen=True)
class RunResumed(Event):
    """A run resumes what an earlier one left."""

    done: int
    """Tiles of the output that are done."""
    tiles: int
    """Tiles of the output in all."""


@dataclass(frozen=True)
class RunAfresh(Event):
    """An earlier run had another recipe, source or tiles: what it left is removed."""


@dataclass(frozen=True)
class RunLeft(Event):
    """A run ended before it was complete; the next one like it resumes it."""

    folder: str
    """The folder of its checkpoint."""


@dataclass(frozen=True)
class WorkersStarted(Event):
    """Other processes compute the tiles of this run."""

    executor: str
    """The executor, in words."""
    dashboard: str = ""
    """The address of a page that shows them at work, where there is one."""


@dataclass(frozen=True)
class DiskShort(Event):
    """The disk may be too small for what the run writes; the run starts nevertheless."""

    amounts: str
    """How much may be written, and how much is free, in words."""


@dataclass(frozen=True)
class FirstOnly(Event):
    """The last step gives several images, of which a run writes the first."""

    operation: str
    """Which operation, by its key."""
    count: int
    """How many it gives."""


@dataclass(frozen=True)
class PassStarted(Event):
    """A pass over all tiles starts."""

    title: str
    """The pass in words: ``"filters.threshold_otsu: range"``."""
    tiles: int
    """Number of tiles of this pass."""


@dataclass(frozen=True)
class TileDone(Event):
    """A tile of the current pass is done."""

    title: str
    """The pass it belongs to."""
    done: int
    """Tiles done in this pass so far."""
    tiles: int
    """Number of tiles of this pass."""


@dataclass(frozen=True)
class PassDone(Event):
    """A pass is complete."""

    title: str
    """The pass."""
    seconds: float
    """How long it took."""


@dataclass(frozen=True)
class RunDone(Event):
    """The output is complete and has its final name."""

    seconds: float
    """Duration of the whole run."""


Listener: TypeAlias = Callable[[Event], None]
