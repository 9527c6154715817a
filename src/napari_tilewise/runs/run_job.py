"""A planned run streams its tiles through the pipeline into a file, which appears when complete.

Tiles are pulled by a few workers, each with one tile at a time, and written as they come; nothing
queues up. The pyramid is built from the pixels that were just written. The output grows under
another name and takes its own only when it is complete; a run that ends before can be resumed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.axes import alpha_of
from napari_tilewise.engine.events import DiskShort, FirstOnly, RunDone, RunStarted
from napari_tilewise.engine.system.fetchers import LookAhead
from napari_tilewise.engine.system.pool import check_cancelled
from napari_tilewise.engine.tile_order import band_width, banded
from napari_tilewise.engine.tile_tasks import LevelTask, WriteTask
from napari_tilewise.errors import ChunksRemoved
from napari_tilewise.grid import LazySequence, extent
from napari_tilewise.io.metadata.channels import of_names
from napari_tilewise.io.metadata.image_metadata import ImageMetadata
from napari_tilewise.io.writers.create import OutputRequest, create_writer
from napari_tilewise.io.writers.values import SUFFIXES as VALUES
from napari_tilewise.io.writers.values import check_value, write_value
from napari_tilewise.operations.copying import COPY
from napari_tilewise.operations.spec.kinds import Output
from napari_tilewise.provenance.record import scalars
from napari_tilewise.provenance.source_guard import SourceGuard
from napari_tilewise.runs.peak_memory import PeakMemory
from napari_tilewise.runs.resume import (
    checkpointed,
    record_begun,
    unfinished_output,
)
from napari_tilewise.runs.run_result import RunResult
from napari_tilewise.runs.traffic import shortage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from napari_tilewise.engine.checkpoints.checkpoint import Checkpoint
    from napari_tilewise.engine.session import Session
    from napari_tilewise.engine.tile_tasks import WorkerPool
    from napari_tilewise.grid import Position
    from napari_tilewise.io.metadata.channels import Channel
    from napari_tilewise.io.metadata.details import Details
    from napari_tilewise.io.plain_data import Metadata, MetadataDict
    from napari_tilewise.io.writers.chunk_sender import ChunkSender
    from napari_tilewise.io.writers.image_writer import ImageWriter
    from napari_tilewise.io.writers.outbox import Outbox
    from napari_tilewise.runs.run_plan import RunPlan
    from napari_tilewise.types import Value


@dataclass(frozen=True, eq=False)
class RunJob:
    """A planned run, ready to be executed."""

    plan: RunPlan
    output: OutputRequest
    history: Metadata
    """The record of how the output is computed."""
    guard: SourceGuard = field(default_factory=SourceGuard)
    """The sources as they were before the run; they are never written to."""
    outbox: Outbox | None = None
    """Sends the output to a URL when it is complete."""

    def execute(self, *, resume: bool, started: float) -> RunResult:
        """Run the plan.

        Parameters
        ----------
        resume
            Whether to resume an interrupted run, and to leave a checkpoint if interrupted.
        started
            When the run started, by `time.perf_counter`.
        """
        outbox = self.outbox
        if outbox is None:
            return self._compute(resume=resume, started=started)
        if outbox.holds({**self.history, **self.output.record_entries}):
            planned, tiles = self.plan.budget.total, self.plan.tiles
            result = RunResult(outbox.path, 0.0, 0, planned, tiles, self.plan.last.shape)
        else:
            result = self._compute(resume=resume, started=started)
        url = outbox.send()
        return replace(result, path=url, seconds=time.perf_counter() - started)

    def _compute(self, *, resume: bool, started: float) -> RunResult:
        """Compute the output on this machine."""
        run_plan, output = self.plan, self.output
        last, session = run_plan.last, run_plan.session
        kind = self._output
        if not kind.is_image:
            check_value(output.path, kind, overwrite=output.overwrite)
        history = {**self.history, **output.record_entries}
        warning = shortage(run_plan, output.path, pyramid=output.pyramid)
        if warning is not None:
            session.emit(DiskShort(warning))
        if run_plan.images > 1:
            session.emit(FirstOnly(last.call.operation.name, run_plan.images))
        if kind.is_image:
            run_plan.pipeline.warn_of_alpha()
        resumable = checkpointed(run_plan, history, output, self.guard, resume=resume)
        memory = PeakMemory(children=bool(run_plan.executor.processes))
        with memory, resumable as checkpoint:
            if checkpoint is not None:
                history = dict(record_begun(checkpoint, history))
            if kind.is_image:
                path, value = self._write_image(history, checkpoint), None
            else:
                path, value = self._write_value(history, checkpoint)
        seconds = time.perf_counter() - started
        session.emit(RunDone(seconds))
        shape = last.shape if kind.is_image else ()
        planned, measured = run_plan.budget.total, _measured(run_plan, value)
        units, lengths = measured.get("units", {}), measured.get("lengths", {})
        return RunResult(
            path, seconds, memory.bytes, planned, run_plan.tiles, shape, value, units, lengths
        )

    @property
    def _output(self) -> Output:
        """What is written: into a file of values, a threshold itself instead of its mask."""
        operation = self.plan.recipe.steps[max(self.plan.pipeline.stacks)].op
        has_mask = operation.step.apply is not None and not operation.output.is_image
        is_file_of_values = PurePath(self.output.path).suffix.lower() in VALUES
        return operation.output if has_mask and is_file_of_values else self.plan.last.part.output

    def _write_image(self, history: Metadata, checkpoint: Checkpoint | None) -> Path:
        run_plan, session = self.plan, self.plan.session
        writer = self._writer(history, unfinished_output(self.output.path, checkpoint))
        try:
            if checkpoint is not None:
                levels = len(writer.pyramid_levels())
                checkpoint.add_facts(staging=writer.staging.name, levels=levels)
            session.emit(RunStarted(None, len(run_plan.grid), run_plan.budget.total))
            sending = nullcontext() if self.outbox is None else self.outbox.sending(writer)
            with sending as sender:
                with self.guard.watch(checkpoint), _worker_pool(run_plan, writer):
                    for stack in run_plan.stacks:
                        stack.prepare()
                    _write_tiles(run_plan, writer, sender)
                    for level in range(1, len(writer.pyramid_levels())):
                        _write_level(session, writer, level, sender)
                # The record of a conversion has the values of the run that computed its source.
                values = scalars(run_plan.pipeline.recorded())
                writer.note(values={**history["values"], **values})
                if sender is not None:
                    sender.close()
                check_cancelled(session.control.cancel)  # nobody waits for it any more
                return writer.finish(session)
        except BaseException as error:
            if checkpoint is not None and isinstance(error, ChunksRemoved):
                checkpoint.forget_tiles()
            elif checkpoint is not None and not writer.is_in_place:
                checkpoint.distrust_tiles()
            if checkpoint is None or checkpoint.is_empty or checkpoint.is_gone:
                writer.abort()
            else:
                writer.close()
            raise

    def _writer(self, history: Metadata, staging: Path | None) -> ImageWriter:
        run_plan = self.plan
        last, geometry = run_plan.last, run_plan.output
        image = ImageMetadata(
            last.shape, last.dtype, geometry.axes, scale=geometry.scale, units=geometry.units,
            translate=geometry.translate,
            channels=_channels(run_plan), details=_details(run_plan),
            labels=run_plan.pipeline.holds_labels(run_plan.image.labels), record=history,
        )  # fmt: skip
        tile = extent(run_plan.grid.region((0,) * len(last.shape)))
        layout = self.output.layout(tile, geometry.chunks)
        return create_writer(
            self.output.path, image, layout, sources=self.guard.sources, resume=staging
        )

    def _write_value(self, history: Metadata, checkpoint: Checkpoint | None) -> tuple[Path, Value]:
        run_plan, output = self.plan, self.output
        last = run_plan.last
        run_plan.session.emit(RunStarted(None, len(last.node_grid), run_plan.budget.total))
        with self.guard.watch(checkpoint), _worker_pool(run_plan, None):
            value = last.recorded() if last.is_image else last.stored_value()
        check_cancelled(run_plan.session.control.cancel)
        values = {"values": scalars(run_plan.pipeline.recorded()), **_measured(run_plan, value)}
        history = {**history, **values}
        along = _looped_axes(run_plan) if self._output is Output.SCALAR else None
        path = write_value(output.path, value, output.overwrite, provenance=history, along=along)
        return path, value


def _measured(run_plan: RunPlan, value: Value) -> MetadataDict:
    """Return the pixel size by which a table is measured, and its columns' units; or nothing.

    Of other numbers: what those that count pixels are in the image's unit.
    """
    measured = run_plan.pipeline.measured_in
    if measured is None:
        return {}
    return measured.to_dict(value) if isinstance(value, Mapping) else measured.numbers_to_dict()


@contextmanager
def _worker_pool(run_plan: RunPlan, writer: ImageWriter | None) -> Iterator[None]:
    """Start the worker processes of the plan's executor, if it has any."""
    session, checkpoint = run_plan.session, run_plan.session.checkpoint
    if not run_plan.executor.processes or checkpoint is None:
        yield
        return
    assignment = run_plan.assignment(checkpoint.folder, writer)
    with run_plan.executor.worker_pool(assignment, session) as workers:
        session.worker_pool = workers
        try:
            yield
        finally:
            session.worker_pool = None


