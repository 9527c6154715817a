"""Pixels as napari takes them: masks as integers, colours last, other channels first."""

from __future__ import annotations

from math import ceil, floor
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np

from napari_tilewise._napari.jobs.job import Job, JobOutcome
from napari_tilewise._napari.layers import prefetch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise._napari.layers.snapshot import Box
    from napari_tilewise.engine.apply import Result


def layer_axes(job: Job, origins: Sequence[int | None]) -> tuple[int | None, ...]:
    """Return the axes of the source's placement behind the axes of a result.

    Parameters
    ----------
    job
        What was done.
    origins
        The source's array's axis behind each axis of the result; samples are none of a layer's.
    """
    of_layer = len(job.source.placement.inner.scale)
    return tuple(None if o is None or o >= of_layer else o for o in origins)


def box_of(job: Job, result: Result, box: Box) -> Box:
    """Return the part of a result that shows the same as a part of the source.

    Parameters
    ----------
    job
        What was done.
    result
        What came out.
    box
        A part of the source.
    """
    found = []
    for axis, length in zip(layer_axes(job, result.origins), result.value.shape, strict=True):
        if axis is None:
            found.append(slice(0, length))
            continue
        ratio = length / job.source.shape[axis]
        start = min(floor(box[axis].start * ratio), length - 1)
        found.append(slice(start, max(start + 1, min(ceil(box[axis].stop * ratio), length))))
    return tuple(found)


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
        What was done.
    levels
        The result's levels, as the recipe gives them.
    result
        The result they are of.
    is_labels
        Whether the pixels are names of objects, or a mask.
    is_multiscale
        Whether they are a pyramid.
    values
        The range of their values, where it is known.
    """
    if values is None:
        values = prefetch.value_range([np.asarray(levels[-1])])
    axes = layer_axes(job, result.origins)
    is_mask = levels[0].dtype.kind == "b"
    if is_mask:
        levels = [level.astype(np.uint8) for level in levels]
    is_rgb = axes[-1] is None and not is_labels and _is_colour(levels[0], values)
    # Where samples went in and another axis came to them, all stay where they are.
    channels_first = axes[-1] is None and not is_rgb and axes.count(None) == 1
    if channels_first:
        levels = [last_first(level) for level in levels]
        axes = (None, *axes[:-1])
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
        values=values,
        origins=result.origins,
    )


def last_first(level: Any) -> Any:
    """Return an array with its last axis in front.

    Parameters
    ----------
    level
        A NumPy or dask array, or one of another kind, which becomes a dask array.
    """
    if isinstance(level, np.ndarray):
        return np.moveaxis(level, -1, 0)
    lazy = level if isinstance(level, da.Array) else da.from_array(level, name=False)
    return da.moveaxis(lazy, -1, 0)


def _is_colour(level: Any, values: tuple[float, float] | None) -> bool:
    """Return whether napari can show the last axis as colours: floats must lie in 0 to 1."""
    if level.shape[-1] not in (3, 4):
        return False
    if level.dtype.kind != "f":
        return bool(level.dtype.kind == "u")
    return values is None or (values[0] >= -0.01 and values[1] <= 1.01)
