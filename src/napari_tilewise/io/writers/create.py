"""The suffix of a destination's name chooses the format, and so the writer."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from napari_tilewise.errors import DestinationUnwritable
from napari_tilewise.io.writers import staging as stage
from napari_tilewise.io.writers.formats import OME_TIFF
from napari_tilewise.io.writers.imagej import ImageJWriter
from napari_tilewise.io.writers.npy_writer import NpyWriter
from napari_tilewise.io.writers.ome_tiff import OmeTiffWriter
from napari_tilewise.io.writers.ome_zarr import OmeZarrWriter
from napari_tilewise.io.writers.output_layout import VERSIONS, OutputLayout
from napari_tilewise.io.writers.png_writer import PngWriter

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from napari_tilewise.io.metadata.image_metadata import ImageMetadata
    from napari_tilewise.io.writers.image_writer import ImageWriter

WRITERS: Mapping[str, type[ImageWriter]] = MappingProxyType(
    {
        ".ome.zarr": OmeZarrWriter,
        ".zarr": OmeZarrWriter,
        **dict.fromkeys(OME_TIFF, OmeTiffWriter),
        ".tif": ImageJWriter,
        ".tiff": ImageJWriter,
        ".npy": NpyWriter,
        ".png": PngWriter,
    }
)
"""The writer for each suffix, the longer suffixes first."""


def create_writer(
    path: str | os.PathLike[str],
    image: ImageMetadata,
    layout: OutputLayout | None = None,
    *,
    sources: Iterable[object] = (),
    resume: Path | None = None,
) -> ImageWriter:
    """Return the writer for a destination, by the suffix of its name.

    Parameters
    ----------
    path
        The final name.
    image
        The image to write.
    layout
        How it is laid out on disk; None: the defaults of `OutputLayout`.
    sources
        The images that will be read: writing onto any of them is refused.
    resume
        A staging folder of `unfinished` to continue with; None: a new one.

    Raises
    ------
    DestinationUnwritable
        When the suffix belongs to no format that can be written, or a source is in the way.
    InvalidImage
        When the format cannot hold the image; the message names one that can.
    """
    destination = stage.local_path(path)
    if any(stage.same_location(source, destination) for source in sources):
        raise DestinationUnwritable(
            f"{str(destination)!r} is a source itself, or inside it, or holds it; sources are "
            "never written to: give another destination."
        )
    name = destination.name.lower()
    suffix = next((suffix for suffix in WRITERS if name.endswith(suffix)), None)
    if suffix is None:
        raise DestinationUnwritable(
            f"{str(destination)!r} has no suffix of a format that can be written; "
            f"expected one of {', '.join(WRITERS)}: change the name."
        )
    return WRITERS[suffix](path, image, layout or OutputLayout(), resume=resume)


@dataclass(frozen=True)
class OutputRequest:
    """Where an image goes, and how the user wants it laid out there."""

    path: str | os.PathLike[str]
    """The final name, whose suffix is the format."""
    overwrite: bool = False
    """Whether an old output may be replaced."""
    pyramid: bool = True
    """Whether smaller levels are written, where the format has them."""
    ome_zarr: str = VERSIONS[0]
    """Version of an OME-Zarr."""
    shards: bool = False
    """Whether an OME-Zarr has one file for each tile instead of one for each chunk."""
    is_small: bool = False
    """Whether the image stays in memory until it is complete, and is written at once."""

    @property
    def record_entries(self) -> dict[str, object]:
        """What the record says of a layout other than the default: it makes another run."""
        layout: dict[str, object] = {"shards": True} if self.shards else {}
        if self.ome_zarr != VERSIONS[0]:
            layout["ome_zarr"] = self.ome_zarr
        return {"layout": layout} if layout else {}

    def layout(self, tile: tuple[int, ...], chunks: tuple[int, ...] | None = None) -> OutputLayout:
        """Return the layout for tiles of a size.

        Parameters
        ----------
        tile
            Pixels of a tile along each axis: a shard, where shards are requested.
        chunks
            Pixels of a chunk along each axis; None: `default_chunks`.
        """
        shards = tile if self.shards else None
        return OutputLayout(
            self.overwrite, self.pyramid, self.ome_zarr, chunks, shards, self.is_small
        )
