"""A table's outcome as the table that its labels layer keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from napari_tilewise._napari.layers import positions
from napari_tilewise._napari.layers.object_table import ObjectTable
from napari_tilewise.operations.spec.measuring.calibration import Calibration

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from napari_tilewise._napari.jobs.job import Job, JobOutcome, LayerFrame


class _Calibrated(TypedDict, total=False):
    """What a table knows of lengths."""

    spacing: tuple[float, ...]
    unit: str
    quantities: dict[str, tuple[int, float | None]]


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
        record=record.to_dict() if record.is_storable else {},
        **_calibration(job, outcome, shown),
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


def _calibration(job: Job, outcome: JobOutcome, names: Iterable[str]) -> _Calibrated:
    """Return the pixel size by which a table was measured, its unit's symbol, and the columns'."""
    spec, spacing = job.operation.step.calibration, outcome.spacing
    if outcome.frame is None or not spacing or not isinstance(spec, Calibration):
        return {}
    params = job.record.recipe.steps[job.record.recipe.running[-1]].bound
    columns = {}
    for name in names:
        quantity = spec.quantity(name, len(spacing), params)
        if quantity.power:
            columns[name] = (quantity.power, quantity.size(spacing))
    return {"spacing": spacing, "unit": outcome.unit or "", "quantities": columns}
