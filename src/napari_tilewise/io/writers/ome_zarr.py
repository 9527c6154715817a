"""Writing OME-Zarr 0.5 or 0.4, block by block, with its pyramid, from many threads.

A block is whole chunks, or whole shards where chunks share files, so that no two write one file.
"""

from __future__ import annotations

import json
import math
import shutil
from functools import partial
from typing import TYPE_CHECKING, Any

import numcodecs
import numpy as np
import zarr
from zarr.codecs import ZstdCodec

from napari_tilewise.engine.disk import writing
from napari_tilewise.errors import DestinationUnwritable, InvalidParameter, TilewiseError
from napari_tilewise.grid import Grid, extent
from napari_tilewise.io.image import KEY
from napari_tilewise.io.metadata.channels import Channel, count_of, tidy, to_omero
from napari_tilewise.io.writers import staging as stage
from napari_tilewise.io.writers.ome_zarr_layout import (
    check_axes,
    default_chunks,
    multiscale,
    rank,
)
from napari_tilewise.io.writers.partial_output import OWNER, claim, is_whole, owner, release
from napari_tilewise.io.writers.pyramid import halve, halve_bytes, level_shapes

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from napari_tilewise.engine.session import Session
    from napari_tilewise.grid import Region

SUFFIXES = (".ome.zarr", ".zarr")
"""What a destination's name may end in."""

VERSIONS = ("0.5", "0.4")
"""The versions of OME-Zarr that can be written, the usual one first."""


