"""Part of an open image, with its place and its pixel sizes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_tilewise.engine.views.cropped import CroppedView, of_remaining_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise.engine.views.cropped import AxisPart
    from napari_tilewise.io.image import Image
    from napari_tilewise.io.metadata.channels import Channel


def crop_image(image: Image, parts: Sequence[AxisPart], name: str, source: object) -> Image:
    """Return part of an open image, as an image.

    Parameters
    ----------
    image
        The whole image.
    parts
        The part of each of its axes.
    name
        Name of the part in messages.
    source
        The source that the image was opened from.
    """
    view = CroppedView(image.data, parts, source)
    starts = (part[0] if isinstance(part, tuple) else part or 0 for part in parts)
    calibration = zip(image.translate, starts, image.scale, strict=True)
    positions = [origin + start * size for origin, start, size in calibration]
    return replace(
        image,
        data=view,
        channels=_channels(image, parts),
        axes=of_remaining_axes(parts, image.axes) if image.axes else (),
        scale=of_remaining_axes(parts, image.scale),
        units=of_remaining_axes(parts, image.units),
        levels=(view,),
        level_scales=(),
        level_positions=(of_remaining_axes(parts, positions),),
        name=name,
        format="array",  # no file holds the part alone
    )


def _channels(image: Image, parts: Sequence[AxisPart]) -> tuple[Channel, ...]:
    """Return the channels that a part still has."""
    channels = image.channels
    part = dict(zip(image.axes, parts, strict=True)).get("c") if image.axes else None
    if part is None or len(channels) != image.data.shape[image.axes.index("c")]:
        return channels
    return channels[part : part + 1] if isinstance(part, int) else channels[slice(*part)]
