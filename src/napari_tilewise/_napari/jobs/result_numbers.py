"""The single numbers of results, by what they are: shown as a small table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise._napari.widgets.found_numbers import InPixels, MeasuredNumber
from napari_tilewise._napari.widgets.unit_text import PIXEL, with_power
from napari_tilewise.operations.spec.operation import Output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise._napari.jobs.job import Job, JobOutcome

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
                _with_unit(outcome)
            )
        scalars = {name: value for name, value in outcome.scalars.items() if np.size(value) <= MOST}
        is_only = len(scalars) == 1
        numbers |= {title if is_only else f"{title}: {name}": scalars[name] for name in scalars}
    return numbers


def _with_unit(outcome: JobOutcome) -> object:
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
