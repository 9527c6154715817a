"""Names and colours of the channels of an image, read from and written to every format.

A colour is six hexadecimal digits here, ``"00FF00"``; each format has its own notation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from xml.etree.ElementTree import Element

    from napari_tilewise.io.plain_data import Metadata, MetadataDict
    from napari_tilewise.types import Array

_HEX = re.compile(r"#?([0-9A-Fa-f]{6})")
_WHITE = "FFFFFF"


@dataclass(frozen=True)
class Channel:
    """One channel of an image; None where its file does not say."""

    name: str | None = None
    color: str | None = None
    """``"RRGGBB"``."""


RED_GREEN_BLUE = (
    Channel("Red", "FF0000"),
    Channel("Green", "00FF00"),
    Channel("Blue", "0000FF"),
)
"""The samples of a colour picture, as channels."""
ALPHA = Channel("Alpha")
GRAY = Channel("Gray")
INKS = (Channel("Cyan"), Channel("Magenta"), Channel("Yellow"), Channel("Black"))
"""The samples of a picture for print."""
LUMA_CHROMA = (Channel("Y"), Channel("Cb"), Channel("Cr"))
"""Brightness and colour differences."""
"""The fourth sample of a colour picture."""


def of_samples(count: int) -> tuple[Channel, ...]:
    """Return the channels of a colour picture of three or four samples a pixel.

    Parameters
    ----------
    count
        Samples of a pixel; others than three or four are not known to be a colour.
    """
    return (*RED_GREEN_BLUE, ALPHA)[:count] if count in {3, 4} else ()


def are_samples(channels: Sequence[Channel]) -> bool:
    """Return whether channels are the samples of a colour picture: red, green, blue (and alpha)."""
    names = [(channel.name or "").lower() for channel in channels]
    return names in (["red", "green", "blue"], ["red", "green", "blue", "alpha"]) and [
        c.color for c in channels[:3]
    ] == [c.color for c in RED_GREEN_BLUE]


def tidy(channels: Iterable[Channel], count: int) -> tuple[Channel, ...]:
    """Return channels if any has a name or colour and there are as many as in the image; else none.

    Parameters
    ----------
    channels
        The channels that a file describes.
    count
        Number of channels of the image.
    """
    described = tuple(channels)
    is_informative = any(channel != Channel() for channel in described)
    return described if is_informative and len(described) == count else ()


def count_of(axes: Sequence[str], shape: Sequence[int]) -> int:
    """Return how many channels an image has: the length of its axis ``c``, or one.

    Parameters
    ----------
    axes
        One letter per axis; may be empty.
    shape
        Shape of the image.
    """
    return int(shape[list(axes).index("c")]) if "c" in axes else 1


# OME-Zarr ------------------------------------------------------------------------------------


def from_omero(metadata: Metadata, count: int) -> tuple[Channel, ...]:
    """Return the channels that an OME-Zarr's ``omero`` metadata describe.

    Parameters
    ----------
    metadata
        The image's metadata.
    count
        Channels of the image.
    """
    omero = metadata.get("omero")
    entries = omero.get("channels") if isinstance(omero, dict) else None
    if not isinstance(entries, list):
        return ()
    mappings = [entry if isinstance(entry, dict) else {} for entry in entries]
    return tidy((Channel(_name(e.get("label")), _hex(e.get("color"))) for e in mappings), count)


def to_omero(
    channels: Sequence[Channel],
    ranges: Sequence[tuple[float, float]],
    limits: tuple[float, float] | None,
) -> MetadataDict:
    """Return ``omero`` metadata, which require a colour and a contrast window for every channel.

    Parameters
    ----------
    channels
        The channels.
    ranges
        Lowest and highest value to show, for each.
    limits
        Lowest and highest value of the data type; None for floats.
    """
    entries = []
    for channel, (start, end) in zip(channels, ranges, strict=True):
        low, high = limits if limits is not None else (start, end)
        window = {"start": start, "end": end, "min": low, "max": high}
        entry: MetadataDict = {"color": channel.color or _WHITE, "window": window, "active": True}
        if channel.name is not None:
            entry["label"] = channel.name
        entries.append(entry)
    return {"channels": entries}


# OME-XML -------------------------------------------------------------------------------------


def from_ome(pixels: Element, count: int) -> tuple[Channel, ...]:
    """Return the channels that an OME-XML ``Pixels`` element describes.

    Parameters
    ----------
    pixels
        The element.
    count
        Channels of the image.
    """
    elements = pixels.findall("{*}Channel")
    channels = (Channel(_name(e.get("Name")), _of_rgba(e.get("Color"))) for e in elements)
    return tidy(channels, count)


def to_ome(channels: Sequence[Channel]) -> dict[str, list[Any]]:
    """Return channels as tifffile expects them for OME-XML.

    Parameters
    ----------
    channels
        The channels.
    """
    metadata: dict[str, list[Any]] = {}
    if any(channel.name is not None for channel in channels):
        metadata["Name"] = [channel.name or f"Channel {i}" for i, channel in enumerate(channels)]
    if any(channel.color is not None for channel in channels):
        metadata["Color"] = [_to_rgba(channel.color or _WHITE) for channel in channels]
    return metadata


def _of_rgba(value: str | None) -> str | None:
    """Return the colour in OME's signed number of red, green, blue and alpha."""
    if value is None or not re.fullmatch(r"-?\d+", value.strip()):
        return None
    return f"{int(value) >> 8 & 0xFFFFFF:06X}"


