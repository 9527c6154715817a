"""Numbers that results are: stored with the layer that they were measured on, and shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise._napari.layers import layer_record
from napari_tilewise._napari.layers.columns import TableColumn, in_units
from napari_tilewise._napari.widgets.found_numbers import InPixels, MeasuredNumber
from napari_tilewise._napari.widgets.unit_text import PIXEL, with_power
from napari_tilewise.operations.spec.operation import Output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer

    from napari_tilewise._napari.jobs.job import Job, JobOutcome
    from napari_tilewise.operations.spec.measuring.calibration import MeasuredColumn

MOST_IN_LINE = 6
"""The most numbers that a message has one by one."""
MOST = 12
"""The most numbers of one value that are shown as a single one, such as several thresholds."""


def is_single(outcome: JobOutcome) -> bool:
    """Return whether a result is one number.

    Parameters
    ----------
    outcome
        A result.
    """
    return outcome.output is Output.SCALAR and np.ndim(outcome.data) == 0


def numbers_of(job: Job, outcomes: Sequence[JobOutcome]) -> dict[str, object]:
    """Return single numbers among results, and those that were found on the way to them.

    Parameters
    ----------
    job
        The finished job.
    outcomes
        Its results.
    """
    title = f"{job.operation.title} of {job.source.name}"
    numbers: dict[str, object] = {}
    for outcome in outcomes:
        if is_single(outcome):
            numbers[title if outcome.number is None else f"{title} {outcome.number + 1}"] = (
                _single_in_unit(outcome)
            )
        scalars = {name: value for name, value in outcome.scalars.items() if np.size(value) <= MOST}
        is_only = len(scalars) == 1
        numbers |= {title if is_only else f"{title}: {name}": scalars[name] for name in scalars}
    return numbers


def _single_in_unit(outcome: JobOutcome) -> object:
    """Return a single number, as a length in the layer's unit if it counts pixels."""
    lengths = outcome.lengths
    column = None if lengths is None else next(iter(lengths.columns), None)
    if lengths is None or column is None or not column.power:
        return outcome.data
    pixel = with_power(PIXEL, column.power)
    if lengths.unit is None or column.to_unit is None or column.to_pixels is None:
        return InPixels(outcome.data, pixel)
    unit, in_pixels = with_power(lengths.unit, column.power), outcome.data * column.to_pixels
    return MeasuredNumber(outcome.data * column.to_unit, unit, in_pixels, pixel)


def note(job: Job, outcome: JobOutcome, source: Layer | None) -> str:
    """Store a result that is not a layer in its source's metadata, and return it as text.

    Parameters
    ----------
    job
        The finished job.
    outcome
        One of its outcomes.
    source
        The layer that was measured; None if it was removed.
    """
    if source is not None:
        meaning = layer_record.NumberMeaning(outcome.lengths, outcome.planes)
        layer_record.store_value(
            source, job.operation.name, outcome.number or 0, outcome.data, meaning
        )
    location = f"in the metadata of {job.source.name!r}"
    return f"{job}: {_with_units(outcome, location) or _as_text(outcome.data, location)}"


def _with_units(outcome: JobOutcome, location: str) -> str:
    """Return a few numbers in their units, with the pixels in brackets; empty for any others.

    They are one row of several numbers, or one number per plane.
    """
    lengths = outcome.lengths
    table = None if lengths is None else lengths.table(outcome.data)
    if lengths is None or not table:
        return ""
    rows = len(next(iter(table.values())))
    if min(rows, len(table)) != 1:
        return ""
    if max(rows, len(table)) > MOST_IN_LINE:
        return f"{max(rows, len(table))} numbers, {location}"
    parts = zip(lengths.columns, table.values(), strict=True)
    return ", ".join(
        _measured_text(part, values[row : row + 1], lengths.unit)
        for part, values in parts
        for row in range(rows)
    )


def _measured_text(part: MeasuredColumn, values: np.ndarray, unit: str | None) -> str:
    """Return a number by its name, in its unit, with the pixels in brackets."""
    named = in_units(TableColumn("", "", values), part, unit)
    first, *others = (f"{column.text(0)} {column.title.strip(' ()')}" for column in named)
    return f"{part.name} {first.strip()}" + "".join(f" ({text})" for text in others)


def _as_text(value: object, location: str) -> str:
    if isinstance(value, list | tuple):  # one per plane, perhaps of several lengths
        return f"{len(value)} item{'s' * (len(value) != 1)}, {location}"
    if isinstance(value, np.ndarray) and value.ndim > 0:
        if value.size <= 12 and value.ndim == 1 and value.dtype.kind in "iuf":
            return ", ".join(f"{number:.6g}" for number in value.tolist())
        if value.size <= 12:
            return np.array2string(value, precision=6, separator=", ").replace("\n", "")
        return f"{value.dtype} numbers of shape {value.shape}, {location}"
    return str(value)
