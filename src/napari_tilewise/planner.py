"""A plan says how a run goes before it starts: the chain, the tiles, the memory that they take.

The largest tiles and the most workers that fit the budget are chosen; when not even the smallest
do, the run is refused with the number it would need.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import psutil

from napari_tilewise import axes as _axes
from napari_tilewise.engine.apply import build
from napari_tilewise.engine.budget import (
    LEAST_TABLES,
    RUNTIME,
    TABLES,
    Budget,
    cache_bytes,
    resident,
    working_bytes,
)
from napari_tilewise.engine.cache import ChunkCache
from napari_tilewise.engine.pool import cpu_count
from napari_tilewise.engine.session import Session
from napari_tilewise.errors import InvalidAxes, InvalidParameter, MemoryBudgetExceeded
from napari_tilewise.io.layout import default_chunks
from napari_tilewise.io.source import open_image
from napari_tilewise.operations import get_operation
from napari_tilewise.operations.grid import Grid
from napari_tilewise.recipe import Recipe
from napari_tilewise.sizes import format_size, parse_size

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from napari_tilewise.engine.events import Listener
    from napari_tilewise.engine.stack import Stack
    from napari_tilewise.io.image import Image

EXECUTORS = ("threads", "serial")
LONGEST_TILE = {1: 2**22, 2: 2048, 3: 256}
"""No tile is longer than this without need: more would only cost memory."""
SHORTEST_TILE = 64


@dataclass(frozen=True, eq=False)
class Plan:
    """How a run goes, known before it starts."""

    recipe: Recipe
    image: Image
    """The source, open."""
    stacks: tuple[Stack, ...]
    """One per step, each pulling from the one before."""
    tile: tuple[int, ...]
    """Tile lengths along the spatial axes."""
    chunks: tuple[int, ...]
    """The output's chunk lengths, one per axis of the output; empty where it is no image."""
    axes: tuple[str, ...]
    """The output's axes."""
    scale: tuple[float, ...]
    units: tuple[str | None, ...]
    budget: Budget
    session: Session

    @property
    def last(self) -> Stack:
        """The step whose result is written."""
        return self.stacks[-1]

    @property
    def grid(self) -> Grid:
        """The tiles of the output."""
        return self.last.grid(self.tile)


def plan(
    recipe: Any,
    source: Any,
    *,
    memory: str | float | None = None,
    workers: int | None = None,
    executor: str = "threads",
    progress: Listener | None = None,
    cancel: threading.Event | None = None,
    axes: str | Sequence[str] | None = None,
    spatial: str | Sequence[int] | None = None,
) -> Plan:
    """Return how a run would go: its chain, tiles and memory. No pixel is read.

    See `run` for the parameters and what is raised.
    """
    recipe = Recipe.of(recipe)
    image = open_image(source)
    if executor not in EXECUTORS:
        raise InvalidParameter(
            f"executor={executor!r}: expected one of {', '.join(map(repr, EXECUTORS))}."
        )
    if workers is not None and workers < 1:
        raise InvalidParameter(f"workers={workers}: expected at least 1.")
    most = 1 if executor == "serial" else workers or cpu_count()
    limit = parse_size(memory) if memory is not None else _half_of_available()
    planner = _Planner(recipe, image, axes, spatial, Session(most, cancel, progress), limit)
    return planner.plan()


