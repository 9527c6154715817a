"""A pass that leaves an image for later passes: where it is stored, and what a later run finds."""

from __future__ import annotations

from math import inf, prod
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.engine.stored.stored_image import IN_MEMORY, StoredImage
from napari_tilewise.grid import Grid
from napari_tilewise.operations.spec.operation import Walk

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_tilewise.engine.checkpoints.pass_results import PassResults
    from napari_tilewise.engine.plane import Plane
    from napari_tilewise.grid import Position
    from napari_tilewise.operations.spec.operation import Sweep


class StoredPass:
    """A pass on a plane with the image that it leaves.

    Parameters
    ----------
    plane
        The operation, its images and its tiles.
    declared
        The pass.
    number
        Its number among the passes of the operation, from 0.
    """

    repeated: float = inf
    """Bytes up to which an image in memory has no file for a later run, which makes it again."""

    def __init__(self, plane: Plane, declared: Sweep | Walk, number: int) -> None:
        self.plane = plane
        self.number = number
        self.title = f"{plane.operation.name}: {declared.description}"
        self._image, self._dtype = declared.name, np.dtype(declared.dtype)
        spatial = plane.call.spatial_shape
        self._margin = (declared.margin if isinstance(declared, Walk) else ()) or (0,) * len(
            spatial
        )
        lengths = zip(spatial, self._margin, strict=True)
        self._grid = Grid(tuple(n + 2 * more for n, more in lengths), plane.grid.tile)
        self._name = plane.name_of(number)

    @property
    def _checkpoint(self) -> PassResults | None:
        return None if self._name is None else self.plane.session.checkpoint

    def _earlier_result(self) -> int | None:
        """Return the pass's result if an earlier run has it, whose image is then seen."""
        checkpoint = self._checkpoint
        end = None if checkpoint is None else checkpoint.load(f"{self._name}-end")
        if end is None:
            return None
        count, versions = end[0]
        self._view(versions)
        return int(count)

    def _save_result(self, count: int, stored: StoredImage) -> None:
        checkpoint = self._checkpoint
        if checkpoint is not None and (versions := stored.versions) is not None:
            checkpoint.save(f"{self._name}-end", (count, versions))
        stored.tidy()

    def _new(self) -> StoredImage:
        call = self.plane.call
        channels = 0 if call.channel_axis is None else call.shape[call.channel_axis]
        shape, tile = (call.with_channel(n, channels) for n in (self._grid.shape, self._grid.tile))
        margin = call.with_channel(self._margin, 0)
        return StoredImage(shape, self._dtype, tile, folder=self._folder(), margin=margin)

    def _folder(self) -> Path | None:
        """Return the image's folder; None where neither a later run nor workers need it."""
        plane, checkpoint = self.plane, self._checkpoint
        if checkpoint is None or plane.address is None:
            return None
        name = plane.folder_name(self._image)
        size = prod(plane.call.shape) * self._dtype.itemsize
        is_alone = plane.session.worker_pool is None and not checkpoint.is_shared
        # A run that worker processes began has tiles there, whoever resumes it.
        is_small = size <= min(IN_MEMORY, self.repeated)
        if is_small and is_alone and not (checkpoint.folder / name).is_dir():
            return None
        return checkpoint.subfolder(name)

    def _view(self, versions: Mapping[Position, int] | np.ndarray) -> StoredImage:
        """Return the image with these versions of its tiles, as blocks of later passes have it."""
        stored = self.plane.stored(self._image) or self._new()
        stored.see(versions)
        self.plane.store(self._image, stored)
        return stored

    def _stored_position(self, position: Position) -> Position:
        """Return a tile's position in the stored image, whose channels are never cut."""
        stored: Position = self.plane.call.with_channel(position, 0)
        return stored
