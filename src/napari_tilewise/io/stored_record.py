"""The record of how an output was made, read from wherever its format stores it."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

from napari_tilewise.io.readers import pictures, tiff_header
from napari_tilewise.io.readers.zarr_folders import is_zarr
from napari_tilewise.io.writers import values

if TYPE_CHECKING:
    from pathlib import Path

    from napari_tilewise.io.plain_data import Metadata


def read_record(path: Path) -> Metadata | None:
    """Return the record of how a local output was made; None where there is none.

    Parameters
    ----------
    path
        An existing file or folder.

    Raises
    ------
    SourceUnreadable
        When the file that should hold the record cannot be read.
    """
    if path.is_dir():
        if not is_zarr(path):
            return None
        from napari_tilewise.io.readers.zarr_arrays import open_node, own_metadata

        return own_metadata(open_node(str(path)))
    with path.open("rb") as file:
        start = file.read(4)
    if start in tiff_header.MAGIC:
        from napari_tilewise.io.readers import tiff

        return tiff.read_tiff_record(path)
    text = pictures.read_text(path)
    if text is None:
        return values.read_value_record(path)
    with suppress(ValueError, RecursionError):
        record = json.loads(text)
        return record if isinstance(record, dict) else None
    return None
