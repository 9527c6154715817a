"""Contrast limits of results: the input's where they show the result, else its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari_tilewise._napari.jobs.job import Job

Limits = tuple[float, float]

SIGNED = 0.02
"""The part of a result's range below 0 from which it is signed: noise around 0 is not."""


def contrast_limits(job: Job, values: Limits | None, dtype: np.dtype) -> Limits:
    """Return contrast limits: the input's if the result is visible with them.

    Parameters
    ----------
    job
        Gives the input's limits.
    values
        The range of the values that are in memory; None if there are none.
    dtype
        The result's data type.
    """
    limits = _input_limits(job, dtype)
    if values is None:
        return limits
    low, high = values
    is_signed = limits[0] >= 0 and low < -SIGNED * (high - low)
    if not is_signed and visible_limits(limits, values) == limits:
        return limits
    return (low, high) if high > low else (low, low + 1)


def _input_limits(job: Job, dtype: np.dtype) -> Limits:
    """Return the input's contrast limits, rescaled to the result's data type."""
    source = job.source
    to_float = source.dtype.kind in "ui" and dtype.kind == "f"
    if source.limits is None or source.dtype.kind == "b":
        return (0.0, 1.0) if dtype.kind in "bf" else (0.0, float(np.iinfo(dtype).max))
    low, high = source.limits
    if to_float and not job.last.parameters.get("preserve_range", False):
        top = float(np.iinfo(source.dtype).max)
        low, high = low / top, high / top
    return (low, high) if high > low else (low, low + 1)


def visible_limits(limits: Limits, values: Limits) -> Limits:
    """Return the limits if a range of values is visible with them, else that range.

    Parameters
    ----------
    limits
        Contrast limits.
    values
        The range of the values.
    """
    return limits if is_visible(limits, values, least=0.5) else values


def is_visible(limits: Limits, values: Limits, *, least: float = 0.05) -> bool:
    """Return whether a range of values is visible with contrast limits.

    Parameters
    ----------
    limits
        The contrast limits.
    values
        The range of the values.
    least
        The least part of the limits that it covers.
    """
    (low, high), span = values, limits[1] - limits[0]
    overlap = low <= limits[1] and high >= limits[0]
    return overlap and span * least <= high - low <= 20 * span
