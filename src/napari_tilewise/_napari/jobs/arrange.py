"""Arranges pixels for napari: masks as integers, colours last, other channels first."""

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
    """Return the layer's axis for each axis of a result; None for a new axis or samples.

    Parameters
    ----------
    job
        Gives the source.
    origins
        The axis of the source's array for each axis of the result.
    """
    of_layer = len(job.source.placement.inner.scale)
    return tuple(None if o is None or o >= of_layer else o for o in origins)


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
    for axis, length in zip(layer_axes(job, result.origins), result.value.shape, strict=True):
        if axis is None:
            spans.append(slice(0, length))
            continue
        ratio = length / job.source.shape[axis]
        start = min(floor(box[axis].start * ratio), length - 1)
        spans.append(slice(start, max(start + 1, min(ceil(box[axis].stop * ratio), length))))
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
    axes = layer_axes(job, result.origins)
    is_mask = levels[0].dtype.kind == "b"
    if is_mask:
        levels = [level.astype(np.uint8) for level in levels]
    is_rgb = axes[-1] is None and not is_labels and _is_colour(levels[0], values)
    # If samples went in and another axis was added, all axes stay as they are.
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
