"""Which unfinished run a new one goes on with: of the same recipe, source, tiles and place.

The key is a digest of all that decides about a pixel. Where it differs the run starts afresh and
says so; a finished tile of the same key is never computed again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from napari_tilewise.engine.checkpoint import Checkpoint, read_checkpoint
from napari_tilewise.engine.events import RunAfresh, RunLeft, RunResumed
from napari_tilewise.io.writers.partial_output import is_whole, unfinished
from napari_tilewise.io.writers.staging import local_path
from napari_tilewise.runs import registry
from napari_tilewise.runs.plan import Layout

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from napari_tilewise.io.writers.create import OutputRequest
    from napari_tilewise.runs.plan import Plan


def checkpoint_folder(destination: str | os.PathLike[str]) -> Path:
    """Return where the checkpoint of runs to a destination is kept, beside it.

    Parameters
    ----------
    destination
        The final name.
    """
    path = local_path(destination)
    return path.parent / f".{path.name}.run"


@contextmanager
def accounted(
    made: Plan,
    history: Mapping[str, Any],
    target: OutputRequest,
    *,
    resume: bool,
) -> Iterator[Checkpoint | None]:
    """Give the checkpoint of a run, removed when the run is complete, else left to the next.

    Parameters
    ----------
    made
        The plan; its session notes what is done.
    history
        The record of how the output is made.
    target
        Where the output goes, and how it is laid out there.
    resume
        Whether there is a checkpoint at all; None is given where not.

    Raises
    ------
    DestinationBusy
        When another run is writing to this destination.
    """
    place, folder = local_path(target.path), checkpoint_folder(target.path)
    key = _key(made, history, target.pyramid) if resume else uuid4().hex
    checkpoint = Checkpoint(folder, key, _facts(made, history, target))
    if not resume:
        try:
            if made.place.processes:
                begin(made, checkpoint)  # other processes read there what was found
            yield None  # the checkpoint is held all the same: another run is refused
        finally:
            checkpoint.remove()
        return
    registry.enter(registry.RUN, place)
    try:
        begin(made, checkpoint)
        yield checkpoint
    except BaseException:
        if checkpoint.is_empty or checkpoint.is_gone:
            checkpoint.remove()
            registry.remove(registry.RUN, place)
        else:
            checkpoint.close()
            registry.interrupt(registry.RUN, place)
            made.session.emit(RunLeft(str(folder)))
        raise
    checkpoint.remove()
    registry.remove(registry.RUN, place)


def _facts(made: Plan, history: Mapping[str, Any], target: OutputRequest) -> dict[str, Any]:
    """Return what another process needs to know to go on: see `runs`."""
    image, layout = made.image, made.layout
    asked = {**made.request.asked, "pyramid": target.pyramid, "overwrite": target.overwrite}
    asked |= {"ome_zarr": target.ome_zarr, "shards": target.shards}
    scale = tuple(map(float, image.scale))
    known = {"axes": image.axes, "scale": scale, "units": image.units, "labels": image.labels}
    return {
        "history": dict(history),
        "asked": asked,
        "image": known,
        "layout": {"tile": layout.tile, "kept": layout.kept},
        "tiles": len(made.grid if made.last.is_image else made.last.node_grid),
    }


def layout_left(history: Mapping[str, Any], target: OutputRequest) -> Layout | None:
    """Return the layout of an unfinished run that is of the same making; None where none is.

    Another plan would be as good, but its tiles are not those that are done.

    Parameters
    ----------
    history
        The record of how the output will be made.
    target
        Where it goes, and how it is laid out there.
    """
    left = read_checkpoint(checkpoint_folder(target.path))
    layout = None if left is None else left.facts.get("layout")
    if left is None or layout is None:
        return None
    if _deciding(left.facts["history"]) != _deciding({**history, **target.record_entries}):
        return None
    return Layout(tuple(layout["tile"]), tuple(layout["kept"]))


def forget(destination: str | os.PathLike[str]) -> None:
    """Remove what an unfinished run left.

    Parameters
    ----------
    destination
        The final name.

    Raises
    ------
    DestinationBusy
        When the run is alive.
    """
    folder = checkpoint_folder(destination)
    if folder.is_dir():
        checkpoint = Checkpoint(folder, uuid4().hex, {})
        left_over(destination, None)
        checkpoint.remove()
    registry.remove(registry.RUN, local_path(destination))


def begin(made: Plan, checkpoint: Checkpoint) -> None:
    """Have a run note what is done, and keep its results beside that.

    Parameters
    ----------
    made
        The plan.
    checkpoint
        Where it is noted.
    """
    session = made.session
    session.checkpoint = checkpoint
    for number, kept in made.pipeline.materialized.items():
        kept.settle(checkpoint.subfolder(f"kept-{number}"))
    if checkpoint.was_another:
        session.emit(RunAfresh())
    elif not checkpoint.is_new:
        session.emit(RunResumed(len(checkpoint.done("tiles")), len(made.grid)))


def _key(made: Plan, history: Mapping[str, Any], pyramid: bool) -> str:
    """Return a digest of all that decides about a pixel of the output."""
    if "not_repeatable" in history:
        return uuid4().hex  # an image or a function is part of the recipe: nothing tells it again
    grid = (made.tile, made.chunks, made.axes, pyramid, tuple(map(str, made.pipeline.materialized)))
    text = json.dumps([_deciding(history), grid], default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _deciding(history: Mapping[str, Any]) -> str:
    """Return what of a record decides about pixels."""
    told = {key: value for key, value in history.items() if key not in ("time", "values")}
    return json.dumps(told, sort_keys=True, default=str)


def left_over(destination: str | os.PathLike[str], checkpoint: Checkpoint | None) -> Path | None:
    """Return the unfinished output to go on with, after the removal of all others.

    Parameters
    ----------
    destination
        The final name.
    checkpoint
        The checkpoint of the run.
    """
    facts = {} if checkpoint is None else checkpoint.facts
    wanted, levels = facts.get("staging"), facts.get("levels", 1)
    found = None
    for staging in unfinished(destination):
        if staging.name == wanted and is_whole(staging, levels):
            found = staging
        else:
            shutil.rmtree(staging, ignore_errors=True)  # nobody goes on with it
    if checkpoint is not None and found is None:
        checkpoint.forget_tiles()
    return found
