"""Keeps what a user's function returned: pixels as an image, a table as CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_tilewise.axes import default_axes
from napari_tilewise.io.writers.create import create_writer
from napari_tilewise.io.writers.values import write_value

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np

    from napari_tilewise.io.image import Image


def write_image(
    path: Path,
    pixels: np.ndarray[Any, Any],
    image: Image,
    source: Any,
    record: Mapping[str, Any],
    *,
    overwrite: bool,
) -> Path:
    """Write pixels to an image, with the axes and pixel sizes of what they were made from.

    Parameters
    ----------
    path
        The file.
    pixels
        The pixels.
    image
        What they were made from.
    source
        Where that stands, which is never written to.
    record
        How they were made.
    overwrite
        Whether an old image may be replaced.
    """
    shape = tuple(pixels.shape)
    alike = len(shape) == len(image.data.shape)
    same = shape == tuple(image.data.shape)
    writer = create_writer(
        path, sources=(source,), shape=shape, dtype=pixels.dtype,
        axes=image.axes if alike and image.axes else default_axes(len(shape)),
        scale=image.scale if same else None, units=image.units if same else None,
        labels=pixels.dtype.kind == "b", provenance=record, overwrite=overwrite,
    )  # fmt: skip
    try:
        writer.write(tuple(slice(0, n) for n in shape), pixels)
        for level in range(1, len(writer.pyramid_levels())):
            for task in writer.pyramid_tasks(level):
                task()
        return writer.finish()
    except BaseException:
        writer.abort()
        raise


def write_table(
    path: Path,
    columns: Mapping[str, Any],
    image: Image,
    source: Any,
    record: Mapping[str, Any],
    *,
    overwrite: bool,
) -> Path:
    """Write columns to a CSV, its record beside it.

    Parameters
    ----------
    path
        The file.
    columns
        Arrays of one length by name.
    image, source
        What they were made from.
    record
        How they were made.
    overwrite
        Whether an old table may be replaced.
    """
    return write_value(path, columns, overwrite, provenance=record)
