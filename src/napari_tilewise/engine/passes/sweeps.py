"""A sweep creates an image and rewrites it until nothing changes, with or without workers.

Every tile sees the image as it was before the sweep, so that the result depends neither on the
order of the tiles nor on who computes them. The state may be saved after each sweep, for a later
run to resume.
"""

from __future__ import annotations

import threading
import time
from array import array
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.engine.passes.stored_pass import StoredPass
from napari_tilewise.engine.stored.many_tiles import PositionSet, positions_of
from napari_tilewise.engine.system.fetchers import LookAhead
from napari_tilewise.engine.tile_tasks import SweepTask
from napari_tilewise.errors import OperationFailed
from napari_tilewise.grid import Halo, LazySequence, Position, Region, clip, grow
from napari_tilewise.operations.spec.operation import normal_halo

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_tilewise.engine.plane import Plane
    from napari_tilewise.engine.stored.stored_image import StoredImage
    from napari_tilewise.engine.tile_tasks import WorkerPool
    from napari_tilewise.operations.spec.operation import Block, Sweep
    from napari_tilewise.types import Array, DType

INTERVAL = 5.0
"""Seconds between two times that the state of the sweeps is saved."""


class SweepRunner(StoredPass):
    """Repeats one `Sweep` on a plane.

    Parameters
    ----------
    plane
        The operation, its images and its tiles.
    sweep
        The sweep.
    number
        Number of the sweep among the passes of the operation, from 0.
    """

    def __init__(self, plane: Plane, sweep: Sweep, number: int) -> None:
        super().__init__(plane, sweep, number)
        self.sweep = sweep
        self.halo: Halo = normal_halo(sweep.halo, plane.call.ndim, plane.operation.name)
        self._saved = time.monotonic()

    # -- all sweeps ------------------------------------------------------------------------------

    def run(self) -> int:
        """Sweep until nothing changes, from the saved state; return how many sweeps had changes."""
        earlier = self._earlier_result()
        if earlier is not None:
            return earlier
        count, todo, stored = self._begin()
        most = self.sweep.most
        while len(todo) and (most is None or count < most):
            changed = self._sweep_once(stored, todo, starts=False)
            count += bool(changed)
            todo = self._affected(changed)
            self._save_state(count, todo, stored)
        self._save_result(count, stored)
        return count

    def _begin(self) -> tuple[int, Sequence[Position], StoredImage]:
        """Return how many sweeps had changes, the tiles of the next one, and the image."""
        checkpoint = self._checkpoint
        state = None if checkpoint is None else checkpoint.load(f"{self._name}-state")
        if state is not None:
            count, todo, versions = state[0]
            return count, positions_of(todo), self._view(versions)
        tiles = self.plane.ordered()
        if self.sweep.start is None:
            image = self.plane.stored(self.sweep.name)
            if image is None:
                raise OperationFailed(
                    f"{self.title}: no earlier sweep has an image {self.sweep.name!r}. The "
                    "declaration is wrong; please report it."
                )
            return 0, tiles, image
        stored = self._new()
        self.plane.store(self.sweep.name, None)
        self._sweep_once(stored, tiles, starts=True)
        self.plane.store(self.sweep.name, stored)
        self._save_state(0, tiles, stored)
        return 0, tiles, stored

    def _sweep_once(
        self, stored: StoredImage, todo: Sequence[Position], *, starts: bool
    ) -> Sequence[Position]:
        """Do one sweep over some tiles; return those that changed."""
        session, address = self.plane.session, self.plane.address
        pool = None if address is None else session.worker_pool
        changed = array("i")  # their numbers along each axis
        lock = threading.Lock()

        def work(positions: Sequence[Position]) -> None:
            if pool is not None and address is not None:
                versions = {} if starts else self._versions_around(stored, positions)
                task = SweepTask(tuple(positions), *address, self.number, versions, starts)
                new = self._run(pool, task)
                stored.staged(map(self._stored_position, new))
            else:
                if self.plane.blocks.waits:
                    ahead.beyond(positions[0])
                new = self._stage(stored, positions, starts=starts)
            with lock:
                changed.extend(chain.from_iterable(new))

        groups = session.groups(todo, remote=pool is not None)
        with LookAhead(todo, self._begin_reading) as ahead:
            session.sweep(self.title, work, groups, size=len)
        stored.commit()
        return positions_of(np.asarray(changed, np.int32).reshape(-1, self.plane.call.ndim))

    def _begin_reading(self, position: Position) -> bool:
        blocks, tile = self.plane.blocks, self.plane.grid.region(position)
        return blocks.fetch(tile, blocks.grown(tile, self.halo, None))

    def _run(self, pool: WorkerPool, task: SweepTask) -> list[Position]:
        changed: list[Position] = pool.run(task)
        return changed

    def _versions_around(
        self, stored: StoredImage, positions: Sequence[Position]
    ) -> dict[Position, int]:
        """Return the versions of all tiles that the blocks of some tiles meet."""
        plane = self.plane
        versions: dict[Position, int] = {}
        for position in positions:
            region = plane.blocks.grown(plane.grid.region(position), self.halo, None)
            if plane.call.wraps:
                region = tuple(slice(0, n) for n in plane.grid.shape)
            versions |= stored.versions_of(plane.blocks.whole_channels(region))
        return versions

    def _save_state(self, count: int, todo: Sequence[Position], stored: StoredImage) -> None:
        """Save the state where it is time; replaced versions of tiles are removed only then."""
        checkpoint = self._checkpoint
        if checkpoint is None or not stored.is_on_disk:
            stored.tidy()
        elif time.monotonic() - self._saved >= INTERVAL:
            rows = np.fromiter(chain.from_iterable(todo), np.int32)
            rows = rows.reshape(-1, self.plane.call.ndim)
            checkpoint.save(f"{self._name}-state", (count, rows, stored.versions))
            stored.tidy()
            self._saved = time.monotonic()

    def _affected(self, changed: Sequence[Position]) -> Sequence[Position]:
        """Return the tiles that see any of the changed ones, in the order of passes."""
        plane = self.plane
        if plane.call.wraps:
            return plane.ordered() if len(changed) else ()
        back = tuple((hi, lo) for lo, hi in self.halo)
        affected = PositionSet()
        for position in changed:
            region = clip(grow(plane.grid.region(position), back), plane.grid.shape)
            for tile in plane.grid.covering(region):
                affected.add(tile)
        if not affected:
            return ()
        tiles = plane.ordered()
        numbers = array("q", (n for n, tile in enumerate(tiles) if tile in affected))
        return LazySequence(len(numbers), lambda n: tiles[numbers[n]])

    # -- some of its tiles -----------------------------------------------------------------------

    def do_task(self, task: SweepTask) -> list[Position]:
        """Do some tiles for another process; return those that changed.

        Parameters
        ----------
        task
            The tiles, and the versions of those around them.
        """
        stored = self._new() if task.starts else self._view(task.versions)
        return self._stage(stored, task.positions, starts=task.starts)

    def _stage(
        self, stored: StoredImage, positions: Sequence[Position], *, starts: bool
    ) -> list[Position]:
        """Stage the new pixels of some tiles; return those that changed (all at the start)."""
        changed = []
        for position in positions:
            if starts and self.sweep.start is not None:
                pixels = self._pixels(self.sweep.start, position, stored.dtype)
                is_new = True
            else:
                pixels = self._pixels(self.sweep.compute, position, stored.dtype)
                old = stored.read(self._box_of(position))
                is_new = not np.array_equal(old, pixels, equal_nan=pixels.dtype.kind in "fc")
            if is_new:
                stored.stage(self._stored_position(position), pixels)
                changed.append(position)
        return changed

    def _pixels(self, compute: Callable[[Block], Array], position: Position, dtype: DType) -> Array:
        plane = self.plane
        tile = plane.grid.region(position)
        block = plane.blocks.block(tile, plane.blocks.grown(tile, self.halo, None), position)
        result = plane.compute(lambda: compute(block), tile)
        box = plane.call.with_channel(block.core, slice(None))
        return np.asarray(result[box], dtype)

    def _box_of(self, position: Position) -> Region:
        return self.plane.blocks.whole_channels(self.plane.grid.region(position))
