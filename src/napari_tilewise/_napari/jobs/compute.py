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
from napari_tilewise._napari.jobs.job import Job, JobOutcome, LayerFrame
from napari_tilewise._napari.layers import arrange, layer_pyramids, prefetch
from napari_tilewise.axes import default_axes
from napari_tilewise.engine.apply import Result
from napari_tilewise.errors import InvalidImage
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.operations.spec.operation import Output
from napari_tilewise.pipeline.apply_recipe import apply_recipe
from napari_tilewise.provenance import record
from napari_tilewise.provenance.fingerprint import source_location
from napari_tilewise.recipe import Link, Recipe, step_output
from napari_tilewise.recipe.step import SOURCE

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from napari_tilewise._napari.layers.snapshot import Box
    from napari_tilewise.engine.events import Listener
    from napari_tilewise.engine.stack import Stack
    from napari_tilewise.io.image import Image
    from napari_tilewise.runs.plan import Plan

LARGE = layer_pyramids.LARGE
"""Pixels beyond which a pyramid is stored, and a plane is not shown without one."""


def compute(job: Job, progress: Listener, cancel: threading.Event) -> tuple[JobOutcome, ...]:
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
    return _wanted(job, _Run(job, progress, cancel).outcomes())


def _wanted(job: Job, made: tuple[JobOutcome, ...]) -> tuple[JobOutcome, ...]:
    """Return the outcomes that are asked for, with what is to be known of them."""
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
        return {"versions": record.versions()}
    told = record.record(
        job.record.recipe, record.RunSources(source, roots, name=job.record.source.name)
    )
    del told["recipe"]  # the layer has it already
    return told


def show(
    job: Job, outcomes: Sequence[JobOutcome], box: Box, cancel: threading.Event
) -> tuple[JobOutcome, ...]:
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


