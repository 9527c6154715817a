"""A Zarr in a staging folder, which takes blocks from many threads and makes its own pyramid.

A block is whole chunks, or whole shards where chunks share files, so that no two blocks are written
to one file.
"""

from __future__ import annotations

import shutil
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from napari_tilewise.engine.system.disk import writing
from napari_tilewise.errors import DestinationUnwritable, InvalidParameter, TilewiseError
from napari_tilewise.grid import Grid, LazySequence, extent
from napari_tilewise.io.image import EMPTY, KEY
from napari_tilewise.io.plain_data import plain_mapping
from napari_tilewise.io.readers.zarr_folders import is_zarr
from napari_tilewise.io.writers.level_files import GroupFile, LevelLayout
from napari_tilewise.io.writers.ome_zarr_layout import axis_entries, default_chunks, storage_rank
from napari_tilewise.io.writers.partial_output import OWNER, claim, is_whole, owner, release
from napari_tilewise.io.writers.pyramid import halve, level_shapes
from napari_tilewise.io.writers.staging import new_staging
from napari_tilewise.io.writers.written_chunks import WrittenChunks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import TypeVar

    from napari_tilewise.grid import Region
    from napari_tilewise.io.metadata.image_metadata import ImageMetadata
    from napari_tilewise.io.plain_data import Plain
    from napari_tilewise.io.writers.level_files import WrittenLevel
    from napari_tilewise.io.writers.output_layout import OutputLayout
    from napari_tilewise.io.writers.zarr_levels import ZarrGroup
    from napari_tilewise.types import Array

    T = TypeVar("T")