class OmeZarrWriter:
    """A destination that takes blocks of whole chunks, in any order, from any thread.

    Regions and blocks are given in the order of `axes`. OME-Zarr wants time first, then channels,
    then space; where the order differs (``yxc``, ImageJ's ``tzcyx``) the axes are stored in the
    order that it wants, and `stored_axes` says so.

    Parameters
    ----------
    path
        The final name; everything grows in `staging`, beside it, until `finish`.
    shape
        Shape of the image.
    dtype
        Data type of the image.
    axes
        One letter per axis.
    scale
        Size of a pixel along each axis; None: 1.
    units
        OME-Zarr's name of the scale's unit along each axis; None: unknown.
    chunks
        Pixels of a chunk along each axis; None: `default_chunks`.
    labels
        Whether the values are names of objects.
    recipe
        The recipe that makes the image, as data.
    provenance
        What else is kept about its making, such as versions, as data.
    overwrite
        Whether an old Zarr of this name may be replaced, once the new one is complete.
    pyramid
        Whether to make smaller levels.
    name
        Name of the image in its metadata; None: the file's name.
    resume
        A staging folder of `unfinished` to go on with; None: a new one.
    channels
        Names and colours of the channels; none where unknown.
    ome_zarr
        Version of OME-Zarr: ``"0.5"`` (Zarr 3) or ``"0.4"`` (Zarr 2).
    shards
        Pixels of a shard along each axis, whole chunks; None: every chunk is a file of its own.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        shape: tuple[int, ...],
        dtype: Any,
        axes: tuple[str, ...],
        scale: tuple[float, ...] | None = None,
        units: tuple[str | None, ...] | None = None,
        chunks: tuple[int, ...] | None = None,
        labels: bool = False,
        recipe: Mapping[str, Any] | None = None,
        provenance: Mapping[str, Any] | None = None,
        overwrite: bool = False,
        pyramid: bool = True,
        name: str | None = None,
        resume: Path | None = None,
        channels: Sequence[Channel] = (),
        ome_zarr: str = VERSIONS[0],
        shards: tuple[int, ...] | None = None,
    ) -> None:
        self.path = stage.local_path(path)
        self.shape = tuple(int(n) for n in shape)
        self.dtype = np.dtype(dtype).newbyteorder("=")
        self.axes = self._checked_axes(axes)
        self.labels = labels
        self.name = name if name is not None else _stem(self.path.name)
        self.channels = tidy(channels, count_of(self.axes, self.shape))
        self._overwrite = overwrite
        self._version = _known_version(ome_zarr, sharded=shards is not None)
        self._check_vacant()
        ndim = len(self.shape)
        wanted = chunks if chunks is not None else default_chunks(self.shape, self.axes)
        self.chunks = tuple(max(1, min(c, n)) for c, n in zip(wanted, self.shape, strict=True))
        self.shards = None if shards is None else self._whole_chunks(shards)
        self._order = sorted(range(ndim), key=lambda i: rank(self.axes[i]))
        self.stored_axes = self._stored(self.axes)
        self._scale = self._stored(scale or (1.0,) * ndim)
        self._units = self._stored(units or (None,) * ndim)
        self._own = _plain({**(provenance or {}), "recipe": recipe, "labels": labels})
        stored = self._stored(self.shape)
        self._shapes = level_shapes(stored, self.stored_axes) if pyramid else [stored]
        self.staging = resume if resume is not None else stage.new_staging(self.path)
        self._resumed = resume is not None
        claim(self.staging)
        try:
            with writing(self.path):
                self._group = self._make_group()
                self._levels = [self._make_level(i) for i in range(len(self._shapes))]
        except BaseException:
            if resume is None:
                self.abort()
            self.close()
            raise

    # Level 0 ---------------------------------------------------------------------------------

    def write(self, region: Region, block: np.ndarray[Any, Any]) -> None:
        """Write one block of whole chunks, or whole shards, of the finest level.

        Parameters
        ----------
        region
            Where it goes; bounds are multiples of `chunks` (of `shards` where there are such), or
            the end of the image.
        block
            Its pixels.
        """
        for s, c, n in zip(region, self.shards or self.chunks, self.shape, strict=True):
            if s.start % c or (s.stop % c and s.stop != n) or not 0 <= s.start <= s.stop <= n:
                what = "chunks" if self.shards is None else "shards"
                raise TilewiseError(
                    f"The region {region} does not consist of whole {what} of "
                    f"{self.shards or self.chunks} of an image of {self.shape}; write whole "
                    f"{what}, which no other block shares."
                )
        if block.shape != extent(region) or block.dtype != self.dtype:
            raise TilewiseError(
                f"A block of {block.shape} {block.dtype} does not fit the region {region} of an "
                f"image of {self.dtype}; write a block of the region's shape and the image's dtype."
            )
        where = tuple(region[i] for i in self._order)
        with writing(self.path):
            self._levels[0][where] = block.transpose(self._order)
        self._refuse_what_is_gone()

    # Smaller levels --------------------------------------------------------------------------

    def pyramid_levels(self) -> tuple[tuple[int, ...], ...]:
        """Return the shape of every level, the finest first, in the order of `stored_axes`."""
        return tuple(self._shapes)

    def pyramid_tasks(self, level: int) -> list[Callable[[], None]]:
        """Return what makes a level from the one below, which must be complete.

        One task makes one chunk, or one shard where there are such.

        Parameters
        ----------
        level
            Number of the level, from 1.
        """
        grid = Grid(self._shapes[level], self._stored(self.shards or self.chunks))
        return [partial(self._halve, level, grid.region(p)) for p in grid.positions()]

    def task_bytes(self, level: int) -> int:
        """Return the most memory that one task of a level takes, in bytes.

        Parameters
        ----------
        level
            Number of the level, from 1.
        """
        halved, item = self._halved(level), int(self.dtype.itemsize)
        lengths = zip(self._stored(self.chunks), self._shapes[level - 1], halved, strict=True)
        pixels = math.prod(min(n, 2 * c if h else c) for c, n, h in lengths)
        # What is read and what is written, each beside one chunk in the codec's hands; a shard
        # is put together, encoded and joined.
        shard = 3 * math.prod(self.shards) * item if self.shards else 0
        chunk = 4 * math.prod(self.chunks) * item
        return int(pixels * item + halve_bytes(item, pixels) + chunk + shard)

    def write_bytes(self, tile_bytes: int) -> int:
        """Return the most memory that `write` takes beside its block, in bytes.

        Parameters
        ----------
        tile_bytes
            Bytes of the block.
        """
        # Chunks of one call are encoded concurrently: a copy of each, and its compressed form,
        # which shards join.
        return (2 if self.shards is None else 3) * tile_bytes

    def _halved(self, level: int) -> tuple[bool, ...]:
        return tuple(
            below > n for below, n in zip(self._shapes[level - 1], self._shapes[level], strict=True)
        )

    def _halve(self, level: int, region: Region) -> None:
        with writing(self.path):
            if self.shards is None:
                self._levels[level][region] = self._halves(level, region)
            else:
                self._levels[level][region] = self._shard(level, region)
        self._refuse_what_is_gone()

    def _shard(self, level: int, region: Region) -> np.ndarray[Any, Any]:
        """Return a shard, made piece by piece: never more of the level below is in memory."""
        shard = np.empty(extent(region), self.dtype)
        grid = Grid(shard.shape, self._stored(self.chunks))
        for inner in map(grid.region, grid.positions()):
            outer = (
                slice(r.start + s.start, r.start + s.stop)
                for r, s in zip(region, inner, strict=True)
            )
            shard[inner] = self._halves(level, tuple(outer))
        return shard

    def _halves(self, level: int, region: Region) -> np.ndarray[Any, Any]:
        """Return the pixels of a box of a level, made from the level below."""
        halved, below = self._halved(level), self._shapes[level - 1]
        source = tuple(
            slice(2 * s.start, min(2 * s.stop, n)) if h else s
            for s, n, h in zip(region, below, halved, strict=True)
        )
        block = np.asarray(self._levels[level - 1][source])
        average = not self.labels and self.dtype.kind != "b"
        return halve(block, halved, average=average)

    # End -------------------------------------------------------------------------------------

    def note(self, **known: Any) -> None:
        """Keep what became known while the image was made, such as thresholds, with the rest.

        Parameters
        ----------
        **known
            Data under the names that they get.
        """
        self._own.update(_plain(known))

    def finish(self, session: Session | None = None) -> Path:
        """Complete the output, give it its final name and return that.

        Parameters
        ----------
        session
            Whom to tell of progress, and who may cancel, where this takes long.
        """
        with writing(self.path):
            self.journal.unlink(missing_ok=True)
            ours = {KEY: {**self._own, "complete": True}}
            if self._version == "0.4":
                self._group.update_attributes({**self._ome(), **ours})
            else:
                self._group.update_attributes({"ome": {"version": "0.5", **self._ome()}, **ours})
            if self._resumed:
                for scrap in self.staging.rglob("*.partial"):  # chunks whose writer was killed
                    scrap.unlink(missing_ok=True)
        self._refuse_what_is_gone()
        stage.publish(self.staging, self.path, overwrite=self._overwrite)
        self.close()
        return self.path

    def abort(self) -> None:
        """Remove everything written; an old output under the final name stays."""
        shutil.rmtree(self.staging, ignore_errors=True)
        self.close()

    def close(self) -> None:
        """Leave the staging folder as it is, for a later `resume`."""
        release(self.staging)

    @property
    def is_whole(self) -> bool:
        """Whether the staging folder is still there; somebody may remove it while it grows."""
        return is_whole(self.staging, len(self._shapes))

    def _refuse_what_is_gone(self) -> None:
        """Stop where blocks would be written into nothing: Zarr makes missing folders again."""
        if not self.is_whole:
            raise DestinationUnwritable(
                f"{str(self.path)!r} cannot be written: {str(self.staging)!r}, where it grew, was "
                "removed or moved meanwhile; leave it in place and start again."
            )

    @property
    def journal(self) -> Path:
        """A file for whoever keeps account of finished blocks; `finish` removes it."""
        return self.staging / ".journal"

    # Metadata --------------------------------------------------------------------------------

    def _stored(self, values: Any) -> tuple[Any, ...]:
        return tuple(values[i] for i in self._order)

    def _checked_axes(self, axes: tuple[str, ...]) -> tuple[str, ...]:
        return check_axes(axes, len(self.shape), self.path)

    def _check_vacant(self) -> None:
        stage.check_vacant(self.path, overwrite=self._overwrite)

    def _whole_chunks(self, shards: tuple[int, ...]) -> tuple[int, ...]:
        """Return the lengths of a shard: whole chunks, and not longer than the image needs."""
        lengths = []
        for shard, chunk, n in zip(shards, self.chunks, self.shape, strict=True):
            if shard < 1 or (shard % chunk and shard < n):
                raise InvalidParameter(
                    f"shards={shards}: expected whole chunks of {self.chunks} along every axis."
                )
            lengths.append(min(-(-shard // chunk), -(-n // chunk)) * chunk)
        return tuple(lengths)

    def _make_group(self) -> zarr.Group:
        zarr_format: Any = 2 if self._version == "0.4" else 3
        group = zarr.open_group(self.staging, mode="a", zarr_format=zarr_format)
        group.update_attributes({KEY: {**self._own, "complete": False, OWNER: owner()}})
        return group

    def _make_level(self, level: int) -> zarr.Array[Any]:
        shape = self._shapes[level]
        lengths = zip(self._stored(self.chunks), shape, strict=True)
        chunks = tuple(max(1, min(c, n)) for c, n in lengths)
        old = self._group.get(str(level))
        if isinstance(old, zarr.Array):
            if (old.shape, old.chunks, old.dtype) == (shape, chunks, self.dtype):
                return old
            raise DestinationUnwritable(
                f"The unfinished {str(self.staging)!r} holds {old.shape} {old.dtype} in chunks of "
                f"{old.chunks}; expected {shape} {self.dtype} in {chunks}: start anew."
            )
        if self._version == "0.4":
            # What every reader of Zarr 2 knows, which is what 0.4 is asked for.
            return self._group.create_array(
                str(level),
                shape=shape,
                chunks=chunks,
                dtype=self.dtype,
                compressors=numcodecs.Blosc(cname="lz4", clevel=5),
                fill_value=0,
                chunk_key_encoding={"name": "v2", "separator": "/"},
            )
        # Zstandard with its checksum: unlike Blosc, a chunk cut short or flipped is always noticed.
        return self._group.create_array(
            str(level),
            shape=shape,
            chunks=chunks,
            shards=self._shards_of(chunks, shape),
            dtype=self.dtype,
            compressors=ZstdCodec(level=1, checksum=True),
            fill_value=0,
            dimension_names=self.stored_axes,
        )

    def _shards_of(self, chunks: Sequence[int], shape: Sequence[int]) -> tuple[int, ...] | None:
        """Return the shards of a level: as many chunks as in the finest, where it has so many."""
        if self.shards is None:
            return None
        lengths = zip(self._stored(self.shards), chunks, shape, strict=True)
        return tuple(min(-(-s // c), -(-n // c)) * c for s, c, n in lengths)

    def _ome(self) -> dict[str, Any]:
        """Return the metadata of OME-Zarr."""
        image = self._multiscale()
        if self._version == "0.4":
            image["version"] = "0.4"
        ome: dict[str, Any] = {"multiscales": [image]}
        if self.labels and self.dtype.kind in "iu":
            ome["image-label"] = {"version": "0.4"} if self._version == "0.4" else {}
        if self.channels:
            limits = np.iinfo(self.dtype) if self.dtype.kind in "iu" else None
            span = None if limits is None else (float(limits.min), float(limits.max))
            ranges = [self._range(number) for number in range(len(self.channels))]
            ome["omero"] = to_omero(self.channels, ranges, span)
        return ome

    def _range(self, channel: int) -> tuple[float, float]:
        """Return the lowest and the highest value in the middle of a channel's coarsest level."""
        coarsest = self._levels[-1]
        where = tuple(
            channel if axis == "c" else slice(None) if axis in "yx" else n // 2
            for axis, n in zip(self.stored_axes, coarsest.shape, strict=True)
        )
        values = np.asarray(coarsest[where])
        values = np.abs(values) if self.dtype.kind == "c" else values.astype(np.float64)
        finite = values[np.isfinite(values)]
        return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)

    def _multiscale(self) -> dict[str, Any]:
        scales = [self._level_scale(level) for level in range(len(self._shapes))]
        average = not self.labels and self.dtype.kind != "b"
        return multiscale(self.name, self.stored_axes, self._units, scales, average=average)

    def _level_scale(self, level: int) -> list[float]:
        halvings = [self._halved(i) for i in range(1, level + 1)]
        return [
            float(size) * 2.0 ** sum(halved[axis] for halved in halvings)
            for axis, size in enumerate(self._scale)
        ]


def _known_version(version: str, *, sharded: bool) -> str:
    if version not in VERSIONS:
        raise InvalidParameter(
            f"ome_zarr={version!r}: expected one of {', '.join(map(repr, VERSIONS))}."
        )
    if sharded and version == "0.4":
        raise InvalidParameter(
            "ome_zarr='0.4' has no shards, which came with Zarr 3: write OME-Zarr 0.5, or leave "
            "shards out."
        )
    return version


def _stem(name: str) -> str:
    return next((name.removesuffix(s) for s in SUFFIXES if name.endswith(s)), name)


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return data as JSON knows them: NumPy's numbers become Python's."""

    def convert(item: Any) -> Any:
        return item.tolist() if isinstance(item, (np.generic, np.ndarray)) else str(item)

    plain: dict[str, Any] = json.loads(json.dumps(value, default=convert))
    return plain
