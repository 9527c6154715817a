"""A cut is one position or one window of an image, read only where it is asked for."""

from __future__ import annotations

from dataclasses import replace
from operator import index
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise.io.image import Image

Place: TypeAlias = "int | tuple[int, int] | None"
"""What is taken of one axis: one position, from a start to a stop, or all of it."""


class Cut:
    """Part of an array: `shape`, `dtype`, slicing and, where known, `chunks`, as the array has.

    Parameters
    ----------
    data
        The array.
    places
        What is taken of each of its axes; an axis of which one position is taken is gone.
    part_of
        What `open_image` took of which it is a part: a record tells of that, and of the places.
    """

    def __init__(self, data: Any, places: Sequence[Place], part_of: Any = None) -> None:
        self._data = data
        self.part_of = part_of
        self.places = tuple(places)
        lengths = zip(self.places, data.shape, strict=True)
        self._kept = [
            (0, n) if place is None else place for place, n in lengths if not isinstance(place, int)
        ]
        self.shape: tuple[int, ...] = tuple(stop - start for start, stop in self._kept)
        self.dtype: np.dtype[Any] = np.dtype(data.dtype)
        chunks = getattr(data, "chunks", None)
        if chunks is not None and all(isinstance(c, int) for c in chunks):
            here = zip(kept_of(self.places, chunks), self.shape, strict=True)
            self.chunks: tuple[int, ...] | None = tuple(min(c, n) for c, n in here)
        else:
            self.chunks = None

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __getitem__(self, key: Any) -> np.ndarray[Any, Any]:
        keys = key if isinstance(key, tuple) else (key,)
        if keys and keys[0] is Ellipsis:
            keys = keys[1:]
        inner = iter([*keys, *[slice(None)] * (self.ndim - len(keys))])
        bounds = iter(self._kept)
        region = [
            place if isinstance(place, int) else _moved(next(inner), *next(bounds))
            for place in self.places
        ]
        return np.asarray(self._data[tuple(region)])


def _moved(key: Any, start: int, stop: int) -> Any:
    """Return what a slice or a position within a part is in the whole."""
    if isinstance(key, slice):
        low, high, step = key.indices(stop - start)
        return slice(start + low, start + high, step)
    number = index(key)
    return (stop if number < 0 else start) + number


def kept_of(places: Sequence[Place], items: Sequence[Any]) -> tuple[Any, ...]:
    """Return what belongs to the axes that a cut keeps.

    Parameters
    ----------
    places
        What is taken of each axis.
    items
        One thing per axis.
    """
    pairs = zip(places, items, strict=True)
    return tuple(item for place, item in pairs if not isinstance(place, int))


def cut(image: Image, places: Sequence[Place], name: str, source: Any) -> Image:
    """Return part of an open image, as an image.

    Parameters
    ----------
    image
        The image.
    places
        What is taken of each of its axes.
    name
        What messages call the part.
    source
        What the image was opened from.
    """
    data = Cut(image.data, places, source)
    return replace(
        image,
        data=data,
        axes=kept_of(places, image.axes) if image.axes else (),
        scale=kept_of(places, image.scale),
        units=kept_of(places, image.units),
        levels=(data,),
        level_scales=(),
        name=name,
        format="array",  # it stands in no file of its own
    )
