"""A destination that takes an image block by block, in any order, from any thread."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_tilewise.errors import InvalidImage
from napari_tilewise.io.metadata.channels import count_of, tidy
from napari_tilewise.io.writers.formats import OME_TIFF
from napari_tilewise.io.writers.ome_zarr_layout import SUFFIXES
from napari_tilewise.io.writers.small_zarr import staged
from napari_tilewise.io.writers.staging import local_path

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari_tilewise.engine.session import Session
    from napari_tilewise.grid import Region
    from napari_tilewise.io.metadata.image_metadata import ImageMetadata
    from napari_tilewise.io.writers.output_layout import OutputLayout
    from napari_tilewise.types import Array


class ImageWriter(ABC):
    """A destination; everything grows in a Zarr in `staging`, beside it, until `finish`.

    Regions and blocks are given in the order of `axes`.

    Parameters
    ----------
    path
        The final name.
    image
        The image to write.
    layout
        How it is laid out on disk.
    resume
        A staging folder of `unfinished` to continue with; None: a new one.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        image: ImageMetadata,
        layout: OutputLayout,
        *,
        resume: Path | None = None,
    ) -> None:
        self.path = local_path(path)
        self.shape = tuple(int(n) for n in image.shape)
        self.dtype = image.native_dtype
        image = replace(image, shape=self.shape, axes=tuple(image.axes))
        self._check_type()
        self.axes = self.check_image(image)
        self.channels = tidy(image.channels, count_of(self.axes, self.shape))
        self.image = replace(
            image,
            axes=self.axes,
            channels=self.channels,
            name=image.name or image.details.title or _stem(self.path.name),
        )
        self.overwrite = layout.overwrite
        layout = self.check_layout(layout)
        self.check_vacant()
        self.zarr = staged(self.path, self.image, layout, resume)

    def _check_type(self) -> None:
        """Refuse numbers that Zarr has not, in which every output grows."""
        widest = {"f": 8, "c": 16}.get(self.dtype.kind)
        if widest is not None and self.dtype.itemsize > widest:
            other = "complex128" if self.dtype.kind == "c" else "float64"
            raise InvalidImage(
                f"{str(self.path)!r} cannot hold {self.dtype}, which no format has that is "
                f"written: convert the image to {other} first."
            )

    # The format ------------------------------------------------------------------------------

    @abstractmethod
    def check_image(self, image: ImageMetadata) -> tuple[str, ...]:
        """Return the image's axes; refuse an image that the format cannot hold.

        Parameters
        ----------
        image
            The image, as it was described.
        """

    @abstractmethod
    def check_layout(self, layout: OutputLayout) -> OutputLayout:
        """Return the layout of the staging Zarr; refuse one that the format does not have.

        Parameters
        ----------
        layout
            The layout, as it was requested.
        """

    @abstractmethod
    def check_vacant(self) -> None:
        """Refuse a destination that exists, unless it may be overwritten."""

    @abstractmethod
    def finish(self, session: Session | None = None) -> Path:
        """Complete the output, give it its final name and return that.

        Parameters
        ----------
        session
            Gets the events, and may pause or cancel, where this takes long.
        """

    # The staging Zarr ------------------------------------------------------------------------

    @property
    def staging(self) -> Path:
        """The folder in which the output grows."""
        return self.zarr.staging

    @property
    def chunks(self) -> tuple[int, ...]:
        """Pixels of a chunk along each axis."""
        return self.zarr.chunks

    @property
    def shards(self) -> tuple[int, ...] | None:
        """Pixels of a shard along each axis; None: every chunk is a file of its own."""
        return self.zarr.shards

    @property
    def stored_axes(self) -> tuple[str, ...]:
        """The axes in the order in which they are stored."""
        return self.zarr.stored_axes

    @property
    def is_in_place(self) -> bool:
        """Whether the staging folder still exists; somebody may remove it during the run."""
        return self.zarr.is_in_place

    def write(self, region: Region, block: Array) -> None:
        """Write one block of whole chunks, or whole shards, of the finest level.

        Parameters
        ----------
        region
            Where the block goes; bounds are multiples of `chunks` (of `shards` where there are
            any), or the end of the image.
        block
            Its pixels.
        """
        self.zarr.write(region, block)

    def pyramid_levels(self) -> tuple[tuple[int, ...], ...]:
        """Return the shape of every level, the finest first, in the order of `stored_axes`."""
        return tuple(self.zarr.shapes)

    def pyramid_tasks(self, level: int) -> Sequence[Callable[[], None]]:
        """Return the tasks that make a level from the one below, which must be complete.

        Parameters
        ----------
        level
            Number of the level, from 1.
        """
        return self.zarr.pyramid_tasks(level)

    def note(self, **values: object) -> None:
        """Add to the record what became known while the image was made, such as thresholds.

        Parameters
        ----------
        **values
            Values under their names in the record.
        """
        self.zarr.note(values)

    def abort(self) -> None:
        """Remove everything written; an old output under the final name stays."""
        self.zarr.abort()

    def close(self) -> None:
        """Leave the staging folder as it is, for a later `resume`."""
        self.zarr.close()


def _stem(name: str) -> str:
    suffixes = (*SUFFIXES, *OME_TIFF)
    return next((name.removesuffix(s) for s in suffixes if name.endswith(s)), name)
