"""One item's task: open, run, keep, and say what came of it. Whatever is raised becomes one row.

Everything here can be sent to another process: names and parameters, never an open image.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import traceback
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.batches import store_results
from napari_tilewise.batches.function import BatchFunction, sorted_out
from napari_tilewise.engine.apply import compute
from napari_tilewise.engine.budget import peak_resident, resident
from napari_tilewise.engine.pool import hold_libraries, single_threaded_libraries
from napari_tilewise.errors import (
    DestinationExists,
    InvalidRecipe,
    MemoryBudgetExceeded,
    SourceUnreadable,
    TilewiseError,
)
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.operations.spec.operation import Output
from napari_tilewise.provenance.fingerprint import fingerprint
from napari_tilewise.provenance.record import read, scalars, versions
from napari_tilewise.runs import registry
from napari_tilewise.runs.plan import plan
from napari_tilewise.runs.run import run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_tilewise.batches.items import Item
    from napari_tilewise.batches.outputs import ItemTarget
    from napari_tilewise.recipe import Recipe

DONE, FAILED, SKIPPED, CANCELLED = "done", "failed", "skipped", "cancelled"
ALONE = "alone"
"""The item did not fit into its share of the memory: it is done again by itself."""

ERROR, SKIP, OVERWRITE = "error", "skip", "overwrite"
"""What becomes of an output that is there and is not known to be what would be made again."""


@dataclass(frozen=True, eq=False)
class Work:
    """What is done with every item."""

    what: Recipe | BatchFunction
    inputs: Mapping[str, Any] = field(default_factory=dict)
    spatial: Any = None
    existing: str = ERROR

    def describe(self) -> dict[str, Any]:
        """Return what is done as plain data; equal data mean equal results of equal items."""
        if isinstance(self.what, BatchFunction):
            made: dict[str, Any] = self.what.to_dict()
        else:
            try:
                made = {"recipe": self.what.to_dict()}
            except InvalidRecipe as error:  # a step holds an image or a function
                made = {"recipe": self.what.to_dict(images=False), "not_repeatable": str(error)}
        inputs = {name: fingerprint(image) for name, image in self.inputs.items()}
        spatial = list(self.spatial) if isinstance(self.spatial, tuple) else self.spatial
        return {**made, "inputs": inputs, "spatial": spatial, "versions": versions()}


@dataclass(frozen=True)
class How:
    """How much of the machine an item gets."""

    workers: int | None = 1
    """Threads within the item; the libraries' own are held at one where it is 1."""
    memory: int | None = None
    """Bytes that it may take, the interpreter included."""
    beside: bool = False
    """Whether `memory` comes on top of what the process takes already: other items' tasks."""
    alone: bool = True
    """Whether no other item is in work; else one that does not fit is put off."""

    @property
    def limit(self) -> int | None:
        """The memory budget of a run that starts now."""
        return None if self.memory is None else self.memory + resident() * self.beside


@dataclass(frozen=True, eq=False)
class ItemTask:
    """One item's work."""

    item: Item
    work: Work
    key: str
    """What stands for the work in the item's own key."""
    target: ItemTarget | None
    """Where the output goes; None: back to the caller."""
    before: Mapping[str, Any] | None = None
    """The item's row in an earlier batch."""
    how: How = How()
    vacant: bool = True
    """Whether nothing stood where the output goes when the batch came to this item."""
    again: bool = False
    """Whether it is done once more after its process ended: what it left may be replaced."""


@dataclass(frozen=True, eq=False)
class ItemOutcome:
    """What came of one item."""

    index: int
    row: Mapping[str, Any]
    """Plain data."""
    value: Any = None
    """The result, where it goes back to the caller."""
    trace: str = ""
    """The traceback of a failure."""

    @property
    def status(self) -> str:
        """What became of it."""
        return str(self.row["status"])


def do(task: ItemTask) -> ItemOutcome:
    """Do one item's work; never raises, except for what ends the whole process.

    Parameters
    ----------
    task
        The work.
    """
    started = time.perf_counter()
    made: dict[str, Any] = {}
    value, trace = None, ""
    try:
        with single_threaded_libraries() if task.how.workers == 1 else nullcontext():
            made, value = _made(task)
    except MemoryBudgetExceeded as error:
        made, trace = _failed(error, FAILED if task.how.alone else ALONE)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - one item's failure is one row
        made, trace = _failed(error, FAILED)
    seconds = round(time.perf_counter() - started, 6)
    return ItemOutcome(task.item.index, row_of(task, made, seconds), value, trace)


def do_elsewhere(task: ItemTask) -> ItemOutcome:
    """Do one item's work in a process of a pool: Ctrl-C is for the one that hands out the work."""
    if threading.current_thread() is threading.main_thread():  # the process is the pool's own
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _one_thread_for_good()
    return do(task)


@cache
def _one_thread_for_good() -> None:
    """Hold libraries' own threads at one, once: each task would else set and lift the limits."""
    hold_libraries()


