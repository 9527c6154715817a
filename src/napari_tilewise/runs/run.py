"""A run streams a recipe over an image into a file: bounded memory, whole chunks, atomic end.

Tiles are pulled through the chain by a few workers, each with one tile in hand, and written as they
come; nothing queues up. The pyramid is built from what was just written. The output grows under
another name and takes its own only when it is complete; a run that ends before is gone on with.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.engine.events import DiskShort, FirstOnly, RunDone, RunStarted
from napari_tilewise.engine.tile_order import band_width, banded
from napari_tilewise.engine.tile_tasks import LevelTask, WriteTask
from napari_tilewise.grid import extent
from napari_tilewise.io.metadata.image_metadata import ImageMetadata
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.io.writers.create import OutputRequest, create_writer
from napari_tilewise.io.writers.staging import local_path
from napari_tilewise.io.writers.values import check_value, write_value
from napari_tilewise.operations.spec.kinds import Output
from napari_tilewise.provenance.record import RunSources, record, scalars
from napari_tilewise.recipe import Recipe, with_seeds
from napari_tilewise.runs.plan import Plan, plan
from napari_tilewise.runs.resume import accounted, layout_left, left_over
from napari_tilewise.runs.traffic import shortage

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from napari_tilewise.engine.checkpoint import Checkpoint
    from napari_tilewise.engine.events import Listener
    from napari_tilewise.engine.session import Session
    from napari_tilewise.io.metadata.channels import Channel
    from napari_tilewise.io.writers.image_writer import ImageWriter


@dataclass(frozen=True)
class RunResult:
    """What a run made."""

    path: Path
    """Where the output stands."""
    seconds: float
    """How long it took."""
    peak_memory: int
    """The peak of resident memory that was stated before the start, in bytes."""
    tiles: int
    """Number of tiles of the output."""
    shape: tuple[int, ...]
    """Shape of the output; empty for tables and points."""
    value: Any = None
    """The result where it is not an image: a scalar, points or a table."""


def run(
    recipe: Any,
    source: Any,
    destination: Any,
    *,
    inputs: Mapping[str, Any] | None = None,
    memory: str | float | None = None,
    workers: int | None = None,
    executor: Any = "auto",
    overwrite: bool = False,
    resume: bool = True,
    pyramid: bool = True,
    progress: Listener | None = None,
    cancel: threading.Event | None = None,
    pause: threading.Event | None = None,
    axes: str | Sequence[str] | None = None,
    spatial: str | Sequence[int] | None = None,
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
        ``NAME.ome.zarr``, ``NAME.ome.tif``, ``.tif`` (ImageJ), ``.npy`` or ``.png`` for an image;
        ``.csv`` for scalars, points, contours and tables; ``.json`` for these and all else.
    inputs
        The recipe's inputs by name: paths, URLs or array-likes.
    memory
        Most resident memory in bytes, or a text such as ``"2 GiB"``; half of what is available
        unless given. The interpreter is included, and so are other processes of this machine; of
        a cluster, it is what each worker may take.
    workers
        Threads, processes or jobs; as many as processors unless given.
    executor
        Where tiles are computed: ``"threads"``, ``"serial"``, ``"processes"``, ``"distributed"``
        (a dask cluster of this machine, started and closed for the run), the address of a dask
        scheduler, a `distributed.Client`, a cluster object, or a batch system that dask's
        configuration describes, such as ``"slurm"``. ``"auto"`` is threads, or processes where an
        operation would let only one thread work. The result is the same bits.
    overwrite
        Whether an existing destination is replaced, once the new one is complete.
    resume
        Whether to go on with a run of the same recipe and source to this destination that was
        killed, cancelled or failed, and to leave one to go on with; else each starts afresh.
    pyramid
        Whether to write smaller levels too.
    progress
        Called with `engine.events.Event` objects.
    cancel
        Set this event to stop within one tile's time.
    pause
        Set this event to take no more tiles until it is cleared.
    axes
        Names of the source's axes, where it does not know them itself.
    spatial
        The axes to run over; z, y and x where the axes are known, else all of them.
    ome_zarr
        Version of an OME-Zarr: ``"0.5"``, or ``"0.4"`` for older readers.
    shards
        Whether an OME-Zarr has one file for each tile instead of one for each chunk.

    Returns
    -------
    RunResult
        Where the output stands and what it took.

    Raises
    ------
    MemoryBudgetExceeded
        Before the start, when the run cannot fit; names the memory that it would need.
    DestinationBusy
        When another run is writing to this destination.
    TilewiseError
        For anything else; nothing is left under the destination's name.
    """
    started = time.perf_counter()
    recipe = with_seeds(Recipe.of(recipe), str(local_path(destination)))
    image = open_image(source)
    target = OutputRequest(destination, overwrite, pyramid, ome_zarr, shards)
    sources = RunSources(source, inputs or {}, axes, spatial)
    history = record(recipe, sources, output=destination)
    made = plan(
        recipe, image, inputs=inputs, memory=memory, workers=workers, executor=executor,
        progress=progress, cancel=cancel, pause=pause, axes=axes, spatial=spatial, resume=resume,
        destination=target.path, like=layout_left(history, target) if resume else None,
    )  # fmt: skip
    return carry_out(
        made, (source, *(inputs or {}).values()), target, history, resume=resume, started=started
    )