class StagingZarr:
    """The levels of an image that is not complete yet.

    Regions and blocks are given in the order of the image's axes. OME-Zarr wants time first, then
    channels, then space; where the order differs (``yxc``, ImageJ's ``tzcyx``) the axes are stored
    in the order that it wants, and `stored_axes` says so.

    Parameters
    ----------
    path
        The final name of the output; messages name it, and the staging folder lies beside it.
    image
        The image. Its axes are those of OME-Zarr, unless the Zarr becomes a file of another format.
    layout
        Version, chunks and levels.
    resume
        A staging folder of `unfinished` to continue with; None: a new one.
    """

    is_on_disk: ClassVar[bool] = True
    """Whether anything is on the disk before the image is complete."""

    def __init__(
        self, path: Path, image: ImageMetadata, layout: OutputLayout, *, resume: Path | None = None
    ) -> None:
        self.path = path
        self.image = image
        self.dtype = image.native_dtype
        self.is_resumed = resume is not None
        self._version = layout.ome_zarr
        chunks = layout.chunks or default_chunks(image.shape, image.axes)
        self.chunks = tuple(max(1, min(c, n)) for c, n in zip(chunks, image.shape, strict=True))
        self.shards = None if layout.shards is None else self._whole_chunks(layout.shards)
        self._order = sorted(range(image.ndim), key=lambda i: storage_rank(image.axes[i]))
        self.stored_axes = self.in_stored_order(image.axes)
        shape = self.in_stored_order(image.shape)
        self.shapes = level_shapes(shape, self.stored_axes) if layout.pyramid else [shape]
        self._record = plain_mapping({"recipe": None, **image.record, "labels": image.labels})
        self.staging = self._new_staging() if resume is None else resume
        self._level_folders = [str(self.staging / str(level)) for level in range(len(self.shapes))]
        self._written: list[WrittenChunks] = []
        claim(self.staging)
        try:
            with writing(path):
                self._create()
        except BaseException:
            if resume is None:
                self.abort()
            self.close()
            raise

    @property
    def record(self) -> dict[str, Plain]:
        """The record of how the image is made, as plain data."""
        return {**self._record, "complete": True}

    @property
    def axis_names(self) -> tuple[str, ...]:
        """The names of the axes in the file, in the order in which they are stored."""
        units = self.in_stored_order(self.image.pixel_units)
        entries = axis_entries(self.stored_axes, units, self.image.details.axes)
        return tuple(str(entry["name"]) for entry in entries)

    @property
    def averages(self) -> bool:
        """Whether a pixel of a smaller level is the mean of those below it."""
        return not self.image.labels and self.dtype.kind != "b"

    def level_scale(self, level: int) -> list[float]:
        """Return the size of a pixel of a level along each stored axis.

        Parameters
        ----------
        level
            Number of the level, 0 the finest.
        """
        halvings = [self.halved(number) for number in range(1, level + 1)]
        return [
            float(size) * 2.0 ** sum(halved[axis] for halved in halvings)
            for axis, size in enumerate(self.in_stored_order(self.image.pixel_sizes))
        ]

    def level_position(self, level: int) -> list[float]:
        """Return the position of the first pixel of a level along each stored axis.

        The first pixel of a level of averages lies in the middle of those it is the mean of.

        Parameters
        ----------
        level
            Number of the level, 0 the finest.
        """
        sizes = zip(self.level_scale(0), self.level_scale(level), strict=True)
        shifts = ((coarse - fine) / 2 if self.averages else 0.0 for fine, coarse in sizes)
        positions = self.in_stored_order(self.image.position)
        return [float(p) + shift for p, shift in zip(positions, shifts, strict=True)]

    def in_stored_order(self, values: Sequence[T]) -> tuple[T, ...]:
        """Return values in the order in which the axes are stored.

        Parameters
        ----------
        values
            One value per axis of the image.
        """
        return tuple(values[i] for i in self._order)

    # Level 0 ---------------------------------------------------------------------------------

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
        self._check_block(region, block)
        stored_region = tuple(region[i] for i in self._order)
        with writing(self.path):
            self._put(0, stored_region, block.transpose(self._order))
        self._check_level(0)

    def _put(self, level: int, region: Region, block: Array) -> None:
        self.levels[level].write(region, block)
        for written in self._written[level : level + 1]:  # none, if nothing is on disk
            written.note(region, block)

    def _check_block(self, region: Region, block: Array) -> None:
        shape, units = self.image.shape, self.shards or self.chunks
        for s, c, n in zip(region, units, shape, strict=True):
            if s.start % c or (s.stop % c and s.stop != n) or not 0 <= s.start <= s.stop <= n:
                noun = "chunks" if self.shards is None else "shards"
                raise TilewiseError(
                    f"The region {region} does not consist of whole {noun} of {units} of an image "
                    f"of {shape}; write whole {noun}, which no other block shares."
                )
        if block.shape != extent(region) or block.dtype != self.dtype:
            raise TilewiseError(
                f"A block of {block.shape} {block.dtype} does not fit the region {region} of an "
                f"image of {self.dtype}; write a block of the region's shape and the image's dtype."
            )

    # Smaller levels --------------------------------------------------------------------------

    def pyramid_tasks(self, level: int) -> Sequence[Callable[[], None]]:
        """Return the tasks that make a level from the one below, which must be complete.

        One task makes one chunk, or one shard where there are any.

        Parameters
        ----------
        level
            Number of the level, from 1.
        """
        return LazySequence(
            len(self._level_grid(level)),
            lambda number: partial(self._halve, level, self.level_region(level, number)),
        )

    def level_region(self, level: int, number: int) -> Region:
        """Return the box of a level that one of its tasks makes.

        Parameters
        ----------
        level
            Number of the level, from 1.
        number
            The task, from 0.
        """
        grid = self._level_grid(level)
        return grid.region(grid.position(number))

    def _level_grid(self, level: int) -> Grid:
        return Grid(self.shapes[level], self.in_stored_order(self.shards or self.chunks))

    def halved(self, level: int) -> tuple[bool, ...]:
        """Return which axes of a level are half as long as those of the level below.

        Parameters
        ----------
        level
            Number of the level, from 1.
        """
        below = self.shapes[level - 1]
        return tuple(before > n for before, n in zip(below, self.shapes[level], strict=True))

    def _halve(self, level: int, region: Region) -> None:
        pixels = self._half_region if self.shards is None else self._half_shard
        with writing(self.path):
            self._put(level, region, pixels(level, region))
        self._check_level(level)

    def _half_shard(self, level: int, region: Region) -> Array:
        """Return a shard, chunk by chunk, to hold little of the level below in memory."""
        shard = np.empty(extent(region), self.dtype)
        grid = Grid(shard.shape, self.in_stored_order(self.chunks))
        for inner in map(grid.region, grid.positions()):
            outer = (
                slice(r.start + s.start, r.start + s.stop)
                for r, s in zip(region, inner, strict=True)
            )
            shard[inner] = self._half_region(level, tuple(outer))
        return shard

    def _half_region(self, level: int, region: Region) -> Array:
        """Return the pixels of a region of a level, made from the level below."""
        halved, below = self.halved(level), self.shapes[level - 1]
        source = tuple(
            slice(2 * s.start, min(2 * s.stop, n)) if h else s
            for s, n, h in zip(region, below, halved, strict=True)
        )
        block = self.levels[level - 1].read(source)
        for written in self._written[level - 1 : level]:
            written.check(source)
        return halve(block, halved, average=self.averages)

    # End -------------------------------------------------------------------------------------

    def note(self, values: Mapping[str, object]) -> None:
        """Add to the record what became known while the image was made, such as thresholds.

        Parameters
        ----------
        values
            Values by their names in the record.
        """
        self._record.update(plain_mapping(values))

    def complete(self, attributes: Mapping[str, object]) -> None:
        """Write the attributes that say that the Zarr is complete.

        Parameters
        ----------
        attributes
            The attributes of the format, written beside the record.
        """
        with writing(self.path):
            self.check_chunks()
            if self._written[0].is_empty:
                self.note({EMPTY: True})
            for written in self._written:
                written.remove()
            self.group.update_attributes({**attributes, KEY: self.record})
            if self.is_resumed:
                for scrap in self.staging.rglob("*.partial"):  # chunks whose writer was killed
                    scrap.unlink(missing_ok=True)
        self.check_in_place()

    def abort(self) -> None:
        """Remove the staging folder."""
        self.close_lists()
        shutil.rmtree(self.staging, ignore_errors=True)
        self.close()

    def close(self) -> None:
        """Leave the staging folder as it is, for a later `resume`."""
        self.close_lists()
        release(self.staging)

    def close_lists(self) -> None:
        """Close the lists of chunks: Windows removes no folder with an open file."""
        for written in self._written:
            written.close()

    @property
    def is_in_place(self) -> bool:
        """Whether the staging folder still exists; somebody may remove it during the run."""
        return is_whole(self.staging, len(self.shapes))

    def check_in_place(self) -> None:
        """Refuse to write into a staging folder that was removed: Zarr creates missing folders."""
        if not self.is_in_place:
            raise DestinationUnwritable(
                f"{str(self.path)!r} cannot be written: its staging folder {str(self.staging)!r} "
                "was removed or moved during the run; leave it in place and start again."
            )

    def _check_level(self, level: int) -> None:
        """Refuse as `check_in_place` does, where the level that was written to is gone."""
        if self.is_on_disk and not is_zarr(self._level_folders[level]):
            self.check_in_place()

    def check_chunks(self) -> None:
        """Refuse to complete an output that somebody removed chunks of."""
        for written in self._written:
            written.check()

    # Creation --------------------------------------------------------------------------------

    def _new_staging(self) -> Path:
        """Return a staging folder of its own."""
        return new_staging(self.path)

    def _create(self) -> None:
        """Create what takes the pixels."""
        self.group = self._create_group()
        self.levels: list[WrittenLevel] = [
            self.group.level(str(number), self._level_layout(shape))
            for number, shape in enumerate(self.shapes)
        ]
        self._written = [
            WrittenChunks(self.path, self.staging / str(number), level)
            for number, level in enumerate(self.levels)
        ]

    def _whole_chunks(self, shards: tuple[int, ...]) -> tuple[int, ...]:
        """Return the lengths of a shard: whole chunks, and not longer than the image needs."""
        lengths = []
        for shard, chunk, n in zip(shards, self.chunks, self.image.shape, strict=True):
            if shard < 1 or (shard % chunk and shard < n):
                raise InvalidParameter(
                    f"shards={shards}: expected whole chunks of {self.chunks} along every axis."
                )
            lengths.append(min(-(-shard // chunk), -(-n // chunk)) * chunk)
        return tuple(lengths)

    def _create_group(self) -> GroupFile | ZarrGroup:
        group: GroupFile | ZarrGroup
        is_first = self._version == "0.4"
        if is_first or self.shards is not None or self.dtype.kind not in "biufc":
            from napari_tilewise.io.writers.zarr_levels import ZarrGroup

            group = ZarrGroup(self.staging, 2 if is_first else 3)
        else:
            group = GroupFile(self.staging)
        group.update_attributes({KEY: {**self._record, "complete": False, OWNER: owner()}})
        return group

    def _level_layout(self, shape: tuple[int, ...]) -> LevelLayout:
        chunks = self._chunks_of(shape)
        return LevelLayout(
            shape, chunks, self._shards_of(chunks, shape), self.dtype, self.axis_names
        )

    def _chunks_of(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the chunks of a level, in the order in which the axes are stored."""
        lengths = zip(self.in_stored_order(self.chunks), shape, strict=True)
        return tuple(max(1, min(c, n)) for c, n in lengths)

    def _shards_of(self, chunks: Sequence[int], shape: Sequence[int]) -> tuple[int, ...] | None:
        """Return the shards of a level: as many chunks as in the finest, if it has so many."""
        if self.shards is None:
            return None
        lengths = zip(self.in_stored_order(self.shards), chunks, shape, strict=True)
        return tuple(min(-(-s // c), -(-n // c)) * c for s, c, n in lengths)
