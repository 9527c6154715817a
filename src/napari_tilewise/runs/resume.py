"""Which unfinished run a new one resumes: one of the same recipe, source, tiles and destination.

The key is a digest of all that decides about a pixel. If it differs the run starts over and says
so; a finished tile of the same key is never computed again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from uuid import uuid4

from napari_tilewise.engine.checkpoints.checkpoint import Checkpoint
from napari_tilewise.engine.checkpoints.checkpoint_contents import read_checkpoint
from napari_tilewise.engine.events import RunAfresh, RunLeft, RunResumed
from napari_tilewise.io.writers.partial_output import is_whole
from napari_tilewise.io.writers.partial_output import unfinished as unfinished_outputs
from napari_tilewise.io.writers.staging import local_path
from napari_tilewise.runs import registry
from napari_tilewise.runs.run_plan import Layout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_tilewise.io.plain_data import Metadata, MetadataDict
    from napari_tilewise.io.writers.create import OutputRequest
    from napari_tilewise.provenance.source_guard import SourceGuard
    from napari_tilewise.runs.run_plan import RunPlan
    from napari_tilewise.types import PathLike

_MOST_LEVELS = 64
"""Levels of an output, more than any pyramid has."""


def checkpoint_folder(destination: PathLike) -> Path:
    """Return the folder next to a destination that has the checkpoint of runs to it.

    Parameters
    ----------
    destination
        The final name of the output.
    """
    path = local_path(destination)
    return path.parent / f".{path.name}.run"


@contextmanager
def checkpointed(
    run_plan: RunPlan,
    history: Metadata,
    output: OutputRequest,
    guard: SourceGuard,
    *,
    resume: bool,
) -> Iterator[Checkpoint | None]:
    """Open the checkpoint of a run; it is removed when the run is complete, else it stays.

    Parameters
    ----------
    run_plan
        The plan; its session notes the finished tiles.
    history
        The record of how the output is computed.
    output
        Where the output goes, and its layout.
    guard
        The sources, as they were before the run.
    resume
        Whether there is a checkpoint; if not, None is yielded.

    Raises
    ------
    DestinationBusy
        When another run is writing to this destination.
    """
    destination, folder = local_path(output.path), checkpoint_folder(output.path)
    key = _key(run_plan, history, output.pyramid) if resume else uuid4().hex
    checkpoint = Checkpoint(folder, key, _facts(run_plan, history, output))
    if not resume:
        try:
            if run_plan.executor.processes:
                attach(run_plan, checkpoint)  # worker processes read the results of passes there
            yield None  # its lock is held all the same: another run is refused
        finally:
            checkpoint.remove()
        return
    registry.enter(registry.RUN, destination)
    try:
        guard.forget_doubtful(checkpoint)
        attach(run_plan, checkpoint)
        yield checkpoint
    except BaseException:
        if checkpoint.is_empty or checkpoint.is_gone:
            checkpoint.remove()
            registry.remove(registry.RUN, destination)
        else:
            checkpoint.close()
            registry.interrupt(registry.RUN, destination)
            run_plan.session.emit(RunLeft(str(folder)))
        raise
    checkpoint.remove()
    registry.remove(registry.RUN, destination)


def _facts(run_plan: RunPlan, history: Metadata, output: OutputRequest) -> MetadataDict:
    """Return what another process needs to resume the run; see `batches.unfinished`."""
    image, layout, request = run_plan.image, run_plan.layout, run_plan.request
    arguments = {**request.resources.to_dict(), "pyramid": output.pyramid}
    arguments |= {"overwrite": output.overwrite, "ome_zarr": output.ome_zarr}
    arguments |= {"shards": output.shards}
    if request.conversion is not None:
        arguments["convert"] = dict(request.conversion)
    scale = tuple(map(float, image.scale))
    metadata = {"axes": image.axes, "scale": scale, "units": image.units, "labels": image.labels}
    # The keys are those of release 0.1.
    return {
        "history": dict(history),
        "asked": arguments,
        "image": metadata,
        "layout": {"tile": layout.tile, "kept": layout.materialized},
        "tiles": run_plan.tiles,
    }


def unfinished_layout(history: Metadata, output: OutputRequest) -> Layout | None:
    """Return the layout of an unfinished run that computes the same output; None without one.

    Another plan would be as good, but its tiles would not be those that are done.

    Parameters
    ----------
    history
        The record of how the output will be computed.
    output
        Where it goes, and its layout.
    """
    contents = read_checkpoint(checkpoint_folder(output.path))
    with suppress(AttributeError, KeyError, TypeError):  # what another program noted
        facts = {} if contents is None else contents.facts
        tile, materialized = tuple(facts["layout"]["tile"]), tuple(facts["layout"]["kept"])
        is_same = _decisive(facts["history"]) == _decisive({**history, **output.record_entries})
        lengths = (*tile, *(number + 1 for number in materialized))
        if is_same and all(type(length) is int and length > 0 for length in lengths):
            return Layout(tile, materialized)
    return None


def forget(destination: PathLike) -> None:
    """Remove the checkpoint and the pixels of an unfinished run.

    Parameters
    ----------
    destination
        The final name of the output.

    Raises
    ------
    DestinationBusy
        When it is running.
    """
    folder = checkpoint_folder(destination)
    if folder.is_dir():
        checkpoint = Checkpoint(folder, uuid4().hex, {})
        unfinished_output(destination, None)
        checkpoint.remove()
    registry.remove(registry.RUN, local_path(destination))


def attach(run_plan: RunPlan, checkpoint: Checkpoint) -> None:
    """Have a run note its finished tiles in a checkpoint, and materialize results next to it.

    Parameters
    ----------
    run_plan
        The plan, before anything is computed.
    checkpoint
        New, or that of an unfinished run.
    """
    session = run_plan.session
    session.checkpoint = checkpoint
    checkpoint.use_files(always=run_plan.executor.processes > 0)
    for number, materialized in run_plan.pipeline.materialized.items():
        materialized.settle(checkpoint.subfolder(f"kept-{number}"))
    if checkpoint.was_another:
        session.emit(RunAfresh())
    elif not checkpoint.is_new:
        session.emit(RunResumed(len(checkpoint.done("tiles")), len(run_plan.grid)))


def _key(run_plan: RunPlan, history: Metadata, pyramid: bool) -> str:
    """Return a digest of all that decides about a pixel of the output."""
    if "not_repeatable" in history:
        return uuid4().hex  # the recipe holds an image or a function, which no record identifies
    materialized = tuple(map(str, run_plan.pipeline.materialized))
    output = run_plan.output
    grid = (run_plan.tile, output.chunks, output.axes, pyramid, materialized)
    text = json.dumps([_decisive(history), grid], default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _decisive(history: Metadata) -> str:
    """Return the part of a record that decides about pixels."""
    decisive = {key: value for key, value in history.items() if key not in ("time", "values")}
    return json.dumps(decisive, sort_keys=True, default=str)


def record_begun(checkpoint: Checkpoint, history: Metadata) -> Metadata:
    """Return the record that the run's first process began, with its time and its values.

    Parameters
    ----------
    checkpoint
        The checkpoint of the run.
    history
        The record that this process would begin, which is taken if the other says something else.
    """
    begun = checkpoint.facts["history"]
    is_same = _decisive(begun) == _decisive(history) and isinstance(begun.get("values"), dict)
    return begun if is_same else history


def unfinished_output(destination: PathLike, checkpoint: Checkpoint | None) -> Path | None:
    """Return the unfinished output that the run resumes, after removing all others.

    Parameters
    ----------
    destination
        The final name of the output.
    checkpoint
        The checkpoint of the run; None to remove all.
    """
    facts = {} if checkpoint is None else checkpoint.facts
    name, levels = facts.get("staging"), facts.get("levels", 1)
    resumed = None
    for staging in unfinished_outputs(destination):
        is_count = isinstance(levels, int) and 0 < levels < _MOST_LEVELS
        if staging.name == name and is_count and is_whole(staging, levels):
            resumed = staging
        else:
            shutil.rmtree(staging, ignore_errors=True)  # no run resumes it
    if checkpoint is not None and resumed is None:
        checkpoint.forget_tiles()
    return resumed
