"""Part of an array, one position or one window along each axis, which is read as it is sliced."""

from __future__ import annotations

from operator import index
from typing import TYPE_CHECKING, Any, SupportsIndex, TypeAlias, TypeVar

import numpy as np

from napari_tilewise.types import native_dtype

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise.types import Array, ArrayLike, DType

T = TypeVar("T")

AxisPart: TypeAlias = "int | tuple[int, int] | None"
"""The part of one axis: one position, from a start to a stop, or all of it."""


class CroppedView:
    """Part of an array, with the array's chunk lengths where it has any.

    Parameters
    ----------
    array
        The whole array.
    parts
        The part of each axis of the array; an axis reduced to one position is dropped.
    part_of
        The source that `open_image` took, if the record of an output names it and the part.
    """

    def __init__(self, array: ArrayLike, parts: Sequence[AxisPart], part_of: object = None) -> None:
        self._array = array
        self.part_of = part_of
        self.parts = tuple(parts)
        self._bounds = [
            (0, length) if part is None else part
            for part, length in zip(self.parts, array.shape, strict=True)
            if not isinstance(part, int)
        ]
        self.shape: tuple[int, ...] = tuple(stop - start for start, stop in self._bounds)
        self.dtype: DType = native_dtype(array.dtype)
        self.chunks: tuple[int, ...] | None = None
        chunks = getattr(array, "chunks", None)
        if chunks is not None:  # dask gives the length of every chunk along an axis
            lengths = (max(c) if isinstance(c, tuple) else int(c) for c in chunks)
            remaining = zip(of_remaining_axes(self.parts, list(lengths)), self.shape, strict=True)
            self.chunks = tuple(min(length, n) for length, n in remaining)

    @property
    def waits(self) -> bool | None:
        """Whether reading waits; None: unknown."""
        return getattr(self._array, "waits", None)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __getitem__(self, key: Any) -> Array:
        keys = key if isinstance(key, tuple) else (key,)
        if keys and keys[0] is Ellipsis:
            keys = keys[1:]
        inner = iter([*keys, *[slice(None)] * (self.ndim - len(keys))])
        bounds = iter(self._bounds)
        region = [
            part if isinstance(part, int) else _in_whole(next(inner), *next(bounds))
            for part in self.parts
        ]
        return np.asarray(self._array[tuple(region)])


def _in_whole(key: slice | SupportsIndex, start: int, stop: int) -> slice | int:
    """Return the slice or position in the whole that a slice or position in a part stands for."""
    if isinstance(key, slice):
        low, high, step = key.indices(stop - start)
        return slice(start + low, start + high, step)
    position = index(key)
    return (stop if position < 0 else start) + position


def of_remaining_axes(parts: Sequence[AxisPart], values: Sequence[T]) -> tuple[T, ...]:
    """Return the values of the axes that a cropped view still has.

    Parameters
    ----------
    parts
        The part of each axis of the whole.
    values
        One value per axis of the whole.
    """
    pairs = zip(parts, values, strict=True)
    return tuple(value for part, value in pairs if not isinstance(part, int))