def _half_of_available() -> int:
    return resident() + int(psutil.virtual_memory().available // 2)


class _Planner:
    """Finds the largest tiles, and the most workers, that fit the budget."""

    def __init__(
        self,
        recipe: Recipe,
        image: Image,
        axes: Any,
        spatial: Any,
        session: Session,
        limit: int,
    ) -> None:
        self.recipe = recipe
        self.image = image
        self.session = session
        self.limit = limit
        ndim = len(image.data.shape)
        self.axes = _axes.parse(axes, ndim) or image.axes or None
        if self.axes is None and spatial is None and ndim > 3:
            raise InvalidAxes(
                f"The source of shape {tuple(image.data.shape)} does not name its axes: name "
                "them with axes=, such as axes='tzyx', so that time and channels stay apart."
            )
        if spatial is None and self.axes is not None:
            spatial = "".join(a for a in self.axes if _axes.kind(a) == "space") or None
        self.spatial = spatial
        self.process = resident() + RUNTIME

    def plan(self) -> Plan:
        """Return the plan, or raise `MemoryBudgetExceeded`."""
        chain = self._chain("auto")
        last = chain[-1]
        axes = self._output_axes(last) if last.is_image else ()
        chunks = default_chunks(last.shape, axes) if last.is_image else ()
        chunks = tuple(min(c, n) for c, n in zip(chunks, last.shape, strict=True))
        smallest: Budget | None = None
        assert self.session.workers is not None
        for tile in self._tiles(chain, chunks):
            for workers in range(self.session.workers, 0, -1):
                budget = self._budget(chain, tile, workers)
                if budget.total <= self.limit:
                    return self._made(tile, chunks, axes, budget)
                smallest = budget if smallest is None or budget.total < smallest.total else smallest
                if prod(tile) > prod(self._shortest(chain, chunks)):
                    break  # smaller tiles before fewer workers
        assert smallest is not None
        raise MemoryBudgetExceeded(
            f"The run needs {format_size(smallest.total)} of memory (of which "
            f"{format_size(smallest.process)} for the process itself) even with the smallest tiles "
            f"and one worker; the budget is {format_size(self.limit)}. Raise memory=."
        )

    def _chain(self, tiles: Any) -> list[Stack]:
        data: Any = self.image.data
        names = self.axes
        chain: list[Stack] = []
        for name, params in self.recipe.steps:
            operation = get_operation(name)
            if operation.channel and operation.channel not in params and names and "c" in names:
                # A colour operation's default is "the last axis"; here the axis has a name.
                if operation.parameters[operation.channel].default is not None:
                    params = {**params, operation.channel: names.index("c")}
            stack = build(
                operation.as_step(), data, dict(params), self.session,
                axes=names, spatial=self.spatial, tiles=tiles,
            )  # fmt: skip
            chain.append(stack)
            names = stack.names
            data = stack
        return chain

    def _output_axes(self, last: Stack) -> tuple[str, ...]:
        return _axes.default_axes(len(last.shape)) if last.names is None else last.names

    def _spatial_chunks(self, chain: Sequence[Stack], chunks: Sequence[int]) -> list[int]:
        last = chain[-1]
        if not last.is_image:
            return [SHORTEST_TILE] * last.call.ndim
        return last.spatial_of(chunks)

    def _shortest(self, chain: Sequence[Stack], chunks: Sequence[int]) -> list[int]:
        return self._spatial_chunks(chain, chunks)

    def _tiles(self, chain: Sequence[Stack], chunks: Sequence[int]) -> list[tuple[int, ...]]:
        """Return the tiles to try, the largest first: whole chunks of the output."""
        unit = self._spatial_chunks(chain, chunks)
        longest = LONGEST_TILE.get(len(unit), 64)
        halo = max((h for s in chain for pair in s.halo for h in pair), default=0)
        longest = max(longest, 4 * halo)
        assert self.session.workers is not None
        tiles = []
        for factor in (16, 8, 6, 4, 3, 2, 1):
            tile = tuple(max(u, min(u * factor, longest // u * u)) for u in unit)
            busy = len(Grid(chain[-1].call.spatial_shape, tile)) >= 2 * self.session.workers
            if tile not in tiles and (busy or factor == 1):
                tiles.append(tile)
        return tiles

    def _budget(self, chain: Sequence[Stack], tile: Sequence[int], workers: int) -> Budget:
        per_worker = working_bytes(chain, tile)
        last = chain[-1]
        writing = 3 * prod(tile) * last.dtype.itemsize if last.is_image else 0
        tables = max(LEAST_TABLES, int(self.limit * TABLES))
        spent = self.process + tables + workers * (per_worker + writing)
        cache = cache_bytes(chain, tile, max(0, self.limit - spent))
        return Budget(self.process, per_worker, writing, workers, cache, tables)

    def _made(
        self,
        tile: tuple[int, ...],
        chunks: tuple[int, ...],
        axes: tuple[str, ...],
        budget: Budget,
    ) -> Plan:
        self.session.workers = budget.workers
        self.session.cache = ChunkCache(budget.cache)
        self.session.tables = budget.tables
        # One region at a time may be as large as what all workers have together.
        self.session.memory = max(budget.workers * budget.per_worker, self.limit // 4)
        stacks = tuple(self._chain(tile))
        scale, units = self._pixel_size(stacks, axes)
        return Plan(
            self.recipe, self.image, stacks, tile, chunks, axes, scale, units, budget, self.session
        )

    def _pixel_size(
        self, stacks: Sequence[Stack], axes: tuple[str, ...]
    ) -> tuple[tuple[float, ...], tuple[str | None, ...]]:
        """Return the output's pixel size: larger where the output has fewer pixels."""
        known = dict(
            zip(self.axes or (), zip(self.image.scale, self.image.units, strict=True), strict=False)
        )
        before = dict(zip(self.axes or (), self.image.data.shape, strict=False))
        scale, units = [], []
        for axis, length in zip(axes, stacks[-1].shape, strict=True):
            size, unit = known.get(axis, (1.0, None))
            scale.append(float(size) * before.get(axis, length) / length)
            units.append(unit)
        return tuple(scale), tuple(units)
