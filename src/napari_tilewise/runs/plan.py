"""A plan says how a run goes before it starts: the pipeline, the tiles, the memory that they take.

The largest tiles and the most workers that fit the budget are chosen; when not even the smallest
do, the run is refused with the number it would need.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise import axes as _axes
from napari_tilewise.engine.budget import (
    CHILD,
    RUNTIME,
    Budget,
    cache_bytes,
    resident,
    tables_bytes,
    working_bytes,
)
from napari_tilewise.engine.cache import ChunkCache
from napari_tilewise.engine.control import Control
from napari_tilewise.engine.machine import available_memory
from napari_tilewise.engine.session import Session
from napari_tilewise.errors import InvalidImage, MemoryBudgetExceeded
from napari_tilewise.executors import choose
from napari_tilewise.executors.assignment import Assignment, portable_source
from napari_tilewise.executors.selection import AUTO, better
from napari_tilewise.grid import Grid
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.io.views.axis_order import open_inputs
from napari_tilewise.io.writers.ome_zarr_layout import default_chunks
from napari_tilewise.pipeline.bind import Pipeline, bind_recipe, given, named_spatial
from napari_tilewise.pipeline.materialize import Decision, decide
from napari_tilewise.recipe import Recipe
from napari_tilewise.runs.traffic import traffic
from napari_tilewise.sizes import format_size, parse_size

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from napari_tilewise.engine.events import Listener
    from napari_tilewise.engine.stack import Stack
    from napari_tilewise.executors.executor import Executor
    from napari_tilewise.io.image import Image
    from napari_tilewise.io.writers.image_writer import ImageWriter

LONGEST_TILE = {1: 2**22, 2: 2048, 3: 256}
"""No tile is longer than this without need: more would only cost memory."""
SHORTEST_TILE = 64
CLUSTER_SHARE = 0.8
"""Share of what a cluster allows a worker that a run plans with: dask moves data from 60 % on, but
counts what it holds itself; it stops at 80 %."""


@dataclass(frozen=True)
class Layout:
    """What two plans share where one run goes on with the tiles of the other."""

    tile: tuple[int, ...]
    """Tile lengths along the spatial axes."""
    kept: tuple[int, ...]
    """The steps whose results are kept."""


@dataclass(frozen=True, eq=False)
class Plan:
    """How a run goes, known before it starts."""

    recipe: Recipe
    image: Image
    """The source, open."""
    pipeline: Pipeline
    """The steps, each pulling from those that it names."""
    decisions: tuple[Decision, ...]
    """What is decided about the results between the steps."""
    tile: tuple[int, ...]
    """Tile lengths along the spatial axes."""
    source_axes: tuple[str, ...] | None
    """The source's axes, where they are known."""
    chunks: tuple[int, ...]
    """The output's chunk lengths, one per axis of the output; empty where it is no image."""
    axes: tuple[str, ...]
    """The output's axes."""
    scale: tuple[float, ...]
    units: tuple[str | None, ...]
    budget: Budget
    limit: int
    """The memory budget in bytes."""
    session: Session
    place: Executor
    """Where its tiles are computed."""
    request: Request
    """What it was made from."""

    @property
    def layout(self) -> Layout:
        """What a run that goes on with this one has to share."""
        return Layout(self.tile, tuple(one.step for one in self.decisions if one.keep))

    @property
    def stacks(self) -> tuple[Stack, ...]:
        """The steps in order."""
        return self.pipeline.order

    @property
    def last(self) -> Stack:
        """The step whose result is written."""
        return self.pipeline.last

    @property
    def grid(self) -> Grid:
        """The tiles of the output."""
        return self.last.grid(self.tile)

    @property
    def images(self) -> int:
        """How many images the last step gives, of which a run writes the first; 0: none."""
        return (self.last.count or 1) if self.last.is_image else 0

    def assignment(self, folder: Path, writer: ImageWriter | None) -> Assignment:
        """Return what other processes are told of the run.

        Parameters
        ----------
        folder
            The folder of its checkpoint.
        writer
            Where tiles of the output go, where it is an image.
        """
        inputs = {name: portable_source(image) for name, image in self.request.inputs.items()}
        session, shared = self.session, self.budget.workers if self.place.is_local else 1
        assert session.cache is not None
        assert session.memory is not None
        assert session.tables is not None
        users = tuple(step.op for step in self.recipe.steps if step.op.adapter.digest)
        return Assignment(
            users, self.recipe, portable_source(self.request.source), inputs, self.source_axes,
            self.request.spatial, self.tile, tuple(self.pipeline.materialized), str(folder),
            session.cache.capacity // shared, session.memory // shared, session.tables // shared,
            1 if self.place.is_local else self.budget.workers,
            writer, self.grid if self.last.is_image else None,
        )  # fmt: skip

    def describe(self) -> str:
        """Return the plan in words: image, tiles, memory, and what becomes of each step's result.

        Returns
        -------
        str
            Lines of text.
        """
        last, budget = self.last, self.budget
        shape = " x ".join(map(str, self.image.data.shape))
        result = " x ".join(map(str, last.shape)) if last.is_image else str(last.part.output)
        names = "".join(self.source_axes) if self.source_axes else "unknown"
        first = f"the first of {self.images}: " if self.images > 1 else ""
        lines = [
            f"image   {shape} {np.dtype(self.image.data.dtype)}, axes {names}",
            f"result  {first}{result}" + (f" {last.dtype}" if last.is_image else ""),
            f"tiles   {' x '.join(map(str, self.tile))} pixels, {len(last.node_grid)} per plane",
            f"where   {self.place}",
            f"memory  at most {format_size(budget.total)} of {format_size(self.limit)}: "
            + ", ".join(_spent(budget)),
            str(traffic(self)),
        ]
        told = {one.step: str(one) for one in self.decisions}
        for number in sorted(self.pipeline.stacks):
            name = self.recipe.steps[number].operation
            lines.append(f"step {number + 1}  {name}: {told.get(number, 'the result')}")
        return "\n".join(lines)