def row_of(task: ItemTask, made: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Return an item's row.

    Parameters
    ----------
    task
        The item's work.
    made
        What is known of it.
    seconds
        How long it took.
    """
    row: dict[str, Any] = {"item": task.item.stem, "input": task.item.input, "output": None}
    row |= {"status": DONE, "seconds": seconds, "error": None, "values": {}}
    row["peak_memory"] = peak_resident()
    row |= {"fields": dict(task.item.fields), **made}
    if task.target is not None:
        row["target"] = task.target.base
    return row


def _failed(error: BaseException, status: str) -> tuple[dict[str, Any], str]:
    text = str(error) if isinstance(error, TilewiseError) else f"{type(error).__name__}: {error}"
    return {"status": status, "error": " ".join(text.split())}, traceback.format_exc()


def _made(task: ItemTask) -> tuple[dict[str, Any], Any]:
    """Return what there is to say of an item that was done or skipped, and its result."""
    task.item.check()
    key = key_of(task)
    before = task.before
    if before is not None and task.work.existing != OVERWRITE and _unchanged(task, key, before):
        kept = ("output", "values", "key", "seconds", "kind")
        return {"status": SKIPPED, **{name: before.get(name) for name in kept}}, None
    if task.work.existing == SKIP and (found := there(task)) is not None:
        return {"status": SKIPPED, "output": _relative(task, found)}, None
    what = task.work.what
    made, value = _call(task, what) if isinstance(what, BatchFunction) else _run(task, what)
    return {"key": key, **made}, value


def key_of(task: ItemTask) -> str:
    """Return what changes when a result of an item would: its pixels, or what is done.

    Parameters
    ----------
    task
        The item's work.
    """
    item = task.item
    parts = (task.key, fingerprint(item.source), item.parts, item.axes)
    return blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()


def _unchanged(task: ItemTask, key: str, before: Mapping[str, Any]) -> bool:
    done = before.get("status") in (DONE, SKIPPED) and before.get("key") == key
    return done and is_kept(task)


def is_kept(task: ItemTask) -> bool:
    """Return whether what an earlier batch wrote of the item, if anything, is still there.

    Parameters
    ----------
    task
        The item's work.
    """
    output = (task.before or {}).get("output")
    return output is None or (task.target is not None and Path(task.target.folder, output).exists())


def there(task: ItemTask) -> Path | None:
    """Return the output that is there, whatever made it.

    Parameters
    ----------
    task
        The item's work.
    """
    if task.target is None or task.again:
        return None
    kinds = (Output.IMAGE, Output.TABLE, Output.VALUES)
    what = task.work.what
    outputs = kinds if isinstance(what, BatchFunction) else (what.output,)
    paths = filter(None, map(task.target.path, outputs))
    return next((path for path in paths if os.path.lexists(path)), None)


def _destination(task: ItemTask, output: Output) -> Path | None:
    """Return where a result goes, after a look at what is there."""
    if task.target is None:
        return None
    path = task.target.path(output)
    if path is not None and os.path.lexists(path) and not _overwrite(task):
        raise DestinationExists(
            f"{str(path)!r} exists, and is not known to be what would be made now; give another "
            "folder, or overwrite=True (in the shell: --overwrite) to replace it."
        )
    return path


def _overwrite(task: ItemTask) -> bool:
    return task.again or task.work.existing == OVERWRITE


def _relative(task: ItemTask, path: Path) -> str:
    assert task.target is not None
    return path.relative_to(task.target.folder).as_posix()


# -- recipes ---------------------------------------------------------------------------------------


def _run(task: ItemTask, recipe: Recipe) -> tuple[dict[str, Any], Any]:
    destination = _destination(task, recipe.output)
    how, source = task.how, task.item.open()
    options: dict[str, Any] = {"inputs": task.work.inputs, "spatial": task.work.spatial}
    # A record has them where they are given here: a file does not know them.
    options |= {"axes": task.item.declared_axes or None}
    options |= {"memory": how.limit, "workers": how.workers}
    if destination is None:
        return _returned(recipe, source, options, to_row=task.target is not None)
    overwrite = _overwrite(task)
    # Small items are sooner made than an account of their tiles is kept.
    with registry.within_another():
        result = run(recipe, source, destination, overwrite=overwrite, resume=how.alone, **options)
    made = {"output": _relative(task, result.path), "kind": str(recipe.output)}
    return {**made, "values": _met(result.path)}, None


def _met(path: Path) -> Mapping[str, Any]:
    """Return the numbers that a recipe met, from the record that the output carries."""
    try:
        values: Mapping[str, Any] = read(path).get("values", {})
    except SourceUnreadable:  # a format that has no room for a record
        return {}
    return values


def _returned(
    recipe: Recipe, source: Any, options: Mapping[str, Any], *, to_row: bool
) -> tuple[dict[str, Any], Any]:
    """Return a result that goes back to the caller, or into the item's row."""
    made = plan(recipe, source, **options)
    value = compute(made.last) if made.last.is_image else made.last.value()
    values = scalars(made.pipeline.met())
    if recipe.output is Output.SCALAR:
        values |= scalars({"result": value})
    return {"values": values, "kind": str(recipe.output)}, None if to_row else value


# -- functions -------------------------------------------------------------------------------------


def _call(task: ItemTask, function: BatchFunction) -> tuple[dict[str, Any], Any]:
    source = task.item.open()
    image = open_image(source)
    size = prod(image.data.shape) * np.dtype(image.data.dtype).itemsize
    if not task.how.alone and task.how.memory is not None and size > task.how.memory // 4:
        raise MemoryBudgetExceeded("It is too large to be in work beside others.")
    kind, value = sorted_out(function(image))
    if kind in ("nothing", "numbers"):
        return {"values": scalars(value or {}), "kind": "scalar"}, value
    output = Output.IMAGE if kind == "image" else Output.TABLE
    destination = _destination(task, output)
    if destination is None:
        return {"kind": str(output)}, value
    record = {**task.work.describe(), "source": task.item.input}
    write = store_results.write_image if kind == "image" else store_results.write_table
    path = write(destination, value, image, source, record, overwrite=_overwrite(task))
    return {"output": _relative(task, path), "kind": str(output)}, None
