"""Progress of a batch as events: to one listener, from several threads, one call at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_tilewise.engine.events import Event

if TYPE_CHECKING:
    from napari_tilewise.batches.rows import ItemRow


@dataclass(frozen=True)
class BatchStarted(Event):
    """A batch passed its checks and starts."""

    items: int
    """Number of items."""
    left_out: str = ""
    """A line that says which files of the source are no items; empty if all are."""


@dataclass(frozen=True)
class ItemStarted(Event):
    """The task of an item starts."""

    index: int
    """The item's index in the batch."""


@dataclass(frozen=True)
class ItemDone(Event):
    """An item is done, failed or skipped."""

    row: ItemRow
    """The item's row of the report."""
    done: int
    """Number of items that have finished so far."""
    items: int
    """Number of items."""
    index: int
    """The item's index in the batch."""


@dataclass(frozen=True)
class BatchDone(Event):
    """No task is running any more."""

    done: int
    failed: int
    skipped: int
    cancelled: int
    seconds: float