def _spent(budget: Budget) -> Iterator[str]:
    """Give in words what takes the memory."""
    each = format_size(budget.per_worker + budget.writing)
    yield f"{format_size(budget.process)} process"
    yield f"{budget.workers} workers with {each} each"
    shared = {
        "decoded chunks": budget.cache,
        "tables": budget.tables,
        "kept results": budget.kept,
    }
    yield from (f"{format_size(held)} {what}" for what, held in shared.items() if held)


def plan(
    recipe: Any,
    source: Any,
    *,
    inputs: Mapping[str, Any] | None = None,
    memory: str | float | None = None,
    workers: int | None = None,
    executor: Any = AUTO,
    progress: Listener | None = None,
    cancel: threading.Event | None = None,
    axes: str | Sequence[str] | None = None,
    spatial: str | Sequence[int] | None = None,
    resume: bool = False,
    destination: Any = None,
    pause: threading.Event | None = None,
    like: Layout | None = None,
) -> Plan:
    """Return how a run would go: its pipeline, tiles and memory. No pixel is read.

    See `run` for the parameters and what is raised; `like` is the layout that is preferred.
    """
    recipe = Recipe.of(recipe)
    image = open_image(source)
    place = choose(executor, workers)
    session = Session(place.threads, Control(progress, cancel, pause))
    wanted = None if memory is None else parse_size(memory)
    told = executor if isinstance(executor, str) else AUTO  # a client is of this process only
    asked = {"memory": wanted, "workers": workers, "executor": told}
    request = Request(recipe, source, dict(inputs or {}), axes, spatial, wanted, asked, destination)
    planner = _Planner(request, image, session, place, resume)
    if executor == AUTO:
        planner.place = better(place, planner.pipeline, source)
    return planner.plan(like)


@dataclass(frozen=True, eq=False)
class Request:
    """What a plan was asked for."""

    recipe: Recipe
    source: Any
    inputs: Mapping[str, Any]
    axes: Any
    spatial: Any
    memory: int | None
    asked: Mapping[str, Any]
    """What the run may take, as it was asked for, in plain data."""
    destination: Any = None


