"""What a run does in its worker: plain data in, plain data out, nothing of napari or Qt touched.

In-memory images are computed at once. Lazy ones stay lazy, but for the part that is shown.
Pyramids, and planes too large to show without one, are streamed into a temporary OME-Zarr.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np

from napari_tilewise import axes as _axes
from napari_tilewise import provenance
from napari_tilewise._napari import arrange, prefetch, pyramids
from napari_tilewise._napari.jobs import Frame, Job, Outcome
from napari_tilewise.axes import default_axes
from napari_tilewise.engine.apply import Result
from napari_tilewise.operations.model import Output
from napari_tilewise.recipe import Link, Recipe, step_output
from napari_tilewise.recipe.step import SOURCE
from napari_tilewise.replay import apply_recipe

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from napari_tilewise._napari.snapshot import Box
    from napari_tilewise.engine.events import Listener
    from napari_tilewise.io.image import Image
    from napari_tilewise.planner import Plan

LARGE = 64 * 2**20
"""Pixels beyond which a pyramid is stored, and a plane is not shown without one."""


def compute(job: Job, progress: Listener, cancel: threading.Event) -> tuple[Outcome, ...]:
    """Return the outcomes of a job, one per result; raises `TilewiseError`.

    Parameters
    ----------
    job
        What to do.
    progress
        Called with the engine's events.
    cancel
        Set it to stop within one tile's time.
    """
    made = _Run(job, progress, cancel).outcomes()
    told = _provenance(job)
    if job.part is not None:
        # After an edit the recipe may end in a step that has no such part.
        made = tuple(o for o in made if o.number == job.part) or made[:1]
    return tuple(replace(outcome, provenance=told) for outcome in made)


def _provenance(job: Job) -> dict[str, Any]:
    """Return what is to be known of a result beside its recipe."""
    roots = dict(job.roots)
    source = roots.pop(SOURCE, None)
    if source is None:
        return {"versions": provenance.versions()}
    told = provenance.record(job.record.recipe, source, inputs=roots, name=job.record.source.name)
    del told["recipe"]  # the layer has it already
    return told


def show(
    job: Job, outcomes: Sequence[Outcome], box: Box, cancel: threading.Event
) -> tuple[Outcome, ...]:
    """Return lazy results with the shown part in memory.

    Parameters
    ----------
    job
        What was done.
    outcomes
        What came out.
    box
        The part of the source that is shown.
    cancel
        Set it to stop within one tile's time.
    """
    return tuple(
        outcome
        if outcome.lazy is None
        else _shown(
            job,
            Result(outcome.output, outcome.lazy, outcome.origins, outcome.number),
            box,
            cancel,
            is_labels=outcome.is_labels,
            provenance=outcome.provenance,
        )
        for outcome in outcomes
    )


def streams(job: Job) -> bool:
    """Return whether a job's result is stored on disk rather than kept in memory or lazy."""
    source = job.source
    small = source.in_memory and prod(source.shape) < LARGE
    large_plane = not source.in_memory and _pixels(job.box) > LARGE
    return (source.is_multiscale and not small) or large_plane


def foretell(job: Job, path: Path, cancel: threading.Event) -> Plan:
    """Return how `store` would go; no pixel is read.

    Parameters
    ----------
    job
        What to do.
    path
        Where the result would go.
    cancel
        Set it to stop within one tile's time.
    """
    return _Run(job, lambda event: None, cancel).plan(path)


def store(job: Job, path: Path, progress: Listener, cancel: threading.Event) -> tuple[Outcome, ...]:
    """Write a job's result to a file, at full resolution; return it where it is an image.

    It goes on with one of the same kind that was left there.

    Parameters
    ----------
    job
        What to do.
    path
        The file, which must not exist.
    progress
        Called with the engine's events.
    cancel
        Set it to stop within one tile's time.
    """
    run = _Run(job, progress, cancel)
    if job.output.is_image:
        return (run.stored(path, resume=True),)
    run.write(path, resume=True)
    return ()


