"""What each format can hold, as data: the documentation shows it as a table, the tests check it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

FEATURES = (
    "axes",
    "pixel size",
    "units",
    "channel names",
    "channel colours",
    "labels",
    "pyramid",
    "record",
)
"""What a format can hold beside the pixels; the record says how an image was made."""

_ALL = frozenset(FEATURES)

HOLDS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "OME-Zarr 0.5": _ALL,
        "OME-Zarr 0.4": _ALL,
        "OME-TIFF": _ALL,
        "ImageJ TIFF": _ALL - {"pyramid"},
        "NumPy": frozenset({"record"}),
        "PNG": frozenset({"axes", "record"}),
        "Zarr 3": frozenset({"axes"}),
        "Zarr 2": frozenset(),
        "HDF5": frozenset({"axes", "pixel size", "units"}),
    }
)
"""The features that each format holds; one that both formats hold survives a conversion."""

SUFFIXES: Mapping[str, str] = MappingProxyType(
    {
        "OME-Zarr 0.5": ".ome.zarr",
        "OME-Zarr 0.4": ".ome.zarr",
        "OME-TIFF": ".ome.tif",
        "ImageJ TIFF": ".tif",
        "NumPy": ".npy",
        "PNG": ".png",
    }
)
"""A suffix of each format that can be written."""

SAME_FORMAT: Mapping[str, str] = MappingProxyType(
    {"ome-tiff": ".ome.tif", "imagej-tiff": ".tif", "npy": ".npy", "png": ".png"}
)
"""The suffix of a file of the same format, by `Image.format`; other formats become OME-Zarr."""


def table() -> str:
    """Return the table of formats as Markdown."""
    rows = [["format", "written as", *FEATURES]]
    rows += [
        [
            name,
            f"`{SUFFIXES[name]}`" if name in SUFFIXES else "",
            *("yes" if feature in features else "" for feature in FEATURES),
        ]
        for name, features in HOLDS.items()
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines[1:]])
