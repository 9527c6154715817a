"""The task of one item: open it, run the recipe, store the result; every error becomes a row.

Everything here can be sent to another process: names and parameters, never an open image.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import traceback
import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cache
from hashlib import blake2b
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.axes import AxisSelection
from napari_tilewise.batches import store_results
from napari_tilewise.batches.function import BatchFunction, classify
from napari_tilewise.batches.item_inputs import inputs_of, is_template
from napari_tilewise.batches.outputs import has_output, is_torn
from napari_tilewise.engine.stack_results import compute
from napari_tilewise.engine.system.cancelling import PATIENCE
from napari_tilewise.engine.system.pool import (
    hold_libraries,
    single_threaded_libraries,
    unless_cancelled,
)
from napari_tilewise.engine.system.resident import peak_resident, resident
from napari_tilewise.errors import (
    Cancelled,
    DestinationExists,
    InvalidRecipe,
    MemoryBudgetExceeded,
    SourceUnreadable,
    SourceWarning,
    TilewiseError,
    option,
)
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.io.writers.create import OutputRequest
from napari_tilewise.operations.spec.operation import Output
from napari_tilewise.provenance.fingerprint import fingerprint, taken_once
from napari_tilewise.provenance.record import read, scalars, versions
from napari_tilewise.provenance.source_guard import SourceGuard
from napari_tilewise.runs import registry
from napari_tilewise.runs.object_count import count_labels, count_rows
from napari_tilewise.runs.plan import plan
from napari_tilewise.runs.request import Resources, RunRequest
from napari_tilewise.runs.run import RunResult, run
from napari_tilewise.runs.small_run import run_small

if TYPE_CHECKING:
    from napari_tilewise.batches.items import Item
    from napari_tilewise.batches.outputs import ItemTarget
    from napari_tilewise.batches.rows import ItemRow, TableRow
    from napari_tilewise.recipe import Recipe
    from napari_tilewise.runs.small_run import SmallResult
    from napari_tilewise.types import Parameters, SpatialAxes, Value

DONE, FAILED, SKIPPED, CANCELLED = "done", "failed", "skipped", "cancelled"
ALONE = "alone"
"""Status of an item that did not fit into its share of the memory: its task runs again, alone."""

ERROR, SKIP, OVERWRITE = "error", "skip", "overwrite"
"""Policies for an existing output that may not be what the batch would write."""


_WRITING = {"pyramid": True, "ome_zarr": "0.5", "shards": False}
"""Defaults of arguments of `run` that say how images are written."""


@dataclass(frozen=True, eq=False)
class BatchTask:
    """What a batch runs on every item."""

    recipe: Recipe | BatchFunction
    inputs: Parameters = field(default_factory=dict)
    spatial: SpatialAxes | None = None
    existing: str = ERROR
    writing: Parameters = field(default_factory=dict)
    """Arguments of `run` that say how images are written."""

    def describe(self) -> dict[str, Any]:
        """Return the task as plain data; equal data mean equal results of equal items."""
        description: dict[str, Any]
        if isinstance(self.recipe, BatchFunction):
            description = self.recipe.to_dict()
        else:
            try:
                description = {"recipe": self.recipe.to_dict()}
            except InvalidRecipe as error:  # a step holds an image or a function
                data = self.recipe.to_dict(images=False)
                description = {"recipe": data, "not_repeatable": str(error)}
        inputs = {
            name: os.fspath(image) if is_template(image) else fingerprint(image)
            for name, image in self.inputs.items()
        }
        spatial = list(self.spatial) if isinstance(self.spatial, tuple) else self.spatial
        description |= {"inputs": inputs, "spatial": spatial, "versions": versions()}
        unusual = {
            name: value for name, value in self.writing.items() if value != _WRITING.get(name)
        }
        return {**description, **({"writing": unusual} if unusual else {})}


@dataclass(frozen=True)
class ItemResources:
    """How much of the machine the task of an item gets."""

    workers: int | None = 1
    """Threads within the task; with 1, the libraries' own threads are held at one too."""
    memory: int | None = None
    """Bytes that it may take, the interpreter included."""
    is_shared: bool = False
    """Whether `memory` is on top of what the process takes already, for other items' tasks."""
    is_alone: bool = True
    """Whether no other task is running; if there are, a task that does not fit is postponed."""
    cancel: threading.Event | None = None
    """Set where nobody waits for the task any more; of tasks in the process of the batch."""

    @property
    def limit(self) -> int | None:
        """Memory budget in bytes of a run that starts now."""
        return None if self.memory is None else self.memory + resident() * self.is_shared