def _channels(run_plan: RunPlan) -> Sequence[Channel]:
    """Return the output's channels: the source's if none were mixed, else those of the operation.

    Their display windows are those of a result whose values mean what the source's do.
    """
    samples = run_plan.pipeline.last.samples
    if not run_plan.pipeline.keeps_samples:
        return of_names(samples)
    channels = run_plan.image.channels
    index = alpha_of([channel.name or "" for channel in channels])
    if index is not None and alpha_of(samples) is None:
        channels = (*channels[:index], *channels[index + 1 :])
    if run_plan.request.conversion is not None and run_plan.recipe.steps[0].op is COPY:
        return channels
    if run_plan.pipeline.keeps_intensities:
        return channels
    return [replace(channel, window=None, limits=None) for channel in channels]


def _details(run_plan: RunPlan) -> Details:
    """Return what else the source says that is true of the output."""
    return run_plan.image.details.of_result(has_same_labels=run_plan.pipeline.keeps_label_ids)


def _write_tiles(run_plan: RunPlan, writer: ImageWriter, sender: ChunkSender | None) -> None:
    grid, last, session = run_plan.grid, run_plan.last, run_plan.session
    item_size = run_plan.stacks[0].source.dtype.itemsize
    width = band_width(grid.tile, item_size, run_plan.budget.cache)
    positions = banded(grid, width)

    def compute(position: Position) -> None:
        region = grid.region(position)
        if last.waits:
            ahead.beyond(position)
        writer.write(region, np.ascontiguousarray(last.read(region)))

    def task(positions: tuple[Position, ...]) -> WriteTask:
        for position in positions:
            last.prepare(grid.region(position))
        return WriteTask(positions)

    def send(position: Position) -> None:
        if sender is not None:
            sender.wrote(0, writer.zarr.in_stored_order(grid.region(position)))

    name, remote = last.call.operation.name, _remote(session.worker_pool, task)
    with LookAhead(positions, lambda position: last.fetch(grid.region(position))) as ahead:
        session.once("tiles", name, compute, positions, remote, send)


