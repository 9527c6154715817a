"""What a run does in its worker: plain data in, plain data out, nothing of napari or Qt touched.

In-memory images are computed at once. Lazy ones stay lazy, but for the part that is shown.
Pyramids, and planes too large to show without one, are streamed into a temporary OME-Zarr.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import ceil, floor, prod
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np

from napari_tilewise._napari import dimensions, prefetch, pyramids
from napari_tilewise.axes import default_axes
from napari_tilewise.engine.apply import Result, apply_step
from napari_tilewise.operations.model import Output
from napari_tilewise.recipe import Recipe, step_output

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence

    from napari_tilewise._napari.snapshot import Box, Snapshot
    from napari_tilewise.engine.events import Listener
    from napari_tilewise.operations.model import Operation

LARGE = 64 * 2**20
"""Pixels beyond which a pyramid is stored, and a plane is not shown without one."""


@dataclass(frozen=True, eq=False)
class Job:
    """One operation on one layer, with all that it takes."""

    operation: Operation
    params: Mapping[str, Any]
    """As given, further images as arrays, the channel axis among them where there is one."""
    spatial: tuple[int, ...]
    source: Snapshot
    box: Box
    """The part of the layer that is shown."""
    images: Mapping[str, str] = field(default_factory=dict)
    """Names of the layers that are further images."""

    @property
    def output(self) -> Output:
        """What comes out (of a threshold: the mask)."""
        return step_output(self.operation)

    @property
    def channel(self) -> int | None:
        """The axis passed as the channel axis."""
        name = self.operation.channel
        return None if name is None else self.params.get(name)

    def __str__(self) -> str:
        """Return what is done, for progress and questions."""
        return f"{self.operation.title} on {self.source.name!r}"


@dataclass(frozen=True, eq=False)
class Outcome:
    """A result, ready to become a layer."""

    output: Output
    data: Any
    """An array; a list of levels where `is_multiscale`; points; a dict of columns; a number."""
    number: int | None = None
    """Which of several results of one run it is."""
    axes: tuple[int | None, ...] = ()
    """The source's axis behind each axis of the result; None where it is the RGB samples."""
    is_multiscale: bool = False
    is_rgb: bool = False
    is_labels: bool = False
    """Whether the pixels are names of objects, or a mask."""
    values: tuple[float, float] | None = None
    """The range of the values that are in memory anyway."""
    lazy: da.Array | None = None
    """The lazy array behind the data."""
    origins: tuple[int | None, ...] = ()
    """The source's axis behind each axis of the lazy array, before it was arranged."""
    box: Box | None = None
    """The shown part of the source for which the lazy result is in memory."""

    @property
    def finest(self) -> Any:
        """The result at full resolution."""
        return self.data[0] if self.is_multiscale else self.data


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
    source = job.source
    if job.output.is_image:
        small = source.in_memory and prod(source.shape) < LARGE
        large_plane = not source.in_memory and _pixels(job.box) > LARGE
        if (source.is_multiscale and not small) or large_plane:
            levels, origins = _stored(job, progress, cancel)
            return (_arranged(job, levels, Result(job.output, None, origins), is_multiscale=True),)
    results = apply_step(
        job.operation.name,
        source.finest,
        spatial=job.spatial,
        progress=progress,
        cancel=cancel,
        **job.params,
    )
    return tuple(_outcome(job, result, cancel) for result in results)


def _outcome(job: Job, result: Result, cancel: threading.Event) -> Outcome:
    if not result.output.is_image:
        value = result.value
        if result.output is Output.SCALAR and np.size(value) == 1:
            value = np.asarray(value).item()
        return Outcome(result.output, value, result.number)
    if isinstance(result.value, da.Array):
        return _shown(job, result, job.box, cancel)
    source = job.source
    if source.is_multiscale and len(result.origins) == len(np.shape(source.finest)):
        shapes = [np.shape(level) for level in source.levels]
        average = not _is_labels(job, result.output, result.value)
        levels = pyramids.smaller(result.value, shapes, average=average)
        return _arranged(job, levels, result, is_multiscale=True)
    return _arranged(job, [result.value], result)


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
        )
        for outcome in outcomes
    )


