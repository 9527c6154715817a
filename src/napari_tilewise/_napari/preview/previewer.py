"""From a request to what is shown: runs in the worker thread; no napari and no Qt."""

from __future__ import annotations

from dataclasses import replace
from math import ceil, prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise._napari.jobs import arrange
from napari_tilewise._napari.preview import objects, pixels
from napari_tilewise._napari.preview.bound import (
    Binding,
    Sources,
    are_finished,
    global_steps,
    is_small,
    planes,
)
from napari_tilewise._napari.preview.gathered import Gathered
from napari_tilewise._napari.preview.outlines import strips
from napari_tilewise._napari.preview.pixels import Frame
from napari_tilewise._napari.preview.preview_request import (
    Basis,
    GatherRequest,
    PreviewRequest,
    PreviewResult,
)
from napari_tilewise._napari.preview.source_level import Level, level_of
from napari_tilewise.engine.control import Control
from napari_tilewise.engine.result_axes import result_axes
from napari_tilewise.engine.session import Session
from napari_tilewise.engine.stack_results import Result
from napari_tilewise.engine.views.window_source import WindowSource
from napari_tilewise.engine.views.without_alpha import WithoutAlpha
from napari_tilewise.errors import InvalidImage
from napari_tilewise.grid import Region, clip, extent, grow, size, within
from napari_tilewise.operations.spec.operation import Kind, Output

if TYPE_CHECKING:
    import threading

    from napari_tilewise._napari.jobs.job import Job
    from napari_tilewise.engine.events import Listener
    from napari_tilewise.engine.stack import Stack
    from napari_tilewise.pipeline.bind import Pipeline

STRIP = 2**18
"""Pixels that are computed between two looks at whether a request is stale."""
MARGIN = 48
"""Least number of pixels around the visible ones that an estimate takes into account."""
MOST_MARGIN = 256
DEPTH = 8
"""The same along a spatial axis that is not displayed."""
LARGEST = 4
"""Factor by which a result may have more pixels than a screenful, as one that turns does."""


class Previewer:
    """Computes previews, and keeps what the next ones can use."""

    def __init__(self) -> None:
        self.gathered = Gathered()
        self._sources = Sources()

    def compute(self, request: PreviewRequest, cancel: threading.Event) -> PreviewResult:
        """Return the visible part of a result.

        Parameters
        ----------
        request
            The recipe, and what the viewer shows.
        cancel
            Set to stop soon.

        Raises
        ------
        TilewiseError
            If there is nothing to preview; the text says why.
        """
        job, view = request.job, request.view
        _check_output(job, job.output)
        level = level_of(job.source, view.box, view.pixels, alone=not job.inputs)
        binding = Binding(job, level, level.region(view.box))
        session = Session(None, Control(cancel=cancel))
        pipeline = self.gathered.pipeline(binding.key)
        if pipeline is not None and are_finished(global_steps(pipeline), binding.region):
            return self._part(request, binding, pipeline, session)
        image = self._sources.source(level.array)
        pipeline = binding.bind(image, binding.images(self._sources), session)
        binding.share(pipeline, self.gathered, stores=level.is_full)
        waiting = global_steps(pipeline)
        if not waiting:
            return self._part(request, binding, pipeline, session)
        gather = self._gather_request(job, view.box, waiting)
        if is_small(pipeline):
            result = self._part(request, binding, pipeline, session)
            session.control = Control()  # the pipeline outlives the request
            self.gathered.add_pipeline(binding.key, pipeline)
            return result if level.is_full else replace(result, gather=gather)
        return replace(self._estimate(request, binding, pipeline, session), gather=gather)

    def forget(self) -> None:
        """Forget what was read and gathered, as when pixels have changed."""
        self.gathered.forget()
        self._sources = Sources()

    # -- the whole image -----------------------------------------------------------------------

    def _part(
        self, request: PreviewRequest, binding: Binding, pipeline: Pipeline, session: Session
    ) -> PreviewResult:
        """Return the visible part of the result on the level."""
        basis = Basis.EXACT if binding.level.is_full else Basis.OVERVIEW
        frame = Frame(request, binding.level, (0,) * len(binding.region), basis)
        _hold(binding, pipeline)
        return _read(frame, pipeline, binding.region, session)

    # -- what is visible -----------------------------------------------------------------------

    def _estimate(
        self, request: PreviewRequest, binding: Binding, pipeline: Pipeline, session: Session
    ) -> PreviewResult:
        """Return the result on the visible part and its surroundings."""
        box = _surroundings(binding, pipeline)
        image = self._sources.source(binding.level.array)
        crop = _cropped(image, box)
        inputs = {}
        for name, array in binding.images(self._sources).items():
            spans = binding.along(binding.job.inputs[name], box)
            inputs[name] = array if spans is None else _cropped(array, spans)
        region = within(binding.region, box)
        small = replace(binding, region=region)
        cropped = small.bind(crop, inputs, session)
        small.share(cropped, self.gathered, stores=False)
        start = tuple(span.start for span in box)
        frame = Frame(request, binding.level, start, Basis.ESTIMATE)
        return _read(frame, cropped, region, session)

    # -- global numbers ------------------------------------------------------------------------

    def _gather_request(self, job: Job, box: Region, waiting: list[Stack]) -> GatherRequest | None:
        """Return the passes over the whole image that are missing; None if none are to be done."""
        if any(stack.call.operation.kind is not Kind.STATISTIC for stack in waiting):
            return None
        binding = _at_full_size(job, box)
        pipeline = self.gathered.pipeline(binding.key)
        if pipeline is not None and are_finished(global_steps(pipeline), binding.region):
            return None
        planes = tuple(s.start for s in binding.region if s.stop - s.start == 1)
        return GatherRequest(job, (binding.key, planes), box)

    def gather(self, request: GatherRequest, progress: Listener, cancel: threading.Event) -> None:
        """Do passes over the whole image, in one thread.

        Parameters
        ----------
        request
            The passes.
        progress
            Receives the engine's events.
        cancel
            Set to stop within one tile's time.
        """
        binding = _at_full_size(request.job, request.box)
        session = Session(1, Control(progress, cancel))
        sources = Sources()  # of this thread
        image = sources.source(binding.level.array)
        pipeline = binding.bind(image, binding.images(sources), session)
        binding.share(pipeline, self.gathered, stores=True)
        for stack in global_steps(pipeline):
            for index in planes(stack, binding.region):
                stack.node(index).prepare()
        session.control = Control()
        self.gathered.add_pipeline(binding.key, pipeline)


