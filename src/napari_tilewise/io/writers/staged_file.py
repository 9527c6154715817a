"""Writing formats that are one file: blocks grow in a Zarr beside it, which is copied at the end.

A run writes in its own order, from many threads, and may be killed and resumed; the pixels of a
TIFF or a PNG are in the order of the file. Between the two is a Zarr in the staging folder: it
has the pyramid, and is resumed as every other output is. It is copied chunk by chunk, so memory
stays bounded; the disk holds both until the file is complete and the Zarr is removed.
"""

from __future__ import annotations

import os
import shutil
import time
from abc import abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, TypeVar

import numpy as np

from napari_tilewise.axes import default_axes, parse
from napari_tilewise.engine.events import PassDone, PassStarted, TileDone
from napari_tilewise.engine.system import file_names
from napari_tilewise.engine.system.disk import reserve, writing
from napari_tilewise.engine.system.pool import wait_while
from napari_tilewise.errors import (
    Cancelled,
    DestinationExists,
    DestinationUnwritable,
    InvalidImage,
    InvalidParameter,
    option,
)
from napari_tilewise.grid import Grid
from napari_tilewise.io.writers.image_writer import ImageWriter
from napari_tilewise.io.writers.output_layout import VERSIONS
from napari_tilewise.io.writers.staging import create_beside

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from napari_tilewise.engine.session import Session
    from napari_tilewise.io.metadata.image_metadata import ImageMetadata
    from napari_tilewise.io.plain_data import Plain
    from napari_tilewise.io.writers.level_files import WrittenLevel
    from napari_tilewise.io.writers.output_layout import OutputLayout
    from napari_tilewise.types import Array

T = TypeVar("T")

_FILE = "poured"
"""Name of the growing file in the staging folder, the same in every release."""


OME_DTYPES = (
    "bool", "int8", "int16", "int32", "uint8", "uint16", "uint32",
    "float32", "float64", "complex64", "complex128",
)  # fmt: skip
"""The data types of OME-XML."""


