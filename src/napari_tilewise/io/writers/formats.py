"""What each format can hold, as data: the table of the documentation, held to by the tests."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

WORDS = (
    "axes",
    "pixel size",
    "units",
    "channel names",
    "channel colours",
    "labels",
    "pyramid",
    "record",
)
"""What there is to hold beside the pixels; the record says how an image was made."""

_ALL = frozenset(WORDS)

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
"""What each format holds, of `WORDS`; what both of two formats hold survives a conversion."""

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
"""The formats that can be written, and a suffix of each."""

AGAIN: Mapping[str, str] = MappingProxyType(
    {"ome-tiff": ".ome.tif", "imagej-tiff": ".tif", "npy": ".npy", "png": ".png"}
)
"""The suffix that gives a file of the same format, by `Image.format`; others are OME-Zarr's."""


def table() -> str:
    """Return the table of formats as Markdown."""
    rows = [["format", "written as", *WORDS]]
    rows += [
        [
            form,
            f"`{SUFFIXES[form]}`" if form in SUFFIXES else "",
            *("yes" if word in held else "" for word in WORDS),
        ]
        for form, held in HOLDS.items()
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines[1:]])
