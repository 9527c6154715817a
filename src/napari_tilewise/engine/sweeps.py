"""A sweep makes an image and rewrites it until nothing changes, wherever its tiles are computed.

Every tile sees the image as it was before the sweep, so that neither their order nor who computes
them shows. How far it is may be noted after each sweep, and a run that was killed goes on there.
"""

from __future__ import annotations

import time
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.engine.stored_image import IN_MEMORY, StoredImage
from napari_tilewise.engine.tile_tasks import SweepTask
from napari_tilewise.grid import Halo, Position, Region, clip, grow
from napari_tilewise.operations.spec.operation import normal_halo

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from napari_tilewise.engine.pass_results import PassResults
    from napari_tilewise.engine.pass_runner import PassRunner
    from napari_tilewise.operations.spec.operation import Block, Sweep

INTERVAL = 5.0
"""Seconds between two notes of how far the sweeps are."""


class Sweeping:
    """One `Sweep` of a driver.

    Parameters
    ----------
    driver
        Makes the blocks.
    sweep
        What is done.
    number
        Which of the driver's passes it is.
    """

    def __init__(self, driver: PassRunner, sweep: Sweep, number: int) -> None:
        self.driver = driver
        self.sweep = sweep
        self.number = number
        self.halo: Halo = normal_halo(sweep.halo, driver.call.ndim, driver.call.operation.name)
        self.what = f"{driver.operation.name}: {sweep.what}"
        self._name = driver.name_of(number)
        self._noted = time.monotonic()

    # -- the whole of it -------------------------------------------------------------------------

    def run(self) -> int:
        """Make or go on with the stored image; return how many sweeps changed something."""
        account = self._account
        found = None if account is None else account.found(f"{self._name}-end")
        if found is not None:
            count, versions = found[0]
            self._seen(versions)
            return int(count)
        count, todo, stored = self._begun()
        most = self.sweep.most
        while todo and (most is None or count < most):
            changed = self._one(stored, todo, starts=False)
            count += bool(changed)
            todo = self._touched(changed)
            self._note(count, todo, stored)
        if account is not None and stored.versions:
            account.keep(f"{self._name}-end", (count, stored.versions))
        stored.tidy()
        return count

    @property
    def _account(self) -> PassResults | None:
        return None if self._name is None else self.driver.session.account

    def _begun(self) -> tuple[int, list[Position], StoredImage]:
        """Return how many sweeps changed something, what is left to do, and the image."""
        account = self._account
        state = None if account is None else account.found(f"{self._name}-state")
        if state is not None:
            count, todo, versions = state[0]
            return count, todo, self._seen(versions)
        everything = self.driver.ordered()
        if self.sweep.start is None:
            stored = self.driver.stored(self.sweep.name)
            assert stored is not None
            return 0, everything, stored
        stored = self._new()
        self.driver.store(self.sweep.name, None)
        self._one(stored, everything, starts=True)
        self.driver.store(self.sweep.name, stored)
        self._note(0, everything, stored)
        return 0, everything, stored

    def _one(
        self, stored: StoredImage, todo: Sequence[Position], *, starts: bool
    ) -> list[Position]:
        """Do one sweep; return the tiles that changed."""
        session = self.driver.session
        far = session.crew is not None and self.driver.address is not None
        changed: list[Position] = []

        def work(positions: Sequence[Position]) -> None:
            if far:
                found = self._asked(stored, positions, starts)
                stored.staged(map(self._at, found))
            else:
                found = self.done(stored, positions, starts=starts)
            changed.extend(found)

        session.sweep(self.what, work, session.groups(todo, afar=far), size=len)
        stored.commit()
        return changed

    def _asked(
        self, stored: StoredImage, positions: Sequence[Position], starts: bool
    ) -> list[Position]:
        """Have others do some tiles; return those that changed."""
        driver = self.driver
        assert driver.session.crew is not None
        assert driver.address is not None
        versions: dict[Position, int] = {}
        for position in () if starts else positions:
            region = driver.blocks.grown(driver.grid.region(position), self.halo, None)
            if driver.call.wraps:
                region = tuple(slice(0, n) for n in driver.grid.shape)
            versions |= stored.versions_of(driver.blocks.whole_channels(region))
        task = SweepTask(tuple(positions), *driver.address, self.number, versions, starts)
        found: list[Position] = driver.session.crew.ask(task)
        return found

    def _note(self, count: int, todo: list[Position], stored: StoredImage) -> None:
        """Note how far the sweeps are, where it is time; what was replaced goes only then."""
        account = self._account
        if account is None or not stored.versions:
            stored.tidy()
        elif time.monotonic() - self._noted >= INTERVAL:
            account.keep(f"{self._name}-state", (count, todo, stored.versions))
            stored.tidy()
            self._noted = time.monotonic()

    def _touched(self, changed: Sequence[Position]) -> list[Position]:
        """Return the tiles that see any of the changed ones, in the order of passes."""
        driver = self.driver
        if driver.call.wraps:
            return driver.ordered() if changed else []
        back = tuple((hi, lo) for lo, hi in self.halo)
        seen: set[Position] = set()
        for position in changed:
            region = clip(grow(driver.grid.region(position), back), driver.grid.shape)
            seen.update(driver.grid.covering(region))
        return [position for position in driver.ordered() if position in seen] if seen else []

    # -- the stored image ------------------------------------------------------------------------

    def _new(self) -> StoredImage:
        call = self.driver.call
        channels = 0 if call.channel_axis is None else call.shape[call.channel_axis]
        tile = call.with_channel(self.driver.grid.tile, channels)
        return StoredImage(call.shape, self.sweep.dtype, tile, folder=self._folder())

    def _folder(self) -> Path | None:
        """Return where the image outlives this process; None where it need not."""
        driver, account = self.driver, self._account
        if account is None or driver.address is None:
            return None
        size = prod(driver.call.shape) * np.dtype(self.sweep.dtype).itemsize
        if size <= IN_MEMORY and driver.session.crew is None and not account.is_shared:
            return None
        step, index = driver.address
        return account.files("-".join(map(str, ("step", step, *index, self.sweep.name))))

    def _seen(self, versions: Mapping[Position, int]) -> StoredImage:
        """Return the image, as these versions of its tiles, for later passes to see."""
        stored = self.driver.stored(self.sweep.name) or self._new()
        stored.see(versions)
        self.driver.store(self.sweep.name, stored)
        return stored

    # -- some of its tiles -----------------------------------------------------------------------

    def do_task(self, task: SweepTask) -> list[Position]:
        """Do some tiles for another process; return those that changed.

        Parameters
        ----------
        task
            The tiles, and the versions of those around them.
        """
        if task.starts:
            return self.done(self._new(), task.positions, starts=True)
        return self.done(self._seen(task.versions), task.positions, starts=False)

    def done(
        self, stored: StoredImage, positions: Sequence[Position], *, starts: bool
    ) -> list[Position]:
        """Stage the new pixels of some tiles; return those that changed.

        Parameters
        ----------
        stored
            The image.
        positions
            The tiles.
        starts
            Whether the image is made, not rewritten.
        """
        changed = []
        for position in positions:
            if starts:
                assert self.sweep.start is not None
                stored.stage(
                    self._at(position), self._pixels(self.sweep.start, position, stored.dtype)
                )
                changed.append(position)
                continue
            new = self._pixels(self.sweep.compute, position, stored.dtype)
            old = stored.read(self._box_of(position))
            if not np.array_equal(old, new, equal_nan=new.dtype.kind in "fc"):
                stored.stage(self._at(position), new)
                changed.append(position)
        return changed

    def _pixels(
        self, compute: Callable[[Block], np.ndarray], position: Position, dtype: np.dtype[Any]
    ) -> np.ndarray:
        driver = self.driver
        tile = driver.grid.region(position)
        block = driver.blocks.block(tile, driver.blocks.grown(tile, self.halo, None), position)
        result: np.ndarray = driver.guard(lambda: compute(block), tile)
        box = driver.call.with_channel(block.core, slice(None))
        return np.asarray(result[box], dtype)

    def _at(self, position: Position) -> Position:
        """Return a tile's position in the stored image, whose channels are never cut."""
        found: Position = self.driver.call.with_channel(position, 0)
        return found

    def _box_of(self, position: Position) -> Region:
        return self.driver.blocks.whole_channels(self.driver.grid.region(position))
