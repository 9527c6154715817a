"""A pass runner does the passes of one operation on one plane, once, up to the last."""

from __future__ import annotations

import itertools
import pickle
import threading
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial, reduce
from math import prod
from typing import TYPE_CHECKING, Any

from napari_tilewise.engine.blocks import within_image
from napari_tilewise.engine.stored_image import TEMPORARY
from napari_tilewise.engine.sweeps import SweepRunner
from napari_tilewise.engine.system.disk import writing
from napari_tilewise.engine.system.fetchers import LookAhead
from napari_tilewise.engine.system.machine import available_memory
from napari_tilewise.engine.system.prepared import Prepared, Swept, received
from napari_tilewise.engine.system.total_limits import UNNOTICED, TotalLimit
from napari_tilewise.engine.tile_tasks import ReduceTask
from napari_tilewise.errors import MemoryBudgetExceeded, OperationFailed, TilewiseError
from napari_tilewise.grid import LazySequence, size
from napari_tilewise.operations.shared.stored_columns import ColumnStore, root_of
from napari_tilewise.operations.shared.whole import whole
from napari_tilewise.operations.spec.operation import Final, Kind, Reduce, Sweep, normal_halo
from napari_tilewise.sizes import format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from napari_tilewise.engine.pass_results import PartialResult
    from napari_tilewise.engine.plane import Plane
    from napari_tilewise.engine.session import Session
    from napari_tilewise.engine.system.prepared import PlaneKey, Statistics
    from napari_tilewise.engine.tile_tasks import SweepTask, WorkerPool
    from napari_tilewise.grid import Position, Region
    from napari_tilewise.operations.spec.operation import Plan

SOON = 2**22
"""Pixels of an image that is computed at once within about two seconds."""
LOOKED_AT = 4096
"""How many of the regions of a rule are looked at."""
LONG = 2**16
"""Bytes of a result that is not pickled only to forget its runner."""
ALWAYS = 2**16
"""Pixels of a region that is read at once, whatever the memory."""


