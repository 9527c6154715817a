"""Which folders are Zarr, and what their names end in: nothing of Zarr is imported for that."""

from __future__ import annotations

import os

MARKERS = ("zarr.json", ".zgroup", ".zarray")
"""A folder that holds one of these is a Zarr."""

SUFFIXES = (".ome.zarr", ".zarr")
"""What the name of a Zarr usually ends in."""

TABLES = "tables"
"""Folder of the tables that were measured of a Zarr's pixels, which lie beside these."""


def stem_of_zarr(location: str) -> str:
    """Return the name of a Zarr without its folders and suffix.

    Parameters
    ----------
    location
        A path or URL.
    """
    name = location.rstrip("/").rpartition("/")[2]
    return next((name.removesuffix(s) for s in SUFFIXES if name.endswith(s)), name)


def is_zarr(path: str | os.PathLike[str]) -> bool:
    """Return whether a folder holds a Zarr array or group."""
    return any(os.path.isfile(os.path.join(path, marker)) for marker in MARKERS)
