"""A run computes a recipe on an image of any size, in bounded memory, into a file."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from napari_tilewise.axes import AxisSelection
from napari_tilewise.engine.control import Control
from napari_tilewise.executors.selection import AUTO
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.io.writers.create import OutputRequest
from napari_tilewise.io.writers.outbox import checked_outbox
from napari_tilewise.io.writers.staging import local_path
from napari_tilewise.progress import listening
from napari_tilewise.provenance.fingerprint import taken_once
from napari_tilewise.provenance.record import RunSources, record
from napari_tilewise.provenance.source_guard import SourceGuard
from napari_tilewise.recipe import Recipe, with_seeds
from napari_tilewise.runs.planner import make_plan
from napari_tilewise.runs.request import Resources, RunRequest, check_inputs
from napari_tilewise.runs.resume import (
    unfinished_layout,
)
from napari_tilewise.runs.run_job import RunJob

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping

    from napari_tilewise.engine.events import Listener
    from napari_tilewise.runs.run_result import RunResult
    from napari_tilewise.types import AxisNames, MemorySize, PathLike, SpatialAxes


def run(
    recipe: object,
    source: object,
    destination: PathLike,
    *,
    inputs: Mapping[str, object] | None = None,
    memory: MemorySize | None = None,
    workers: int | None = None,
    executor: object = AUTO,
    overwrite: bool = False,
    resume: bool = True,
    pyramid: bool = True,
    progress: Listener | bool | None = None,
    cancel: threading.Event | None = None,
    pause: threading.Event | None = None,
    axes: AxisNames | None = None,
    spatial: SpatialAxes | None = None,
    ome_zarr: str = "0.5",
    shards: bool = False,
) -> RunResult:
    """Run a recipe on an image of any size, in bounded memory, into a file.

    Parameters
    ----------
    recipe
        An operation's key, an (operation, parameters) pair, or a `Recipe`. A threshold step gives
        the mask ``image > t``.
    source
        A path, a URL, or anything with `shape`, `dtype` and slicing.
    destination
        ``NAME.ome.zarr`` (a path or a URL), ``NAME.ome.tif``, ``.tif`` (ImageJ), ``.npy`` or
        ``.png`` for an image;
        ``.csv`` for scalars, points, contours and tables; ``.json`` for these and all other values.
        A recipe that ends with a threshold writes its number into these instead of the mask.
    inputs
        The recipe's inputs by name: paths, URLs or array-likes.
    memory
        Peak resident memory in bytes, or a text such as ``"2 GiB"``; by default half of what is
        available. It includes the interpreter and the worker processes on this machine; on a
        cluster, it is that of each worker.
    workers
        Number of threads, processes or jobs; by default one per processor.
    executor
        Where tiles are computed: ``"threads"``, ``"serial"``, ``"processes"``, ``"distributed"``
        (a dask cluster of this machine, started and closed for the run), the address of a dask
        scheduler, a `distributed.Client`, a cluster object, or a batch system that dask's
        configuration describes, such as ``"slurm"``. ``"auto"`` is threads, or processes for
        operations that hold Python's global lock. The result has the same bits.
    overwrite
        Whether an existing destination is replaced, once the new output is complete.
    resume
        Whether to resume an interrupted run of the same recipe and source to this destination, and
        to leave a checkpoint if this run is interrupted.
    pyramid
        Whether to write smaller levels too.
    progress
        Called with `engine.events.Event` objects; True shows a bar (in a terminal or a notebook) or
        a line every few seconds (elsewhere).
    cancel
        Set this event to stop within the time of one tile.
    pause
        Set this event to start no more tiles until it is cleared.
    axes
        Names of the source's axes, for a source that does not name them itself.
    spatial
        The axes to run over; by default z, y and x if the axes are known, else all of them.
    ome_zarr
        Version of an OME-Zarr: ``"0.5"``, or ``"0.4"`` for older readers.
    shards
        Whether an OME-Zarr has one file for each tile instead of one for each chunk.

    Returns
    -------
    RunResult
        Path, shape or value, and figures of the run.

    Raises
    ------
    MemoryBudgetExceeded
        Before the start, when the run cannot fit; the message has the memory that it would need.
    DestinationBusy
        When another run is writing to this destination.
    TilewiseError
        For all other errors; the destination then has no incomplete output.
    """
    started = time.perf_counter()
    check_inputs(inputs)
    outbox = checked_outbox(destination)
    final_name = str(local_path(destination)) if outbox is None else outbox.url
    recipe = with_seeds(Recipe.of(recipe, inputs or ()), final_name)
    path = destination if outbox is None else outbox.path
    output = OutputRequest(path, overwrite, pyramid, ome_zarr, shards)
    with taken_once():
        guard = SourceGuard((source, *(inputs or {}).values()))
        request = RunRequest(
            recipe, open_image(source), dict(inputs or {}), AxisSelection(axes, spatial),
            Resources.of(memory, workers, executor), path,
        )  # fmt: skip
        sources = RunSources(source, inputs or {}, axes, spatial)
        history = record(recipe, sources, output=destination)
    layout = unfinished_layout(history, output) if resume else None
    with listening(progress) as listener:
        control = Control(listener, cancel, pause)
        run_plan = make_plan(request, control, is_lasting=resume, layout=layout, measures=True)
        job = RunJob(run_plan, output, history, guard, outbox)
        return job.execute(resume=resume, started=started)
