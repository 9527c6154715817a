"""Which writer a destination gets: the suffix of its name chooses the format."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from napari_tilewise.errors import DestinationUnwritable
from napari_tilewise.io.writers import staging as stage
from napari_tilewise.io.writers.imagej import ImageJWriter
from napari_tilewise.io.writers.npy_writer import NpyWriter
from napari_tilewise.io.writers.ome_tiff import OmeTiffWriter
from napari_tilewise.io.writers.ome_zarr import VERSIONS, OmeZarrWriter
from napari_tilewise.io.writers.png_writer import PngWriter

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

WRITERS: Mapping[str, type[OmeZarrWriter]] = MappingProxyType(
    {
        ".ome.zarr": OmeZarrWriter,
        ".zarr": OmeZarrWriter,
        ".ome.tif": OmeTiffWriter,
        ".ome.tiff": OmeTiffWriter,
        ".tif": ImageJWriter,
        ".tiff": ImageJWriter,
        ".npy": NpyWriter,
        ".png": PngWriter,
    }
)
"""The writer for each suffix, the longer suffixes first."""


def create_writer(
    path: str | os.PathLike[str], *, sources: Iterable[object] = (), **options: Any
) -> OmeZarrWriter:
    """Return the writer for a destination, by the suffix of its name.

    Parameters
    ----------
    path
        The final name.
    sources
        What will be read: writing onto any of it is refused.
    **options
        What `OmeZarrWriter` takes.

    Raises
    ------
    DestinationUnwritable
        When the suffix belongs to no format that can be written, or a source is in the way.
    InvalidImage
        When the format cannot hold the image; the message names one that can.
    """
    where = stage.local_path(path)
    if any(stage.same_place(source, where) for source in sources):
        raise DestinationUnwritable(
            f"{str(where)!r} is a source itself, or inside it, or holds it; sources are never "
            "written to: give another destination."
        )
    suffix = next((known for known in WRITERS if where.name.lower().endswith(known)), None)
    if suffix is None:
        raise DestinationUnwritable(
            f"{str(where)!r} has no suffix of a format that can be written; "
            f"expected one of {', '.join(WRITERS)}: change the name."
        )
    return WRITERS[suffix](path, **options)


@dataclass(frozen=True)
class OutputRequest:
    """Where an image goes, and how it is laid out there."""

    path: str | os.PathLike[str]
    """The final name, whose suffix is the format."""
    overwrite: bool = False
    """Whether an old output may be replaced."""
    pyramid: bool = True
    """Whether smaller levels are written, where the format has such."""
    ome_zarr: str = VERSIONS[0]
    """Version of an OME-Zarr."""
    shards: bool = False
    """Whether an OME-Zarr has one file for each tile instead of one for each chunk."""

    @property
    def asked(self) -> dict[str, Any]:
        """What was asked for beside the usual, for the record: another layout is another run."""
        asked: dict[str, Any] = {"shards": True} if self.shards else {}
        if self.ome_zarr != VERSIONS[0]:
            asked["ome_zarr"] = self.ome_zarr
        return {"layout": asked} if asked else {}

    def writer(self, *, tile: tuple[int, ...], **options: Any) -> OmeZarrWriter:
        """Return the writer.

        Parameters
        ----------
        tile
            Pixels of a tile along every axis: a shard, where such are asked for.
        **options
            What `create_writer` takes beside.
        """
        shards = tile if self.shards else None
        options |= {"overwrite": self.overwrite, "pyramid": self.pyramid}
        return create_writer(self.path, ome_zarr=self.ome_zarr, shards=shards, **options)
