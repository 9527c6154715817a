"""The shape, axes, chunks and positions of a run's output, from its source and its last step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_tilewise.axes import default_axes
from napari_tilewise.engine.result_axes import result_axes
from napari_tilewise.errors import InvalidImage

if TYPE_CHECKING:
    from napari_tilewise.engine.stack import Stack
    from napari_tilewise.io.image import Image


@dataclass(frozen=True)
class OutputGeometry:
    """Axes, chunks and pixel sizes of the output; all empty if it is not an image."""

    axes: tuple[str, ...]
    chunks: tuple[int, ...]
    """Chunk lengths in pixels, one per axis."""
    scale: tuple[float, ...]
    """Size of a pixel along each axis."""
    units: tuple[str | None, ...]
    translate: tuple[float, ...] = ()
    """Position of the first pixel along each axis."""


def output_shape(last: Stack, source: Image) -> tuple[int, ...]:
    """Return the shape of the output; empty if it is not an image.

    Parameters
    ----------
    last
        The last step.
    source
        The image that the run starts from.

    Raises
    ------
    InvalidImage
        When no pixel is left of it.
    """
    shape = last.shape if last.is_image else ()
    if 0 in shape:
        raise InvalidImage(
            f"{last.call.operation.name} leaves no pixels of an image of shape "
            f"{source.data.shape}: the result would have the shape {shape}. Check its "
            "parameters, or the image."
        )
    return shape


def output_axes(last: Stack) -> tuple[str, ...]:
    """Return the names of the output's axes; the usual ones where the source does not name its own.

    Parameters
    ----------
    last
        The last step.
    """
    if not last.is_image:
        return ()
    if last.names is not None:
        return last.names
    ndim = len(last.shape)
    return default_axes(ndim, is_rgb=ndim > 1 and last.channel == ndim - 1)


def output_geometry(
    last: Stack, source: Image, axes: tuple[str, ...], chunks: tuple[int, ...]
) -> OutputGeometry:
    """Return where the output's pixels lie, from the source's and the operations'.

    Parameters
    ----------
    last
        The last step.
    source
        The image that the run starts from.
    axes, chunks
        Of the output.
    """
    scale, units, translate = [], [], []
    for axis in result_axes(last):
        size, unit, position = 1.0, None, 0.0
        if axis.origin is not None and axis.sampling is not None:
            size, unit = float(source.scale[axis.origin]), source.units[axis.origin]
            position = float(source.translate[axis.origin]) + size * axis.sampling.start
            size *= axis.sampling.step
        scale.append(size)
        units.append(unit)
        translate.append(position)
    return OutputGeometry(axes, chunks, tuple(scale), tuple(units), tuple(translate))