def _limit(memory: int | None, place: Executor) -> int:
    """Return the memory budget in bytes: of each worker, where they have machines of their own."""
    if memory is not None:
        return memory
    if not place.is_local and place.limit is not None:
        return int(place.limit * CLUSTER_SHARE)
    return resident() + available_memory() // 2


class _Planner:
    """Finds the largest tiles, and the most workers, that fit the budget."""

    def __init__(
        self, request: Request, image: Image, session: Session, place: Executor, outlasting: bool
    ) -> None:
        self.request = request
        self.place = place
        self._outlasting = outlasting
        self.recipe = request.recipe
        self.image = image
        self.session = session
        axes, spatial, inputs = request.axes, request.spatial, request.inputs
        ndim = len(image.data.shape)
        self.axes = _axes.parse(axes, ndim) or image.axes or None
        if spatial is None:
            spatial = named_spatial(self.axes, ndim)
        self.spatial = spatial
        further = open_inputs(inputs, image, self.axes)
        self.given = given(request.recipe, image.data, further, names=self.axes, spatial=spatial)
        session.cache = ChunkCache(0)  # the sources share it; its capacity is known later

    @cached_property
    def pipeline(self) -> Pipeline:
        """The recipe bound to its images, nothing materialized yet."""
        return bind_recipe(self.recipe, self.given, self.session)

    @cached_property
    def limit(self) -> int:
        """The memory budget in bytes."""
        return _limit(self.request.memory, self.place)

    @cached_property
    def process(self) -> int:
        """What the process that computes takes itself, in bytes; with others: the one that asks."""
        if self.place.processes and not self.place.is_local:
            return CHILD
        return resident() + RUNTIME

    @property
    def most(self) -> int:
        """How many tiles may be in work at a time within the memory budget."""
        return self.place.slots if self.place.is_local else self.place.threads

    def plan(self, like: Layout | None) -> Plan:
        """Return the plan, with the layout that is preferred where that fits.

        Raises `MemoryBudgetExceeded` where none does.
        """
        if like is not None:
            try:
                return self._plan(like)
            except MemoryBudgetExceeded:
                pass  # there was more memory when what is left was begun
        return self._plan(None)

    def _plan(self, like: Layout | None) -> Plan:
        decisions = decide(
            self.pipeline,
            self.limit,
            outlasting=self._outlasts,
            destination=self.request.destination,
        )
        if like is not None:
            decisions = tuple(replace(one, keep=one.step in like.kept) for one in decisions)
        last = self.pipeline.last
        shape = last.shape if last.is_image else ()
        axes = self._output_axes(last) if last.is_image else ()
        self._refuse_nothing(last.call.operation.name, shape)
        chunks = default_chunks(shape, axes, last.looped) if last.is_image else ()
        chunks = tuple(min(c, n) for c, n in zip(chunks, shape, strict=True))
        tiles = self._tiles(chunks) if like is None else [like.tile]
        tile, budget = self._fitting(tiles, decisions)
        self._spend(budget)
        materialize = {one.step: one.in_memory for one in decisions if one.keep}
        pipeline = self.pipeline.with_layout(tile, materialize)
        scale, units = self._pixel_size(shape, axes)
        return Plan(
            self.recipe, self.image, pipeline, decisions, tile, self.axes, chunks, axes, scale,
            units, budget, self.limit, self.session, self.place,
            replace(self.request, spatial=self.spatial),
        )  # fmt: skip

    def _refuse_nothing(self, operation: str, shape: tuple[int, ...]) -> None:
        if 0 in shape:
            raise InvalidImage(
                f"{operation} leaves nothing of an image of shape {self.image.data.shape}: the "
                f"result would be of shape {shape}. Check its parameters, or the image."
            )

    def _fitting(
        self, tiles: Sequence[tuple[int, ...]], decisions: Sequence[Decision]
    ) -> tuple[tuple[int, ...], Budget]:
        """Return the largest tiles, then the most workers, that fit the budget."""
        smallest: Budget | None = None
        for tile in tiles:
            for workers in range(self.most, 0, -1):
                budget = self._budget(tile, workers, decisions)
                if budget.total <= self.limit:
                    return tile, budget
                smallest = budget if smallest is None or budget.total < smallest.total else smallest
                if tile != tiles[-1]:
                    break  # smaller tiles before fewer workers
        assert smallest is not None
        raise MemoryBudgetExceeded(
            f"The run needs {format_size(smallest.total)} of memory (of which "
            f"{format_size(smallest.process)} for the process itself) even with the smallest tiles "
            f"and one worker; the budget is {format_size(self.limit)}. Raise memory=."
        )

    def _output_axes(self, last: Stack) -> tuple[str, ...]:
        return _axes.default_axes(len(last.shape)) if last.names is None else last.names

    def _spatial_chunks(self, chunks: Sequence[int]) -> list[int]:
        last = self.pipeline.last
        if not last.is_image:
            return [SHORTEST_TILE] * last.call.ndim
        return last.spatial_of(chunks)

    def _tiles(self, chunks: Sequence[int]) -> list[tuple[int, ...]]:
        """Return the tiles to try, the largest first: whole chunks of the output."""
        unit = self._spatial_chunks(chunks)
        longest = LONGEST_TILE.get(len(unit), 64)
        halo = max((h for s in self.pipeline.order for pair in s.halo for h in pair), default=0)
        longest = max(longest, 4 * halo)
        tiles = []
        for factor in (16, 8, 6, 4, 3, 2, 1):
            tile = tuple(max(u, min(u * factor, longest // u * u)) for u in unit)
            busy = len(Grid(self.pipeline.last.call.spatial_shape, tile)) >= 2 * self.place.slots
            if tile not in tiles and (busy or factor == 1):
                tiles.append(tile)
        return tiles

    def _budget(self, tile: Sequence[int], workers: int, decisions: Sequence[Decision]) -> Budget:
        stored = [one for one in decisions if one.keep]
        kept = sum(one.size for one in stored if one.in_memory)
        stacks, last = self.pipeline.order, self.pipeline.last
        materialized = [self.pipeline.stacks[one.step] for one in stored]
        per_worker = working_bytes(stacks, tile, materialized)
        writing = 3 * prod(tile) * last.dtype.itemsize if last.is_image else 0
        tables = tables_bytes(stacks, self.limit - self.process)
        child = CHILD if self.place.processes and self.place.is_local else 0
        spent = self.process + tables + kept + workers * (per_worker + writing + child)
        free, sharers = max(0, self.limit - spent), workers if child else 1
        cache = cache_bytes(stacks, tile, free, sharers)
        return Budget(self.process, per_worker, writing, workers, cache, tables, kept, child)

    def _spend(self, budget: Budget) -> None:
        """Tell the session what it may take."""
        self.session.workers = budget.workers
        assert self.session.cache is not None
        self.session.cache.capacity = budget.cache
        self.session.tables = budget.tables
        # One region at a time may be as large as what all workers have together.
        self.session.memory = max(budget.workers * budget.per_worker, self.limit // 4)

    @property
    def _outlasts(self) -> bool:
        """Whether kept results lie on disk: for a later run, or for other processes."""
        return self._outlasting or self.place.processes > 0

    def _pixel_size(
        self, shape: tuple[int, ...], axes: tuple[str, ...]
    ) -> tuple[tuple[float, ...], tuple[str | None, ...]]:
        """Return the output's pixel size: larger where the output has fewer pixels."""
        known = dict(
            zip(self.axes or (), zip(self.image.scale, self.image.units, strict=True), strict=False)
        )
        before = dict(zip(self.axes or (), self.image.data.shape, strict=False))
        scale, units = [], []
        for axis, length in zip(axes, shape, strict=True):
            size, unit = known.get(axis, (1.0, None))
            scale.append(float(size) * before.get(axis, length) / length)
            units.append(unit)
        return tuple(scale), tuple(units)
