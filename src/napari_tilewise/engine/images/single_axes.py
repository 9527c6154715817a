"""Axes of one pixel that scikit-image's function drops: tiles are without, and so is the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.engine.source import Source, is_dask
from napari_tilewise.operations.spec.operation import ALL_AXES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise.engine.stack import Stack
    from napari_tilewise.operations.spec.operation import Operation
    from napari_tilewise.types import TileLengths, Value


def may_drop(operation: Operation, image: Value) -> bool:
    """Return whether the function may drop axes of an image.

    Parameters
    ----------
    operation
        The operation.
    image
        An array.
    """
    return operation.limits.single is not ALL_AXES and 1 in image.shape


def dropped_axes(
    operation: Operation, source: Source, over: Sequence[int], channel: int | None
) -> tuple[int, ...]:
    """Return the spatial axes of one pixel that the function drops before it begins.

    Parameters
    ----------
    operation
        The operation.
    source
        The image.
    over
        The axes that the operation runs over.
    channel
        The axis of channels.
    """
    first = operation.limits.single.of_image
    if first is None:
        return ()
    spatial = [axis for axis in over if axis != channel]
    return tuple(axis for axis in spatial[first:] if source.shape[axis] == 1)


def tiles_without(tiles: TileLengths, axes: Sequence[int], dropped: Sequence[int]) -> TileLengths:
    """Return tile lengths without those along dropped axes.

    Parameters
    ----------
    tiles
        As the caller gave them.
    axes
        The spatial axes.
    dropped
        Those among them that are dropped.
    """
    if not isinstance(tiles, list | tuple) or len(tiles) != len(axes):
        return tiles
    return tuple(n for n, axis in zip(tiles, axes, strict=True) if axis not in dropped)


def without_dropped(stack: Stack, image: Value, result: Value) -> Value:
    """Return a result without the axes that scikit-image drops; a stack's planes keep theirs.

    Parameters
    ----------
    stack
        What computed the result.
    image
        The image, with all its axes.
    result
        The result.
    """
    call, dropped = stack.call, stack.planes.looped.dropped
    if len(stack.loops) != len(dropped):
        return result
    if not stack.is_image:  # lazy ones have the looped axes first
        return result[(0,) * len(dropped)] if is_dask(result) else result
    if isinstance(result, list | tuple):
        return type(result)([without_dropped(stack, image, item) for item in result])
    if not call.operation.limits.single.of_result(call, image):
        return np.squeeze(result, dropped)
    channel = call.channel_axis
    if channel is None:
        return np.squeeze(result)
    # As scikit-image does: last while axes are dropped, then where it was, if that is an axis.
    squeezed = np.squeeze(np.moveaxis(result, channel, -1))
    return np.moveaxis(squeezed, -1, channel) if channel < squeezed.ndim else squeezed