class _Run:
    """A job under way."""

    def __init__(self, job: Job, progress: Listener, cancel: threading.Event) -> None:
        self.job = job
        self.progress = progress
        self.cancel = cancel

    def outcomes(self) -> tuple[Outcome, ...]:
        """Return what comes of it."""
        if self.job.output.is_image and streams(self.job):
            return (self.stored(pyramids.new_store()),)
        results = self._results(self.job.recipe, self.job.source.finest)
        return tuple(self._outcome(result) for result in results)

    def _results(self, recipe: Recipe, image: Any) -> tuple[Result, ...]:
        job = self.job
        return apply_recipe(
            recipe, image, inputs={name: job.inputs[name] for name in recipe.inputs},
            axes=job.source.names, spatial=job.spatial,
            progress=self.progress, cancel=self.cancel, pause=job.pause,
            memo=job.memo if image is job.source.finest else None,
        )  # fmt: skip

    def _outcome(self, result: Result) -> Outcome:
        if not result.output.is_image:
            return self._numbers(result)
        job, source = self.job, self.job.source
        is_labels = self._is_labels(result.output, result.value.dtype)
        if isinstance(result.value, da.Array):
            return _shown(job, result, job.box, self.cancel, is_labels=is_labels)
        if source.is_multiscale and len(result.origins) == len(source.shape):
            shapes = [np.shape(level) for level in source.levels]
            levels = pyramids.smaller(result.value, shapes, average=not is_labels)
            return arrange.outcome(job, levels, result, is_labels=is_labels, is_multiscale=True)
        return arrange.outcome(job, [result.value], result, is_labels=is_labels)

    def _numbers(self, result: Result) -> Outcome:
        value = result.value
        if result.output is Output.SCALAR and np.size(value) == 1:
            value = np.asarray(value).item()
        found = Outcome(result.output, value, result.number)
        if result.output in (Output.SCALAR, Output.VALUES):
            return found
        before = self._before()
        measured = None
        if before is not None and result.output is Output.TABLE:
            measured = self._outcome(before)
        return replace(found, frame=self._frame(before), measured=measured)

    def _before(self) -> Result | None:
        """Return the image that the last step works on; None where that is the source.

        In memory it is at hand already where the job has a memo; else it is computed once more.
        """
        recipe = self.job.recipe
        link = recipe.links[recipe.running[-1]][self.job.last.first]
        return None if link.step is None else self._result_of(link)

    def _result_of(self, link: Link) -> Result:
        assert link.step is not None
        recipe = self.job.recipe
        before = Recipe(recipe.steps[: link.step + 1], recipe.inputs)
        return self._results(before, self.job.source.finest)[link.part]

    def _frame(self, before: Result | None) -> Frame:
        job = self.job
        if before is None:
            shape = job.source.shape
            origins: tuple[int | None, ...] = tuple(range(len(shape)))
        else:
            shape, origins = tuple(before.value.shape), before.origins
        names = job.source.names
        if names is not None and before is not None:
            known = [None if origin is None else names[origin] for origin in origins]
            names = None if None in known else tuple(filter(None, known))
        op = job.operation
        channel = None
        if op.channel is not None:
            default = op.parameters[op.channel].default
            channel = job.last.parameters.get(op.channel, default)
        channel = None if channel is None else int(channel) % len(shape)
        wanted = job.last.spatial
        if wanted is None and names is not None:
            wanted = "".join(axis for axis in names if _axes.kind(axis) == "space") or None
        over = _axes.spatial_indices(names, wanted, len(shape))
        axes = arrange.layer_axes(job, origins)
        return Frame(axes, shape, tuple(i for i in over if i != channel), channel)

    # -- labels --------------------------------------------------------------------------------

    def _is_labels(self, output: Output, dtype: Any) -> bool:
        """Return whether a result is labels or a mask, by what it is or by what it was made from.

        An operation that keeps whole numbers (an erosion, small objects removed) keeps labels.
        """
        if output is not Output.IMAGE or dtype.kind == "b":
            return True
        return dtype.kind in "ui" and self._labels_before(self.job.recipe.running[-1])

    def _labels_before(self, number: int) -> bool:
        recipe = self.job.recipe
        link = recipe.links[number][recipe.steps[number].first]
        if link.step is None:
            return link.given == SOURCE and self.job.source.is_labels
        if step_output(recipe.steps[link.step].op) is not Output.IMAGE:
            return True
        kept = np.dtype(self._result_of(link).value.dtype).kind in "uib"
        return kept and self._labels_before(link.step)

    # -- on disk -------------------------------------------------------------------------------

    def stored(self, path: Path, *, resume: bool = False) -> Outcome:
        """Return a result streamed to disk, with its pyramid."""
        job, source = self.job, self.job.source
        lazy = source.finest
        if isinstance(lazy, np.ndarray):
            lazy = da.from_array(lazy, name=False)
        result = self._results(job.recipe, lazy)[0]  # nothing is computed: only what it will be
        names = self.write(path, resume=resume)
        is_labels = self._is_labels(result.output, result.value.dtype)
        levels = pyramids.stored_levels(path, names, average=not is_labels)
        return arrange.outcome(job, levels, result, is_labels=is_labels, is_multiscale=True)

    def write(self, path: Path, *, resume: bool) -> tuple[str, ...]:
        """Stream a result into a file; return the names that the source's axes have there."""
        from napari_tilewise.runner import run

        job, image = self.job, self._image()
        run(
            job.recipe, image, path, inputs=job.inputs, axes=image.axes, spatial=job.spatial,
            progress=self.progress, cancel=self.cancel, pause=job.pause, resume=resume,
        )  # fmt: skip
        return image.axes

    def plan(self, path: Path) -> Plan:
        """Return how `write` would go."""
        from napari_tilewise.planner import plan

        job, image = self.job, self._image()
        return plan(
            job.recipe, image, inputs=job.inputs, axes=image.axes, spatial=job.spatial,
            cancel=self.cancel, resume=True, destination=path,
        )  # fmt: skip

    def _image(self) -> Image:
        """Return the layer's pixels with what napari knows of them."""
        from napari_tilewise.io.source import open_image
        from napari_tilewise.io.units import unit_name

        source = self.job.source
        inner = source.placement.inner
        samples = len(source.shape) - len(inner.scale)
        return replace(
            open_image(source.finest),
            axes=source.names or default_axes(len(source.shape), is_rgb=source.is_rgb),
            scale=(*map(float, inner.scale), *[1.0] * samples),
            units=(*(unit_name(str(unit)) for unit in inner.units), *[None] * samples),
            labels=source.is_labels,
            name=source.name,
        )


def _shown(
    job: Job,
    result: Result,
    box: Box,
    cancel: threading.Event,
    *,
    is_labels: bool,
    provenance: Mapping[str, Any] | None = None,
) -> Outcome:
    part = arrange.box_of(job, result, box)
    held, values = prefetch.with_shown(result.value, part, cancel)
    made = arrange.outcome(job, [held], result, is_labels=is_labels, values=values)
    return replace(made, lazy=result.value, box=box, provenance=provenance or {})


def _pixels(box: Box) -> int:
    return prod(span.stop - span.start for span in box)
