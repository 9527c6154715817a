"""Writers for tests, from the fields of the image and of the layout as keywords."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from napari_tilewise.io.metadata.image_metadata import ImageMetadata
from napari_tilewise.io.writers.create import create_writer
from napari_tilewise.io.writers.output_layout import OutputLayout

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from napari_tilewise.io.writers.image_writer import ImageWriter

_LAYOUT = {field.name for field in fields(OutputLayout)}


def new_writer(
    path: str | Path,
    *,
    sources: Iterable[object] = (),
    resume: Path | None = None,
    **options: Any,
) -> ImageWriter:
    """Return the writer that the name asks for."""
    layout = OutputLayout(**{name: options.pop(name) for name in _LAYOUT & options.keys()})
    return create_writer(path, ImageMetadata(**options), layout, sources=sources, resume=resume)
