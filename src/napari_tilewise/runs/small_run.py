"""A run of an image of one tile: planned once for all of a kind, in memory, and written once.

What a run of many tiles needs costs more than a small image does: a checkpoint, its lock and its
journal, a measured pace, an output that grows on disk. If such a run is ended it starts again.
"""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_tilewise.engine.budget import RUNTIME
from napari_tilewise.engine.checkpoints.checkpoint_lock import check_unlocked
from napari_tilewise.engine.control import Control
from napari_tilewise.engine.source import ArraySource
from napari_tilewise.engine.system.pool import unless_cancelled
from napari_tilewise.engine.system.resident import resident
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.io.writers.values import check_value
from napari_tilewise.operations.spec.operation import Output
from napari_tilewise.provenance.record import RunSources, record, scalars
from napari_tilewise.provenance.source_guard import SourceGuard
from napari_tilewise.recipe import with_seeds
from napari_tilewise.runs import registry
from napari_tilewise.runs.object_count import count_labels, count_rows
from napari_tilewise.runs.planner import make_plan
from napari_tilewise.runs.resume import checkpoint_folder, forget, unfinished_output
from napari_tilewise.runs.run_job import RunJob
from napari_tilewise.runs.steps_in_memory import computed_in_memory, note_time

if TYPE_CHECKING:
    from collections.abc import Hashable
    from pathlib import Path

    from napari_tilewise.io.image import Image
    from napari_tilewise.io.plain_data import Metadata, MetadataDict
    from napari_tilewise.io.writers.create import OutputRequest
    from napari_tilewise.runs.request import RunRequest
    from napari_tilewise.runs.run_plan import RunPlan
    from napari_tilewise.types import Array

LARGEST = 2**20
"""Pixels of an image that may be of one tile."""
PLANS = 16
"""Most plans that a process keeps."""

_plans: OrderedDict[Hashable, RunPlan | None] = OrderedDict()
_lock = threading.Lock()


class SmallResult(NamedTuple):
    """The output of a run of one tile."""

    path: Path
    values: MetadataDict
    """Scalars of the recipe's steps, as the record has them."""
    objects: int | None = None
    """Number of objects, where the output is labels, a table or points."""


def run_small(
    request: RunRequest,
    output: OutputRequest,
    source_fingerprint: str | None = None,
    cancel: threading.Event | None = None,
) -> SmallResult | None:
    """Run a recipe on an image of one tile; None where the run is one for `run`.

    Parameters
    ----------
    request
        The recipe, its source and the resources.
    output
        Where the output goes.
    source_fingerprint
        The source's fingerprint, where the caller has just taken it.
    cancel
        Set to wait no longer for what is computed: nothing is then written.

    Raises
    ------
    TilewiseError
        For all that `run` raises; the destination then has no incomplete output.
    """
    recipe, source = request.recipe, request.source
    if request.inputs or request.resources.workers != 1:
        return None
    if with_seeds(recipe, str(output.path)) is not recipe:
        return None  # each destination has seeds of its own
    guard = SourceGuard((source,))
    with guard.watch(None):
        image = open_image(source)
        if prod(image.data.shape) > LARGEST or hasattr(image.data, "__dask_graph__"):
            return None
        axes = request.axes
        sources = RunSources(source, {}, axes.names, axes.spatial, fingerprint=source_fingerprint)
        history = record(recipe, sources, output=output.path)
        if "not_repeatable" in history or "functions" in history:
            return None  # no text tells its plan from another recipe's
        plan = _plan(request, image, json.dumps(history["recipe"], sort_keys=True, default=str))
        if plan is None:
            return None
        everything = (slice(None),) * len(image.data.shape)
        pixels = unless_cancelled(lambda: np.asarray(image.data[everything]), cancel)
    plan = replace(plan, image=image)
    check_unlocked(checkpoint_folder(output.path))
    if output.overwrite:  # what a process left there that was killed
        _clear(output.path)
    job = SmallRunJob(plan, replace(output, is_small=True), history, guard)
    small = None
    if job.is_image:
        small = unless_cancelled(lambda: computed_in_memory(plan.pipeline, pixels), cancel)
    if small is not None:
        path, objects = job.write(small.pixels, scalars(small.values))
        return SmallResult(path, scalars(small.values), objects)
    job = replace(job, plan=replace(plan, pipeline=plan.pipeline.on(ArraySource(pixels))))
    started = time.perf_counter()
    path, objects = job.compute(cancel)
    note_time(plan.pipeline, time.perf_counter() - started)
    return SmallResult(path, scalars(job.plan.pipeline.recorded()), objects)


