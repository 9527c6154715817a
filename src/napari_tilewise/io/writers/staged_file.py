"""Writing formats that are one file: blocks grow in a Zarr beside it, poured in at the end.

A run writes in its own order, from many threads, and may be killed and resumed; a TIFF or a PNG
wants its pixels in the order of the file. Between the two stands a Zarr in the staging folder: it
has the pyramid and the resuming of every other output. Pouring reads it chunk by chunk, so memory
stays bounded; the disk holds both until the file is complete and the Zarr goes.
"""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from napari_tilewise.axes import default_axes, parse
from napari_tilewise.engine.disk import reserve, writing
from napari_tilewise.engine.events import PassDone, PassStarted, TileDone
from napari_tilewise.engine.pool import wait_while
from napari_tilewise.errors import (
    Cancelled,
    DestinationExists,
    DestinationUnwritable,
    InvalidImage,
    InvalidParameter,
)
from napari_tilewise.grid import Grid
from napari_tilewise.io.writers.ome_zarr import VERSIONS, OmeZarrWriter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import zarr

    from napari_tilewise.engine.session import Session
    from napari_tilewise.grid import Region

_FILE = "poured"


class StagedFileWriter(OmeZarrWriter):
    """A destination that is one file; a subclass knows its format.

    The parameters are those of `OmeZarrWriter`; `ome_zarr` and `shards` are refused.
    """

    format: ClassVar[str]
    """What the format is called in messages."""
    has_pyramid: ClassVar[bool] = False
    """Whether the format holds smaller levels."""

    def __init__(self, path: str | os.PathLike[str], **options: Any) -> None:
        if options.get("shards") is not None or options.get("ome_zarr", VERSIONS[0]) != VERSIONS[0]:
            raise InvalidParameter(
                f"{os.fspath(path)!r} will be {self.format}: ome_zarr and shards belong to "
                "OME-Zarr; leave them out, or write NAME.ome.zarr."
            )
        options["pyramid"] = bool(options.get("pyramid", True)) and self.has_pyramid
        shape, axes = options["shape"], tuple(options["axes"])
        chunks = options.get("chunks")
        options["chunks"] = self.chunks_for(shape, axes, chunks)
        super().__init__(path, **options)

    # What a subclass says ----------------------------------------------------------------------

    def check(self) -> None:
        """Refuse an image that the format cannot hold."""

    def pour(self, path: Path, session: Session | None) -> None:
        """Write the whole file from the complete Zarr.

        Parameters
        ----------
        path
            The file, which does not exist yet.
        session
            Whom to tell of progress, and who may cancel.
        """
        raise NotImplementedError

    def chunks_for(
        self, shape: tuple[int, ...], axes: tuple[str, ...], chunks: tuple[int, ...] | None
    ) -> tuple[int, ...] | None:
        """Return the chunks of the Zarr that can be poured best, which divide those wanted.

        Parameters
        ----------
        shape
            Shape of the image.
        axes
            One letter per axis.
        chunks
            What was wanted, if anything.
        """
        return chunks

    def refuse(self, why: str, instead: str) -> InvalidImage:
        """Return the error that says why the format cannot hold the image, and what can.

        Parameters
        ----------
        why
            What the format cannot hold.
        instead
            The remedy.
        """
        shape = " x ".join(map(str, self.shape))
        return InvalidImage(
            f"{str(self.path)!r} cannot be {self.format}: {why}, and the image is {shape} "
            f"{self.dtype} with axes {''.join(self.axes)!r}; {instead}."
        )

    # What the Zarr's writer asks ---------------------------------------------------------------

    def _checked_axes(self, axes: tuple[str, ...]) -> tuple[str, ...]:
        ndim = len(self.shape)
        self.axes = parse(axes, ndim) or default_axes(ndim)
        self.check()
        return self.axes

    def _check_vacant(self) -> None:
        check_file_vacant(self.path, overwrite=self._overwrite)

    def finish(self, session: Session | None = None) -> Path:
        """Pour the Zarr into the file, give that its final name and return it.

        Parameters
        ----------
        session
            Whom to tell of progress, and who may cancel.
        """
        poured = self.staging / _FILE
        self._refuse_what_is_gone()
        try:
            with writing(self.path):
                poured.unlink(missing_ok=True)  # of a run that was killed while it poured
                self.pour(poured, session)
                _sync(poured)
        except BaseException:
            poured.unlink(missing_ok=True)  # nobody goes on with half a file; others want the room
            raise
        self._refuse_what_is_gone()
        check_file_vacant(self.path, overwrite=self._overwrite)
        with writing(self.path):
            self._publish(poured)
        shutil.rmtree(self.staging, ignore_errors=True)
        self.close()
        return self.path

    def _publish(self, poured: Path) -> None:
        os.replace(poured, self.path)

    # For those who pour ------------------------------------------------------------------------

    @property
    def record(self) -> dict[str, Any]:
        """What is kept about the making of the image, as plain data."""
        return {**self._own, "complete": True}

    @property
    def levels(self) -> list[zarr.Array[Any]]:
        """The complete levels, the finest first, their axes in the order of `stored_axes`."""
        return self._levels

    @property
    def sizes(self) -> dict[str, tuple[float, str | None]]:
        """Size of a pixel and its unit by axis."""
        known = zip(self.stored_axes, self._scale, self._units, strict=True)
        return {axis: (float(size), unit) for axis, size, unit in known}

    def moved(self, block: np.ndarray[Any, Any], axes: Iterable[str]) -> np.ndarray[Any, Any]:
        """Return a block of a level with its axes in another order.

        Parameters
        ----------
        block
            Pixels in the order of `stored_axes`.
        axes
            The order wanted.
        """
        return block.transpose([self.stored_axes.index(axis) for axis in axes])

    def fill(self, pixels: np.ndarray[Any, Any], axes: str, session: Session | None) -> None:
        """Copy the finest level, chunk by chunk, into a memory-mapped file.

        Parameters
        ----------
        pixels
            The mapped pixels.
        axes
            The order of their axes.
        session
            Whom to tell of progress, and who may cancel.
        """
        reserve(self.staging / _FILE)
        level = self.levels[0]
        grid = Grid(level.shape, level.chunks)
        order = [self.stored_axes.index(axis) for axis in axes]

        def regions() -> Iterator[Region]:
            return map(grid.region, grid.positions())

        for region in followed(session, f"writing {self.path.name}", regions(), len(grid)):
            block = np.asarray(level[region])
            pixels[tuple(region[i] for i in order)] = block.transpose(order)