def _shown(job: Job, result: Result, box: Box, cancel: threading.Event) -> Outcome:
    part = _box_of(job, result, box)
    held, values = prefetch.with_shown(result.value, part, cancel)
    made = _arranged(job, [held], result, values=values)
    return replace(made, lazy=result.value, box=box)


def _stored(
    job: Job, progress: Listener, cancel: threading.Event
) -> tuple[list[da.Array], tuple[int | None, ...]]:
    """Return the levels of a result streamed to disk, and the source's axes behind theirs."""
    from napari_tilewise.io.source import open_image
    from napari_tilewise.runner import run

    source = job.source
    names = dimensions.letters(source.placement.inner.axis_labels)
    if names is None or (source.is_rgb and "c" in names):
        names = default_axes(len(source.shape), is_rgb=source.is_rgb)
    elif source.is_rgb:
        names = (*names, "c")
    path = pyramids.new_store()
    run(
        Recipe([(job.operation.name, job.params)]),
        replace(open_image(source.finest), labels=source.is_labels),
        path,
        axes=names,
        spatial=job.spatial,
        progress=progress,
        cancel=cancel,
    )
    levels = pyramids.stored_levels(
        path, names, lambda level: not _is_labels(job, job.output, level)
    )
    return levels, _origins_of_stored(job, levels[0].ndim)


def _pixels(box: Box) -> int:
    return prod(span.stop - span.start for span in box)


def _origins_of_stored(job: Job, ndim: int) -> tuple[int | None, ...]:
    axes: list[int | None] = list(range(np.ndim(job.source.finest)))
    if len(axes) == ndim + 1 and job.channel is not None:
        del axes[job.channel]
    return (*[None] * (ndim - len(axes)), *axes)


def _axes_of(job: Job, result: Result) -> tuple[int | None, ...]:
    """Return the layer's axis behind each axis of a result, before it is arranged."""
    of_layer = len(job.source.placement.inner.scale)
    return tuple(None if o is None or o >= of_layer else o for o in result.origins)


def _box_of(job: Job, result: Result, box: Box) -> Box:
    """Return the part of a result that shows the same as a part of the source."""
    found = []
    for axis, length in zip(_axes_of(job, result), result.value.shape, strict=True):
        if axis is None:
            found.append(slice(0, length))
            continue
        ratio = length / job.source.shape[axis]
        start = min(floor(box[axis].start * ratio), length - 1)
        found.append(slice(start, max(start + 1, min(ceil(box[axis].stop * ratio), length))))
    return tuple(found)


def _arranged(
    job: Job,
    levels: list[Any],
    result: Result,
    *,
    is_multiscale: bool = False,
    values: tuple[float, float] | None = None,
) -> Outcome:
    """Return levels as napari takes them: masks as integers, colours last, or channels first."""
    if values is None:
        values = prefetch.value_range([np.asarray(levels[-1])])
    axes = _axes_of(job, result)
    is_labels = _is_labels(job, result.output, levels[0])
    if is_labels:
        levels = [_integers(level) for level in levels]
    is_rgb = axes[-1] is None and not is_labels and _is_colour(levels[0], values)
    if axes[-1] is None and not is_rgb:
        levels = [
            da.moveaxis(level, -1, 0) if isinstance(level, da.Array) else np.moveaxis(level, -1, 0)
            for level in levels
        ]
        axes = (None, *axes[:-1])
    data = list(levels) if is_multiscale else levels[0]
    return Outcome(
        result.output,
        data,
        result.number,
        axes,
        is_multiscale=is_multiscale,
        is_rgb=is_rgb,
        is_labels=is_labels,
        values=values,
        origins=result.origins,
    )


def _is_labels(job: Job, output: Output, array: Any) -> bool:
    """Return whether a result is labels or a mask, by what it is or by what it was made from."""
    if output is not Output.IMAGE or array.dtype.kind == "b":
        return True
    return job.source.is_labels and array.dtype.kind in "ui"


def _integers(level: Any) -> Any:
    return level.astype(np.uint8) if level.dtype.kind == "b" else level


def _is_colour(level: Any, values: tuple[float, float] | None) -> bool:
    """Return whether napari can show the last axis as colours: floats must lie in 0 to 1."""
    if level.shape[-1] not in (3, 4):
        return False
    if level.dtype.kind != "f":
        return bool(level.dtype.kind == "u")
    return values is None or (values[0] >= -0.01 and values[1] <= 1.01)
