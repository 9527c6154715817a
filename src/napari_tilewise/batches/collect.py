"""What comes of a batch's items is kept as it comes: nothing that was done is lost."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_tilewise.batches.batch_events import ItemDone, ItemStarted
from napari_tilewise.batches.batch_journal import BatchJournal
from napari_tilewise.batches.report import Report
from napari_tilewise.batches.tasks import (
    CANCELLED,
    DONE,
    FAILED,
    SKIPPED,
    ItemOutcome,
    ItemTask,
    is_kept,
    row_of,
    there,
)
from napari_tilewise.runs import registry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_tilewise.engine.events import Listener

_LOG = logging.getLogger(__name__)


class Collector:
    """Keeps what comes of items: in the journal as it comes, in the report in order.

    Parameters
    ----------
    tasks
        All of the batch's.
    todo
        Those that are asked for now.
    folder
        The folder of the outputs, if there is one.
    head
        What the journal says of the batch as a whole.
    progress
        Is told of items.
    """

    def __init__(
        self,
        tasks: Sequence[ItemTask],
        todo: Sequence[ItemTask],
        folder: str | None,
        head: Mapping[str, Any],
        progress: Listener,
    ) -> None:
        self.tasks = tasks
        self.todo = {task.item.index for task in todo}
        self._by_index = {task.item.index: task for task in todo}
        self.folder = folder
        self.progress = progress
        self.rows: dict[int, Mapping[str, Any]] = {}
        self.values: dict[int, Any] = {}
        time_ = datetime.now(UTC).isoformat(timespec="seconds")
        head = {**head, "items": len(todo), "time": time_}
        self.journal = None if folder is None else BatchJournal(folder, head)
        if folder is not None:
            registry.enter(registry.BATCH, Path(folder))

    def begun(self, index: int) -> None:
        """Tell that an item is in work; note it where its output will be the first of its name.

        Parameters
        ----------
        index
            Its number.
        """
        task = self._by_index[index]
        if self.journal is not None and task.target is not None and there(task) is None:
            self.journal.add({"begun": task.target.base})
        self.progress(ItemStarted(index))

    def take(self, outcome: ItemOutcome) -> None:
        """Take in what came of an item.

        Parameters
        ----------
        outcome
            Its row, and its value where no folder is given.
        """
        self.rows[outcome.index] = outcome.row
        if outcome.value is not None:
            self.values[outcome.index] = outcome.value
        if self.journal is not None:
            self.journal.add(outcome.row)
        if outcome.trace:
            self._log(f"{outcome.row['input']}: {outcome.row['error']}\n{outcome.trace}")
        self.progress(ItemDone(outcome.row, len(self.rows), len(self.todo), outcome.index))

    def _log(self, text: str) -> None:
        _LOG.debug(text)
        if self.journal is not None:
            self.journal.log(text)

    def close(self) -> None:
        """Close the journal; the register keeps what can be gone on with."""
        if self.journal is None or self.folder is None:
            return
        self.journal.close()
        end = registry.remove if self.todo <= self.rows.keys() else registry.leave
        end(registry.BATCH, Path(self.folder))

    def report(self) -> Report:
        """Return the report; items that were not begun are in it."""
        rows = [self._row(task) for task in self.tasks]
        results = [self.values.get(task.item.index) for task in self.tasks]
        return Report(rows, None if self.folder is None else Path(self.folder), results)

    def _row(self, task: ItemTask) -> Mapping[str, Any]:
        index = task.item.index
        if index in self.rows:
            return self.rows[index]
        return _not_begun(task) if index in self.todo else _as_before(task)


def _as_before(task: ItemTask) -> Mapping[str, Any]:
    """Return the row of an item that was not asked for: as an earlier batch left it."""
    before = task.before
    if before is None or before.get("status") not in (DONE, SKIPPED, FAILED) or not is_kept(task):
        return _not_begun(task)
    return {**before, "status": SKIPPED} if before["status"] == DONE else before


def _not_begun(task: ItemTask) -> Mapping[str, Any]:
    return row_of(task, {"status": CANCELLED}, 0.0)
