"""Progress of the commands: on stderr, unless they are to be quiet, and in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_tilewise.cli.messages import SHELL, is_quiet
from napari_tilewise.progress.run_progress import run_progress

if TYPE_CHECKING:
    from napari_tilewise.batches.item_progress import ItemBars, ItemLines
    from napari_tilewise.progress.run_progress import RunBars, RunLines


def progress() -> RunBars | RunLines:
    """Return a listener for a run."""
    return run_progress(SHELL, bars=False if is_quiet() else None)


def item_progress() -> ItemBars | ItemLines:
    """Return a listener for a batch."""
    from napari_tilewise.batches.item_progress import item_progress as progress_of_items

    return progress_of_items(SHELL, bars=False if is_quiet() else None)