@dataclass(frozen=True, eq=False)
class ItemTask:
    """The task of one item."""

    item: Item
    batch: BatchTask
    key: str
    """Digest of the batch's task, a part of the item's own key."""
    target: ItemTarget | None
    """Where the output goes; None: the result returns to the caller."""
    previous: ItemRow | None = None
    """The item's row in an earlier batch."""
    resources: ItemResources = ItemResources()
    is_vacant: bool = True
    """Whether there was no output when the batch came to this item."""
    is_retry: bool = False
    """Whether its process ended the first time: what that one wrote may be replaced."""

    @property
    def inputs(self) -> dict[str, Any]:
        """The item's further images; raises `SourceNotFound` where one is missing."""
        return inputs_of(self.item, self.batch.inputs)


@dataclass(frozen=True, eq=False)
class ItemOutcome:
    """The outcome of an item's task."""

    index: int
    row: ItemRow
    value: Value = None
    """The result, if it returns to the caller."""
    trace: str = ""
    """The traceback of a failure."""
    process: int = field(default_factory=os.getpid)
    """The process that ran the task."""
    warnings: tuple[str, ...] = ()
    """What a task in another process warned of, about its images."""

    @property
    def status(self) -> str:
        """Done, failed, skipped or cancelled."""
        return str(self.row["status"])


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
    if previous is not None and task.batch.existing != OVERWRITE and _is_done(task, key, previous):
        skipped: ItemRow = {"status": SKIPPED}
        for name in ("output", "values", "key", "seconds", "kind", "objects"):
            if name in previous:
                skipped[name] = previous[name]
        return skipped, None
    if task.batch.existing == SKIP and (output := existing_output(task)) is not None:
        return {"status": SKIPPED, "output": _relative(task, output)}, None
    recipe = task.batch.recipe
    if isinstance(recipe, BatchFunction):
        entries, value = _call(task, recipe)
    else:
        entries, value = _run(task, recipe, source_fingerprint)
    return {"key": key, **entries}, value


def item_key(task: ItemTask, source_fingerprint: str) -> str:
    """Return a digest that changes when an item's result would: its pixels, or the task.

    Parameters
    ----------
    task
        The item's task.
    source_fingerprint
        The fingerprint of the item's source.
    """
    item = task.item
    parts: tuple[Any, ...] = (task.key, source_fingerprint, item.parts, item.axes)
    own = {name for name, image in task.batch.inputs.items() if is_template(image)}
    if own:
        parts += ({name: fingerprint(task.inputs[name]) for name in sorted(own)},)
    return blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()


def _is_done(task: ItemTask, key: str, previous: ItemRow) -> bool:
    is_same = previous.get("status") in (DONE, SKIPPED) and previous.get("key") == key
    return is_same and has_previous_output(task)


def has_previous_output(task: ItemTask) -> bool:
    """Return whether the output of an earlier batch, if it wrote one, still exists.

    Parameters
    ----------
    task
        The item's task.
    """
    return has_output(task.target, task.previous)


def existing_output(task: ItemTask) -> Path | None:
    """Return the path of an existing output, whatever wrote it.

    Parameters
    ----------
    task
        The item's task.
    """
    if task.target is None or task.is_retry:
        return None
    recipe = task.batch.recipe
    kinds = (Output.IMAGE, Output.TABLE, Output.VALUES)
    outputs = kinds if isinstance(recipe, BatchFunction) else (recipe.output,)
    paths = filter(None, map(task.target.path, outputs))
    return next((path for path in paths if os.path.lexists(path)), None)


def _destination(task: ItemTask, output: Output) -> Path | None:
    """Return where a result goes; raise if an output there must not be replaced."""
    if task.target is None:
        return None
    path = task.target.path(output)
    if path is not None and os.path.lexists(path) and not _overwrite(task):
        raise DestinationExists(
            f"{str(path)!r} exists and may not be what this batch would write; give another "
            f"folder, or {option('overwrite', True)} to replace it."
        )
    return path


def _overwrite(task: ItemTask) -> bool:
    if task.is_retry or task.batch.existing == OVERWRITE:
        return True
    return is_torn(task.target, task.previous)


def _relative(task: ItemTask, path: Path) -> str:
    """Return the path of an output within the folder of the batch."""
    return path.as_posix() if task.target is None else task.target.relative(path)


# -- recipes ---------------------------------------------------------------------------------------


