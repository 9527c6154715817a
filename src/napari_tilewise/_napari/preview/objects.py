"""A part of a result that is points or lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise._napari.preview.bound import planes
from napari_tilewise._napari.preview.outlines import segments
from napari_tilewise._napari.preview.preview_request import PreviewResult, Shown
from napari_tilewise.engine.result_axes import ResultAxis, result_axes
from napari_tilewise.operations.spec.operation import Output
from napari_tilewise.operations.spec.pixel_positions import UNMOVED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise._napari.preview.pixels import Frame
    from napari_tilewise.engine.stack import Stack
    from napari_tilewise.grid import Region
    from napari_tilewise.pipeline.bind import Pipeline

MOST_POINTS = 5_000
MOST_SEGMENTS = 20_000


def shown(frame: Frame, pipeline: Pipeline, stack: Stack, region: Region) -> PreviewResult:
    """Return the visible part of a result that is points or lines, as it is shown.

    Parameters
    ----------
    frame
        Where the image that was computed lies in the source.
    pipeline
        The bound recipe.
    stack
        The result.
    region
        The visible box of the image.
    """
    index = next(iter(planes(stack, region)))
    value = stack.node(index).value()
    axes = _measured_axes(pipeline, stack)
    if stack.part.output is Output.CONTOURS:
        return _lines(frame, stack, axes, index, value)
    return _points(frame, stack, axes, index, np.asarray(value, float))


def _measured_axes(pipeline: Pipeline, stack: Stack) -> tuple[ResultAxis, ...]:
    """Return the axes of the image that a step reads, with respect to the recipe's source."""
    number = max(pipeline.stacks)
    link = pipeline.recipe.links[number][pipeline.recipe.steps[number].first]
    if link.step is None:
        return tuple(ResultAxis(axis, UNMOVED) for axis in range(len(stack.source.shape)))
    return result_axes(pipeline.stacks[link.step])


def _positions(
    frame: Frame,
    stack: Stack,
    axes: Sequence[ResultAxis],
    index: tuple[int, ...],
    rows: np.ndarray,
) -> np.ndarray:
    """Return rows of spatial coordinates as positions along the layer's axes."""
    plane = [axis for axis in range(len(axes)) if axis not in stack.loops]
    over = [axis for number, axis in enumerate(plane) if number != stack.call.channel_axis]
    box = frame.request.view.box
    positions = np.empty((len(rows), len(frame.placed)))
    positions[:] = [span.start for span in box]
    columns = {axis: rows[:, number] for number, axis in enumerate(over)}
    columns |= {axis: np.full(len(rows), n) for axis, n in zip(stack.loops, index, strict=True)}
    for axis, column in columns.items():
        origin, sampling = axes[axis].origin, axes[axis].sampling
        if origin in frame.placed and origin is not None:
            along = sampling or UNMOVED
            positions[:, origin] = frame.position(origin, along.start + along.step * column)
    return positions


def _points(
    frame: Frame,
    stack: Stack,
    axes: Sequence[ResultAxis],
    index: tuple[int, ...],
    rows: np.ndarray,
) -> PreviewResult:
    ndim = stack.call.ndim
    positions = _positions(frame, stack, axes, index, rows)
    visible = np.ones(len(rows), bool)
    for axis, span in enumerate(frame.request.view.box):
        if span.stop - span.start > 1:
            inside = (positions[:, axis] >= span.start) & (positions[:, axis] < span.stop)
            visible &= inside
    positions, columns = positions[visible], rows[visible][:, ndim:]
    radius, sizes = frame.job.operation.step.radius, None
    if radius is not None and len(positions):
        sizes = 2 * frame.factor * radius(columns, ndim)
    count = len(positions)
    remark = f"Shows {MOST_POINTS:,} of {count:,} visible points." if count > MOST_POINTS else ""
    return PreviewResult(
        Shown.POINTS,
        positions[:MOST_POINTS],
        (),
        frame.basis,
        frame.factor,
        sizes=None if sizes is None else sizes[:MOST_POINTS],
        remark=remark or f"{count:,} visible point{'s' * (count != 1)}.",
    )


def _lines(
    frame: Frame,
    stack: Stack,
    axes: Sequence[ResultAxis],
    index: tuple[int, ...],
    lines: Sequence[np.ndarray],
) -> PreviewResult:
    placed = [_positions(frame, stack, axes, index, np.asarray(line, float)) for line in lines]
    count = len(placed)
    pixels = segments(placed, MOST_SEGMENTS) if placed else np.zeros((0, 2, len(frame.placed)))
    remark = f"{count:,} line{'s' * (count != 1)}."
    return PreviewResult(Shown.LINES, pixels, (), frame.basis, frame.factor, remark=remark)
