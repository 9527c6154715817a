"""Stores what a user's function returns: pixels as an image, a table as CSV."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any, TypeVar

from napari_tilewise.axes import default_axes, kind
from napari_tilewise.io.metadata.image_metadata import ImageMetadata
from napari_tilewise.io.writers.create import create_writer
from napari_tilewise.io.writers.output_layout import OutputLayout
from napari_tilewise.io.writers.values import write_value

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_tilewise.io.image import Image
    from napari_tilewise.types import Array, Parameters

T = TypeVar("T")


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
    remaining = _remaining_axes(image, shape)
    has_same_axes = len(shape) == len(image.data.shape) and bool(image.axes)
    axes = image.axes if has_same_axes else default_axes(len(shape))
    channels = [replace(channel, window=None, limits=None) for channel in image.channels]
    metadata = ImageMetadata(
        shape, pixels.dtype,
        axes=axes if remaining is None or not image.axes else _pick(image.axes, remaining),
        scale=None if remaining is None else _pick(image.scale, remaining),
        translate=None if remaining is None else _pick(image.translate, remaining),
        units=None if remaining is None else _pick(image.units, remaining),
        channels=channels, details=image.details.of_result(has_same_labels=False),
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


def _remaining_axes(image: Image, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return which axes of an image a result has, by their lengths; None where that is not clear.

    A result that lacks axes, such as a projection, lacks those that are not of space if it can.
    """
    lengths = image.data.shape
    if shape == tuple(lengths):
        return tuple(range(len(lengths)))
    choices = [
        axes
        for axes in combinations(range(len(lengths)), len(shape))
        if image.axes and _pick(lengths, axes) == shape
    ]
    spatial = {axis for axis, letter in enumerate(image.axes) if kind(letter) == "space"}
    planes = [axes for axes in choices if len(spatial & set(axes)) >= 2]
    best = [axes for axes in planes if spatial <= set(axes)] or planes
    return best[0] if len(best) == 1 else None


def _pick(values: Sequence[T], axes: tuple[int, ...]) -> tuple[T, ...]:
    return tuple(values[axis] for axis in axes)


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