def _run(task: ItemTask, recipe: Recipe, source_fingerprint: str) -> tuple[ItemRow, Value]:
    destination = _destination(task, recipe.output)
    resources, source = task.resources, task.item.open()
    options: dict[str, Any] = {"inputs": task.inputs, "spatial": task.batch.spatial}
    # The record needs axes that the caller declared: the file does not name them.
    options |= {"axes": task.item.declared_axes or None}
    options |= {"memory": resources.limit, "workers": resources.workers}
    if destination is None:
        return _compute(task, recipe, source, options)
    # Small items are recomputed faster than a checkpoint of their tiles is written.
    is_item = source is task.item.source  # not a part of it, or with other axes
    small = _run_small(task, recipe, source, destination, source_fingerprint if is_item else None)
    if small is not None:
        entries: ItemRow = {
            "output": _relative(task, small.path),
            "kind": str(recipe.output),
            "values": small.values,
        }
        return _with_objects(entries, small.objects), None
    options |= {"overwrite": _overwrite(task), "resume": resources.is_alone, **task.batch.writing}
    options |= {"cancel": resources.cancel}

    def unregistered() -> RunResult:
        with registry.unregistered():
            return run(recipe, source, destination, **options)

    result = unless_cancelled(unregistered, resources.cancel, PATIENCE)
    path = Path(result.path)
    entries = {
        "output": _relative(task, path),
        "kind": str(recipe.output),
        "values": _recorded_scalars(path),
    }
    objects = count_rows(result.value, recipe.output)
    if recipe.output is Output.LABELS:
        objects = count_labels(open_image(path).data)
    return _with_objects(entries, objects), None


def _with_objects(entries: ItemRow, objects: int | None) -> ItemRow:
    """Return a row's entries with the number of objects, where the result has any."""
    return entries if objects is None else {**entries, "objects": objects}


def _run_small(
    task: ItemTask,
    recipe: Recipe,
    source: object,
    destination: Path,
    source_fingerprint: str | None,
) -> SmallResult | None:
    """Run a recipe on an item of one tile; None where the item is larger."""
    resources, batch = task.resources, task.batch
    axes = AxisSelection(task.item.declared_axes or None, batch.spatial)
    request = RunRequest(
        recipe, source, task.inputs, axes, Resources(resources.limit, resources.workers),
        destination,
    )  # fmt: skip
    output = OutputRequest(destination, overwrite=_overwrite(task), **batch.writing)
    return run_small(request, output, source_fingerprint, resources.cancel)


def _recorded_scalars(path: Path) -> TableRow:
    """Return the scalars of a recipe's steps, from the record in the output."""
    try:
        values: TableRow = read(path).get("values", {})
    except SourceUnreadable:  # a format that has no room for a record
        return {}
    return values


def _compute(
    task: ItemTask, recipe: Recipe, source: object, options: Parameters
) -> tuple[ItemRow, Value]:
    """Return a result that returns to the caller, or only goes into the item's row."""
    guard = SourceGuard((source, *options["inputs"].values()))
    run_plan = plan(recipe, source, **options)
    last = run_plan.last
    value = unless_cancelled(
        lambda: compute(last) if last.is_image else last.value(), task.resources.cancel
    )
    guard.check()
    values = scalars(run_plan.pipeline.recorded())
    if recipe.output is Output.SCALAR:
        values |= scalars({"result": value})
    is_labels = recipe.output is Output.LABELS
    objects = count_labels(value) if is_labels else count_rows(value, recipe.output)
    entries: ItemRow = {"values": values, "kind": str(recipe.output)}
    measured = run_plan.pipeline.measured_in
    if measured is not None and isinstance(value, Mapping):
        entries["units"] = measured.units(value)
    return _with_objects(entries, objects), value if task.target is None else None


# -- functions -------------------------------------------------------------------------------------


def _call(task: ItemTask, function: BatchFunction) -> tuple[ItemRow, Value]:
    source, resources = task.item.open(), task.resources
    inputs = task.inputs
    guard = SourceGuard((source, *inputs.values()))
    image = open_image(source)
    images = (image, *map(open_image, inputs.values()))
    size = sum(prod(i.data.shape) * np.dtype(i.data.dtype).itemsize for i in images)
    if not resources.is_alone and resources.memory is not None and size > resources.memory // 4:
        raise MemoryBudgetExceeded("The image is too large for several tasks at a time.")
    kind, value = classify(unless_cancelled(lambda: function(image, inputs), resources.cancel))
    guard.check()
    if kind in ("nothing", "numbers"):
        return {"values": scalars(value or {}), "kind": "scalar"}, value
    output = Output.IMAGE if kind == "image" else Output.TABLE
    destination = _destination(task, output)
    objects = count_rows(value, output)
    if destination is None:
        return _with_objects({"kind": str(output)}, objects), value
    record = {**task.batch.describe(), "source": task.item.input}
    if kind == "image":
        origin = store_results.ResultOrigin(image, source, record)
        path = store_results.write_image(destination, value, origin, overwrite=_overwrite(task))
    else:
        path = store_results.write_table(destination, value, record, overwrite=_overwrite(task))
    entries: ItemRow = {"output": _relative(task, path), "kind": str(output)}
    return _with_objects(entries, objects), None