def followed(session: Session | None, what: str, items: Iterable[Any], count: int) -> Iterator[Any]:
    """Yield items, telling the session's listener of each; its cancel ends it, its pause holds it.

    Parameters
    ----------
    session
        Whom to tell, and who may cancel; None: nobody.
    what
        What is done, in words.
    items
        What is yielded.
    count
        How many they are.
    """
    if session is None:
        yield from items
        return
    started = time.perf_counter()
    session.tell(PassStarted(what, count))
    for number, item in enumerate(items, 1):
        if session.pause is not None:
            wait_while(session.pause.is_set, session.cancel)
        if session.cancel is not None and session.cancel.is_set():
            raise Cancelled(f"Cancelled while {what}: nothing stands under the final name.")
        yield item
        session.tell(TileDone(what, number, count))
    session.tell(PassDone(what, time.perf_counter() - started))


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
        what = "a link" if path.is_symlink() else "a folder" if path.is_dir() else "no file"
        raise DestinationUnwritable(
            f"{str(path)!r} is {what}; expected a file or nothing: give another destination."
        )
    if not overwrite:
        raise DestinationExists(
            f"{str(path)!r} exists; give another destination, or overwrite=True (in the shell: "
            "--overwrite) to replace it."
        )


def _sync(path: Path) -> None:
    """Have the file on the disk before its name says that it is complete."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
