"""A recipe on one item: a run into a file, or a result that returns to the caller."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_tilewise.axes import AxisSelection
from napari_tilewise.batches.item_tasks.item_output import (
    destination_of,
    may_overwrite,
    relative_path,
)
from napari_tilewise.batches.rows import with_objects
from napari_tilewise.engine.stack_results import compute
from napari_tilewise.engine.system.cancelling import PATIENCE
from napari_tilewise.engine.system.pool import unless_cancelled
from napari_tilewise.errors import SourceUnreadable
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.io.writers.create import OutputRequest
from napari_tilewise.operations.spec.operation import Output
from napari_tilewise.pipeline.pixel_sizes import scalars_in_unit
from napari_tilewise.provenance.record import read, scalars
from napari_tilewise.provenance.source_guard import SourceGuard
from napari_tilewise.runs import registry
from napari_tilewise.runs.object_count import count_labels, count_rows
from napari_tilewise.runs.plan import plan
from napari_tilewise.runs.request import Resources, RunRequest
from napari_tilewise.runs.run import run
from napari_tilewise.runs.small_run import run_small

if TYPE_CHECKING:
    from napari_tilewise.batches.item_tasks.item_task import ItemTask
    from napari_tilewise.batches.rows import ItemRow, TableRow
    from napari_tilewise.recipe import Recipe
    from napari_tilewise.runs.run_result import RunResult
    from napari_tilewise.runs.small_run import SmallResult
    from napari_tilewise.types import Parameters, Value


def run_recipe(task: ItemTask, recipe: Recipe, source_fingerprint: str) -> tuple[ItemRow, Value]:
    """Return the entries of the row of an item, and its result if it returns to the caller.

    Parameters
    ----------
    task
        The item's task.
    recipe
        What runs on it.
    source_fingerprint
        The fingerprint of the item's source.
    """
    destination = destination_of(task, recipe.output)
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
            "output": relative_path(task, small.path),
            "kind": str(recipe.output),
            "values": small.values,
        }
        return with_objects(entries, small.objects), None
    options |= {
        "overwrite": may_overwrite(task),
        "resume": resources.is_alone,
        "cancel": resources.cancel,
        **task.batch.writing,
    }

    def unregistered() -> RunResult:
        with registry.unregistered():
            return run(recipe, source, destination, **options)

    result = unless_cancelled(unregistered, resources.cancel, PATIENCE)
    path = Path(result.path)
    entries = {
        "output": relative_path(task, path),
        "kind": str(recipe.output),
        "values": _recorded_scalars(path),
    }
    objects = count_rows(result.value, recipe.output)
    if recipe.output is Output.LABELS:
        objects = count_labels(open_image(path).data)
    return with_objects(entries, objects), None


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
    output = OutputRequest(destination, overwrite=may_overwrite(task), **batch.writing)
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
    measured = run_plan.pipeline.measured_in
    if recipe.output is Output.SCALAR:
        values |= scalars({"result": value, **scalars_in_unit(measured, "result", value)})
    is_labels = recipe.output is Output.LABELS
    objects = count_labels(value) if is_labels else count_rows(value, recipe.output)
    entries: ItemRow = {"values": values, "kind": str(recipe.output)}
    if measured is not None and isinstance(value, Mapping):
        entries["units"] = measured.units(value)
    return with_objects(entries, objects), value if task.target is None else None
