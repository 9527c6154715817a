"""A table's outcome as the table that its labels layer keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise._napari.layers import positions
from napari_tilewise._napari.layers.object_table import ObjectTable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_tilewise._napari.jobs.job import Job, JobOutcome, LayerFrame


def table_of(job: Job, outcome: JobOutcome) -> ObjectTable | None:
    """Return a measured table; None if its rows have no label ids.

    Parameters
    ----------
    job
        The finished job.
    outcome
        Its table.
    """
    params = job.last.parameters
    columns = {name: np.asarray(column) for name, column in outcome.data.items()}
    if "label" not in columns:
        return None
    shown = _requested_columns(job, columns)
    axes = _axes(outcome)
    boxes = [name for name in columns if positions.is_position(name, "bbox", params)]
    frame, over = outcome.frame, tuple[int, ...]()
    if frame is not None and axes is not None:
        over = tuple(axes[axis] for axis in frame.over)
    is_located = len(boxes) == 2 * len(over) > 0
    record = job.record
    return ObjectTable(
        shown,
        columns["label"].astype(np.int64),
        np.stack([columns[name] for name in boxes], axis=1) if is_located else None,
        _frames(frame, axes, list(columns)),
        over,
        *_calibration(job, outcome),
        record.to_dict() if record.is_storable else {},
    )


def _requested_columns(job: Job, columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns without those that only tell the positions."""
    operation = job.operation
    params = job.record.recipe.steps[job.record.recipe.running[-1]].parameters
    names = positions.requested(operation, params)
    hidden = [name for name in positions.NAMES if names and name not in names]
    return {
        name: column
        for name, column in columns.items()
        if not any(positions.is_position(name, prefix, params) for prefix in hidden)
    }


def _axes(outcome: JobOutcome) -> tuple[int, ...] | None:
    """Return the layer's axis of each axis of the measured image; None if some have none."""
    frame, measured = outcome.frame, outcome.measured
    if frame is None:
        return None
    origins = [axis.origin for axis in frame.axes]
    if measured is not None:
        places = [axis.origin for axis in measured.axes]
        origins = [places.index(origin) if origin in places else None for origin in origins]
    return None if None in origins else tuple(axis for axis in origins if axis is not None)


def _frames(
    frame: LayerFrame | None, axes: tuple[int, ...] | None, names: list[str]
) -> dict[str, int]:
    """Return the looped axes by their columns, which come first."""
    if frame is None or axes is None:
        return {}
    looped = [i for i in range(len(frame.axes)) if i not in frame.over and i != frame.channel]
    return {name: axes[axis] for name, axis in zip(names, looped, strict=False)}


def _calibration(job: Job, outcome: JobOutcome) -> tuple[tuple[float, ...], str]:
    """Return the pixel size by which a table was measured, and its unit's symbol."""
    frame, spacing = outcome.frame, outcome.spacing
    if frame is None or not spacing:
        return (), ""
    units = job.source.placement.inner.units
    origin = frame.axes[frame.over[0]].origin
    unit = "" if origin is None else f"{units[origin]:~P}"
    in_pixels = unit == "pixel" or set(spacing) == {1.0}
    return spacing, "" if in_pixels else unit