def _write_level(
    session: Session, writer: ImageWriter, level: int, sender: ChunkSender | None
) -> None:
    """Write one level of the pyramid."""
    tasks = writer.pyramid_tasks(level)
    indices = LazySequence(len(tasks), lambda number: (number,))

    def write(index: Position) -> None:
        tasks[index[0]]()

    def send(index: Position) -> None:
        if sender is not None:
            sender.wrote(level, writer.zarr.level_region(level, index[0]))

    remote = _remote(session.worker_pool, lambda part: LevelTask(part, level))
    session.once(f"level-{level}", f"pyramid level {level}", write, indices, remote, send)


def _remote(
    workers: WorkerPool | None, task: Callable[[tuple[Position, ...]], Any]
) -> Callable[[Sequence[Position]], Any] | None:
    """Return a function that has worker processes carry out a task; None without any."""
    if workers is None:
        return None
    return lambda positions: workers.run(task(tuple(positions)))


def _looped_axes(run_plan: RunPlan) -> list[str]:
    """Return the names of the axes that the last step loops over."""
    source = run_plan.last.source
    # Those of the step before, or of the image.
    names = getattr(source, "names", run_plan.source_axes)
    if names is None or len(names) != len(source.shape):
        names = [f"axis-{axis}" for axis in range(len(source.shape))]
    return [names[axis] for axis in run_plan.last.loops]