class StagedFileWriter(ImageWriter):
    """A destination that is one file; a subclass knows its format."""

    format: ClassVar[str]
    """Name of the format in messages."""
    has_pyramid: ClassVar[bool] = False
    """Whether the format holds smaller levels."""

    # The format ------------------------------------------------------------------------------

    @abstractmethod
    def check_format(self, axes: tuple[str, ...]) -> None:
        """Refuse an image that the format cannot hold.

        Parameters
        ----------
        axes
            One letter per axis of the image.
        """

    @abstractmethod
    def write_file(self, path: Path, session: Session | None) -> None:
        """Write the whole file from the complete Zarr.

        Parameters
        ----------
        path
            A file that does not exist yet.
        session
            Gets the events, and may pause or cancel.
        """

    def chunks_for(self, chunks: tuple[int, ...] | None) -> tuple[int, ...] | None:
        """Return the chunks of the Zarr that can be copied best, which divide those requested.

        Parameters
        ----------
        chunks
            The chunks requested, if any.
        """
        return chunks

    @property
    def other_formats(self) -> str:
        """What to do instead: write a format that holds the data type."""
        if self.dtype.name in OME_DTYPES:
            return "write NAME.ome.tif or NAME.ome.zarr"
        return "write NAME.ome.zarr or NAME.npy"

    def refuse(self, limit: str, remedy: str) -> InvalidImage:
        """Return the error that says why the format cannot hold the image, and what can.

        Parameters
        ----------
        limit
            What the format holds, a clause.
        remedy
            What to do instead.
        """
        shape = " x ".join(map(str, self.shape))
        return InvalidImage(
            f"{str(self.path)!r} cannot be {self.format}: {limit}, and the image is {shape} "
            f"{self.dtype} with axes {''.join(self.axes)!r}; {remedy}."
        )

    # What every file writer does -------------------------------------------------------------

    def check_image(self, image: ImageMetadata) -> tuple[str, ...]:
        """Return the image's axes, or names of axes for one that has none.

        Parameters
        ----------
        image
            The image.
        """
        self.axes = parse(image.axes, image.ndim) or default_axes(image.ndim)
        self.check_format(self.axes)
        return self.axes

    def check_layout(self, layout: OutputLayout) -> OutputLayout:
        """Return the layout of the Zarr; refuse the options of OME-Zarr.

        Parameters
        ----------
        layout
            The layout.
        """
        if layout.shards is not None or layout.ome_zarr != VERSIONS[0]:
            raise InvalidParameter(
                f"{str(self.path)!r} will be {self.format}: ome_zarr and shards belong to "
                "OME-Zarr; leave them out, or write NAME.ome.zarr."
            )
        pyramid = layout.pyramid and self.has_pyramid
        return replace(layout, pyramid=pyramid, chunks=self.chunks_for(layout.chunks))

    def check_vacant(self) -> None:
        """Refuse a destination that exists, unless it is a file that may be overwritten."""
        check_file_vacant(self.path, overwrite=self.overwrite)

    def finish(self, session: Session | None = None) -> Path:
        """Write the file from the Zarr, give it its final name and return that.

        Parameters
        ----------
        session
            Gets the events, and may pause or cancel.
        """
        growing, is_on_disk = self._growing, self.zarr.is_on_disk
        self.zarr.check_in_place()
        try:
            with writing(self.path):
                if is_on_disk:
                    growing.unlink(missing_ok=True)  # of a run that was killed while it wrote it
                    self.write_file(growing, session)
                    _sync(growing)
                else:
                    create_beside(self.path, lambda: self.write_file(growing, session))
        except BaseException:
            growing.unlink(missing_ok=True)  # half a file is of no use, and takes room
            raise
        self.zarr.check_in_place()
        self.zarr.check_chunks()
        self.check_vacant()
        with writing(self.path):
            self.publish(growing)
        if is_on_disk:
            self.zarr.close_lists()
            shutil.rmtree(self.staging, ignore_errors=True)
        self.close()
        return self.path

    @property
    def _growing(self) -> Path:
        """The file while it is written: in the staging folder, or under its hidden name."""
        return self.staging / _FILE if self.zarr.is_on_disk else self.staging

    def publish(self, file: Path) -> None:
        """Give the complete file its final name.

        Parameters
        ----------
        file
            The file, in the staging folder.
        """
        file_names.replace(file, self.path)

    # The complete image, for subclasses ------------------------------------------------------

    @property
    def record(self) -> dict[str, Plain]:
        """The record of how the image is made, as plain data."""
        return self.zarr.record

    @property
    def levels(self) -> list[WrittenLevel]:
        """The complete levels, the finest first, their axes in the order of `stored_axes`."""
        return self.zarr.levels

    @property
    def sizes(self) -> dict[str, tuple[float, str | None]]:
        """Size of a pixel and its unit by axis, in the order of `stored_axes`."""
        sizes = zip(self.image.pixel_sizes, self.image.pixel_units, strict=True)
        by_axis = dict(zip(self.axes, sizes, strict=True))
        return {axis: (float(by_axis[axis][0]), by_axis[axis][1]) for axis in self.stored_axes}

    def transposed(self, block: Array, axes: Iterable[str]) -> Array:
        """Return a block of a level with its axes in another order.

        Parameters
        ----------
        block
            Pixels in the order of `stored_axes`.
        axes
            The axes in the order of the result.
        """
        return block.transpose([self.stored_axes.index(axis) for axis in axes])

    def fill(self, pixels: Array, axes: str, session: Session | None) -> None:
        """Copy the finest level, chunk by chunk, into a memory-mapped file.

        Parameters
        ----------
        pixels
            The mapped pixels.
        axes
            The order of their axes.
        session
            Gets the events, and may pause or cancel.
        """
        reserve(self._growing)
        level = self.levels[0]
        grid = Grid(level.shape, level.chunks)
        order = [self.stored_axes.index(axis) for axis in axes]
        regions = map(grid.region, grid.positions())
        for region in reported(session, f"writing {self.path.name}", regions, len(grid)):
            block = np.asarray(level[region])
            pixels[tuple(region[i] for i in order)] = block.transpose(order)


def reported(session: Session | None, title: str, items: Iterable[T], count: int) -> Iterator[T]:
    """Yield items, with an event for each; the session's cancel ends it, its pause suspends it.

    Parameters
    ----------
    session
        Gets the events, and may pause or cancel; None: nothing does.
    title
        What is done, such as ``"writing a.tif"``.
    items
        The items.
    count
        Number of items.
    """
    if session is None:
        yield from items
        return
    started = time.perf_counter()
    session.emit(PassStarted(title, count))
    for number, item in enumerate(items, 1):
        wait_while(lambda: session.control.is_paused, session.control.cancel)
        if session.control.is_cancelled:
            raise Cancelled(f"Cancelled while {title}: nothing exists under the final name.")
        yield item
        session.emit(TileDone(title, number, count))
    session.emit(PassDone(title, time.perf_counter() - started))


def check_file_vacant(path: Path, *, overwrite: bool) -> None:
    """Refuse a destination that exists, unless it is a file that may be overwritten.

    Parameters
    ----------
    path
        The final name.
    overwrite
        Whether an old file may be replaced.
    """
    if not os.path.lexists(path):
        return
    if path.is_symlink() or not path.is_file():
        kind = "a link" if path.is_symlink() else "a folder" if path.is_dir() else "not a file"
        raise DestinationUnwritable(
            f"{str(path)!r} is {kind}; expected a file or nothing: give another destination."
        )
    if not overwrite:
        raise DestinationExists(
            f"{str(path)!r} exists; give another destination, or "
            f"{option('overwrite', True)} to replace it."
        )


def _sync(path: Path) -> None:
    """Have the file on the disk before its name says that it is complete."""
    with path.open("rb+") as file:  # Windows flushes only what is open for writing
        os.fsync(file.fileno())
