"""A reduction merges what the tiles of a plane contribute, here or in other processes.

Its total is watched while it grows: rows that outgrow their share of memory go to disk, other
totals are refused with a budget that suffices.
"""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial, reduce
from math import prod
from typing import TYPE_CHECKING, Any

from napari_tilewise.engine.blocks import within_image
from napari_tilewise.engine.passes.whole_regions import bytes_of_region, refuse_too_large
from napari_tilewise.engine.plane import QUICK
from napari_tilewise.engine.stored.stored_image import TEMPORARY
from napari_tilewise.engine.system.disk import writing
from napari_tilewise.engine.system.fetchers import LookAhead
from napari_tilewise.engine.system.machine import available_memory
from napari_tilewise.engine.system.pool import abandonable
from napari_tilewise.engine.system.total_limits import UNNOTICED, TotalLimit
from napari_tilewise.engine.tile_tasks import ReduceTask
from napari_tilewise.grid import LazySequence, size
from napari_tilewise.operations.shared.stored_columns import ColumnStore, root_of
from napari_tilewise.operations.spec.operation import normal_halo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from napari_tilewise.engine.checkpoints.pass_results import PartialResult
    from napari_tilewise.engine.plane import Plane
    from napari_tilewise.engine.tile_tasks import WorkerPool
    from napari_tilewise.grid import Grid, Position, Region
    from napari_tilewise.operations.spec.operation import Reduce

LOOKED_AT = 4096
"""How many of the regions of a rule are looked at."""