def _clear(destination: Any) -> None:
    """Remove what interrupted runs left beside a destination."""
    with registry.unregistered():
        forget(destination)
    unfinished_output(destination, None)


def _plan(request: RunRequest, image: Image, recipe: str) -> RunPlan | None:
    """Return the plan for all images of this kind; None where they have more than one tile."""
    data = image.data
    kind = (
        recipe, tuple(data.shape), str(np.dtype(data.dtype)), image.axes, image.scale, image.units,
        image.translate, repr(request.axes), tuple(c.name for c in image.channels),
    )  # fmt: skip
    with _lock:
        if kind in _plans:
            plan = _plans[kind]
            if plan is None or _fits(plan, request.resources.memory):
                _plans.move_to_end(kind)
                return plan
    # Nothing is read from it: planning sees shape and data type, and keeps no pixels.
    template = np.broadcast_to(np.zeros((), data.dtype), tuple(data.shape))
    planned = replace(image, data=template, levels=(template,))
    plan = make_plan(replace(request, source=planned), Control())
    if plan.executor.processes or any(len(stack.node_grid) > 1 for stack in plan.stacks):
        plan = None
    with _lock:
        _plans[kind] = plan
        while len(_plans) > PLANS:
            _plans.popitem(last=False)
    return plan


def _fits(plan: RunPlan, memory: int | None) -> bool:
    """Return whether a plan still fits a memory budget: the process has grown since it was made."""
    budget = plan.budget
    return memory is None or budget.total - budget.process + resident() + RUNTIME <= memory


class SmallRunJob(RunJob):
    """A planned run of one tile on pixels in memory."""

    @property
    def is_image(self) -> bool:
        """Whether the output is an image."""
        return self._output.is_image

    def compute(self, cancel: threading.Event | None = None) -> tuple[Path, int | None]:
        """Compute the output, write it, and return its path and its number of objects.

        Parameters
        ----------
        cancel
            Set to wait no longer for what is computed: nothing is then written.
        """
        output, kind = self.output, self._output
        if not kind.is_image:
            check_value(output.path, kind, overwrite=output.overwrite)
            path, value = self._write_value({**self.history, **output.record_entries}, None)
            return path, count_rows(value, kind)
        pipeline, last = self.plan.pipeline, self.plan.last
        pipeline.warn_of_alpha()
        for stack in self.plan.stacks:
            stack.prepare()
        everything = tuple(slice(0, length) for length in last.shape)
        pixels = unless_cancelled(lambda: last.read(everything), cancel)
        return self.write(np.ascontiguousarray(pixels), scalars(pipeline.recorded()))

    def write(self, pixels: Array, values: Metadata) -> tuple[Path, int | None]:
        """Write the image, and return its path and its number of objects.

        Parameters
        ----------
        pixels
            All of them.
        values
            The numbers that the steps found.
        """
        history = {**self.history, **self.output.record_entries}
        writer = self._writer(history, None)
        try:
            writer.write(tuple(slice(0, length) for length in pixels.shape), pixels)
            for level in range(1, len(writer.pyramid_levels())):
                for task in writer.pyramid_tasks(level):
                    task()
            writer.note(values={**history["values"], **values})
            is_labels = self._output is Output.LABELS
            return writer.finish(None), count_labels(pixels) if is_labels else None
        except BaseException:
            writer.abort()
            raise
