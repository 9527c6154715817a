"""A running job: its outcomes in memory, lazily, or streamed into a file and shown from there."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING

import dask.array as da
import numpy as np

from napari_tilewise import axes as _axes
from napari_tilewise._napari.jobs import arrange
from napari_tilewise._napari.jobs.job import Job, JobOutcome, LayerFrame
from napari_tilewise._napari.layers import layer_pyramids, prefetch
from napari_tilewise._napari.layers.layer_file import image_behind
from napari_tilewise._napari.widgets.settings import LOCATION
from napari_tilewise._napari.widgets.unit_text import unit_symbol
from napari_tilewise.axes import default_axes
from napari_tilewise.engine.build import StackLayout
from napari_tilewise.engine.control import Control
from napari_tilewise.engine.result_axes import LoopedAxis, ResultAxis, result_axes
from napari_tilewise.engine.stack_results import Result
from napari_tilewise.errors import DestinationUnwritable, InvalidImage
from napari_tilewise.io.metadata.units import unit_name
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.operations.spec.operation import Output
from napari_tilewise.operations.spec.pixel_positions import UNMOVED
from napari_tilewise.pipeline.apply_recipe import apply_recipe
from napari_tilewise.provenance import record
from napari_tilewise.provenance.fingerprint import source_location
from napari_tilewise.recipe import Recipe, step_output
from napari_tilewise.recipe.step import SOURCE

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator
    from pathlib import Path

    from napari_tilewise._napari.layers.snapshot import Box
    from napari_tilewise.engine.events import Listener
    from napari_tilewise.engine.stack import Stack
    from napari_tilewise.io.image import Image
    from napari_tilewise.operations.spec.measuring.calibration import MeasuredLengths
    from napari_tilewise.runs.run_plan import RunPlan
    from napari_tilewise.types import ArrayLike

LARGE = layer_pyramids.LARGE
"""The most pixels of a plane without a pyramid, and of a pyramid in memory."""


def check_space(plan: RunPlan, path: Path) -> None:
    """Refuse a run whose result may not fit on the disk.

    Parameters
    ----------
    plan
        The run's plan.
    path
        The file of the result.

    Raises
    ------
    DestinationUnwritable
        If the disk is too small.
    """
    from napari_tilewise.runs.traffic import shortage

    short = shortage(plan, path)
    if short is not None:
        raise DestinationUnwritable(
            f"Not enough space: {short}. Crop the image, or choose a folder on a larger disk in "
            f"{LOCATION}, or run the recipe into a file there (Recipe panel, Run on the full "
            "image)."
        )


def streams(job: Job) -> bool:
    """Return whether a job's result is stored on disk, rather than in memory or lazily."""
    source = job.source
    small = source.in_memory and prod(source.shape) < LARGE
    large_plane = not source.in_memory and _pixels(job.box) > LARGE
    return (source.is_multiscale and not small) or large_plane