def store(
    job: Job, path: Path, progress: Listener, cancel: threading.Event
) -> tuple[JobOutcome, ...]:
    """Write a job's result to a file, at full resolution; return the images that can be shown.

    It goes on with one of the same kind that was left there. Nothing is returned where the file
    holds no image, or one too large to be shown without the smaller levels that it has not.

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
        return _wanted(job, run.stored(path, resume=True))
    run.write(path, resume=True)
    return ()


class _Run:
    """A job under way."""

    def __init__(self, job: Job, progress: Listener, cancel: threading.Event) -> None:
        self.job = job
        self.progress = progress
        self.cancel = cancel

    def outcomes(self) -> tuple[JobOutcome, ...]:
        """Return what comes of it."""
        if self.job.output.is_image and streams(self.job):
            return self.stored(layer_pyramids.new_store())
        job = self.job
        if job.memo is not None:
            job.memo.check({SOURCE: job.source.finest, **job.inputs}, self.cancel)
        results = self._results(job.recipe, job.source.finest)
        return tuple(self._outcome(result) for result in results)

    def _results(self, recipe: Recipe, image: Any) -> tuple[Result, ...]:
        job = self.job
        return apply_recipe(
            recipe, image, inputs={name: job.inputs[name] for name in recipe.inputs},
            axes=job.source.names, spatial=job.spatial,
            progress=self.progress, cancel=self.cancel, pause=job.pause,
            memo=job.memo if image is job.source.finest else None,
        )  # fmt: skip

    def _outcome(self, result: Result) -> JobOutcome:
        if not result.output.is_image:
            return self._numbers(result)
        job, source = self.job, self.job.source
        is_labels = self._is_labels(result.output, result.value.dtype)
        if isinstance(result.value, da.Array):
            return _shown(job, result, job.box, self.cancel, is_labels=is_labels)
        if source.is_multiscale and len(result.origins) == len(source.shape):
            shapes = [np.shape(level) for level in source.levels]
            levels = layer_pyramids.smaller(result.value, shapes, average=not is_labels)
            return arrange.outcome(job, levels, result, is_labels=is_labels, is_multiscale=True)
        return arrange.outcome(job, [result.value], result, is_labels=is_labels)

    def _numbers(self, result: Result) -> JobOutcome:
        value = result.value
        if isinstance(value, da.Array):  # numbers are told at once
            value = value.compute(scheduler="synchronous")
        if result.output is Output.SCALAR and np.size(value) == 1:
            value = np.asarray(value).item()
        found = JobOutcome(result.output, value, result.number)
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

    def _frame(self, before: Result | None) -> LayerFrame:
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
        return LayerFrame(axes, shape, tuple(i for i in over if i != channel), channel)

    # -- labels --------------------------------------------------------------------------------

    def _is_labels(self, output: Output, dtype: Any) -> bool:
        """Return whether a result is labels or a mask, by what it is or by what it was made from.

        An operation that keeps whole numbers (an erosion, small objects removed) keeps labels.
        """
        if dtype.kind not in "bui":
            return False  # labels of a float image are floats, which name nothing
        if output is not Output.IMAGE or dtype.kind == "b":
            return True
        return self._labels_before(self.job.recipe.running[-1])

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

    def stored(self, path: Path, *, resume: bool = False) -> tuple[JobOutcome, ...]:
        """Return what is streamed to disk, with its pyramid: one outcome per result."""
        made = self.plan(path)  # nothing is read: only what it will be
        self._check_part(made.last)
        self.write(path, resume=resume)
        image = open_image(path)
        if not layer_pyramids.can_show(image):
            return ()
        dtype = np.dtype(made.last.dtype)
        is_labels = self._is_labels(made.last.part.output, dtype)
        levels = layer_pyramids.stored_levels(image, made.axes, dtype=dtype, average=not is_labels)
        return tuple(
            arrange.outcome(
                self.job, found, result,
                is_labels=is_labels, is_multiscale=True,
                values=prefetch.value_range([layer_pyramids.glance(found[-1])]),
            )
            for result, found in _parted(made.last, levels)
        )  # fmt: skip

    def _check_part(self, last: Stack) -> None:
        """Refuse to write one result where another is asked for."""
        count, part = last.count or 1, self.job.part or 0
        if 0 < part < count:
            raise InvalidImage(
                f"{self.job}: of its {count} results a file holds the first, and result {part + 1} "
                "is asked for: start from the layer of the first one."
            )

    def write(self, path: Path, *, resume: bool) -> None:
        """Stream a result into a file."""
        from napari_tilewise.runs.run import run

        job, image = self.job, self._image()
        run(
            job.recipe, image, path, inputs=job.inputs, axes=image.axes, spatial=job.spatial,
            progress=self.progress, cancel=self.cancel, pause=job.pause, resume=resume,
        )  # fmt: skip

    def plan(self, path: Path) -> Plan:
        """Return how `write` would go."""
        from napari_tilewise.runs.plan import plan

        job, image = self.job, self._image()
        return plan(
            job.recipe, image, inputs=job.inputs, axes=image.axes, spatial=job.spatial,
            cancel=self.cancel, resume=True, destination=path,
        )  # fmt: skip

    def _image(self) -> Image:
        """Return the layer's pixels with what napari knows of them."""
        from napari_tilewise.io.metadata.units import unit_name

        source = self.job.source
        inner = source.placement.inner
        samples = len(source.shape) - len(inner.scale)
        image, where = open_image(source.finest), source_location(source.finest)
        # An image of a format is looked for where its name says: a layer's name is no place.
        named = (source.name, "array") if where is None else (where, image.format)
        return replace(
            image,
            axes=source.names or default_axes(len(source.shape), is_rgb=source.is_rgb),
            scale=(*map(float, inner.scale), *[1.0] * samples),
            units=(*(unit_name(str(unit)) for unit in inner.units), *[None] * samples),
            labels=source.is_labels,
            name=named[0],
            format=named[1],
        )


def _parted(last: Stack, levels: list[da.Array]) -> Iterator[tuple[Result, list[da.Array]]]:
    """Yield the results that a stored image holds, each with its levels."""
    output, axis = last.part.output, last.channel
    if last.call.operation.result.split is None or axis is None:
        number = 0 if last.count is not None and last.count > 1 else None
        yield Result(output, levels[0], last.origins, number), levels
        return
    origins = tuple(origin for i, origin in enumerate(last.origins) if i != axis)
    count = last.shape[axis]
    for number in range(count):
        found = [da.take(level, number, axis=axis) for level in levels]
        yield Result(output, found[0], origins, number if count > 1 else None), found


def _shown(
    job: Job,
    result: Result,
    box: Box,
    cancel: threading.Event,
    *,
    is_labels: bool,
    provenance: Mapping[str, Any] | None = None,
) -> JobOutcome:
    part = arrange.box_of(job, result, box)
    held, values = prefetch.with_shown(result.value, part, cancel)
    made = arrange.outcome(job, [held], result, is_labels=is_labels, values=values)
    return replace(made, lazy=result.value, box=box, provenance=provenance or {})


def _pixels(box: Box) -> int:
    return prod(span.stop - span.start for span in box)
