"""What a chain of operations takes in memory, stated before it runs, and the tiles that fit.

Per worker, one tile is in work at a time. Pulling a tile through a chain computes one step after
another, each on the region that the next one needs, and a step's region is freed before the next
step begins: the peak is the largest step, not their sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from napari_tilewise.engine.source import ChunkedSource
from napari_tilewise.engine.stack import Stack
from napari_tilewise.engine.system.fetchers import FETCHERS
from napari_tilewise.engine.system.total_limits import UNEVEN
from napari_tilewise.engine.tile_order import band_width
from napari_tilewise.engine.tile_size import tile_over
from napari_tilewise.engine.views.plane_view import PlaneView
from napari_tilewise.engine.views.without_alpha import WithoutAlpha
from napari_tilewise.operations.spec.operation import PER_PIXEL, Kind, OnDisk

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from napari_tilewise.engine.source import Source
    from napari_tilewise.operations.spec.operation import Call

FLOAT64 = 8
TABLES = (0.5, 0.1)
"""Shares of the budget, less the process itself, for gathered numbers (histograms, pieces of
labels): the least that is planned for, and where tiles do not fit beside it; they may take what
nothing else does."""
LEAST_TABLES = 16 * 2**20
FEW_NUMBERS = frozenset(
    {Kind.POINTWISE, Kind.NEIGHBOURHOOD, Kind.STATISTIC, Kind.GEOMETRY, Kind.ITERATIVE}
)
"""Kinds of operations that gather a few numbers at most, unless their declaration says more."""
CACHE = 0.25
"""Largest share of what is free for decoded chunks."""
ROWS = 2
"""Rows of a band's tiles that are kept decoded: the one that is computed, and what it shares with
the one before."""
SEVERAL_PASSES = frozenset({Kind.STATISTIC, Kind.CONNECTED, Kind.ITERATIVE})
"""Kinds of operations that read an image more than once."""
RUNTIME = 90 * 2**20
"""What libraries that are imported by the first tile add to the process."""
CHILD = 260 * 2**20
"""What another process takes that has loaded all that a tile needs."""


@dataclass(frozen=True)
class Budget:
    """How a run spends its memory, in bytes."""

    process: int
    """Resident memory of the interpreter and its libraries."""
    per_worker: int
    """One tile on its way through the chain."""
    writing: int
    """One tile being encoded."""
    workers: int
    cache: int
    """Decoded chunks that neighbouring tiles share."""
    tables: int
    """Gathered numbers."""
    materialized: int = 0
    """Results that are kept in memory for later passes."""
    child: int = 0
    """What a worker takes beside, where each is a process of its own."""
    fallback: int = 0
    """The whole image at once, where an operation may need it; no tile is in work then."""
    in_order: int = 0
    """What that uses, where it may be on disk in part: then `fallback` is less."""

    @property
    def total(self) -> int:
        """The stated peak."""
        return (
            self.process
            + max(self.workers * (self.per_worker + self.writing + self.child), self.fallback)
            + self.cache
            + self.tables
            + self.materialized
        )


def working_bytes(
    stacks: Sequence[Stack], tile: Sequence[int], materialized: Container[Stack] = ()
) -> int:
    """Return the peak of one tile of any of the stacks, pulled through all before it.

    Parameters
    ----------
    stacks
        The steps; each may pull from others.
    tile
        Tile lengths along the last one's spatial axes, in pixels; the others' follow from them.
    materialized
        The steps whose results are read back where they are computed.
    """
    demand = _Demand(tile, materialized)
    passes = (demand.of_box(stack, demand.tile_of(stack)) for stack in stacks)
    return max(demand.of_box(stacks[-1], tile), *passes)


class _Demand:
    """What it takes to compute boxes with tiles of one size, in bytes."""

    def __init__(self, tile: Sequence[int], materialized: Container[Stack]) -> None:
        self._tile = tile
        self._materialized = materialized

    def tile_of(self, stack: Stack) -> tuple[int, ...]:
        """Return the tile lengths of a step's own passes."""
        return stack.tile_within(tile_over(self._tile, stack.call.ndim))

    def of_box(self, stack: Stack, lengths: Sequence[int]) -> int:
        """Return the peak of a box of a stack's result; lengths are along its spatial axes."""
        call = stack.call
        halo = call.halo
        ratio = _ratio(stack)
        output = prod(lengths) * _channels_of_result(stack)
        box = [
            min(n, int(length * r) + 1 + lo + hi) if r != 1 else min(n, length + lo + hi)
            for length, n, r, (lo, hi) in zip(lengths, call.spatial_shape, ratio, halo, strict=True)
        ]
        channels = 1 if call.channel_axis is None else call.shape[call.channel_axis]
        cost = call.operation.cost
        pixels = max(output, channels * max(cost.padded(call, box), cost.least(call)))
        takes_all = all(
            lo >= n and hi >= n for (lo, hi), n in zip(halo, call.spatial_shape, strict=True)
        )
        factor = cost.whole if takes_all and cost.whole is not None else cost.memory
        own = int(pixels * FLOAT64 * factor)
        sources = (stack.source, *stack.images.values())
        return max(own, *(self._pulled(source, box) for source in sources))

    def _pulled(self, source: Source, box: Sequence[int]) -> int:
        """Return the peak of a box pulled from a source that computes."""
        if isinstance(source, PlaneView):
            return self._pulled(source.stack, box)
        if isinstance(source, WithoutAlpha):
            return self._pulled(source.inner, box)
        if not isinstance(source, Stack):
            return 0
        if source in self._materialized:
            # The box is put together from the tiles, of which one is computed meanwhile.
            tile = source.spatial_of(source.chunks_of(self.tile_of(source)))
            return prod(box) * source.dtype.itemsize + self.of_box(source, tile)
        spatial = source.call.ndim
        return self.of_box(source, [*[1] * spatial, *box][-spatial:])