class ReductionRunner:
    """Does one `Reduce` on a plane.

    Parameters
    ----------
    plane
        The operation, its images and its tiles.
    reduction
        The reduction.
    number
        Number of the reduction among the passes of the operation, from 0.
    """

    def __init__(self, plane: Plane, reduction: Reduce, number: int) -> None:
        self.plane = plane
        self.reduction = reduction
        self.number = number
        self.halo = normal_halo(reduction.halo, plane.call.ndim, plane.operation.name)

    @property
    def checkpoint_name(self) -> str | None:
        """The checkpoint's name of the pass, which tells forms of its result apart."""
        name, form = self.plane.name_of(self.number), self.reduction.form
        return f"{name}-{form}" if name is not None and form else name

    # -- all tiles -------------------------------------------------------------------------------

    def run(self, lent: WorkerPool | None = None, index: Position = ()) -> Any:
        """Return the result of the reduction.

        Parameters
        ----------
        lent
            Workers that compute only this plane; those of the run unless given.
        index
            The plane, as they know it.
        """
        reduction, partial_result = self.reduction, self._partial_result()
        items = self._items(partial_result)
        session = self.plane.session
        if lent is not None and len(items) > 1:
            session = replace(session, worker_pool=lent)
        pool = session.worker_pool
        address = (0, index) if pool is lent else self.plane.address
        if reduction.regions is not None:
            largest = self._largest_region(reduction.regions)
            session = session.one_by_one(bytes_of_region(self.plane, largest))
        per_part = 1
        if pool is not None and reduction.in_groups:
            per_part = session.task_size(len(items))
        with self._look_ahead(items) as contribution:
            total = session.reduce(
                f"{self._name}: {reduction.description}",
                contribution,
                self._watched_merge(items, partial_result, contribution, per_part),
                items,
                partial_result,
                None if pool is None or address is None else self._remote(pool, address),
            )
        if reduction.finish is None:
            return total
        finish = partial(reduction.finish, total)
        with writing(root_of(_folder_of(partial_result)), TEMPORARY):
            if prod(self.plane.call.spatial_shape) <= QUICK:
                result = finish()
            else:
                result = abandonable(finish, session.control.cancel)
        if hasattr(result, "nbytes"):
            self._total_limit(1).check(result, 1)
        return result

    @property
    def _name(self) -> str:
        return self.plane.operation.name

    def _partial_result(self) -> PartialResult | None:
        name, checkpoint = self.checkpoint_name, self.plane.session.checkpoint
        return None if checkpoint is None or name is None else checkpoint.partial_result(name)

    def _remote(
        self, pool: WorkerPool, address: tuple[int, Position]
    ) -> Callable[[Sequence[Position]], Sequence[Any]]:
        """Return how workers find the contributions of some tiles."""

        def contributions(positions: Sequence[Position]) -> Sequence[Any]:
            parts: Sequence[Any] = pool.run(ReduceTask(tuple(positions), *address, self.number))
            return parts

        return contributions

    def _items(self, partial_result: PartialResult | None) -> Sequence[Position]:
        """Return the positions of the tiles that it visits, or numbers of its regions."""
        reduction = self.reduction
        if reduction.regions is not None:
            refuse_too_large(self.plane, self._largest_region(reduction.regions))
            return LazySequence(len(reduction.regions), lambda number: (number,))
        if reduction.image is not None:
            grid = self.plane.blocks.look_at(reduction.image)[0]
            return LazySequence(len(grid), grid.position)
        return self.plane.ordered(partial_result)

    def _contribution(self, position: Position) -> Any:
        """Return what one tile, or one of the reduction's regions, contributes."""
        reduction, halo = self.reduction, self.halo
        blocks = self.plane.blocks
        if reduction.image is None:
            tile = self._tile(self.plane.grid, position)
            region, copies = blocks.grown(tile, halo, None), not reduction.only_reads
            block = blocks.block(tile, region, position, copies=copies)
        else:
            grid, block_of = blocks.look_at(reduction.image)
            tile = self._tile(grid, position)
            block = block_of(tile, within_image(tile, halo, grid.shape), position)
        return self.plane.compute(lambda: reduction.of(block), tile)

    def _tile(self, grid: Grid, position: Position) -> Region:
        """Return a tile, or the region of this number."""
        regions = self.reduction.regions
        if regions is None:
            return grid.region(position)
        return self.plane.guard(lambda: regions[position[0]], self.plane.everything)

    def _largest_region(self, regions: Sequence[Region]) -> int:
        """Return the pixels of the largest region; a function of the user's may tell them."""
        return self.plane.guard(lambda: _largest(regions), self.plane.everything)

    @contextmanager
    def _look_ahead(self, items: Sequence[Position]) -> Iterator[Callable[[Position], Any]]:
        """Return what finds contributions, and begins to read for those of the next items."""
        blocks, grid = self.plane.blocks, self.plane.grid
        can_fetch = self.reduction.image is None and self.reduction.regions is None

        def begin_reading(position: Position) -> bool:
            tile = grid.region(position)
            return blocks.fetch(tile, blocks.grown(tile, self.halo, None))

        with LookAhead(items, begin_reading) as ahead:

            def contribution(position: Position) -> Any:
                if can_fetch and blocks.waits:
                    ahead.beyond(position)
                return self._contribution(position)

            yield contribution

    def _merge(self) -> Callable[[Any, Any], Any]:
        """Return what merges two contributions of neighbours, and watches their total."""
        limit, reduction = self._total_limit(1), self.reduction

        def merge(total: Any, part: Any) -> Any:
            total = reduction.merge(total, part)
            limit.check(total, 1)
            return total

        return merge

    def _watched_merge(
        self,
        items: Sequence[Position],
        partial_result: PartialResult | None,
        contribution: Callable[[Position], Any],
        per_part: int,
    ) -> Callable[[Any, Any], Any]:
        """Return what merges the contributions of all tiles, and watches their total grow.

        Each part that is merged is the contribution of `per_part` tiles.
        """
        reduction = self.reduction
        store = cache(partial(self._column_store, partial_result))  # asks for the memory available

        def sample(numbers: list[int]) -> int:
            parts = [contribution(items[number]) for number in numbers]
            total = reduce(reduction.merge, parts)
            return int(getattr(total, "nbytes", 0))

        limit = self._total_limit(len(items), sample)
        before = 0 if partial_result is None else partial_result.load()[0]
        merged = itertools.count(before + (1 if before else 2) * per_part, per_part)

        def merge(total: Any, part: Any) -> Any:
            total = reduction.merge(total, part)
            count = next(merged)
            if getattr(total, "spills", False):
                self._store_large_total(total, store())
            else:
                limit.check(total, count)
            return total

        return merge

    def _total_limit(
        self, count: int, sample: Callable[[list[int]], int] = lambda _: 0
    ) -> TotalLimit:
        session, title = self.plane.session, f"{self._name}: the {self.reduction.description}"
        sufficient = partial(session.sufficient, beside_tiles=True)
        return TotalLimit(title, session.tables, sufficient, count, sample)

    def _column_store(self, partial_result: PartialResult | None) -> ColumnStore:
        """Return where rows of a total go that outgrow their share of memory."""
        limit = self.plane.session.tables or available_memory()
        return ColumnStore(limit, _folder_of(partial_result))

    def _store_large_total(self, total: Any, store: ColumnStore) -> None:
        """Have a total store its rows before it takes more than half of its share.

        The other half is for making use of them.
        """
        total.store = store
        if total.nbytes > max(UNNOTICED, store.limit // 2):
            with writing(store.root, TEMPORARY):
                total.spill()

    # -- some of its tiles -----------------------------------------------------------------------

    def contributions(self, positions: Sequence[Position]) -> list[Any]:
        """Return what some tiles contribute, merged as far as possible.

        Parameters
        ----------
        positions
            The tiles, neighbours in the order of the pass.
        """
        with self._look_ahead(positions) as contribution:
            parts = map(contribution, positions)
            return [reduce(self._merge(), parts)] if self.reduction.in_groups else list(parts)


def _folder_of(partial_result: PartialResult | None) -> Path | None:
    return None if partial_result is None else partial_result.folder


def _largest(regions: Sequence[Region]) -> int:
    """Return the pixels of the largest region; the first of very many stand for the others."""
    most = LOOKED_AT if isinstance(regions, LazySequence) else len(regions)
    return max(map(size, itertools.islice(regions, most)), default=0)
