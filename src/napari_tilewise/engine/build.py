"""An operation and an image become a stack: axes, channels, alpha and tiles are settled.

Everything is checked here, and no pixel is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise import axes as _axes
from napari_tilewise.engine.images.single_axes import dropped_axes, tiles_without
from napari_tilewise.engine.materialized import Materialized
from napari_tilewise.engine.planes import LoopedCall, Planes
from napari_tilewise.engine.source import array_source, is_dask
from napari_tilewise.engine.stack import Stack
from napari_tilewise.engine.system.machine import processors
from napari_tilewise.engine.tile_size import choose_tile
from napari_tilewise.engine.views.plane_view import PlaneView
from napari_tilewise.engine.views.window_source import WindowSource
from napari_tilewise.engine.views.without_alpha import WithoutAlpha
from napari_tilewise.errors import InvalidImage
from napari_tilewise.operations.spec.parameters import OtherImage, is_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise.engine.session import Session
    from napari_tilewise.engine.source import Source
    from napari_tilewise.operations.spec.operation import Operation
    from napari_tilewise.types import TileLengths, Value


@dataclass(frozen=True)
class StackLayout:
    """How an operation is laid out on an image."""

    axes: _axes.AxisSelection = _axes.ALL_AXES
    """The image's axes, and those to run over."""
    tiles: TileLengths = "auto"
    """Tile lengths in pixels."""
    step: int | None = None
    """The operation's number among the steps of a pipeline; None outside of one."""


DEFAULT_LAYOUT = StackLayout()


def build(
    operation: Operation,
    image: Value,
    params: dict[str, Value],
    session: Session,
    layout: StackLayout = DEFAULT_LAYOUT,
) -> Stack:
    """Return an operation on an image as a source of pixels; everything is checked, nothing read.

    `image` may be an array-like or a source (such as another stack).
    """
    source, channels = _source(image, session), layout.axes.channels
    names = _axes.parse(layout.axes.names, len(source.shape))
    if not operation.takes_alpha:
        source, channels = _without_alpha(source, names, channels)
    spatial = layout.axes.spatial
    over = _axes.spatial_indices(names, spatial, len(source.shape))
    channel = _channel(operation, params, source)
    dropped = dropped_axes(operation, source, over, channel)
    plane = [
        i for i in range(len(source.shape)) if (i in over or i == channel) and i not in dropped
    ]
    loops = tuple(i for i in range(len(source.shape)) if i not in plane)
    specs = operation.specs
    images = {
        name: value
        for name, value in params.items()
        if value is not None and name in specs and is_image(specs[name], value)
    }
    if channel is not None and operation.channel is not None:
        params = params | {operation.channel: plane.index(channel)}
    call = operation.call(tuple(source.shape[i] for i in plane), source.dtype, params)
    chunks = None if source.chunks is None else [source.chunks[i] for i in plane]
    tiles = tiles_without(layout.tiles, [i for i in over if i != channel], dropped)
    tile = choose_tile(call, tiles, chunks, workers=session.workers or processors())
    aligned = {
        name: _aligned(operation, name, value, source, call.spatial_shape, session)
        for name, value in images.items()
    }
    looped = LoopedCall(call, loops, names, channels, dropped, layout.step)
    return _with_alpha(Stack(Planes(looped, source, aligned, tile, session)))


def _without_alpha(
    source: Source, names: Sequence[str] | None, channels: tuple[str, ...]
) -> tuple[Source, tuple[str, ...]]:
    """Return an image, and the names of its channels, without those of an alpha."""
    index = _axes.alpha_of(channels)
    if index is None or names is None or "c" not in names:
        return source, channels
    axis = names.index("c")
    if source.shape[axis] != len(channels):
        return source, channels
    return WithoutAlpha(source, axis, index), (*channels[:index], *channels[index + 1 :])


def _with_alpha(stack: Stack) -> Stack:
    """Return a result with its image's alpha, where it has that shape and data type."""
    source = stack.source
    if not isinstance(source, WithoutAlpha) or not stack.is_image or stack.count is not None:
        return stack
    is_alike = (stack.shape, stack.dtype) == (source.shape, source.dtype)
    is_alike = is_alike and stack.origins == tuple(range(len(stack.shape)))
    return Stack(stack.planes, has_alpha=True) if is_alike else stack


def _source(image: Value, session: Session) -> Source:
    if isinstance(image, Stack | Materialized | PlaneView | WindowSource | WithoutAlpha):
        return image
    if not is_dask(image):
        return array_source(image, session.cache)
    from napari_tilewise.engine.lazy import as_source

    return as_source(image, session.cache)


def _channel(operation: Operation, params: dict[str, Value], source: Source) -> int | None:
    """Return the image's axis of channels, among all its axes; None: there is none."""
    name = operation.channel
    if name is not None and params.get(name) is not None:
        operation.specs[name].check(f"{operation.name}: {name}", params[name], None)
    return operation.channel_index(params, tuple(source.shape))


def _aligned(
    operation: Operation,
    name: str,
    value: Value,
    source: Source,
    spatial_shape: tuple[int, ...],
    session: Session,
) -> Source:
    image = _source(value, session)
    if image.dtype.kind not in "buifcO":
        raise InvalidImage(f"{operation.name}: {name} has dtype {image.dtype}: expected numbers.")
    if isinstance(operation.specs[name], OtherImage):
        return image
    if isinstance(source, WithoutAlpha):
        image = source.beside(image)
    lies = (image.shape[: len(shape)] == shape for shape in (source.shape, spatial_shape))
    if not any(lies):  # with channels behind, such as a picture's
        raise InvalidImage(
            f"{operation.name}: {name} has shape {tuple(image.shape)}: expected "
            f"{tuple(source.shape)}, the image's."
        )
    return image


def eager_image(image: Value) -> tuple[Value, bool]:
    """Return an image, and whether it is in memory, so that the result is computed at once.

    Parameters
    ----------
    image
        A NumPy array or nested lists, or anything else with shape, dtype and slicing.
    """
    eager = isinstance(image, np.ndarray | list | tuple)
    return (np.asarray(image) if eager else image), eager
