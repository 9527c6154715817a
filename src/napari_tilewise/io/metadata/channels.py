"""Names and colours of the channels of an image, read from and written to every format.

A colour is six hexadecimal digits here, ``"00FF00"``; each format has its own notation.
"""

from __future__ import annotations

import math
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from xml.etree.ElementTree import Element

    from napari_tilewise.io.plain_data import Metadata, MetadataDict
    from napari_tilewise.types import Array

_HEX = re.compile(r"#?([0-9A-Fa-f]{6})")
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_WHITE = "FFFFFF"


@dataclass(frozen=True)
class Channel:
    """One channel of an image; None where its file does not say."""

    name: str | None = None
    color: str | None = None
    """``"RRGGBB"``."""
    window: tuple[float, float] | None = None
    """Lowest and highest value to show."""
    limits: tuple[float, float] | None = None
    """Lowest and highest value that the window may have."""
    active: bool = True
    """Whether it is shown."""


RED_GREEN_BLUE = (
    Channel("Red", "FF0000"),
    Channel("Green", "00FF00"),
    Channel("Blue", "0000FF"),
)
"""The samples of a colour picture, as channels."""
ALPHA = Channel("Alpha")
"""The fourth sample of a colour picture."""
GRAY = Channel("Gray")
INKS = (Channel("Cyan"), Channel("Magenta"), Channel("Yellow"), Channel("Black"))
"""The samples of a picture for print."""
LUMA_CHROMA = (Channel("Y"), Channel("Cb"), Channel("Cr"))
"""Brightness and colour differences."""


def of_samples(count: int) -> tuple[Channel, ...]:
    """Return the channels of a colour picture of three or four samples a pixel.

    Parameters
    ----------
    count
        Samples of a pixel; others than three or four are not known to be a colour.
    """
    return (*RED_GREEN_BLUE, ALPHA)[:count] if count in {3, 4} else ()


def of_names(names: Sequence[str]) -> tuple[Channel, ...]:
    """Return the channels of a result whose operation names them.

    Parameters
    ----------
    names
        Their names; empty for one without.
    """
    of_colours = {channel.name: channel for channel in RED_GREEN_BLUE}
    return tuple(of_colours.get(name, Channel(name or None)) for name in names)


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


def names_of(
    channels: Sequence[Channel], axes: Sequence[str] | None, shape: Sequence[int]
) -> tuple[str, ...]:
    """Return the names of channels along the axis ``c``, empty for one without a name.

    Parameters
    ----------
    channels
        The channels of an image.
    axes
        One letter per axis; None: unknown.
    shape
        Shape of the image.

    Returns
    -------
    tuple of str
        None of them where no channel has a name, or there is no such axis.
    """
    names = tuple(channel.name or "" for channel in channels)
    is_complete = "c" in (axes or ()) and len(names) == count_of(axes or (), shape)
    return names if is_complete and any(names) else ()


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
    return tidy(map(_of_entry, mappings), count)


def _of_entry(entry: Metadata) -> Channel:
    """Return the channel that an entry of ``omero`` describes."""
    window = entry.get("window")
    window = window if isinstance(window, dict) else {}
    return Channel(
        _name(entry.get("label")), _hex(entry.get("color")),
        window=_span(window.get("start"), window.get("end")),
        limits=_span(window.get("min"), window.get("max")), active=entry.get("active") is not False,
    )  # fmt: skip


def _span(low: object, high: object) -> tuple[float, float] | None:
    """Return two numbers, the first not above the second; None where they are something else."""
    if not all(isinstance(n, int | float) and not isinstance(n, bool) for n in (low, high)):
        return None
    with suppress(OverflowError):  # an integer of hundreds of digits
        span = float(low), float(high)  # type: ignore[arg-type]  # numbers, as was just seen
        return span if all(map(math.isfinite, span)) and span[0] <= span[1] else None
    return None


def to_omero(
    channels: Sequence[Channel], limits: tuple[float, float] | None, more: Sequence[Metadata] = ()
) -> list[MetadataDict]:
    """Return the channels of ``omero`` metadata, which require a colour and a window for each.

    Parameters
    ----------
    channels
        The channels, each with its window.
    limits
        Lowest and highest value of the data type; None for floats.
    more
        What else is said of each channel.
    """
    entries = []
    others = more if len(more) == len(channels) else [{}] * len(channels)
    for channel, other in zip(channels, others, strict=True):
        start, end = channel.window or (0.0, 1.0)
        low, high = channel.limits or limits or (start, end)
        window = {"start": start, "end": end, "min": low, "max": high}
        entry: MetadataDict = {**other, "color": channel.color or _WHITE, "window": window}
        entry["active"] = channel.active
        if channel.name is not None:
            entry["label"] = channel.name
        entries.append(entry)
    return entries


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
        names = (channel.name or f"Channel {i}" for i, channel in enumerate(channels))
        metadata["Name"] = list(map(xml_text, names))
    if any(channel.color is not None for channel in channels):
        metadata["Color"] = [_to_rgba(channel.color or _WHITE) for channel in channels]
    return metadata


def xml_text(text: str) -> str:
    r"""Return a text as XML can hold it: characters that no XML may have are written as ``\\x00``.

    Parameters
    ----------
    text
        The text, such as a name on a disk, which may have bytes that are not UTF-8.
    """
    return _NOT_IN_XML.sub(lambda match: match[0].encode("unicode-escape").decode(), text)


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
    # Of one plane, tifffile returns them as they are, not in a list.
    tables, labels = (
        _listed(metadata.get(key), ndim) for key, ndim in (("LUTs", 2), ("Labels", 0))
    )
    colors: list[str | None] = [None] * count
    if len(tables) == count:
        colors = [_hex("".join(f"{int(v):02X}" for v in np.asarray(t)[:, -1])) for t in tables]
    names: list[str | None] = [None] * count
    per_channel = [set(labels[i::count]) for i in range(count)] if count else []
    if len(labels) >= count and all(len(texts) == 1 for texts in per_channel):
        names = [_name(texts.pop()) for texts in per_channel]
    windows = _imagej_ranges(metadata, count)
    rows = zip(names, colors, windows, strict=True)
    return tidy((Channel(name, color, window) for name, color, window in rows), count)


def _listed(entries: Any, ndim: int) -> list[Any]:
    """Return entries, of so many dimensions each, as a list; a single one too."""
    if entries is None:
        return []
    return [entries] if np.ndim(entries) == ndim else list(entries)


def _imagej_ranges(metadata: Metadata, count: int) -> list[tuple[float, float] | None]:
    """Return the display range of each channel that ImageJ's metadata have."""
    ranges = list(metadata.get("Ranges") or ())
    if not ranges and count == 1:
        ranges = [metadata.get("min"), metadata.get("max")]
    if len(ranges) != 2 * count:
        return [None] * count
    return [_span(*ranges[2 * number : 2 * number + 2]) for number in range(count)]


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
    if all(channel.window is not None for channel in channels):
        windows = [channel.window or (0.0, 0.0) for channel in channels]
        metadata["Ranges"] = tuple(limit for window in windows for limit in window)
        metadata["min"], metadata["max"] = windows[0]
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
