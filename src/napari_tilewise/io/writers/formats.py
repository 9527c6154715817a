"""What each format can hold, as data: the documentation shows it as a table, the tests check it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FEATURES = (
    "axes",
    "pixel size",
    "units",
    "channel names",
    "channel colours",
    "labels",
    "pyramid",
    "record",
    "position",
    "name",
    "display windows",
    "visible channels",
    "label colours",
    "axis names",
    "attributes",
    "plane times",
    "annotations",
    "info text",
)
"""What a format can hold beside the pixels; the record says how an image was made."""

OF_RUNS = frozenset({"labels", "pyramid", "record"})
"""The features that say what a result is and how it was made, and do not come from the source."""
_OF_TIFF = frozenset({"plane times", "annotations", "info text"})
_OF_ZARR = frozenset({"visible channels", "label colours", "axis names", "attributes"})

_ALL = frozenset(FEATURES)

HOLDS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "OME-Zarr 0.5": _ALL - _OF_TIFF,
        "OME-Zarr 0.4": _ALL - _OF_TIFF,
        "OME-TIFF": _ALL - _OF_ZARR - {"display windows", "info text"},
        "ImageJ TIFF": _ALL - _OF_ZARR - {"pyramid", "name", "plane times", "annotations"},
        "NumPy": frozenset({"record"}),
        "PNG": frozenset({"axes", "record"}),
        "Zarr 3": frozenset({"axes", "attributes"}),
        "Zarr 2": frozenset({"attributes"}),
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

OME_TIFF = (".ome.tif", ".ome.tiff")
"""The suffixes of an OME-TIFF."""

SAME_FORMAT: Mapping[str, str] = MappingProxyType(
    {"ome-tiff": ".ome.tif", "imagej-tiff": ".tif", "npy": ".npy", "png": ".png"}
)
"""The suffix of a file of the same format, by `Image.format`; other formats become OME-Zarr."""


def table() -> str:
    """Return the table of formats as Markdown: a row for each feature, a column for each format."""
    rows = [["", *HOLDS]]
    rows.append(["written as", *(_code(SUFFIXES.get(name, "")) for name in HOLDS)])
    rows += [
        [feature, *("yes" if feature in HOLDS[name] else "" for name in HOLDS)]
        for feature in FEATURES
    ]
    return markdown(rows)


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Return rows, of which the first is the heading, as a table in Markdown.

    Parameters
    ----------
    rows
        The cells.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines[1:]])
