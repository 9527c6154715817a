"""Stores what a user's function returns: pixels as an image, a table as CSV."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_tilewise.axes import default_axes
from napari_tilewise.io.metadata.image_metadata import ImageMetadata
from napari_tilewise.io.writers.create import create_writer
from napari_tilewise.io.writers.output_layout import OutputLayout
from napari_tilewise.io.writers.values import write_value

if TYPE_CHECKING:
    from pathlib import Path

    from napari_tilewise.io.image import Image
    from napari_tilewise.types import Array, Parameters


@dataclass(frozen=True)
class ResultOrigin:
    """What a result was computed from."""

    image: Image
    source: Any
    """Where the image was opened, which is never written to."""
    record: Parameters
    """How the result was computed."""


def write_image(path: Path, pixels: Array, origin: ResultOrigin, *, overwrite: bool) -> Path:
    """Write pixels to an image, with the axes and pixel sizes of the image they came from.

    Parameters
    ----------
    path
        The file; its suffix is the format.
    pixels
        Two or more axes.
    origin
        The image, its source and the record.
    overwrite
        Whether an existing image is replaced.

    Returns
    -------
    Path
        The final path.
    """
    image, shape = origin.image, tuple(pixels.shape)
    has_same_axes = len(shape) == len(image.data.shape)
    has_same_shape = shape == tuple(image.data.shape)
    metadata = ImageMetadata(
        shape, pixels.dtype,
        axes=image.axes if has_same_axes and image.axes else default_axes(len(shape)),
        scale=image.scale if has_same_shape else None,
        translate=image.translate if has_same_shape else None,
        units=image.units if has_same_shape else None,
        labels=pixels.dtype.kind == "b", record=origin.record,
    )  # fmt: skip
    layout = OutputLayout(overwrite=overwrite)
    writer = create_writer(path, metadata, layout, sources=(origin.source,))
    try:
        writer.write(tuple(slice(0, length) for length in shape), pixels)
        for level in range(1, len(writer.pyramid_levels())):
            for write_part in writer.pyramid_tasks(level):
                write_part()
        return writer.finish()
    except BaseException:
        writer.abort()
        raise


def write_table(path: Path, columns: Parameters, record: Parameters, *, overwrite: bool) -> Path:
    """Write columns to a CSV, with the record in a file next to it.

    Parameters
    ----------
    path
        The file.
    columns
        Arrays of one length by name.
    record
        How they were computed.
    overwrite
        Whether an existing table is replaced.

    Returns
    -------
    Path
        The final path.
    """
    return write_value(path, columns, overwrite, provenance=record)
