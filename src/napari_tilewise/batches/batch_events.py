"""What a batch tells while it goes: to one listener, from several threads, one call at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_tilewise.engine.events import Event

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class BatchStarted(Event):
    """A batch passed its checks and starts."""

    items: int
    """Their number."""


@dataclass(frozen=True)
class ItemStarted(Event):
    """An item is handed to those who do the work."""

    index: int
    """Its number."""


@dataclass(frozen=True)
class ItemDone(Event):
    """An item is done, failed or skipped."""

    row: Mapping[str, Any]
    """Its row."""
    done: int
    """Items of which something came so far."""
    items: int
    """Number of items."""
    index: int
    """The item's number."""


@dataclass(frozen=True)
class BatchDone(Event):
    """Nothing is in work any more."""

    done: int
    failed: int
    skipped: int
    cancelled: int
    seconds: float
