"""Where a TIFF's first pixel lies, and what OME-XML and ImageJ say besides sizes and channels."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from napari_tilewise.io.image import KEY
from napari_tilewise.io.metadata.details import NO_DETAILS, Details, PlaneDetails
from napari_tilewise.io.metadata.units import converted, unit_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import tifffile

    from napari_tilewise.io.plain_data import Metadata, MetadataDict

_PLANE = (
    "DeltaT", "DeltaTUnit", "ExposureTime", "ExposureTimeUnit", "PositionX", "PositionXUnit",
    "PositionY", "PositionYUnit", "PositionZ", "PositionZUnit",
)  # fmt: skip
_VALUES: Mapping[str, Callable[[str], object]] = MappingProxyType(
    {
        "CommentAnnotation": str,
        "BooleanAnnotation": lambda text: text.lower() in ("true", "1"),
        "DoubleAnnotation": float,
        "LongAnnotation": int,
    }
)
"""What turns the text of an annotation of each kind into its value."""
_MOST_PLANES = 100_000
"""Planes of which what is said of each is carried."""


@dataclass(frozen=True)
class TiffText:
    """What the metadata of a TIFF say of a series."""

    position: Mapping[str, float] = field(default_factory=dict)
    """Position of the first pixel by axis, in the unit of the axis's pixel size."""
    details: Details = NO_DETAILS


def read_text(
    tiff: tifffile.TiffFile, number: int, sizes: Mapping[str, tuple[float, str | None]]
) -> TiffText:
    """Return what the metadata of a TIFF say besides sizes and channels.

    Parameters
    ----------
    tiff
        The file.
    number
        The series.
    sizes
        Pixel size and unit by axis.
    """
    with suppress(ElementTree.ParseError, ValueError, TypeError, OverflowError):
        if tiff.is_ome and tiff.ome_metadata:
            root = ElementTree.fromstring(tiff.ome_metadata)
            images = root.findall(".//{*}Image")
            if number < len(images):
                return _of_ome(root, images[number], sizes)
        elif tiff.is_imagej:
            return _of_imagej(tiff.imagej_metadata or {}, sizes)
    return TiffText()


def _of_ome(
    root: ElementTree.Element,
    image: ElementTree.Element,
    sizes: Mapping[str, tuple[float, str | None]],
) -> TiffText:
    pixels = image.find("{*}Pixels")
    planes = [] if pixels is None else pixels.findall("{*}Plane")[:_MOST_PLANES]
    position = {}
    first = next((plane for plane in planes if _index(plane) == (0, 0, 0)), None)
    for axis in "xyz":
        value = None if first is None else first.get(f"Position{axis.upper()}")
        if first is None or value is None:
            continue
        size_unit = sizes.get(axis, (1.0, None))[1]
        # OME's default is the microscope's own frame, whose unit nobody knows.
        unit = first.get(f"Position{axis.upper()}Unit", "reference frame")
        is_length = unit == "pixel" or unit_name(unit) is not None
        length = converted(float(value), unit_name(unit), size_unit) if is_length else None
        if length is not None and math.isfinite(length):
            position[axis] = length
    lengths = None if pixels is None else tuple(int(pixels.get(f"Size{a}", 1)) for a in "TCZ")
    title = image.get("Name")
    details = Details(
        title=title or None,
        planes=None if lengths is None else _planes(planes, (lengths[0], lengths[1], lengths[2])),
        annotations=_annotations(root),
    )
    return TiffText(position, details)


def _index(plane: ElementTree.Element) -> tuple[int, int, int]:
    t, c, z = (int(plane.get(f"The{axis}", 0)) for axis in "TCZ")
    return t, c, z


def _planes(
    planes: Sequence[ElementTree.Element], lengths: tuple[int, int, int]
) -> PlaneDetails | None:
    """Return what is said of each plane; None unless something is said of all of them."""
    by_index = {_index(plane): plane for plane in planes}
    indices = [
        (t, c, z) for t in range(lengths[0]) for c in range(lengths[1]) for z in range(lengths[2])
    ] if math.prod(lengths) == len(by_index) else []  # fmt: skip
    if not indices or any(index not in by_index for index in indices):
        return None
    values = {}
    for name in _PLANE:
        texts = [by_index[index].get(name) for index in indices]
        if all(text is not None for text in texts):
            values[name] = [str(text) for text in texts]
    return PlaneDetails(lengths, values) if values else None


def _annotations(root: ElementTree.Element) -> dict[str, list[MetadataDict]]:
    """Return other people's annotations, as far as tifffile writes them."""
    annotations: dict[str, list[MetadataDict]] = {}
    for element in root.findall("{*}StructuredAnnotations/*"):
        kind = element.tag.rpartition("}")[2]
        entry: MetadataDict = {}
        if element.get("Namespace"):
            entry["Namespace"] = element.get("Namespace")
        value = element.find("{*}Value")
        if value is None or entry.get("Namespace") == KEY:
            continue
        if kind == "MapAnnotation":
            pairs = {item.get("K"): item.text or "" for item in value.findall("{*}M")}
            entry["Value"] = {key: text for key, text in pairs.items() if key}
        elif kind in _VALUES and value.text:
            with suppress(ValueError):
                entry["Value"] = _VALUES[kind](value.text.strip())
        if "Value" in entry:
            annotations.setdefault(kind, []).append(entry)
    return annotations


def _of_imagej(metadata: Metadata, sizes: Mapping[str, tuple[float, str | None]]) -> TiffText:
    origins = {axis: float(metadata.get(f"{axis}origin", 0)) for axis in "xyz"}
    position = {
        axis: 0.0 - origin * sizes.get(axis, (1.0, None))[0]
        for axis, origin in origins.items()
        if math.isfinite(origin)
    }
    info = metadata.get("Info")
    info = info if isinstance(info, str) else ""
    return TiffText(position if any(position.values()) else {}, Details(info=split_info(info)[1]))


def split_info(text: str) -> tuple[Metadata, str]:
    """Return the record in ImageJ's text about an image, and the rest of the text.

    Parameters
    ----------
    text
        The text; ours is a line of JSON, what others wrote follows.
    """
    with suppress(ValueError, RecursionError):
        content, end = json.JSONDecoder().raw_decode(text)
        if isinstance(content, dict) and KEY in content:
            record = content[KEY]
            return record if isinstance(record, dict) else {}, text[end:].lstrip("\n")
    return {}, text