class JobRun:
    """A running job."""

    def __init__(self, job: Job, progress: Listener, cancel: threading.Event) -> None:
        self.job = job
        self.progress = progress
        self.cancel = cancel

    def outcomes(self) -> tuple[JobOutcome, ...]:
        """Return the outcomes, one per result."""
        if self.job.output.is_image and streams(self.job):
            return self.stored(layer_pyramids.new_store())
        job = self.job
        if job.memo is not None:
            job.memo.check({SOURCE: job.source.finest, **job.inputs}, self.cancel)
        results = self._results(job.recipe, job.source.finest)
        return tuple(self.outcome(result) for result in results)

    def _results(self, recipe: Recipe, image: ArrayLike) -> tuple[Result, ...]:
        job = self.job
        return apply_recipe(
            recipe, image, inputs={name: job.inputs[name] for name in recipe.inputs},
            layout=StackLayout(job.axes, job.tiles),
            control=Control(self.progress, self.cancel, job.pause),
            memo=job.memo if image is job.source.finest else None,
        )  # fmt: skip

    def outcome(self, result: Result) -> JobOutcome:
        """Return the outcome of one result."""
        if not result.output.is_image:
            return self._numbers(result)
        job = self.job
        is_labels = self._is_labels(result.output, result.value.dtype)
        outcome = self._image_outcome(result, is_labels=is_labels)
        # Of a lazy stack, only the planes in view are computed by now.
        is_plane = len(result.value.shape) == len(job.spatial or result.value.shape)
        is_done = is_plane or not isinstance(result.value, da.Array)
        if result.recorded is None or not is_done:
            return outcome
        return replace(outcome, scalars=record.scalars(result.recorded()))

    def _image_outcome(self, result: Result, *, is_labels: bool) -> JobOutcome:
        job, source = self.job, self.job.source
        if isinstance(result.value, da.Array):
            return lazy_outcome(job, result, self.cancel, is_labels=is_labels)
        if source.is_multiscale and len(result.axes) == len(source.shape):
            shapes = [np.shape(level) for level in source.levels]
            levels = layer_pyramids.smaller(result.value, shapes, average=not is_labels)
            return arrange.outcome(job, levels, result, is_labels=is_labels, is_multiscale=True)
        return arrange.outcome(job, [result.value], result, is_labels=is_labels)

    def _numbers(self, result: Result) -> JobOutcome:
        value = result.value
        if isinstance(value, da.Array):  # numbers are shown at once
            value = value.compute(scheduler="synchronous")
        if result.output is Output.SCALAR and np.size(value) == 1:
            value = np.asarray(value).item()
        outcome = JobOutcome(
            result.output, value, result.number, spacing=result.spacing,
            unit=self._symbol(result.unit), lengths=self._lengths(result),
            planes=tuple((self._axis_name(axis), axis.length) for axis in result.looped),
        )  # fmt: skip
        if result.output in (Output.SCALAR, Output.VALUES):
            return outcome
        before = self._before()
        measured = None
        source = self.job.source
        if before is not None and result.output is Output.TABLE:
            measured = self.outcome(before)
        elif source.is_part and result.output is Output.TABLE:
            # The table of a part is not one of the whole layer.
            axes = tuple(ResultAxis(axis, UNMOVED) for axis in range(len(source.shape)))
            measured = self.outcome(Result(Output.LABELS, source.finest, axes, None))
        return replace(outcome, frame=self._frame(before), measured=measured)

    def _axis_name(self, axis: LoopedAxis) -> str:
        """Return an axis's letter, else its number as tables of points have it."""
        names = self.job.source.names
        if axis.origin is None:
            return "axis"
        return f"axis-{axis.origin}" if names is None else names[axis.origin]

    def _lengths(self, result: Result) -> MeasuredLengths | None:
        """Return what numbers that count pixels are in the layer's unit, by its symbol."""
        lengths = result.lengths
        return None if lengths is None else replace(lengths, unit=self._symbol(lengths.unit))

    def _symbol(self, unit: str | None) -> str | None:
        """Return the symbol of a unit as napari writes it."""
        units = self.job.source.placement.inner.units
        symbols = {unit_name(str(own)): unit_symbol(own) for own in units}
        return None if unit is None else symbols.get(unit, unit)

    def _before(self) -> Result | None:
        """Return the image that the last step processes; None if that is the source.

        It is taken from the job's memo if there is one, else computed again.
        """
        recipe = self.job.recipe
        link = recipe.links[recipe.running[-1]][self.job.last.first]
        return None if link.step is None else self._result_of(link.step, link.part)

    def _result_of(self, step: int, part: int) -> Result:
        """Return one of the results of a step, by their indices."""
        recipe = self.job.recipe
        steps = Recipe(recipe.steps[: step + 1], recipe.inputs)
        return self._results(steps, self.job.source.finest)[part]

    def _frame(self, before: Result | None) -> LayerFrame:
        job = self.job
        if before is None:
            shape = job.source.shape
            axes = tuple(ResultAxis(axis, UNMOVED) for axis in range(len(shape)))
        else:
            shape, axes = tuple(before.value.shape), before.axes
        names = job.source.names
        if names is not None and before is not None:
            moved = [None if axis.origin is None else names[axis.origin] for axis in axes]
            names = None if None in moved else tuple(filter(None, moved))
        op = job.operation
        channel = None
        if op.channel is not None:
            default = op.parameters[op.channel].default
            channel = job.last.parameters.get(op.channel, default)
        channel = None if channel is None else int(channel) % len(shape)
        spatial = job.last.spatial
        if spatial is None and names is not None:
            spatial = "".join(axis for axis in names if _axes.kind(axis) == "space") or None
        over = _axes.spatial_indices(names, spatial, len(shape))
        axes = arrange.layer_axes(job, axes)
        return LayerFrame(axes, shape, tuple(i for i in over if i != channel), channel)

    # -- labels --------------------------------------------------------------------------------

    def _is_labels(self, output: Output, dtype: np.dtype) -> bool:
        """Return whether a result is labels or a mask, by its own kind or its input's.

        Labels stay labels if an operation, such as an erosion, returns integers.
        """
        if dtype.kind not in "bui":
            return False  # floats are not label ids
        if output is not Output.IMAGE or dtype.kind == "b":
            return True
        return self._labels_before(self.job.recipe.running[-1])

    def _labels_before(self, number: int) -> bool:
        recipe = self.job.recipe
        link = recipe.links[number][recipe.steps[number].first]
        if link.step is None:
            return link.input == SOURCE and self.job.source.is_labels
        if step_output(recipe.steps[link.step].op) is not Output.IMAGE:
            return True
        is_integer = np.dtype(self._result_of(link.step, link.part).value.dtype).kind in "uib"
        return is_integer and self._labels_before(link.step)

    # -- on disk -------------------------------------------------------------------------------

    def stored(self, path: Path, *, resume: bool = False) -> tuple[JobOutcome, ...]:
        """Stream the results to disk, and return them with their pyramids."""
        plan = self.plan(path)  # reads no pixel
        self._check_part(plan.last)
        check_space(plan, path)
        self.write(path, resume=resume)
        image = open_image(path)
        if not layer_pyramids.can_show(image):
            return ()
        dtype = np.dtype(plan.last.dtype)
        is_labels = self._is_labels(plan.last.part.output, dtype)
        levels = layer_pyramids.stored_levels(
            image, plan.output.axes, dtype=dtype, average=not is_labels
        )
        return tuple(
            arrange.outcome(
                self.job, part_levels, result,
                is_labels=is_labels, is_multiscale=True,
                values=prefetch.value_range([layer_pyramids.sample(part_levels[-1])]),
            )
            for result, part_levels in _parts(plan.last, levels)
        )  # fmt: skip

    def _check_part(self, last: Stack) -> None:
        """Refuse a job for another result than the one that a file holds."""
        count, part = last.count or 1, self.job.part or 0
        if 0 < part < count:
            raise InvalidImage(
                f"{self.job}: a file holds the first of its {count} results, but result {part + 1} "
                "is requested: start from the layer of the first result."
            )

    def write(self, path: Path, *, resume: bool) -> None:
        """Stream a result into a file."""
        from napari_tilewise.runs.run import run

        job, image = self.job, self._image()
        run(
            job.recipe, image, path, inputs=job.inputs, axes=image.axes, spatial=job.spatial,
            progress=self.progress, cancel=self.cancel, pause=job.pause, resume=resume,
        )  # fmt: skip

    def plan(self, path: Path) -> RunPlan:
        """Return the plan of `write`."""
        from napari_tilewise.runs.plan import plan

        job, image = self.job, self._image()
        return plan(
            job.recipe, image, inputs=job.inputs, axes=image.axes, spatial=job.spatial,
            cancel=self.cancel, resume=True, destination=path,
        )  # fmt: skip

    @cached_property
    def _file_image(self) -> Image | None:
        """The image in the file behind the layer."""
        return image_behind(self.job.source, self.cancel)

    def _image(self) -> Image:
        """Return the layer's pixels with the layer's axes, scale and units."""
        from napari_tilewise.io.metadata.channels import of_samples

        source = self.job.source
        sizes = source.sizes
        samples = len(source.shape) - len(sizes.scale)
        image = self._file_image
        if image is None:
            image, path = open_image(source.finest), source_location(source.finest)
        else:
            path = source_location(image)
        # An image with a format is reopened by its name, which a layer's name is not.
        name, kind = (source.name, "array") if path is None else (path, image.format)
        return replace(
            image,
            axes=source.names or default_axes(len(source.shape), is_rgb=source.is_rgb),
            scale=(*sizes.scale, *[1.0] * samples),
            units=(*sizes.units, *[None] * samples),
            channels=image.channels or (of_samples(source.shape[-1]) if source.is_rgb else ()),
            labels=source.is_labels,
            name=name,
            format=kind,
        )


def _parts(last: Stack, levels: list[da.Array]) -> Iterator[tuple[Result, list[da.Array]]]:
    """Yield the results in a stored image, each with its levels."""
    output, axis = last.part.output, last.channel
    if last.call.operation.result.split is None or axis is None:
        number = 0 if last.count is not None and last.count > 1 else None
        yield Result(output, levels[0], result_axes(last), number), levels
        return
    axes = tuple(item for i, item in enumerate(result_axes(last)) if i != axis)
    count = last.shape[axis]
    for number in range(count):
        part_levels = [da.take(level, number, axis=axis) for level in levels]
        yield Result(output, part_levels[0], axes, number if count > 1 else None), part_levels


def _pixels(box: Box) -> int:
    return prod(span.stop - span.start for span in box)


def lazy_outcome(
    job: Job, result: Result, cancel: threading.Event, *, is_labels: bool
) -> JobOutcome:
    """Return the outcome of a lazy result, with the job's box in memory."""
    part = arrange.box_of(job, result, job.box)
    lazy, values = prefetch.with_shown(result.value, part, cancel)
    outcome = arrange.outcome(job, [lazy], result, is_labels=is_labels, values=values)
    return replace(outcome, lazy=result.value, box=job.box)