def carry_out(
    made: Plan,
    sources: Sequence[Any],
    target: OutputRequest,
    history: Mapping[str, Any],
    *,
    resume: bool,
    started: float,
) -> RunResult:
    """Run what is planned.

    Parameters
    ----------
    made
        The plan.
    sources
        What is read, and never written to.
    target
        Where the output goes, and how it is laid out.
    history
        The record of how it is made.
    resume
        Whether to go on with an unfinished run, and to leave one to go on with.
    started
        When the run began, by `time.perf_counter`.
    """
    if not made.last.is_image:
        check_value(target.path, made.last.part.output, overwrite=target.overwrite)
    history = {**history, **target.record_entries}
    short = shortage(made, target.path, pyramid=target.pyramid)
    if short is not None:
        made.session.emit(DiskShort(short))
    if made.images > 1:
        made.session.emit(FirstOnly(made.last.call.operation.name, made.images))
    with accounted(made, history, target, resume=resume) as checkpoint:
        if checkpoint is not None:
            history = checkpoint.facts["history"]
        if made.last.is_image:
            path = _stream(made, sources, target, history, checkpoint)
            value, shape, tiles = None, made.last.shape, len(made.grid)
        else:
            path, value = _measure(made, target, history)
            shape, tiles = (), len(made.last.node_grid)
    seconds = time.perf_counter() - started
    made.session.emit(RunDone(seconds))
    return RunResult(path, seconds, made.budget.total, tiles, shape, value)


def _stream(
    made: Plan,
    sources: Sequence[Any],
    target: OutputRequest,
    history: Mapping[str, Any],
    checkpoint: Checkpoint | None,
) -> Path:
    last, session = made.last, made.session
    staging = left_over(target.path, checkpoint)
    image = ImageMetadata(
        last.shape, last.dtype, made.axes, scale=made.scale, units=made.units,
        channels=_channels(made), labels=made.pipeline.holds_labels(made.image.labels),
        record=history,
    )  # fmt: skip
    layout = target.layout(_tile(made), made.chunks)
    writer = create_writer(target.path, image, layout, sources=sources, resume=staging)
    try:
        if checkpoint is not None:
            checkpoint.add_facts(staging=writer.staging.name, levels=len(writer.pyramid_levels()))
        session.emit(RunStarted(None, len(made.grid), made.budget.total))
        with _workers(made, writer):
            for stack in made.stacks:
                stack.prepare()
            _write_tiles(made, writer)
            for level in range(1, len(writer.pyramid_levels())):
                _write_level(session, writer, level)
        # What is converted brings what was met when it was made.
        writer.note(values={**history["values"], **scalars(made.pipeline.met())})
        return writer.finish(session)
    except BaseException:
        if checkpoint is not None and not writer.is_in_place:
            checkpoint.distrust_tiles()
        if checkpoint is None or checkpoint.is_empty or checkpoint.is_gone:
            writer.abort()
        else:
            writer.close()
        raise


@contextmanager
def _workers(made: Plan, writer: ImageWriter | None) -> Iterator[None]:
    """Have the tiles computed where the plan says."""
    session = made.session
    if not made.place.processes:
        yield
        return
    assert session.checkpoint is not None
    with made.place.worker_pool(
        made.assignment(session.checkpoint.folder, writer), session
    ) as pool:
        session.worker_pool = pool
        try:
            yield
        finally:
            session.worker_pool = None


def _channels(made: Plan) -> Sequence[Channel]:
    """Return names and colours of the output's channels: the source's where none was mixed."""
    mixed = any(stack.call.channel_axis is not None for stack in made.stacks)
    return () if mixed else made.image.channels


def _tile(made: Plan) -> tuple[int, ...]:
    """Return the lengths of a tile along every axis of the output."""
    return extent(made.grid.region((0,) * len(made.last.shape)))


def _write_tiles(made: Plan, writer: ImageWriter) -> None:
    grid, last = made.grid, made.last
    cache = made.session.cache
    assert cache is not None
    width = band_width(grid.tile, made.stacks[0].source.dtype.itemsize, cache.capacity)

    def work(position: tuple[int, ...]) -> None:
        region = grid.region(position)
        writer.write(region, np.ascontiguousarray(last.read(region)))

    def afar(positions: Sequence[tuple[int, ...]]) -> None:
        for position in positions:
            last.prepare(grid.region(position))
        assert made.session.worker_pool is not None
        made.session.worker_pool.run(WriteTask(tuple(positions)))

    made.session.once("tiles", last.call.operation.name, work, banded(grid, width), afar)


def _write_level(session: Session, writer: ImageWriter, level: int) -> None:
    """Write one level of the pyramid."""
    tasks = writer.pyramid_tasks(level)
    numbers = [(number,) for number in range(len(tasks))]
    name = f"pyramid level {level}"

    def afar(some: Sequence[tuple[int, ...]]) -> None:
        assert session.worker_pool is not None
        session.worker_pool.run(LevelTask(tuple(some), level))

    session.once(f"level-{level}", name, lambda number: tasks[number[0]](), numbers, afar)


def _measure(made: Plan, target: OutputRequest, history: Mapping[str, Any]) -> tuple[Path, Any]:
    made.session.emit(RunStarted(None, len(made.last.node_grid), made.budget.total))
    with _workers(made, None):
        value = made.last.value()
    history = {**history, "values": scalars(made.pipeline.met())}
    along = _looped(made) if made.last.part.output is Output.SCALAR else None
    path = write_value(target.path, value, target.overwrite, provenance=history, along=along)
    return path, value


def _looped(made: Plan) -> list[str]:
    """Return the names of the axes that the last step loops over."""
    source = made.last.source
    names = getattr(source, "names", made.source_axes)  # those of a step before, else the image's
    if names is None or len(names) != len(source.shape):
        names = [f"axis-{axis}" for axis in range(len(source.shape))]
    return [names[axis] for axis in made.last.loops]
