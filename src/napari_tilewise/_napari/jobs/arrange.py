"""Arranges pixels for napari: masks as integers, colours last, other channels first."""

from __future__ import annotations

from math import ceil, floor
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np

from napari_tilewise._napari.jobs.job import Job, JobOutcome
from napari_tilewise._napari.layers import prefetch
from napari_tilewise.engine.result_axes import NEW_AXIS, ResultAxis
from napari_tilewise.operations.spec.pixel_positions import UNMOVED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise._napari.layers.snapshot import Box
    from napari_tilewise.engine.stack_results import Result


def layer_axes(job: Job, axes: Sequence[ResultAxis]) -> tuple[ResultAxis, ...]:
    """Return the axes of a result with respect to the layer: samples are none of its axes.

    Parameters
    ----------
    job
        Gives the source.
    axes
        The axes with respect to the source's array.
    """
    of_layer = len(job.source.placement.inner.scale)
    return tuple(
        NEW_AXIS if axis.origin is None or axis.origin >= of_layer else axis for axis in axes
    )


def box_of(job: Job, result: Result, box: Box) -> Box:
    """Return the part of a result that covers a part of the source.

    Parameters
    ----------
    job
        Gives the source.
    result
        An image.
    box
        A part of the source.
    """
    spans = []
    for axis, length in zip(layer_axes(job, result.axes), result.value.shape, strict=True):
        if axis.origin is None or axis.sampling is None or length == 0:
            spans.append(slice(0, length))
            continue
        part, sampling = box[axis.origin], axis.sampling
        first = (part.start - 0.5 - sampling.start) / sampling.step
        last = (part.stop - 0.5 - sampling.start) / sampling.step
        start = min(max(floor(first + 0.5), 0), length - 1)
        spans.append(slice(start, max(start + 1, min(ceil(last + 0.5), length))))
    return tuple(spans)


def outcome(
    job: Job,
    levels: list[Any],
    result: Result,
    *,
    is_labels: bool,
    is_multiscale: bool = False,
    values: tuple[float, float] | None = None,
) -> JobOutcome:
    """Return levels of pixels arranged for napari.

    Parameters
    ----------
    job
        Gives the source.
    levels
        The result's levels, as the recipe gives them.
    result
        The result, for its kind and axes.
    is_labels
        Whether the pixels are labels or a mask.
    is_multiscale
        Whether the levels are a pyramid.
    values
        The range of the values; computed from the coarsest level by default.
    """
    if values is None:
        values = prefetch.value_range([np.asarray(levels[-1])])
    axes = layer_axes(job, result.axes)
    is_mask = levels[0].dtype.kind == "b"
    if is_mask:
        levels = [level.astype(np.uint8) for level in levels]
    is_last_new = axes[-1].origin is None
    is_rgb = is_last_new and not is_labels and _is_colour(levels[0], values)
    # If samples went in and another axis was added, all axes stay as they are.
    new_axes = sum(axis.origin is None for axis in axes)
    channels_first = is_last_new and not is_rgb and new_axes == 1
    if channels_first:
        levels = [last_first(level) for level in levels]
        axes = (NEW_AXIS, *axes[:-1])
    inserted, axis = (None, NEW_AXIS) if new_axes else _axis_in_place(job, axes)
    if inserted is not None:
        levels = [_with_axis(level, inserted) for level in levels]
        axes = (*axes[:inserted], axis, *axes[inserted:])
    return JobOutcome(
        result.output,
        list(levels) if is_multiscale else levels[0],
        result.number,
        axes,
        is_multiscale=is_multiscale,
        is_rgb=is_rgb,
        is_labels=is_labels,
        is_mask=is_mask,
        channels_first=channels_first,
        inserted=inserted,
        values=values,
        result_axes=result.axes,
    )


def _axis_in_place(job: Job, axes: Sequence[ResultAxis]) -> tuple[int | None, ResultAxis]:
    """Return where an axis of length one keeps a result's axes in line with the source's sliders.

    napari aligns layers at their last axes: without a channel axis that an operation consumed, time
    would follow its slider. None if the result has all axes, or lacks the
    first or the last.
    """
    source = job.source
    count = len(source.placement.inner.scale)
    missing = set(range(count)) - {axis.origin for axis in axes}
    if not missing:
        return source.inserted, NEW_AXIS
    if len(missing) > 1 or missing & {0, count - 1} or source.inserted is not None:
        return None, NEW_AXIS
    index = missing.pop()
    return index, ResultAxis(index, UNMOVED)


def _with_axis(level: Any, index: int) -> Any:
    """Return an array with a new axis of length one."""
    return level[(slice(None),) * index + (None,)]


def last_first(level: Any) -> Any:
    """Return an array with its last axis moved to the front.

    Parameters
    ----------
    level
        A NumPy or dask array; any other array becomes a dask array.
    """
    if isinstance(level, np.ndarray):
        return np.moveaxis(level, -1, 0)
    lazy = level if isinstance(level, da.Array) else da.from_array(level, name=False)
    return da.moveaxis(lazy, -1, 0)


def _is_colour(level: Any, values: tuple[float, float] | None) -> bool:
    """Return whether napari can show the last axis as colours: floats must be in 0 to 1."""
    if level.shape[-1] not in (3, 4):
        return False
    if level.dtype.kind != "f":
        return bool(level.dtype.kind == "u")
    return values is None or (values[0] >= -0.01 and values[1] <= 1.01)
