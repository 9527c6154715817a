"""A function on one item: called once on the whole image, its result stored by its kind."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.batches import store_results
from napari_tilewise.batches.function import classify
from napari_tilewise.batches.item_tasks.item_output import (
    destination_of,
    may_overwrite,
    relative_path,
)
from napari_tilewise.batches.rows import with_objects
from napari_tilewise.engine.system.pool import unless_cancelled
from napari_tilewise.errors import MemoryBudgetExceeded
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.operations.spec.operation import Output
from napari_tilewise.provenance.record import scalars
from napari_tilewise.provenance.source_guard import SourceGuard
from napari_tilewise.runs.object_count import count_rows

if TYPE_CHECKING:
    from napari_tilewise.batches.function import BatchFunction
    from napari_tilewise.batches.item_tasks.item_task import ItemTask
    from napari_tilewise.batches.rows import ItemRow
    from napari_tilewise.types import Value


def call_function(task: ItemTask, function: BatchFunction) -> tuple[ItemRow, Value]:
    """Return the entries of the row of an item, and its result if it returns to the caller.

    Parameters
    ----------
    task
        The item's task.
    function
        What runs on it.

    Raises
    ------
    MemoryBudgetExceeded
        When the image is too large for several tasks at a time.
    """
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
    destination = destination_of(task, output)
    objects = count_rows(value, output)
    if destination is None:
        return with_objects({"kind": str(output)}, objects), value
    record = {**task.batch.describe(), "source": task.item.input}
    if kind == "image":
        origin = store_results.ResultOrigin(image, source, record)
        path = store_results.write_image(destination, value, origin, overwrite=may_overwrite(task))
    else:
        path = store_results.write_table(destination, value, record, overwrite=may_overwrite(task))
    entries: ItemRow = {"output": relative_path(task, path), "kind": str(output)}
    return with_objects(entries, objects), None
