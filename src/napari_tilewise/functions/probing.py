"""The data type that a user's function returns, found by a call on a small block of pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.errors import InvalidImage, OperationFailed
from napari_tilewise.functions.user_function import UserFunction
from napari_tilewise.operations.spec.parameters import is_image

if TYPE_CHECKING:
    from collections.abc import Hashable

    from numpy.typing import DTypeLike

    from napari_tilewise.operations.spec.operation import Call
    from napari_tilewise.types import Array, DType, Value

LEAST = 8
"""Minimum length of the block's axes in pixels, unless the image is shorter."""


def probed_dtype(call: Call) -> DType:
    """Return the data type that the function returns for a small block of sample pixels.

    Raises
    ------
    InvalidImage
        If the function fails on the block.
    """
    operation = call.operation
    if not isinstance(operation, UserFunction):
        raise OperationFailed(f"{operation.name} is not a user's function: its type is declared.")
    shape = call.with_channel(_small(call), 0)
    if call.channel_axis is not None:
        shape = (
            *shape[: call.channel_axis],
            call.shape[call.channel_axis],
            *shape[call.channel_axis + 1 :],
        )
    key = (
        shape,
        call.dtype,
        tuple((name, _value_key(value)) for name, value in call.params.items()),
    )
    if key not in operation.probed:
        images = {
            name: sample_pixels(
                shape if np.ndim(value) == len(shape) else _small(call), value.dtype
            )
            for name, value in call.params.items()
            if value is not None and is_image(operation.specs[name], value)
        }
        try:
            with np.errstate(all="ignore"):
                result = call.function(sample_pixels(shape, call.dtype), **images)
        except Exception as error:
            raise InvalidImage(
                f"{operation.name} failed on a block of shape {shape} and type {call.dtype}, "
                f"which is used to find the data type of its result: {error}. Declare the type "
                "with dtype= of the decorator, or correct the function."
            ) from error
        operation.probed[key] = result.dtype
    return operation.probed[key]


def _small(call: Call) -> tuple[int, ...]:
    """Return the shape of a block that a tile could have: one pixel and its neighbours."""
    halo = call.halo
    return tuple(
        min(n, max(LEAST, lower + 1 + upper))
        for n, (lower, upper) in zip(call.spatial_shape, halo, strict=True)
    )


def sample_pixels(shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    """Return pixels that rise from corner to corner: not constant, and mostly not zero."""
    steps = np.arange(1, int(np.prod(shape)) + 1) % 100
    return steps.reshape(shape).astype(dtype)


def _value_key(value: Value) -> Hashable:
    """Return a hashable value that identifies a parameter's value."""
    if isinstance(value, np.ndarray) and value.size < 1000:
        return value.dtype.str, value.shape, value.tobytes()
    if hasattr(value, "dtype"):
        return "image", str(value.dtype), np.ndim(value)
    return repr(value)
