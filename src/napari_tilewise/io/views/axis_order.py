"""Further images lie on the source: their axes are put into its order, where files name both."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.io.readers.open_image import open_image

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_tilewise.io.image import Image, Pixels


def opened(
    inputs: Mapping[str, Any], source: Image, axes: Sequence[str] | None
) -> dict[str, Pixels]:
    """Return the pixels of a recipe's inputs, in the order of the source's axes.

    Parameters
    ----------
    inputs
        All that `open_image` takes, by name.
    source
        The source.
    axes
        What the source's axes are taken for.
    """
    return {name: in_order(open_image(one), source, axes).data for name, one in inputs.items()}


def in_order(image: Image, source: Image, axes: Sequence[str] | None) -> Image:
    """Return an image with its axes in the order of the source's.

    It stays as it is where its axes are guessed, where it has one that the source does not have,
    and where its file says what the source's says: who calls those axes otherwise means both.

    Parameters
    ----------
    image
        The image.
    source
        The source.
    axes
        What the source's axes are taken for.
    """
    if not axes or image.has_guessed_axes:
        return image
    if image.axes == source.axes and not source.has_guessed_axes:
        return image
    if not set(image.axes) <= set(axes):
        return image
    order = sorted(range(len(image.axes)), key=lambda i: list(axes).index(image.axes[i]))
    if order == list(range(len(order))):
        return image
    data = image.data
    moved: Pixels = (
        data.transpose(order) if isinstance(data, np.ndarray) else TransposedView(data, order)
    )
    return replace(
        image,
        data=moved,
        axes=tuple(image.axes[i] for i in order),
        scale=tuple(image.scale[i] for i in order),
        units=tuple(image.units[i] for i in order),
        levels=(moved,),
        level_scales=(),
        level_positions=(),
    )


class TransposedView:
    """An array that is read by boxes, with its axes in another order.

    Parameters
    ----------
    array
        The array.
    order
        The array's axis behind each axis.
    """

    def __init__(self, array: Pixels, order: Sequence[int]) -> None:
        self._array, self._order = array, tuple(order)
        self.shape = tuple(array.shape[i] for i in self._order)
        self.dtype = np.dtype(array.dtype)
        chunks = getattr(array, "chunks", None)
        self.chunks = None if chunks is None else tuple(chunks[i] for i in self._order)

    def __getitem__(self, region: tuple[slice, ...]) -> np.ndarray[Any, Any]:
        behind = tuple(region[self._order.index(axis)] for axis in range(len(self._order)))
        return np.asarray(self._array[behind]).transpose(self._order)
