"""A region that is read at once has to fit: the whole image, or a large part of it."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from napari_tilewise.engine.system.machine import available_memory
from napari_tilewise.errors import MemoryBudgetExceeded
from napari_tilewise.operations.spec.operation import Kind
from napari_tilewise.sizes import format_size

if TYPE_CHECKING:
    from napari_tilewise.engine.plane import Plane

ALWAYS = 2**16
"""Pixels of a region that is read at once, whatever the memory."""


def bytes_of_region(plane: Plane, pixels: int) -> int:
    """Return what computing a region takes.

    Parameters
    ----------
    plane
        The operation and its images.
    pixels
        Pixels of the region.
    """
    call, cost = plane.call, plane.operation.cost
    channels = 1 if call.channel_axis is None else call.shape[call.channel_axis]
    is_whole = pixels >= prod(call.spatial_shape)
    factor = cost.whole if is_whole and cost.whole is not None else cost.memory
    return int(pixels * channels * 8 * factor)


def refuse_parameters(plane: Plane) -> None:
    """Stop before what the parameters ask for takes more memory than there is.

    Parameters
    ----------
    plane
        The operation, its images and its tiles.

    Raises
    ------
    MemoryBudgetExceeded
        When an operation on the whole image does, or lengths beyond the image.
    """
    call, operation = plane.call, plane.operation
    pixels, least = prod(call.spatial_shape), operation.cost.least(call)
    if operation.kind is Kind.WHOLE or least > pixels:
        refuse_too_large(plane, max(pixels, least))


def refuse_too_large(plane: Plane, pixels: int) -> None:
    """Stop before a region that has to be in memory at once takes more than there is.

    Parameters
    ----------
    plane
        The operation and its images.
    pixels
        Pixels of the region.

    Raises
    ------
    MemoryBudgetExceeded
        When it does.
    """
    if pixels <= ALWAYS:
        return
    call, session = plane.call, plane.session
    needed = bytes_of_region(plane, pixels)
    limit = session.memory or available_memory()
    if needed <= limit:
        return
    is_whole = pixels == prod(call.spatial_shape)
    region = "the whole image" if is_whole else f"a region of {pixels} pixels"
    raise MemoryBudgetExceeded(
        f"{plane.operation.name} needs {region} at once, in an image of shape {call.shape}: that "
        f"takes {format_size(needed)}, and {format_size(limit)} are available. Crop or downscale "
        "the image first.",
        session.sufficient(needed),
    )