class PassRunner:
    """The passes of one operation on one plane or volume.

    Parameters
    ----------
    plane
        The operation, its images and its tiles.
    key
        The plane, as all processes that compute it know it.
    retained
        Returns what earlier calls computed of the same image, where there is such.
    earlier
        Results of its passes in another runner of this process; None where the checkpoint has one.
    is_one_of_many
        Whether it may be replaced by its results when it is done.
    """

    def __init__(
        self,
        plane: Plane,
        key: PlaneKey,
        retained: Callable[[], Statistics | None] = lambda: None,
        earlier: Sequence[bytes | Swept | None] = (),
        *,
        is_one_of_many: bool = False,
    ) -> None:
        self.plane = plane
        self.key = key
        self.statistics: Statistics | None = None
        """What other operations on the same image may have computed."""
        self._retained = retained
        self._pool: WorkerPool | None = None
        self._lock = threading.RLock()
        self._plan: Plan | None = None
        self._passes: list[Reduce | Sweep] = []
        self._final: Final | None = None
        self._earlier = earlier
        self._is_portable = False
        self._results: list[bytes | Swept | None] | None = [] if is_one_of_many else None
        self.nbytes = 0
        """Bytes that the results of its passes take, about."""

    def final(self) -> Final:
        """Return the last pass, after those before it were done."""
        with self._lock:
            if self._final is None:
                self.plane.blocks.prepare()
                return self._walk(None)
            return self._final

    @property
    def finished(self) -> Final | None:
        """The last pass, where those before it are done."""
        return self._final

    @property
    def outline(self) -> tuple[bytes | Swept | None, ...] | None:
        """The results of all passes before the last; None for those that a checkpoint has.

        None where passes are not done, or where only this runner has their results.
        """
        results = self._results
        if self._final is None or results is None:
            return None
        is_noted = self.plane.session.checkpoint is not None and self.plane.address is not None
        return tuple(results) if is_noted or None not in results else None

    def first_pass(self) -> Reduce | Sweep | None:
        """Return the first pass before the last, without doing it; None where there is none.

        What refuses the call is said by `final`.
        """
        with self._lock:
            try:
                self._walk(0)
            except TilewiseError:
                return None
            return self._passes[0] if self._passes else None

    def prepared(self, pool: WorkerPool | None = None, *, portable: bool) -> Prepared:
        """Do the passes before the last; return their results.

        Parameters
        ----------
        pool
            Workers that compute reductions; this process unless given.
        portable
            Whether another process will use them; else this runner has all that is needed.
        """
        with self._lock:
            if not portable:
                self.final()
                return Prepared(self.key, ())
            if self._results is None or (not self._is_portable and None in self._results):
                self._results = []
                self._forget()
            self._is_portable = True
            self._pool = pool
            try:
                self.final()
            finally:
                self._pool = None
            return self.done

    def statistic(self, number: int, pool: WorkerPool) -> Any:
        """Return the result of a reduction for other operations on the same image.

        Parameters
        ----------
        number
            The pass, from 0.
        pool
            Workers that compute it.
        """
        return self._reduced(self._reduction_at(number), number, pool)

    @property
    def done(self) -> Prepared:
        """The results so far, where they are portable."""
        results = itertools.takewhile(lambda result: result is not None, self._results or ())
        return Prepared(self.key, tuple(results))  # type: ignore[arg-type]  # none of them is None

    def _forget(self) -> None:
        """Begin anew at the next call."""
        self._plan, self._passes, self._final = None, [], None
        self.nbytes = 0
        if self._results is not None:
            self._results = []

    def sweep(self, task: SweepTask) -> list[Position]:
        """Do some tiles of a sweep for another process; return those that changed.

        Parameters
        ----------
        task
            The tiles, and the versions of those around them.
        """
        sweep = self._pass_at(task.number)
        if not isinstance(sweep, Sweep):
            raise OperationFailed(f"Pass {task.number} of {self._name} is not a sweep.")
        return SweepRunner(self.plane, sweep, task.number).do_task(task)

    def contributions(self, number: int, positions: Sequence[Position]) -> list[Any]:
        """Return what some tiles contribute to a reduction, merged as far as possible.

        Parameters
        ----------
        number
            The pass, from 0.
        positions
            The tiles, neighbours in the order of the pass.
        """
        reduction = self._pass_at(number)
        if not isinstance(reduction, Reduce):
            raise OperationFailed(f"Pass {number} of {self._name} is not a reduction.")
        with self._look_ahead(reduction, positions) as contribution:
            parts = map(contribution, positions)
            return [reduce(self._merge(reduction), parts)] if reduction.in_groups else list(parts)

    @property
    def _name(self) -> str:
        return self.plane.operation.name

    def _reduction_at(self, number: int) -> Reduce:
        reduction = self._pass_at(number)
        if not isinstance(reduction, Reduce):
            raise OperationFailed(f"Pass {number} of {self._name} is not a reduction.")
        return reduction

    def _pass_at(self, number: int) -> Reduce | Sweep:
        """Return one of the passes before the last, once those before it are done."""
        if number < len(self._passes):  # the thread that does the passes may wait for this one
            return self._passes[number]
        with self._lock:
            self._walk(number)
            return self._passes[number]

    def _walk(self, number: int | None) -> Final:
        """Go through the plan up to a pass (not doing that one), or to its end."""
        operation = self.plane.operation
        try:
            plan = self._plan
            if plan is None:
                if operation.kind is Kind.WHOLE:
                    self._refuse_too_large(prod(self.plane.call.spatial_shape))
                plan = self._plan = self._begun_plan()
                self._send(plan, None)
            while self._final is None and (number is None or len(self._passes) <= number):
                self._send(plan, self._done(len(self._passes) - 1))
        except BaseException:
            self._forget()
            raise
        return self._final  # type: ignore[return-value]  # None only where a pass is asked for

    def _begun_plan(self) -> Plan:
        """Return the operation's plan: on the whole image at once, if that may be needed anyway."""
        operation, call = self.plane.operation, self.plane.call
        pixels = prod(call.spatial_shape)
        if operation.kind is not Kind.WHOLE and operation.cost.whole is not None:
            if pixels <= SOON and self._bytes_of_region(pixels) <= self.plane.session.in_tiles:
                return whole(call)
        return operation.plan(call)

    def _send(self, plan: Plan, result: Any) -> None:
        """Give the plan the result of a pass; take the next pass from it, or the last."""
        try:
            self._passes.append(plan.send(result))
        except StopIteration as stop:
            self._final = stop.value
        except TilewiseError:
            raise
        except Exception as error:
            raise OperationFailed(f"{self._name} cannot take this image: {error}") from error

    def _done(self, number: int) -> Any:
        """Return the result of a pass: another process's, where one has sent it, or its own."""
        step, results = self._passes[number], received(self.key) or self._earlier
        result = results[number] if number < len(results) else None
        if result is None or (isinstance(result, Swept) and not result.is_readable()):
            value = self._computed(number)
            if self._results is not None:  # a plan may go on to change what it receives
                self._results.append(self._compact(step, value))
            return value
        if self._results is not None:
            self._results.append(result)
        if isinstance(result, Swept):
            self.plane.store(result.name, result.image)
            return result.count
        return pickle.loads(result)

    def _compact(self, step: Reduce | Sweep, value: Any) -> bytes | Swept | None:
        """Return the result of a pass for others; None where the checkpoint has it, or it is long.

        What other processes need is returned however long it is.
        """
        if isinstance(step, Sweep):
            swept = Swept(value, step.name, self.plane.stored(step.name))
            self.nbytes += 0 if swept.image is None else swept.image.in_memory
            return swept
        nbytes = int(getattr(value, "nbytes", 0))
        self.nbytes += nbytes
        is_noted = self.plane.session.checkpoint is not None and self.plane.address is not None
        if not self._is_portable and (is_noted or nbytes > LONG):
            return None
        pickled = pickle.dumps(value)
        return pickled if self._is_portable or len(pickled) <= LONG else None

    def _computed(self, number: int) -> Any:
        """Return the result of a pass; the checkpoint's, where an earlier run has it."""
        step = self._passes[number]
        if isinstance(step, Sweep):
            return SweepRunner(self.plane, step, number).run()
        name, checkpoint = self._checkpoint_name(step, number), self.plane.session.checkpoint
        if checkpoint is None or name is None:
            return self._shared_or_reduced(step, number)
        saved = checkpoint.load(name)
        if saved is not None:
            return saved[0]
        result = self._shared_or_reduced(step, number)
        checkpoint.save(name, result)
        return result

    def _shared_or_reduced(self, step: Reduce, number: int) -> Any:
        """Return the result of a reduction; what other operations computed, where they did."""
        compute = partial(self._reduced, step, number)
        if step.share is None:
            return compute()
        statistics = self.statistics or self._retained()
        if statistics is None:
            return compute()
        return statistics.get((self.key[1], step.share), number, compute)

    def _checkpoint_name(self, reduction: Reduce, number: int) -> str | None:
        """Return the checkpoint's name of a reduction, which tells forms of its result apart."""
        name = self.plane.name_of(number)
        return f"{name}-{reduction.form}" if name is not None and reduction.form else name

    # -- limits ------------------------------------------------------------------------------

    def _bytes_of_region(self, pixels: int) -> int:
        """Return what computing a region takes."""
        call, cost = self.plane.call, self.plane.operation.cost
        channels = 1 if call.channel_axis is None else call.shape[call.channel_axis]
        is_whole = pixels >= prod(call.spatial_shape)
        factor = cost.whole if is_whole and cost.whole is not None else cost.memory
        return int(pixels * channels * 8 * factor)

    def _refuse_too_large(self, pixels: int) -> None:
        """Stop before a region that has to be in memory at once takes more than there is."""
        if pixels <= ALWAYS:
            return
        call, session = self.plane.call, self.plane.session
        needed = self._bytes_of_region(pixels)
        limit = session.memory or available_memory()
        if needed <= limit:
            return
        is_whole = pixels == prod(call.spatial_shape)
        region = "the whole image" if is_whole else f"a region of {pixels} pixels"
        raise MemoryBudgetExceeded(
            f"{self._name} needs {region} at once, in an image of shape {call.shape}: that takes "
            f"{format_size(needed)}, and {format_size(limit)} are available. Crop or downscale "
            "the image first.",
            session.sufficient(needed),
        )

    # -- reductions --------------------------------------------------------------------------

    def _reduced(self, reduction: Reduce, number: int, workers: WorkerPool | None = None) -> Any:
        name, checkpoint = self._checkpoint_name(reduction, number), self.plane.session.checkpoint
        workers = workers or self._pool
        partial_result = None
        if checkpoint is not None and name is not None:
            partial_result = checkpoint.partial_result(name)
        items = self._items(reduction, partial_result)
        session = self._session_over(items, workers)
        pool = session.worker_pool
        if reduction.regions is not None:
            largest = _largest(reduction.regions)
            session = session.one_by_one(self._bytes_of_region(largest))
        per_part = 1
        if pool is not None and reduction.in_groups:
            per_part = session.task_size(len(items))
        with self._look_ahead(reduction, items) as contribution:
            total = session.reduce(
                f"{self._name}: {reduction.description}",
                contribution,
                self._watched_merge(reduction, items, partial_result, contribution, per_part),
                items,
                partial_result,
                None if pool is None else self._remote(pool, number, is_lent=pool is workers),
            )
        if reduction.finish is None:
            return total
        with writing(root_of(_folder_of(partial_result)), TEMPORARY):
            return reduction.finish(total)

    def _session_over(self, items: Sequence[Position], workers: WorkerPool | None) -> Session:
        """Return the session of a reduction: with the pool that computes it, where there is one."""
        session = self.plane.session
        # What sweeps made may be in files that only this machine sees.
        swept = any(isinstance(result, Swept) for result in self._results or ())
        if workers is None or swept or len(items) < 2:
            return session
        return replace(session, worker_pool=workers)

    def _remote(
        self, pool: WorkerPool, number: int, *, is_lent: bool
    ) -> Callable[[Sequence[Position]], Sequence[Any]] | None:
        """Return how workers find the contributions of some tiles."""
        address = (0, self.key[1]) if is_lent else self.plane.address
        if address is None:
            return None

        def contributions(positions: Sequence[Position]) -> Sequence[Any]:
            parts: Sequence[Any] = pool.run(ReduceTask(tuple(positions), *address, number))
            return parts

        return contributions

    def _items(self, reduction: Reduce, partial_result: PartialResult | None) -> Sequence[Position]:
        """Return the positions of the tiles that a reduction visits, or numbers of its regions."""
        if reduction.regions is not None:
            self._refuse_too_large(_largest(reduction.regions))
            return LazySequence(len(reduction.regions), lambda number: (number,))
        if reduction.image is not None:
            grid = self.plane.blocks.look_at(reduction.image)[0]
            return LazySequence(len(grid), grid.position)
        return self.plane.ordered(partial_result)

    def _contribution(self, reduction: Reduce, position: Position) -> Any:
        """Return what one tile, or one of the reduction's regions, contributes."""
        blocks, regions = self.plane.blocks, reduction.regions
        halo = normal_halo(reduction.halo, self.plane.call.ndim, self._name)
        if reduction.image is None:
            grid = self.plane.grid
            tile = grid.region(position) if regions is None else regions[position[0]]
            region, copies = blocks.grown(tile, halo, None), not reduction.only_reads
            block = blocks.block(tile, region, position, copies=copies)
        else:
            grid, block_of = blocks.look_at(reduction.image)
            tile = grid.region(position) if regions is None else regions[position[0]]
            block = block_of(tile, within_image(tile, halo, grid.shape), position)
        return self.plane.guard(lambda: reduction.of(block), tile)

    @contextmanager
    def _look_ahead(
        self, reduction: Reduce, items: Sequence[Position]
    ) -> Iterator[Callable[[Position], Any]]:
        """Return what finds contributions, and begins to read for those of the next items."""
        blocks, grid = self.plane.blocks, self.plane.grid
        halo = normal_halo(reduction.halo, self.plane.call.ndim, self._name)
        can_fetch = reduction.image is None and reduction.regions is None

        def begin_reading(position: Position) -> bool:
            region = blocks.grown(grid.region(position), halo, None)
            return blocks.fetch(region)

        with LookAhead(items, begin_reading) as ahead:

            def contribution(position: Position) -> Any:
                if can_fetch and blocks.waits:
                    ahead.beyond(position)
                return self._contribution(reduction, position)

            yield contribution

    def _merge(self, reduction: Reduce) -> Callable[[Any, Any], Any]:
        """Return what merges two contributions of neighbours, and watches their total."""
        limit = self._total_limit(reduction, 1)

        def merge(total: Any, part: Any) -> Any:
            total = reduction.merge(total, part)
            limit.check(total, 1)
            return total

        return merge

    def _watched_merge(
        self,
        reduction: Reduce,
        items: Sequence[Position],
        partial_result: PartialResult | None,
        contribution: Callable[[Position], Any],
        per_part: int,
    ) -> Callable[[Any, Any], Any]:
        """Return what merges the contributions of all tiles, and watches their total grow.

        Each part that is merged is the contribution of `per_part` tiles.
        """
        store = cache(partial(self._column_store, partial_result))  # asks for the memory available

        def sample(numbers: list[int]) -> int:
            parts = [contribution(items[number]) for number in numbers]
            total = reduce(reduction.merge, parts)
            return int(getattr(total, "nbytes", 0))

        limit = self._total_limit(reduction, len(items), sample)
        before = 0 if partial_result is None else partial_result.load()[0]
        merged = itertools.count(before + (1 if before else 2) * per_part, per_part)

        def merge(total: Any, part: Any) -> Any:
            total = reduction.merge(total, part)
            count = next(merged)
            if hasattr(total, "spill"):
                self._store_large_total(total, store())
            else:
                limit.check(total, count)
            return total

        return merge

    def _total_limit(
        self, reduction: Reduce, count: int, sample: Callable[[list[int]], int] = lambda _: 0
    ) -> TotalLimit:
        session, title = self.plane.session, f"{self._name}: the {reduction.description}"
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


def _folder_of(partial_result: PartialResult | None) -> Path | None:
    return None if partial_result is None else partial_result.folder


def _largest(regions: Sequence[Region]) -> int:
    """Return the pixels of the largest region; the first of very many stand for the others."""
    most = LOOKED_AT if isinstance(regions, LazySequence) else len(regions)
    return max(map(size, itertools.islice(regions, most)), default=0)
