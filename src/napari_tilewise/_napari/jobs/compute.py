"""Computes a job in a worker thread: plain data in, plain data out, no napari and no Qt.

Images in memory are computed at once. Lazy ones stay lazy, except for the part that is shown.
Pyramids, and planes too large to show without one, are streamed into a temporary OME-Zarr.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

from napari_tilewise._napari.jobs.job_run import JobRun, lazy_outcome, streams
from napari_tilewise.engine.session import Session
from napari_tilewise.engine.stack_results import Result
from napari_tilewise.operations.spec.operation import Output
from napari_tilewise.pipeline.bind import bind_recipe, recipe_images
from napari_tilewise.provenance import record
from napari_tilewise.recipe.step import SOURCE

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence
    from pathlib import Path

    from napari_tilewise._napari.jobs.job import Job, JobOutcome
    from napari_tilewise._napari.layers.snapshot import Box
    from napari_tilewise.engine.events import Listener
    from napari_tilewise.recipe import Recipe
    from napari_tilewise.runs.run_plan import RunPlan


def compute(job: Job, progress: Listener, cancel: threading.Event) -> tuple[JobOutcome, ...]:
    """Return the outcomes of a job, one per result; raises `TilewiseError`.

    Parameters
    ----------
    job
        A recipe on a layer.
    progress
        Receives the engine's events.
    cancel
        Set to stop within one tile's time.
    """
    return _requested(job, JobRun(job, progress, cancel).outcomes())


def outcomes_of(
    job: Job, results: Sequence[Result], progress: Listener, cancel: threading.Event
) -> tuple[JobOutcome, ...]:
    """Return results that were computed otherwise as outcomes of a job.

    Parameters
    ----------
    job
        Gives the layer.
    results
        The results of its operation.
    progress
        Receives the engine's events.
    cancel
        Set to stop within one tile's time.
    """
    run = JobRun(job, progress, cancel)
    return _requested(job, tuple(run.outcome(result) for result in results))


def _requested(job: Job, outcomes: tuple[JobOutcome, ...]) -> tuple[JobOutcome, ...]:
    """Return the requested outcomes, with their provenance."""
    provenance = _provenance(job)
    if job.part is not None:
        # After an edit, the last step may have fewer results.
        outcomes = tuple(o for o in outcomes if o.number == job.part) or outcomes[:1]
    return tuple(replace(outcome, provenance=provenance) for outcome in outcomes)


def _provenance(job: Job) -> dict[str, Any]:
    """Return the provenance of a result without its recipe."""
    roots = dict(job.roots)
    source = roots.pop(SOURCE, None)
    if source is None or not job.record.is_storable:
        return {"versions": record.versions()}
    sources = record.RunSources(source, roots, name=job.record.source.name)
    provenance = record.record(job.record.recipe, sources)
    del provenance["recipe"]  # the layer stores it anyway
    return provenance


def calibrated(job: Job) -> Recipe:
    """Return a job's recipe with the layer's pixel size as a parameter of what is measured by it.

    Parameters
    ----------
    job
        A recipe on a layer.
    """
    images = recipe_images(
        job.recipe, job.source.finest, job.inputs,
        names=job.source.names, spatial=job.spatial,
    ).measured_by(job.source.sizes)  # fmt: skip
    return bind_recipe(job.recipe, images, Session()).calibrated_recipe


def compute_shown(
    job: Job, outcomes: Sequence[JobOutcome], box: Box, cancel: threading.Event
) -> tuple[JobOutcome, ...]:
    """Return outcomes with another part of lazy results in memory.

    Parameters
    ----------
    job
        The finished job.
    outcomes
        Its outcomes.
    box
        The part of the source that the viewer shows now.
    cancel
        Set to stop within one tile's time.
    """
    shown_job, computed = replace(job, box=box), []
    for outcome in outcomes:
        if outcome.lazy is not None:
            result = Result(outcome.output, outcome.lazy, outcome.result_axes, outcome.number)
            shown = lazy_outcome(shown_job, result, cancel, is_labels=outcome.is_labels)
            outcome = replace(shown, provenance=outcome.provenance, scalars=outcome.scalars)
        computed.append(outcome)
    return tuple(computed)


def stored_bytes(job: Job) -> int:
    """Return about how many bytes a result takes that is stored on disk; 0 if none is.

    Parameters
    ----------
    job
        A recipe on a layer.
    """
    if not (streams(job) and job.output.is_image):  # what stays in memory is not bound for it
        return 0
    size = 8 if job.output is Output.IMAGE else 4
    return prod(job.source.shape) * size


def plan_store(job: Job, path: Path, cancel: threading.Event) -> RunPlan:
    """Return the plan of `store`; no pixel is read.

    Parameters
    ----------
    job
        A recipe on a layer.
    path
        The file of the result.
    cancel
        Set to stop within one tile's time.
    """
    return JobRun(job, lambda event: None, cancel).plan(path)


def store(
    job: Job, path: Path, progress: Listener, cancel: threading.Event
) -> tuple[JobOutcome, ...]:
    """Write a job's result to a file, at full resolution; return the images that can be shown.

    An interrupted run of the same job is resumed. Nothing is returned if the result is not an
    image, or too large to be shown and the file has no pyramid.

    Parameters
    ----------
    job
        A recipe on a layer.
    path
        The file, which must not exist.
    progress
        Receives the engine's events.
    cancel
        Set to stop within one tile's time.
    """
    run = JobRun(job, progress, cancel)
    if job.output.is_image:
        return _requested(job, run.stored(path, resume=True))
    run.write(path, resume=True)
    return ()
