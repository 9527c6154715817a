"""Collects the outcomes of a batch as they come: in the journal at once, in the report in order."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from napari_tilewise.batches.batch_events import ItemDone, ItemStarted
from napari_tilewise.batches.batch_journal import BatchJournal
from napari_tilewise.batches.batch_request import function_of
from napari_tilewise.batches.partials import is_in_use, remove_partials
from napari_tilewise.batches.report import Report
from napari_tilewise.batches.tasks import (
    CANCELLED,
    DONE,
    FAILED,
    SKIPPED,
    ItemOutcome,
    ItemTask,
    existing_output,
    has_previous_output,
    row_of,
)
from napari_tilewise.errors import worded
from napari_tilewise.runs import registry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_tilewise.batches.rows import ItemRow
    from napari_tilewise.engine.events import Listener
    from napari_tilewise.types import Value

_LOG = logging.getLogger(__name__)


class Collector:
    """Collects the outcomes of items.

    Parameters
    ----------
    tasks
        The tasks of all items of the batch.
    selected
        The tasks that run now.
    folder
        The folder of the outputs; None if the results return to the caller.
    description
        What the journal says of the batch as a whole.
    progress
        Listener to the events of items.
    """

    def __init__(
        self,
        tasks: Sequence[ItemTask],
        selected: Sequence[ItemTask],
        folder: str | None,
        description: Mapping[str, object],
        progress: Listener,
    ) -> None:
        self._tasks = tasks
        self._selected = {task.item.index: task for task in selected}
        self._folder = folder
        self._progress = progress
        self._rows: dict[int, ItemRow] = {}
        self._values: dict[int, Value] = {}
        started = datetime.now(UTC).isoformat(timespec="seconds")
        description = {**description, "items": len(selected), "time": started}
        self._journal = None if folder is None else BatchJournal(folder, description)
        if folder is not None:
            if not is_in_use(folder):
                remove_partials(folder)
            registry.enter(registry.BATCH, Path(folder), function_of(description))

    def start(self, index: int) -> None:
        """Report that an item's task starts; the journal notes it, and whether there is an output.

        Parameters
        ----------
        index
            The item's index.
        """
        task = self._selected[index]
        target = task.target
        if self._journal is not None and target is not None:
            start = "begun" if existing_output(task) is None else "replaced"
            self._journal.add({start: target.base, "suffix": target.image_suffix})
        self._progress(ItemStarted(index))

    def add(self, outcome: ItemOutcome) -> None:
        """Add the outcome of an item.

        Parameters
        ----------
        outcome
            Its row, and its value in a batch without a folder.
        """
        if outcome.row["error"]:
            outcome = replace(outcome, row={**outcome.row, "error": worded(outcome.row["error"])})
        self._rows[outcome.index] = outcome.row
        if outcome.value is not None:
            self._values[outcome.index] = outcome.value
        if self._journal is not None:
            self._journal.add(outcome.row)
        if outcome.trace:
            self._log(f"{outcome.row['input']}: {outcome.row['error']}\n{outcome.trace}")
        self._progress(ItemDone(outcome.row, len(self._rows), len(self._selected), outcome.index))

    def _log(self, text: str) -> None:
        _LOG.debug(text)
        if self._journal is not None:
            self._journal.log(text)

    def close(self) -> None:
        """Close the journal; a batch that can be resumed stays in the registry."""
        if self._journal is None or self._folder is None:
            return
        self._journal.close()
        is_complete = self._selected.keys() <= self._rows.keys()
        end = registry.remove if is_complete else registry.interrupt
        end(registry.BATCH, Path(self._folder))

    def report(self) -> Report:
        """Return the report, which includes items whose task did not start."""
        rows = [self._row(task) for task in self._tasks]
        results = [self._values.get(task.item.index) for task in self._tasks]
        return Report(rows, None if self._folder is None else Path(self._folder), results)

    def _row(self, task: ItemTask) -> ItemRow:
        index = task.item.index
        if index in self._rows:
            return self._rows[index]
        return _not_started(task) if index in self._selected else _previous_row(task)


def _previous_row(task: ItemTask) -> ItemRow:
    """Return the row of an item that was not selected, from an earlier batch."""
    row = task.previous
    if row is None or row.get("status") not in (DONE, SKIPPED, FAILED):
        return _not_started(task)
    if not has_previous_output(task):
        return _not_started(task)
    return {**row, "status": SKIPPED} if row["status"] == DONE else row


def _not_started(task: ItemTask) -> ItemRow:
    return row_of(task, {"status": CANCELLED}, 0.0)
