"""Writing OME-Zarr 0.5, block by block, with its pyramid, from many threads."""

from __future__ import annotations

import json
import math
import os
import shutil
import socket
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import zarr
from zarr.codecs import ZstdCodec

from napari_tilewise.errors import DestinationUnwritable, TilewiseError
from napari_tilewise.io import staging as stage
from napari_tilewise.io.image import KEY
from napari_tilewise.io.layout import check_axes, default_chunks, multiscale, rank
from napari_tilewise.io.pyramid import halve, halve_bytes, level_shapes
from napari_tilewise.operations.grid import Grid, extent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from napari_tilewise.operations.grid import Region

SUFFIXES = (".ome.zarr", ".zarr")
"""What a destination's name may end in."""

_OWNER = "owner"
_live: set[Path] = set()


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
    """

    shards = None
    """Chunks are files of their own: a block never shares one with another thread's."""

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
    ) -> None:
        self.path = stage.local_path(path)
        self.shape = tuple(int(n) for n in shape)
        self.dtype = np.dtype(dtype).newbyteorder("=")
        self.axes = check_axes(axes, len(self.shape), self.path)
        self.labels = labels
        self.name = name if name is not None else _stem(self.path.name)
        self._overwrite = overwrite
        stage.check_vacant(self.path, overwrite=overwrite)
        ndim = len(self.shape)
        wanted = chunks if chunks is not None else default_chunks(self.shape, self.axes)
        self.chunks = tuple(max(1, min(c, n)) for c, n in zip(wanted, self.shape, strict=True))
        self._order = sorted(range(ndim), key=lambda i: rank(self.axes[i]))
        self.stored_axes = self._stored(self.axes)
        self._scale = self._stored(scale or (1.0,) * ndim)
        self._units = self._stored(units or (None,) * ndim)
        self._own = _plain({**(provenance or {}), "recipe": recipe, "labels": labels})
        stored = self._stored(self.shape)
        self._shapes = level_shapes(stored, self.stored_axes) if pyramid else [stored]
        self.staging = resume if resume is not None else stage.new_staging(self.path)
        self._resumed = resume is not None
        _live.add(self.staging)
        try:
            with stage.writing(self.path):
                self._group = self._make_group()
                self._levels = [self._make_level(i) for i in range(len(self._shapes))]
        except BaseException:
            if resume is None:
                self.abort()
            self.close()
            raise

    # Level 0 ---------------------------------------------------------------------------------

    def write(self, region: Region, block: np.ndarray[Any, Any]) -> None:
        """Write one block of whole chunks of the finest level.

        Parameters
        ----------
        region
            Where it goes; bounds are multiples of `chunks`, or the end of the image.
        block
            Its pixels.
        """
        for s, c, n in zip(region, self.chunks, self.shape, strict=True):
            if s.start % c or (s.stop % c and s.stop != n) or not 0 <= s.start <= s.stop <= n:
                raise TilewiseError(
                    f"The region {region} does not consist of whole chunks of {self.chunks} of "
                    f"an image of {self.shape}; write whole chunks, which no other block shares."
                )
        if block.shape != extent(region) or block.dtype != self.dtype:
            raise TilewiseError(
                f"A block of {block.shape} {block.dtype} does not fit the region {region} of an "
                f"image of {self.dtype}; write a block of the region's shape and the image's dtype."
            )
        where = tuple(region[i] for i in self._order)
        with stage.writing(self.path):
            self._levels[0][where] = block.transpose(self._order)

    # Smaller levels --------------------------------------------------------------------------

    def pyramid_levels(self) -> tuple[tuple[int, ...], ...]:
        """Return the shape of every level, the finest first, in the order of `stored_axes`."""
        return tuple(self._shapes)

    def pyramid_tasks(self, level: int) -> list[Callable[[], None]]:
        """Return what makes a level from the one below, which must be complete: one task a chunk.

        Parameters
        ----------
        level
            Number of the level, from 1.
        """
        grid = Grid(self._shapes[level], self._stored(self.chunks))
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
        # What is read and what is written, each beside one chunk in the codec's hands.
        return int(pixels * item + halve_bytes(item, pixels) + 4 * math.prod(self.chunks) * item)

    def write_bytes(self, tile_bytes: int) -> int:
        """Return the most memory that `write` takes beside its block, in bytes.

        Parameters
        ----------
        tile_bytes
            Bytes of the block.
        """
        # Chunks of one call are encoded concurrently: a copy of each, and its compressed form.
        return 2 * tile_bytes

    def _halved(self, level: int) -> tuple[bool, ...]:
        return tuple(
            below > n for below, n in zip(self._shapes[level - 1], self._shapes[level], strict=True)
        )

    def _halve(self, level: int, region: Region) -> None:
        halved, below = self._halved(level), self._shapes[level - 1]
        source = tuple(
            slice(2 * s.start, min(2 * s.stop, n)) if h else s
            for s, n, h in zip(region, below, halved, strict=True)
        )
        with stage.writing(self.path):
            block = np.asarray(self._levels[level - 1][source])
            average = not self.labels and self.dtype.kind != "b"
            self._levels[level][region] = halve(block, halved, average=average)

    # End -------------------------------------------------------------------------------------

    def finish(self) -> Path:
        """Write the metadata that make it an OME-Zarr, give it its final name and return that."""
        with stage.writing(self.path):
            self.journal.unlink(missing_ok=True)
            ome: dict[str, Any] = {"version": "0.5", "multiscales": [self._multiscale()]}
            if self.labels and self.dtype.kind in "iu":
                ome["image-label"] = {}
            self._group.update_attributes({"ome": ome, KEY: {**self._own, "complete": True}})
            if self._resumed:
                for scrap in self.staging.rglob("*.partial"):  # chunks whose writer was killed
                    scrap.unlink(missing_ok=True)
        stage.publish(self.staging, self.path, overwrite=self._overwrite)
        self.close()
        return self.path

    def abort(self) -> None:
        """Remove everything written; an old output under the final name stays."""
        shutil.rmtree(self.staging, ignore_errors=True)
        self.close()

    def close(self) -> None:
        """Leave the staging folder as it is, for a later `resume`."""
        _live.discard(self.staging)

    @property
    def journal(self) -> Path:
        """A file for whoever keeps account of finished blocks; `finish` removes it."""
        return self.staging / ".journal"

    # Metadata --------------------------------------------------------------------------------

    def _stored(self, values: Any) -> tuple[Any, ...]:
        return tuple(values[i] for i in self._order)

    def _make_group(self) -> zarr.Group:
        owner = {"pid": os.getpid(), "host": socket.gethostname()}
        group = zarr.open_group(self.staging, mode="a", zarr_format=3)
        group.update_attributes({KEY: {**self._own, "complete": False, _OWNER: owner}})
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
        # Zstandard with its checksum: unlike Blosc, a chunk cut short or flipped is always noticed.
        return self._group.create_array(
            str(level),
            shape=shape,
            chunks=chunks,
            dtype=self.dtype,
            compressors=ZstdCodec(level=1, checksum=True),
            fill_value=0,
            dimension_names=self.stored_axes,
        )

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


