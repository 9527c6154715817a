"""Arrays that name their axes, such as xarray's: dims, coordinates and their units are read.

Nothing of xarray is imported: an array with `dims`, `coords` and `attrs` is one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.engine.images.labelled import channel_names, even_spacing
from napari_tilewise.io.image import Image, bare
from napari_tilewise.io.metadata.channels import Channel, count_of, tidy
from napari_tilewise.io.metadata.units import unit_name
from napari_tilewise.io.readers.checked_arrays import CheckedArray
from napari_tilewise.io.readers.zarr_arrays import axis_letters

if TYPE_CHECKING:
    from collections.abc import Sequence


def open_labelled(source: Any) -> Image:
    """Return an array that names its axes as an image.

    The size of a pixel and the position of the first are those of evenly spaced coordinates; an
    axis without such has size 1 and position 0.

    Parameters
    ----------
    source
        An array with `dims`, `coords` and `attrs`.
    """
    letters = axis_letters([{"name": str(dim), "type": str(dim)} for dim in source.dims])
    steps = [_step(source, name) for name in source.dims]
    name = type(source).__name__
    # A file behind it is read as it is sliced; `data` would read all of it.
    data = CheckedArray(source, name, waits=None) if source.chunks is None else source.data
    image = bare(data, name, "array", letters if "q" not in letters else None)
    return replace(
        image,
        scale=tuple(size for size, _ in steps),
        units=tuple(_unit(source, name) for name in source.dims),
        level_positions=(tuple(position for _, position in steps),),
        channels=_channels(source, letters, data.shape),
    )


def _channels(source: Any, letters: Sequence[str], shape: Sequence[int]) -> tuple[Channel, ...]:
    """Return the channels that the coordinates along their axis name."""
    channels = tuple(map(Channel, channel_names(source)))
    return tidy(channels, count_of(letters, shape)) if "c" in letters else ()


def _step(source: Any, name: Any) -> tuple[float, float]:
    """Return the distance of the coordinates along an axis, and the first of them."""
    values = np.asarray(source.coords[name]) if name in source.coords else np.empty(0)
    if values.dtype.kind not in "iuf" or len(values) == 0:
        return 1.0, 0.0
    first = float(values[0])
    spacing = even_spacing(values) if len(values) > 1 else 1.0
    return (1.0, 0.0) if spacing is None or spacing < 0 else (spacing, first)


def _unit(source: Any, name: Any) -> str | None:
    units = source.coords[name].attrs.get("units") if name in source.coords else None
    return unit_name(units) if isinstance(units, str) else None
