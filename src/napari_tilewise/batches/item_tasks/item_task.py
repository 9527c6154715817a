"""The task of one item, as data that can be sent to another process: never an open image."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_tilewise.batches.function import BatchFunction
from napari_tilewise.batches.item_inputs import inputs_of, is_template
from napari_tilewise.engine.system.resident import resident
from napari_tilewise.errors import InvalidRecipe
from napari_tilewise.provenance.fingerprint import fingerprint
from napari_tilewise.provenance.record import versions

if TYPE_CHECKING:
    import threading

    from napari_tilewise.batches.items import Item
    from napari_tilewise.batches.outputs import ItemTarget
    from napari_tilewise.batches.rows import ItemRow
    from napari_tilewise.recipe import Recipe
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
