"""Plans a run: the largest tiles and the most workers that fit the memory budget.

If not even the smallest tiles do, the run is refused with the number that it needs.
"""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from functools import cached_property
from math import prod
from operator import le
from typing import TYPE_CHECKING, Any

from napari_tilewise import axes as _axes
from napari_tilewise.engine.budget import (
    CHILD,
    RUNTIME,
    TABLES,
    Budget,
    cache_bytes,
    fallback_bytes,
    in_order_bytes,
    most_tables,
    tables_bytes,
    working_bytes,
)
from napari_tilewise.engine.session import Session
from napari_tilewise.engine.system.cache import ChunkCache
from napari_tilewise.engine.system.machine import available_memory
from napari_tilewise.engine.system.resident import resident
from napari_tilewise.errors import MemoryBudgetExceeded
from napari_tilewise.executors import choose
from napari_tilewise.executors.selection import AUTO, better
from napari_tilewise.grid import Grid
from napari_tilewise.io.axis_order import open_inputs
from napari_tilewise.io.metadata.channels import names_of
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.io.writers.ome_zarr_layout import default_chunks
from napari_tilewise.operations import BUILT_IN
from napari_tilewise.pipeline.bind import Pipeline, bind_recipe, named_spatial, recipe_images
from napari_tilewise.pipeline.materialize import Decision, decide
from napari_tilewise.pipeline.pixel_sizes import stated_sizes
from napari_tilewise.runs.output_geometry import output_axes, output_geometry, output_shape
from napari_tilewise.runs.run_plan import RunPlan
from napari_tilewise.runs.tile_time import LONGEST, measure_pace
from napari_tilewise.sizes import format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from napari_tilewise.engine.control import Control
    from napari_tilewise.executors.executor import Executor
    from napari_tilewise.pipeline.bind import RecipeImages
    from napari_tilewise.runs.request import RunRequest
    from napari_tilewise.runs.run_plan import Layout
    from napari_tilewise.runs.tile_time import TilePace

SHARE = 0.8
"""Least share of a budget, less the process itself, that is there for the smallest tiles."""
MARGIN = 64 * 2**20
"""Bytes by which the process may have grown until it is asked again."""
MOST = 2**60
"""Bytes of a budget that no machine has."""
NEARLY = 1.02
"""How close a budget that is asked for comes to the least that suffices."""
LONGEST_TILE = {1: 2**22, 2: 1024, 3: 128}
"""Longest tile by number of spatial axes, unless a halo needs more: it would only cost memory."""
SHORTEST_TILE = {1: 4096, 2: 64, 3: 32}
"""Shortest tile by number of spatial axes, where nothing but time asks for short ones."""
SMALL_CHUNK = 256
"""Length of chunks that become no shorter for a tight budget."""
HALOS = 4
"""A tile is at least this many halos long, however long it takes."""
LARGE_CHUNK = 2**24
"""Bytes of a decoded chunk of the source from which on the plan counts it."""
CLUSTER_SHARE = 0.8
"""Share of a cluster worker's memory that a run plans with: dask moves data from 60 % on, but
counts its own too; it stops at 80 %."""


def make_plan(
    request: RunRequest,
    control: Control,
    *,
    is_lasting: bool = False,
    layout: Layout | None = None,
    measures: bool = False,
) -> RunPlan:
    """Return the plan of a run. No pixel is read, unless the time that tiles take is measured.

    Parameters
    ----------
    request
        The recipe, its images and the resources.
    control
        Progress, cancel and pause of the run.
    is_lasting
        Whether materialized results must outlast the process, for a run that resumes.
    layout
        Layout of an unfinished run, which the plan shares if it fits.
    measures
        Whether a window of the image is computed, so that tiles follow time as well as memory.

    Raises
    ------
    MemoryBudgetExceeded
        When not even the smallest tiles fit the memory budget.
    """
    resources = request.resources
    executor = choose(resources.executor, resources.workers)
    # The sources share the cache; its capacity is known later.
    session = Session(executor.threads, control, cache=ChunkCache(0))
    planner = _Planner(request, session, executor, is_lasting=is_lasting)
    if resources.executor == AUTO:
        planner.executor = better(executor, planner.pipeline, request.source)
    # An image that is read whole, or its chunks, may not.
    fits = planner.process + planner.decoding <= planner.limit
    if measures and layout is None and fits and planner.may_be_tried:
        planner.pace = measure_pace(planner.pipeline, planner.images, control.cancel)
    return planner.plan(layout)


