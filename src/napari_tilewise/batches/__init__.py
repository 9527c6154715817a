"""Batches: one recipe or function over many images, on all cores, in bounded memory.

`napari_tilewise.batch` is the function; this package is called otherwise so that importing a module
of it never hides that.
"""

from __future__ import annotations

from napari_tilewise.batches.batch import batch
from napari_tilewise.batches.batch_events import BatchDone, BatchStarted, ItemDone, ItemStarted
from napari_tilewise.batches.items import Item, each_item, items_of
from napari_tilewise.batches.report import Report

__all__ = [
    "BatchDone",
    "BatchStarted",
    "Item",
    "ItemDone",
    "ItemStarted",
    "Report",
    "batch",
    "each_item",
    "items_of",
]
