"""What an OME-Zarr says besides pixels, sizes and channels: names, axes, others' attributes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_tilewise.io.image import KEY
from napari_tilewise.io.metadata.details import Details

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from napari_tilewise.io.metadata.channels import Channel
    from napari_tilewise.io.plain_data import Metadata, MetadataDict

_STRUCTURE = {
    KEY, "ome", "multiscales", "omero", "image-label", "labels", "plate", "well", "series",
    "bioformats2raw.layout", "_creator", "_ARRAY_DIMENSIONS", "consolidated_metadata",
}  # fmt: skip
"""Attributes that say how a Zarr is built, which another does not have from it."""
_OF_CHANNEL = {"label", "color", "window", "active"}
_DEEPEST = 32


def details_of(
    attributes: Metadata, metadata: Metadata, multiscale: Metadata, axes: Mapping[str, Metadata]
) -> Details:
    """Return what an OME-Zarr says besides pixels, sizes and channels.

    Parameters
    ----------
    attributes
        The attributes of its group.
    metadata
        Those of OME-Zarr.
    multiscale
        The entry of the pyramid.
    axes
        The entry of each axis by its letter.
    """
    title = multiscale.get("name")
    omero = _mapping(metadata.get("omero"))
    channels = omero.get("channels")
    labels = _mapping(metadata.get("image-label"))
    return Details(
        title=title if isinstance(title, str) and title else None,
        axes={letter: _axis(entry) for letter, entry in axes.items()},
        rendering=_without(omero, {"channels"}),
        channels=tuple(_without(_mapping(entry), _OF_CHANNEL) for entry in _list(channels)),
        # Their source is a path from there, which leads nowhere from another place.
        label_entries=_without(labels, {"version", "source"}),
        attributes=other_attributes(attributes),
    )


def other_attributes(attributes: Metadata) -> Metadata:
    """Return the attributes of a Zarr that are other people's.

    Parameters
    ----------
    attributes
        All attributes.
    """
    return _without(attributes, _STRUCTURE)


def without_found_windows(channels: Iterable[Channel]) -> tuple[Channel, ...]:
    """Return channels without their display windows: these were found from the pixels.

    Parameters
    ----------
    channels
        The channels.
    """
    return tuple(replace(channel, window=None, limits=None) for channel in channels)


def _axis(entry: Metadata) -> MetadataDict:
    texts = {key: entry.get(key) for key in ("name", "type", "unit", "longName")}
    return {key: text for key, text in texts.items() if isinstance(text, str) and text}


def _mapping(value: object) -> Metadata:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _without(mapping: Metadata, names: set[str]) -> MetadataDict:
    """Return the other entries of a mapping, as far as JSON that is not too deep holds them."""
    return {k: v for k, v in mapping.items() if k not in names and _is_storable(v, _DEEPEST)}


def _is_storable(value: object, depth: int) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict | list):
        values = value.values() if isinstance(value, dict) else value
        return depth > 0 and all(_is_storable(item, depth - 1) for item in values)
    return isinstance(value, str | int | None)