def create_writer(
    path: str | os.PathLike[str], *, source: object = None, **options: Any
) -> OmeZarrWriter:
    """Return the writer for a destination, by the suffix of its name.

    Parameters
    ----------
    path
        The final name.
    source
        What will be read: writing onto it is refused.
    **options
        What `OmeZarrWriter` takes.
    """
    where = stage.local_path(path)
    if source is not None and stage.same_place(source, where):
        raise DestinationUnwritable(
            f"{str(where)!r} is the source itself, or inside it, or holds it; sources are never "
            "written to: give another destination."
        )
    if not where.name.endswith(SUFFIXES):
        raise DestinationUnwritable(
            f"{str(where)!r} has no suffix of a format that can be written; "
            f"expected {' or '.join(SUFFIXES)}: change the name."
        )
    return OmeZarrWriter(path, **options)


def unfinished(path: str | os.PathLike[str]) -> list[Path]:
    """Return the staging folders of a destination that no living run owns, the newest first.

    Parameters
    ----------
    path
        The final name.
    """
    return [p for p in stage.partials(stage.local_path(path)) if not _is_owned(p)]


def _is_owned(staging: Path) -> bool:
    if staging in _live:
        return True
    try:
        attributes = json.loads((staging / "zarr.json").read_text())["attributes"][KEY]
        owner = attributes[_OWNER]
        pid, host = int(owner["pid"]), owner["host"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    if host != socket.gethostname():
        return True  # no way to know
    return pid != os.getpid() and psutil.pid_exists(pid)


def _stem(name: str) -> str:
    return next((name.removesuffix(s) for s in SUFFIXES if name.endswith(s)), name)


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return data as JSON knows them: NumPy's numbers become Python's."""

    def convert(item: Any) -> Any:
        return item.tolist() if isinstance(item, (np.generic, np.ndarray)) else str(item)

    plain: dict[str, Any] = json.loads(json.dumps(value, default=convert))
    return plain
