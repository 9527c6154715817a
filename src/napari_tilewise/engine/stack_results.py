"""What a stack results in: arrays computed at once or lazy, and values, each with its kind."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.engine.result_axes import LoopedAxis, ResultAxis, looped_axes, result_axes
from napari_tilewise.engine.system.fetchers import LookAhead
from napari_tilewise.engine.tile_order import WIDEST, banded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from napari_tilewise.engine.materialized import Materialized
    from napari_tilewise.engine.stack import Stack
    from napari_tilewise.operations.spec.measuring.calibration import MeasuredLengths
    from napari_tilewise.operations.spec.operation import Output
    from napari_tilewise.types import Array, Value


@dataclass(frozen=True, eq=False)
class Result:
    """One of an operation's results, with its kind and axes."""

    output: Output
    value: Value
    """As `apply` returns it."""
    axes: tuple[ResultAxis, ...] = ()
    """The axes of an array of pixels, with respect to the first image."""
    number: int | None = None
    """Its number among several results, from 0; None for the only one."""
    recorded: Callable[[], Mapping[str, Any]] | None = None
    """Returns the numbers that were found on the way, such as thresholds, once it is computed."""
    spacing: tuple[float, ...] = ()
    """The pixel size along the spatial axes by which a table is measured; empty: it has none."""
    unit: str | None = None
    """Its unit, by OME-Zarr's name; None for pixels, or an unknown unit."""
    lengths: MeasuredLengths | None = None
    """What numbers that count pixels are in the image's unit; None if none do."""
    looped: tuple[LoopedAxis, ...] = ()
    """The axes along whose positions it has a value each; empty for images and for one value."""


def results_of(
    stack: Stack, *, eager: bool, materialized: Materialized | None = None
) -> tuple[Result, ...]:
    """Return all results of a stack one by one, each with its kind and axes.

    Parameters
    ----------
    stack
        An operation on an image.
    eager
        Whether to compute them; else arrays are lazy.
    materialized
        Where the pixels of the stack are stored, if they are.
    """
    results: list[Result] = []
    split = stack.call.operation.result.split
    for part in parts_of(stack, eager=eager):
        value = result_of(part, eager=eager, stored=materialized if part.count is None else None)
        axes = result_axes(part)
        if split is not None and part.channel is not None:
            axes = tuple(item for axis, item in enumerate(axes) if axis != part.channel)
        values = value if split is not None else [value]
        looped = () if part.is_image else looped_axes(part)
        results += [Result(part.part.output, item, axes, looped=looped) for item in values]
    if len(results) == 1:
        return tuple(results)
    return tuple(replace(result, number=number) for number, result in enumerate(results))


def parts_of(stack: Stack, *, eager: bool) -> tuple[Stack, ...]:
    """Return one stack per result; what one of them computes at once is kept for lazy ones.

    Parameters
    ----------
    stack
        An operation on an image.
    eager
        Whether all of them are computed; else arrays are lazy.
    """
    parts = stack.results()
    lazy = [part for part in parts if not _is_at_once(part, eager=eager)]
    if not eager and 0 < len(lazy) < len(parts):
        from napari_tilewise.engine.lazy import keep_results

        keep_results(lazy[0])
    return parts


def _is_at_once(stack: Stack, *, eager: bool) -> bool:
    """Return whether a result is computed at once, as it is in memory or of unknown length."""
    return not stack.is_image and (eager or stack.plane_shape is None)


def result_of(stack: Stack, *, eager: bool, stored: Materialized | None = None) -> Value:
    """Return what `apply` returns for a stack.

    Parameters
    ----------
    stack
        An operation on an image.
    eager
        Whether to compute an array; else it is lazy.
    stored
        Where the pixels of the stack are stored, if they are.
    """
    if _is_at_once(stack, eager=eager):
        if eager or "distributed" not in sys.modules:  # which a cluster's client is of
            return stack.value()
        from napari_tilewise.engine.lazy import value_of

        return value_of(stack)
    if eager:
        array: Value = compute(stack, stored)
    else:
        from napari_tilewise.engine.lazy import to_dask

        array = to_dask(stack)
    kind = stack.call.operation.result.split
    if kind is None or stack.channel is None:
        return array
    images = np.moveaxis(array, stack.channel, 0)  # dask has its own, which NumPy calls
    return kind(images[number] for number in range(len(images)))


def compute(stack: Stack, stored: Materialized | None = None) -> Array:
    """Return a stack's pixels, computed tile by tile in the pool, or read where they are stored."""
    source = stack if stored is None else stored
    stack.prepare()
    out = np.empty(stack.shape, stack.dtype)
    grid = stack.grid()

    positions = banded(grid, WIDEST)

    def work(position: tuple[int, ...]) -> None:
        region = grid.region(position)
        if source.waits:
            ahead.beyond(position)
        out[region] = source.read(region)

    with LookAhead(positions, lambda position: source.fetch(grid.region(position))) as ahead:
        stack.session.sweep(stack.call.operation.name, work, positions)
    return out.astype(stack.final_dtype, copy=False)
