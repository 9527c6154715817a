"""A declaration that cannot be is refused when it is used, in one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.errors import InvalidFunction

if TYPE_CHECKING:
    from napari_tilewise.operations.spec.call import CallGeometry
    from napari_tilewise.operations.spec.passes import Part


def checked_part(operation: str, part: Part, call: CallGeometry) -> Part:
    """Return a part that can be the result of a call.

    Parameters
    ----------
    operation
        The operation's name, for messages.
    part
        What it declares of a result.
    call
        The image's shape and channel axis.

    Raises
    ------
    InvalidFunction
        When the data type is none, or an image has other spatial axes than the call's.
    """
    if part.dtype is not None or part.output.is_image:
        _check_dtype(operation, part)
    if part.output.is_image:
        _check_axes(operation, part, call)
    return part


def _check_dtype(operation: str, part: Part) -> None:
    try:
        valid = part.dtype is not None and np.dtype(part.dtype) is not None
    except TypeError:
        valid = False
    if not valid:
        raise InvalidFunction(
            f"{operation} declares a result of type {part.dtype!r}: expected a NumPy data type, "
            "such as numpy.float32."
        )


def _check_axes(operation: str, part: Part, call: CallGeometry) -> None:
    channel = part.channel
    shape: tuple[object, ...] | None = part.shape
    if shape is None or not all(isinstance(n, int | np.integer) and n >= 0 for n in shape):
        raise InvalidFunction(
            f"{operation} declares {_article(part)} of shape {shape!r}: expected a tuple of "
            "lengths, known before any pixel is read."
        )
    axes = len(shape)
    if channel is not None and not 0 <= channel < axes:
        raise InvalidFunction(
            f"{operation} declares {_article(part)} of shape {shape} with channel axis {channel}: "
            f"expected one of its axes, from 0 to {axes - 1}."
        )
    spatial = axes - (channel is not None)
    if spatial != call.ndim:
        raise InvalidFunction(
            f"{operation} declares {_article(part)} of shape {shape} for an image of shape "
            f"{call.shape}, with {_axes(spatial)} besides its channels: expected {call.ndim}, as "
            "the image has."
        )


def _article(part: Part) -> str:
    return {"image": "an image", "mask": "a mask", "labels": "labels"}[part.output]


def _axes(count: int) -> str:
    return "1 axis" if count == 1 else f"{count} axes"
