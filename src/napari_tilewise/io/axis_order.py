"""The axes of further images, brought into the order of the source's."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.axes import alpha_of
from napari_tilewise.engine.views.transposed import TransposedView
from napari_tilewise.io.cropped_image import crop_image
from napari_tilewise.io.metadata.channels import names_of
from napari_tilewise.io.readers.open_image import open_image

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_tilewise.io.image import Image, Pixels


def open_inputs(
    inputs: Mapping[str, object], source: Image, axes: Sequence[str] | None
) -> dict[str, Pixels]:
    """Return the pixels of a recipe's inputs, in the order of the source's axes.

    Parameters
    ----------
    inputs
        Sources that `open_image` takes, by name.
    source
        The source, as its file describes it.
    axes
        The names under which the source's axes are used; None: unknown.
    """
    images = {name: without_alpha(open_image(item)) for name, item in inputs.items()}
    return {name: align_axes(image, source, axes).data for name, image in images.items()}


def without_alpha(image: Image) -> Image:
    """Return an image without its alpha, which is no channel of data beside another image either.

    Parameters
    ----------
    image
        The image, as its file describes it.
    """
    shape = image.data.shape
    index = alpha_of(names_of(image.channels, image.axes, shape))
    if index is None:
        return image
    axis = image.axes.index("c")
    if index != shape[axis] - 1:  # no file of a picture has it elsewhere
        return image
    parts = [(0, n - (i == axis)) for i, n in enumerate(shape)]
    return crop_image(image, parts, image.name, image)


def align_axes(image: Image, source: Image, axes: Sequence[str] | None) -> Image:
    """Return an image with its axes in the order of the source's.

    It stays as it is if its axes are guessed, if it has one that the source does not have, and if
    its file names the same axes as the source's: other names for the source's axes hold for both.

    Parameters
    ----------
    image
        The further image.
    source
        The source, as its file describes it.
    axes
        The names under which the source's axes are used; None: unknown.
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
    transposed: Pixels = (
        data.transpose(order) if isinstance(data, np.ndarray) else TransposedView(data, order)
    )
    return replace(
        image,
        data=transposed,
        axes=tuple(image.axes[i] for i in order),
        scale=tuple(image.scale[i] for i in order),
        units=tuple(image.units[i] for i in order),
        levels=(transposed,),
        level_scales=(),
        level_positions=(tuple(image.translate[i] for i in order),),
    )
