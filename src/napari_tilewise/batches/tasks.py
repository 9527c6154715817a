"""The task of one item: open it, run the recipe, store the result; every error becomes a row.

Everything here can be sent to another process: names and parameters, never an open image. Other
modules import what belongs to tasks from here.
"""

from __future__ import annotations

import signal
import threading
import time
import traceback
import warnings
from contextlib import nullcontext
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from napari_tilewise.batches.function import BatchFunction
from napari_tilewise.batches.item_tasks.function_item import call_function
from napari_tilewise.batches.item_tasks.item_output import (
    existing_output,
    has_previous_output,
    is_done,
    item_key,
    relative_path,
)
from napari_tilewise.batches.item_tasks.item_task import (
    ALONE,
    CANCELLED,
    DONE,
    ERROR,
    FAILED,
    OVERWRITE,
    SKIP,
    SKIPPED,
    BatchTask,
    ItemOutcome,
    ItemResources,
    ItemTask,
)
from napari_tilewise.batches.item_tasks.recipe_item import run_recipe
from napari_tilewise.engine.system.pool import hold_libraries, single_threaded_libraries
from napari_tilewise.engine.system.resident import peak_resident
from napari_tilewise.errors import Cancelled, MemoryBudgetExceeded, SourceWarning, TilewiseError
from napari_tilewise.provenance.fingerprint import fingerprint, taken_once

if TYPE_CHECKING:
    from napari_tilewise.batches.rows import ItemRow
    from napari_tilewise.types import Value

__all__ = [
    "ALONE",
    "CANCELLED",
    "DONE",
    "ERROR",
    "FAILED",
    "OVERWRITE",
    "SKIP",
    "SKIPPED",
    "BatchTask",
    "ItemOutcome",
    "ItemResources",
    "ItemTask",
    "existing_output",
    "has_previous_output",
    "row_of",
    "run_task",
    "run_task_in_worker",
]


def run_task(task: ItemTask) -> ItemOutcome:
    """Run an item's task; nothing is raised, except what ends the whole process.

    Parameters
    ----------
    task
        The item, what runs on it and the resources for it.
    """
    started = time.perf_counter()
    entries: ItemRow = {}
    value, trace = None, ""
    try:
        with single_threaded_libraries() if task.resources.workers == 1 else nullcontext():
            entries, value = _run_or_skip(task)
    except MemoryBudgetExceeded as error:
        entries, trace = _failure(error, FAILED if task.resources.is_alone else ALONE)
    except Cancelled as error:
        cancel = task.resources.cancel
        is_cancelled = cancel is not None and cancel.is_set()
        entries, trace = _failure(error, CANCELLED if is_cancelled else FAILED)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - one item's failure is one row
        entries, trace = _failure(error, FAILED)
    seconds = round(time.perf_counter() - started, 6)
    return ItemOutcome(task.item.index, row_of(task, entries, seconds), value, trace)


def run_task_in_worker(task: ItemTask) -> ItemOutcome:
    """Run an item's task in a worker process, which leaves Ctrl-C to the process of the batch.

    Parameters
    ----------
    task
        See `run_task`.
    """
    if threading.current_thread() is threading.main_thread():  # the pool owns the process
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _limit_libraries_once()
    _collect_warnings_once()
    _warned.texts = []
    try:
        return replace(run_task(task), warnings=tuple(dict.fromkeys(_warned.texts)))
    finally:
        _warned.texts = None


@cache
def _limit_libraries_once() -> None:
    """Hold libraries' own threads at one for good: each task would set and lift the limits."""
    hold_libraries()


_warned = threading.local()
"""What the task of this thread warned of."""


@cache
def _collect_warnings_once() -> None:
    """Let the process of the batch show what is warned of here, once and not in each process."""
    warnings.simplefilter("always", SourceWarning)
    show = warnings.showwarning

    def collect(message: Warning | str, category: type[Warning], *args: Any, **kw: Any) -> None:
        texts = getattr(_warned, "texts", None)
        if texts is None or not issubclass(category, SourceWarning):
            show(message, category, *args, **kw)
        else:
            texts.append(str(message))

    warnings.showwarning = collect


def row_of(task: ItemTask, entries: ItemRow, seconds: float) -> ItemRow:
    """Return an item's row.

    Parameters
    ----------
    task
        The item's task.
    entries
        Entries of the row that differ from those of a task that is done.
    seconds
        How long the task took.
    """
    row: ItemRow = {
        "item": task.item.stem,
        "input": task.item.input,
        "output": None,
        "status": DONE,
        "seconds": seconds,
        "error": None,
        "values": {},
        "peak_memory": peak_resident(),
        "fields": dict(task.item.fields),
        **entries,
    }
    if task.target is not None:
        row["target"] = task.target.base
    return row


def _failure(error: BaseException, status: str) -> tuple[ItemRow, str]:
    text = error.marked if isinstance(error, TilewiseError) else f"{type(error).__name__}: {error}"
    return {"status": status, "error": " ".join(text.split())}, traceback.format_exc()


@taken_once()
def _run_or_skip(task: ItemTask) -> tuple[ItemRow, Value]:
    """Return the entries of the row of an item that is done or skipped, and its result."""
    task.item.check()
    source_fingerprint = fingerprint(task.item.source)
    key = item_key(task, source_fingerprint)
    previous = task.previous
    if previous is not None and task.batch.existing != OVERWRITE and is_done(task, key, previous):
        skipped: ItemRow = {"status": SKIPPED}
        for name in ("output", "values", "key", "seconds", "kind", "objects"):
            if name in previous:
                skipped[name] = previous[name]
        return skipped, None
    if task.batch.existing == SKIP and (output := existing_output(task)) is not None:
        return {"status": SKIPPED, "output": relative_path(task, output)}, None
    recipe = task.batch.recipe
    if isinstance(recipe, BatchFunction):
        entries, value = call_function(task, recipe)
    else:
        entries, value = run_recipe(task, recipe, source_fingerprint)
    return {"key": key, **entries}, value