def _channels_of_result(stack: Stack) -> int:
    """Return how many values the result has per pixel."""
    shape, channel = stack.plane_shape or (), stack.part.channel
    return shape[channel] if channel is not None and channel < len(shape) else 1


def _ratio(stack: Stack) -> list[float]:
    """Return input pixels per output pixel along the spatial axes."""
    call = stack.call
    out = [n for i, n in enumerate(stack.plane_shape or ()) if i != stack.part.channel]
    if len(out) != call.ndim:
        return [1.0] * call.ndim
    return [before / after for before, after in zip(call.spatial_shape, out, strict=True)]


def tables_bytes(stacks: Sequence[Stack], free: int, share: float) -> int:
    """Return what is set aside for gathered numbers at least: a share, where they grow.

    Parameters
    ----------
    stacks
        The steps.
    free
        Bytes of the budget beside the process itself.
    share
        The share, where they grow with the image.
    """
    return max(LEAST_TABLES, min(int(free * share), most_tables(stacks)))


def most_tables(stacks: Sequence[Stack]) -> int:
    """Return the most that gathered numbers may take, however many objects an image has.

    Parameters
    ----------
    stacks
        The steps.
    """
    return max(LEAST_TABLES, sum(map(_most_numbers, stacks)))


def _most_numbers(stack: Stack) -> int:
    return int(numbers_per_pixel(stack.call) * UNEVEN * prod(stack.source.shape))


def numbers_per_pixel(call: Call) -> int:
    """Return the most bytes that passes gather per pixel; 0 for a few numbers in all.

    Parameters
    ----------
    call
        What is computed.
    """
    numbers = call.operation.cost.numbers
    if numbers is None:
        return 0 if call.operation.kind in FEW_NUMBERS else PER_PIXEL
    if isinstance(numbers, OnDisk):
        return numbers.nbytes
    return numbers(call) if callable(numbers) else numbers


def fallback_bytes(stack: Stack) -> int:
    """Return what the whole image takes at once, where a step may need that; else 0.

    Parameters
    ----------
    stack
        The step.
    """
    call, cost = stack.call, stack.call.operation.cost
    if in_order := in_order_bytes(stack):
        return in_order
    if cost.whole is None or call.operation.kind is Kind.WHOLE:
        return 0
    channels = 1 if call.channel_axis is None else call.shape[call.channel_axis]
    return int(channels * prod(call.spatial_shape) * FLOAT64 * cost.whole)


def in_order_bytes(stack: Stack) -> int:
    """Return what a step uses that goes through the image in an order of its own; else 0.

    Parameters
    ----------
    stack
        The step.
    """
    in_order = stack.call.operation.cost.in_order
    return 0 if in_order is None else in_order(stack.call)


def cache_bytes(stacks: Sequence[Stack], tile: Sequence[int], free: int, sharers: int = 1) -> int:
    """Return the size of the cache: what a band of tiles shares, within a share of what is free.

    Parameters
    ----------
    stacks
        The steps.
    tile
        Tile lengths along the last one's spatial axes.
    free
        Bytes that nothing else of the run takes.
    sharers
        How many caches of their own, each for all that it sees, this is.
    """
    first = stacks[0]
    item = first.source.dtype.itemsize
    chunks = first.source.chunks
    if chunks is None:
        return 0
    along = [chunks[i] for i in range(len(chunks)) if i not in first.loops]
    spatial = [along[i] for i in first.call.spatial_axes]
    # The tile is the last step's, which may run over fewer axes than the first, or over more.
    lengths = [*[1] * len(spatial), *tile][-len(spatial) :]
    most = min(int(free * CACHE), sharers * sum(map(_everything, stacks)))
    box = [length + 2 * chunk for length, chunk in zip(lengths, spatial, strict=True)]
    width = band_width(box, item, most)
    row = [
        min(n, width * length + 2 * chunk)
        for n, length, chunk in zip(first.call.spatial_shape, lengths, spatial, strict=True)
    ]
    row[0] = min(first.call.spatial_shape[0], box[0])
    # Of chunks that are fetched ahead the cache takes as many as half of it holds.
    ahead = 4 * FETCHERS * prod(chunks) * item if first.source.waits else 0
    rows = min(most, sharers * max(ahead, ROWS * prod(row) * item))
    pixels = sharers * _read_again(stacks)
    return pixels if rows < pixels <= most else rows


def _reads_again(call: Call) -> bool:
    operation = call.operation
    return operation.kind in SEVERAL_PASSES and operation.neighbourhood.reads_again(call)


def _read_again(stacks: Sequence[Stack]) -> int:
    """Return the bytes of the images that several passes read: decoded once, if all fits."""
    again = [stack for stack in stacks if _reads_again(stack.call)]
    sources = {id(s): s for stack in again for s in (stack.source, *stack.images.values())}
    return sum(
        prod(source.shape) * source.dtype.itemsize
        for source in sources.values()
        if isinstance(source, ChunkedSource)
    )


def _everything(stack: Stack) -> int:
    """Return the bytes of all that a cache may hold for a step: what it reads, and its tiles."""
    sources = (stack.source, *stack.images.values())
    pixels = sum(prod(source.shape) * source.dtype.itemsize for source in sources)
    return pixels + (prod(stack.shape) * stack.dtype.itemsize if stack.is_image else 0)