def _check_output(job: Job, output: Output) -> None:
    """Refuse a result that is nothing to show in the viewer."""
    if not output.is_image and output not in (Output.POINTS, Output.CONTOURS):
        kind = {Output.MESH: "a surface", Output.TABLE: "a table"}.get(output, "numbers")
        raise InvalidImage(f"{job.operation.title} gives {kind}, of which there is no preview.")


def _at_full_size(job: Job, box: Region) -> Binding:
    level = Level(job.source.finest, (1.0,) * len(job.source.shape))
    return Binding(job, level, level.region(box))


def _hold(binding: Binding, pipeline: Pipeline) -> None:
    """Read the visible pixels and those around them once."""
    for stack in pipeline.stacks.values():
        source = stack.source.inner if isinstance(stack.source, WithoutAlpha) else stack.source
        if isinstance(source, WindowSource) and len(source.shape) == len(binding.region):
            source.hold(_surroundings(binding, pipeline))


def _surroundings(binding: Binding, pipeline: Pipeline) -> Region:
    """Return the visible box with the pixels around it that its result may depend on."""
    region, shape = binding.region, np.shape(binding.level.array)
    halos = [[0, 0] for _ in region]
    for stack in pipeline.stacks.values():
        if len(stack.source.shape) != len(region):
            continue
        channel = stack.call.channel_axis
        plane = [axis for axis in range(len(region)) if axis not in stack.loops]
        over = [axis for number, axis in enumerate(plane) if number != channel]
        for axis, (before, after) in zip(over, stack.halo, strict=True):
            halos[axis][0] += before
            halos[axis][1] += after
    displayed = [span.stop - span.start > 1 for span in region]
    looped = {axis for stack in pipeline.stacks.values() for axis in stack.loops}
    grown = []
    for axis, (before, after) in enumerate(halos):
        least = 0 if axis in looped else MARGIN if displayed[axis] else DEPTH
        grown.append(tuple(min(max(n, least), MOST_MARGIN) for n in (before, after)))
    return clip(grow(region, tuple(grown)), shape)  # type: ignore[arg-type]  # pairs


def _cropped(image: Any, box: Region) -> np.ndarray:
    if isinstance(image, np.ndarray):
        return np.ascontiguousarray(image[box])
    image.hold(box)
    return np.ascontiguousarray(image.read(box))


def _read(frame: Frame, pipeline: Pipeline, region: Region, session: Session) -> PreviewResult:
    """Return a box of a pipeline's result, as it is shown."""
    last, job = pipeline.last, frame.job
    count = last.count or 1
    number = min(job.part or 0, count - 1)
    stack = last.results()[number] if last.count is not None else last
    if not stack.is_image:
        _check_output(job, stack.part.output)
        return objects.shown(frame, pipeline, stack, region)
    axes = result_axes(stack)
    layer_box = region[: len(frame.placed)]
    box = arrange.box_of(job, Result(stack.part.output, stack, axes), layer_box)
    if size(box) > LARGEST * frame.request.view.pixels * _samples(stack, box):
        raise InvalidImage(
            f"{job.operation.title}: the result of shape {tuple(stack.shape)} is too large to "
            "preview."
        )
    array = _tiled(stack, box, session)
    if stack.call.operation.result.split is not None and stack.channel is not None:
        axis = stack.channel
        array = array.take(min(job.part or 0, array.shape[axis] - 1), axis)
        axes, box = axes[:axis] + axes[axis + 1 :], box[:axis] + box[axis + 1 :]
        count = stack.shape[axis]
    is_objects = array.dtype.kind in "bui" and pipeline.holds_labels(job.source.is_labels)
    placed = [frame.placed_axis(axis, span.start) for axis, span in zip(axes, box, strict=True)]
    result = pixels.shown(frame, array, placed, is_objects=is_objects)
    if count > 1:
        result = replace(result, remark=f"Shows result {number + 1} of {count}.")
    return result


def _samples(stack: Stack, box: Region) -> int:
    return 1 if stack.channel is None else box[stack.channel].stop - box[stack.channel].start


def _tiled(stack: Stack, box: Region, session: Session) -> np.ndarray:
    """Return a box of an image, computed in strips so that a stale request stops soon."""
    stack.prepare(box)
    lengths = extent(box)
    axis = max(range(len(box)), key=lambda i: lengths[i])
    halo = max((max(pair) for pair in stack.halo), default=0)
    count = min(ceil(prod(lengths) / STRIP), max(1, lengths[axis] // (4 * halo + 1)))
    out = np.empty(lengths, stack.dtype)

    def work(part: slice) -> None:
        strip = tuple(part if i == axis else slice(0, n) for i, n in enumerate(lengths))
        spans = [
            slice(span.start + p.start, span.start + p.stop)
            for span, p in zip(box, strip, strict=True)
        ]
        out[strip] = stack.read(tuple(spans))

    session.sweep("preview", work, strips(lengths[axis], count))
    return out.astype(stack.final_dtype, copy=False)