def _to_rgba(color: str) -> int:
    unsigned = int(color, 16) << 8 | 0xFF
    return unsigned - 2**32 if unsigned >= 2**31 else unsigned


# ImageJ --------------------------------------------------------------------------------------


def from_imagej(metadata: Metadata, count: int) -> tuple[Channel, ...]:
    """Return the channels that ImageJ's colour tables and slice labels describe.

    Labels name channels where every plane of a channel has the same one.

    Parameters
    ----------
    metadata
        ImageJ's metadata, as tifffile returns them.
    count
        Channels of the image.
    """
    tables, labels = metadata.get("LUTs") or [], list(metadata.get("Labels") or [])
    colors: list[str | None] = [None] * count
    if len(tables) == count:
        colors = [_hex("".join(f"{int(v):02X}" for v in np.asarray(t)[:, -1])) for t in tables]
    names: list[str | None] = [None] * count
    per_channel = [set(labels[i::count]) for i in range(count)] if count else []
    if len(labels) >= count and all(len(texts) == 1 for texts in per_channel):
        names = [_name(texts.pop()) for texts in per_channel]
    return tidy((Channel(n, c) for n, c in zip(names, colors, strict=True)), count)


def to_imagej(channels: Sequence[Channel], planes: int) -> MetadataDict:
    """Return channels as ImageJ's colour tables and slice labels.

    Parameters
    ----------
    channels
        The channels, which change fastest from plane to plane.
    planes
        Planes of the image.
    """
    metadata: MetadataDict = {}
    if any(channel.color is not None for channel in channels):
        metadata["LUTs"] = [_ramp(channel.color or _WHITE) for channel in channels]
    if any(channel.name is not None for channel in channels):
        names = [channel.name or f"Channel {i + 1}" for i, channel in enumerate(channels)]
        metadata["Labels"] = names * (planes // len(names))
    return metadata


def _ramp(color: str) -> Array:
    """Return a colour table from black to a colour."""
    top = np.array([int(color[i : i + 2], 16) for i in (0, 2, 4)])
    return np.asarray(np.round(np.arange(256) / 255 * top[:, None]), np.uint8)


def _hex(value: object) -> str | None:
    match = _HEX.match(value) if isinstance(value, str) else None
    return None if match is None else match[1].upper()


def _name(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