def _chunk_bytes(image: Any) -> int:
    """Return the bytes of an image's chunks; 0 where they are unknown, or an expression's."""
    chunks = getattr(image, "chunks", None)
    if not chunks or not all(isinstance(length, int) for length in chunks):
        return 0
    pixels: int = prod(map(min, chunks, image.shape))
    return pixels * int(image.dtype.itemsize)


def _limit(memory: int | None, executor: Executor) -> int:
    """Return the memory budget in bytes: of each worker, if they have machines of their own."""
    if memory is not None:
        return memory
    if not executor.is_local and executor.limit is not None:
        return int(executor.limit * CLUSTER_SHARE)
    return resident() + available_memory() // 2


class _Planner:
    """Finds the largest tiles, and the most workers, that fit the budget."""

    def __init__(
        self, request: RunRequest, session: Session, executor: Executor, *, is_lasting: bool
    ) -> None:
        self.executor = executor
        self.session = session
        self.is_lasting = is_lasting
        image = open_image(request.source)
        ndim = len(image.data.shape)
        self.axes = _axes.parse(request.axes.names, ndim) or image.axes or None
        self.image = image.named(self.axes)
        spatial = request.axes.spatial
        if spatial is None:
            spatial = named_spatial(self.axes, ndim)
        self.request = replace(request, axes=_axes.AxisSelection(self.axes, spatial))
        self.pace: TilePace | None = None

    @cached_property
    def images(self) -> RecipeImages:
        """What the recipe is run on."""
        inputs = open_inputs(self.request.inputs, self.image, self.axes)
        return recipe_images(
            self.request.recipe, self.image.data, inputs,
            names=self.axes, spatial=self.request.axes.spatial,
            channels=names_of(self.image.channels, self.axes, self.image.data.shape),
        ).measured_by(stated_sizes(self.image))  # fmt: skip

    @cached_property
    def pipeline(self) -> Pipeline:
        """The recipe bound to its images, nothing materialized yet."""
        return bind_recipe(self.request.recipe, self.images, self.session)

    @property
    def may_be_tried(self) -> bool:
        """Whether a window may be computed in this process.

        A user's function may end the process that it runs in, or needs what only workers have.
        """
        stacks = self.pipeline.order
        is_here = not self.executor.processes
        return is_here or all(stack.call.operation.name in BUILT_IN for stack in stacks)

    @cached_property
    def limit(self) -> int:
        """The memory budget in bytes."""
        return _limit(self.request.resources.memory, self.executor)

    @cached_property
    def process(self) -> int:
        """Bytes that the computing process takes itself; with several, that of this run."""
        if self.executor.processes and not self.executor.is_local:
            return CHILD
        return resident() + RUNTIME + self.undecoded

    @cached_property
    def undecoded(self) -> int:
        """Bytes that decoding takes of images that are read whole, and are not yet."""
        return sum(getattr(image, "undecoded_bytes", 0) for image in self._read_images)

    @cached_property
    def decoding(self) -> int:
        """Bytes that a worker takes to decode a chunk, where one is far larger than a tile."""
        return max(
            (2 * n for n in map(_chunk_bytes, self._read_images) if n > LARGE_CHUNK), default=0
        )

    @property
    def _read_images(self) -> Collection[Any]:
        images = (self.image.data, *self.images.by_name.values())
        return {id(image): image for image in images}.values()

    @property
    def max_workers(self) -> int:
        """How many tiles may be computed at a time within the memory budget."""
        return self.executor.slots if self.executor.is_local else self.executor.threads

    def plan(self, layout: Layout | None) -> RunPlan:
        """Return the plan, with the given layout if it fits."""
        if layout is not None:
            try:
                return self._plan(layout)
            except MemoryBudgetExceeded:
                pass  # the unfinished run had more memory
        try:
            return self._plan(None)
        except MemoryBudgetExceeded as error:
            if error.sufficient is None:
                raise
            high = error.sufficient - MARGIN
            least = self._least(max(self.limit, high // 2), high, lambda planner, budget: True)
            raise MemoryBudgetExceeded(error.problem, least + MARGIN) from error

    def _plan(self, layout: Layout | None) -> RunPlan:
        decisions = self._decisions(layout)
        last = self.pipeline.last
        shape, axes = output_shape(last, self.image), output_axes(last)
        tile, budget = self._largest(layout, decisions)
        self._allot(budget, tile)
        materialized = {d.step: d.in_memory for d in decisions if d.keep}
        geometry = output_geometry(last, self.image, axes, self._chunks(shape, axes, tile))
        return RunPlan(
            self.request, self.image, self.axes, self.pipeline.with_layout(tile, materialized),
            decisions, tile, geometry,
            budget, self.limit, self.session, self.executor,
        )  # fmt: skip

    def _largest(
        self, layout: Layout | None, decisions: Sequence[Decision]
    ) -> tuple[tuple[int, ...], Budget]:
        """Return the largest tiles and most workers; a layout's tiles, where one is given."""
        tiles: Sequence[tuple[int, ...]] = [] if layout is None else [layout.tile]
        if layout is None:
            last = self.pipeline.last
            shape = output_shape(last, self.image)
            tiles = self._tiles(self._chunks(shape, output_axes(last)))
        try:
            return self._fitting(tiles, decisions, TABLES[0])
        except MemoryBudgetExceeded:
            return self._fitting(tiles, decisions, TABLES[1])

    def budget_for(self, needed: int, beside_tiles: bool) -> int | None:
        """Return a memory budget whose plan leaves so many bytes for one purpose; None: no such.

        Parameters
        ----------
        needed
            The bytes.
        beside_tiles
            Whether they are for tables, while tiles are in work; else for one region alone.
        """

        def leaves_enough(planner: _Planner, budget: Budget) -> bool:
            return (budget.tables if beside_tiles else planner._region(budget)) >= needed

        low, high = self.limit, 2 * self.limit
        while not self._suffices(high, leaves_enough):
            if high > MOST:
                return None
            low, high = high, 2 * high
        return self._least(low, high, leaves_enough) + MARGIN

    def _suffices(self, limit: int, is_enough: Callable[[_Planner, Budget], bool]) -> bool:
        """Return whether there is a plan within a budget that satisfies a condition."""
        other = copy(self)
        other.__dict__["limit"] = limit
        try:
            _, budget = other._largest(None, other._decisions(None))
        except MemoryBudgetExceeded:
            return False
        return is_enough(other, budget)

    def _least(self, low: int, high: int, is_enough: Callable[[_Planner, Budget], bool]) -> int:
        """Return nearly the least budget that suffices, of which one limit does."""
        while high > NEARLY * low:
            middle = (low + high) // 2
            low, high = (low, middle) if self._suffices(middle, is_enough) else (middle, high)
        return high

    def _decisions(self, layout: Layout | None) -> tuple[Decision, ...]:
        """Return which results are materialized: on disk for a later run or other processes."""
        on_disk = self.is_lasting or self.executor.processes > 0
        decisions = decide(
            self.pipeline, self.limit, outlasting=on_disk, destination=self.request.destination
        )
        if layout is None:
            return decisions
        return tuple(replace(d, keep=d.step in layout.materialized) for d in decisions)

    def _chunks(
        self, shape: tuple[int, ...], axes: tuple[str, ...], tile: Sequence[int] | None = None
    ) -> tuple[int, ...]:
        """Return the chunks of the output: no longer than the tiles, which are written at once."""
        last = self.pipeline.last
        if not last.is_image:
            return ()
        longest = shape if tile is None else last.grid(tile).tile
        chunks = default_chunks(shape, axes, last.looped)
        return tuple(map(min, chunks, shape, longest))

    def _fitting(
        self, tiles: Sequence[tuple[int, ...]], decisions: Sequence[Decision], share: float
    ) -> tuple[tuple[int, ...], Budget]:
        """Return the largest tiles, then the most workers, that fit the budget."""
        budgets = []
        for tile in tiles:
            # Smaller tiles come before fewer workers.
            fewest = 1 if tile == tiles[-1] else self.max_workers
            for workers in range(self.max_workers, fewest - 1, -1):
                budget = self._budget(tile, workers, decisions, share)
                if budget.total <= self.limit:
                    return tile, budget
                budgets.append(budget)
        smallest = min(budgets, key=lambda budget: budget.total)
        raise MemoryBudgetExceeded(
            f"The run needs {format_size(smallest.total)} of memory (of which "
            f"{format_size(smallest.process)} for the process itself) even with the smallest tiles "
            f"and one worker; the budget is {format_size(self.limit)}.",
            int(smallest.process + (smallest.total - smallest.process) / SHARE) + MARGIN,
        )

    def _tiles(self, chunks: Sequence[int]) -> Sequence[tuple[int, ...]]:
        """Return the tiles to try, the largest first: whole chunks of the output."""
        last = self.pipeline.last
        ndim = last.call.ndim
        unit = last.spatial_of(chunks) if last.is_image else [SHORTEST_TILE.get(ndim, 16)] * ndim
        halo = max((h for s in self.pipeline.order for pair in s.halo for h in pair), default=0)
        longest = max(LONGEST_TILE.get(len(unit), 64), 4 * halo)
        tiles: list[tuple[int, ...]] = []
        for factor in (16, 8, 6, 4, 3, 2, 1):
            tile = tuple(max(u, min(u * factor, longest // u * u)) for u in unit)
            keeps_busy = len(Grid(last.call.spatial_shape, tile)) >= 2 * self.executor.slots
            if tile not in tiles and (keeps_busy or factor == 1):
                tiles.append(tile)
        while any(n > SMALL_CHUNK for n in tiles[-1]):  # the output's chunks are shorter then too
            tiles.append(tuple(n // 2 if n > SMALL_CHUNK else n for n in tiles[-1]))
        return tiles if self.pace is None else self._quick(tiles, unit, self.pace)

    def _quick(
        self, tiles: Sequence[tuple[int, ...]], unit: Sequence[int], pace: TilePace
    ) -> Sequence[tuple[int, ...]]:
        """Return those of the tiles that take no longer than a tile should.

        Shorter ones than a chunk, which make the output's chunks shorter, are taken only if a chunk
        lasts too long by far: the layout of an output is not a matter of how busy the machine is.
        """
        last = self.pipeline.last
        shape = last.spatial_of(last.shape) if last.is_image else last.call.spatial_shape
        limit = pace.limit(shape, prod(last.planes.lengths), self.max_workers)
        quick = [
            tile
            for tile in tiles
            if pace.of_tile(tile) <= (LONGEST if all(map(le, tile, unit)) else limit)
        ]
        if quick:
            return quick
        tile = list(unit)
        least = max(SHORTEST_TILE.get(len(tile), 16), HALOS * pace.halo)
        while pace.of_tile(tile) > LONGEST and max(tile) // 2 >= least:
            tile[tile.index(max(tile))] //= 2
        return [tuple(tile)]

    def _budget(
        self, tile: Sequence[int], workers: int, decisions: Sequence[Decision], share: float
    ) -> Budget:
        stored = [decision for decision in decisions if decision.keep]
        in_memory = sum(decision.size for decision in stored if decision.in_memory)
        stacks, last = self.pipeline.order, self.pipeline.last
        materialized = [self.pipeline.stacks[decision.step] for decision in stored]
        per_worker = working_bytes(stacks, tile, materialized) + self.decoding
        writing = 3 * prod(tile) * last.dtype.itemsize if last.is_image else 0
        tables = tables_bytes(stacks, self.limit - self.process, share)
        has_children = self.executor.processes and self.executor.is_local
        child = CHILD + self.undecoded if has_children else 0
        spent = self.process + tables + in_memory + workers * (per_worker + writing + child)
        free, sharers = max(0, self.limit - spent), workers if child else 1
        cache = cache_bytes(stacks, tile, free, sharers)
        fallback, in_order = max(map(fallback_bytes, stacks)), max(map(in_order_bytes, stacks))
        room = self.limit - self.process - in_memory - fallback
        least = tables_bytes(stacks, self.limit - self.process, TABLES[1])
        if room >= least:
            tables = min(tables, room)
            cache = min(cache, room - tables)
        else:
            fallback = 0  # refused, if it comes to that, or on disk in part
            if in_order:
                tables, cache = min(tables, least), 0
                fallback = max(0, self.limit - self.process - in_memory - tables)
        budget = Budget(
            self.process, per_worker, writing, workers, cache, tables, in_memory, child, fallback,
            in_order,
        )  # fmt: skip
        growth = min(self.limit - budget.total, most_tables(stacks) - tables)
        return replace(budget, tables=tables + max(0, growth))

    def _allot(self, budget: Budget, tile: Sequence[int]) -> None:
        """Set what the session may use."""
        session = self.session
        session.workers, session.budget_for = budget.workers, self.budget_for
        session.seconds_of_tile = None if self.pace is None else self.pace.of_tile(tile)
        if session.cache is not None:
            session.cache.capacity = budget.cache
        session.tables, session.memory = budget.tables, self._region(budget)
        session.in_tiles = budget.workers * (budget.per_worker + budget.writing + budget.child)

    def _region(self, budget: Budget) -> int:
        """Return what a region as large as the image may take: nothing else is computed then."""
        tables = tables_bytes(self.pipeline.order, self.limit - budget.process, TABLES[1])
        rest = budget.process + budget.cache + budget.materialized + min(tables, budget.tables)
        return max(budget.workers * budget.per_worker, self.limit - rest)
