"""The output of an item: whether one of an earlier batch still holds, and may be replaced."""

from __future__ import annotations

import json
import os
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from napari_tilewise.batches.function import BatchFunction
from napari_tilewise.batches.item_inputs import is_template
from napari_tilewise.batches.item_tasks.item_task import DONE, OVERWRITE, SKIPPED
from napari_tilewise.batches.outputs import has_output, is_torn
from napari_tilewise.errors import DestinationExists, option
from napari_tilewise.operations.spec.operation import Output
from napari_tilewise.provenance.fingerprint import fingerprint

if TYPE_CHECKING:
    from pathlib import Path

    from napari_tilewise.batches.item_tasks.item_task import ItemTask
    from napari_tilewise.batches.rows import ItemRow


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


def is_done(task: ItemTask, key: str, previous: ItemRow) -> bool:
    """Return whether an earlier batch computed the same from the same, and its output exists.

    Parameters
    ----------
    task
        The item's task.
    key
        What `item_key` returned.
    previous
        The item's row in that batch.
    """
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


def destination_of(task: ItemTask, output: Output) -> Path | None:
    """Return where a result goes; raise if an output there must not be replaced."""
    if task.target is None:
        return None
    path = task.target.path(output)
    if path is not None and os.path.lexists(path) and not may_overwrite(task):
        raise DestinationExists(
            f"{str(path)!r} exists and may not be what this batch would write; give another "
            f"folder, or {option('overwrite', True)} to replace it."
        )
    return path


def may_overwrite(task: ItemTask) -> bool:
    """Return whether an existing output may be replaced: the caller said so, or it was cut off.

    Parameters
    ----------
    task
        The item's task.
    """
    if task.is_retry or task.batch.existing == OVERWRITE:
        return True
    return is_torn(task.target, task.previous)


def relative_path(task: ItemTask, path: Path) -> str:
    """Return the path of an output within the folder of the batch."""
    return path.as_posix() if task.target is None else task.target.relative(path)
