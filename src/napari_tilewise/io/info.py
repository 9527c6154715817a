"""What is known about an image file without reading its pixels: for `napari-tilewise info`."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import SourceWarning
from napari_tilewise.io.image import EMPTY
from napari_tilewise.io.readers.locations import checked_path, file_of, split_location
from napari_tilewise.io.readers.open_image import open_header
from napari_tilewise.io.readers.zarr_folders import is_zarr
from napari_tilewise.io.stored_record import read_record
from napari_tilewise.io.writers.staging import is_partial
from napari_tilewise.io.writers.values import SUFFIXES as VALUES

if TYPE_CHECKING:
    import os

    import zarr

    from napari_tilewise.io.image import Image, ZarrArray
    from napari_tilewise.io.plain_data import Metadata, MetadataDict


def image_info(path: str | os.PathLike[str]) -> MetadataDict:
    """Return what is known about an image, as plain data in the order to show it.

    The keys are path, format, complete, shape, dtype, axes, scale, units, channels, chunks, levels,
    bytes, labels, series, recipe and made_by; `series` lists the images of a file of several,
    `axes` is empty where unknown, `chunks` None where there are none. An unfinished output has
    ``complete=False`` and the entries known from its finest level. Values (``.json``
    and ``.csv``) have path, format, complete, recipe and made_by only.

    Parameters
    ----------
    path
        A path or URL.
    """
    location = checked_path(path)
    local = split_location(location).path
    if "://" not in location and local.is_dir() and is_zarr(local):
        import zarr

        node, own = _node(str(local))
        if isinstance(node, zarr.Group) and (is_partial(local) or own.get("complete") is False):
            return _unfinished(location, node, own)
    elif "://" in location:
        _, own = _node(location)
    else:
        own = (read_record(local) or {}) if local.is_file() else {}
        if own and local.suffix.lower() in VALUES:
            return _values(location, own)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* holds [0-9]+ images", SourceWarning)
        image = open_header(location)
    return {
        "path": location,
        "format": image.format,
        "complete": True,
        "shape": image.data.shape,
        "dtype": str(image.data.dtype),
        "axes": "".join(image.axes),
        "scale": image.scale,
        "units": image.units,
        "channels": tuple((channel.name, channel.color) for channel in image.channels),
        "chunks": getattr(image.data, "chunks", None),
        "levels": tuple(tuple(level.shape) for level in image.levels),
        "bytes": _bytes(image.data.shape, image.data.dtype),
        "labels": image.labels,
        "series": _series(image, location),
        "recipe": image.recipe,
        "made_by": _made_by(own),
    }


def _node(location: str) -> tuple[zarr.Group | ZarrArray, Metadata]:
    """Return the array or group of a Zarr, and our own metadata in it."""
    from napari_tilewise.io.readers.zarr_arrays import open_node, own_metadata

    node = open_node(location)
    return node, own_metadata(node)


def _series(image: Image, location: str) -> list[MetadataDict]:
    """Return all images of a file that holds several, with the text that names each."""
    file = file_of(location)
    return [
        {
            "path": f"{file}[{entry.number}]",
            "name": entry.name,
            "shape": entry.shape,
            "axes": entry.axes,
            "is_main": entry.is_main,
        }
        for entry in image.all_series
    ]


def _unfinished(location: str, group: zarr.Group, own: Metadata) -> MetadataDict:
    arrays = sorted(group.arrays(), key=lambda item: item[0].zfill(4))
    finest: Any = arrays[0][1] if arrays else None
    names = getattr(getattr(finest, "metadata", None), "dimension_names", None) or ()
    return {
        "path": location,
        "format": "ome-zarr 0.5",
        "complete": False,
        "shape": None if finest is None else finest.shape,
        "dtype": None if finest is None else str(finest.dtype),
        "axes": "".join(str(name) for name in names),
        "scale": None,
        "units": None,
        "channels": (),
        "chunks": None if finest is None else finest.chunks,
        "levels": tuple(array.shape for _, array in arrays),
        "bytes": None if finest is None else _bytes(finest.shape, finest.dtype),
        "labels": bool(own.get("labels")),
        "series": [],
        "recipe": own.get("recipe"),
        "made_by": _made_by(own),
    }


def _values(location: str, record: Metadata) -> MetadataDict:
    return {
        "path": location,
        "format": Path(location).suffix.lower().lstrip("."),
        "complete": True,
        "recipe": record.get("recipe"),
        "made_by": _made_by(record),
    }


def _made_by(own: Metadata) -> MetadataDict:
    """Return how an image was made, apart from its recipe."""
    skipped = {"record", "recipe", "labels", "complete", "owner", "windows", EMPTY}
    shown = {key: value for key, value in own.items() if key not in skipped}
    return {key: value for key, value in shown.items() if value not in ({}, None)}


def _bytes(shape: tuple[int, ...], dtype: Any) -> int:
    return math.prod(shape) * int(np.dtype(dtype).itemsize)
