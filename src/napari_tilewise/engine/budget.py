"""What a chain of operations takes in memory, stated before it runs, and the tiles that fit.

Per worker, one tile is in work at a time. Pulling a tile through a chain computes one step after
another, each on the region that the next one needs, and a step's region is freed before the next
step begins: the peak is the largest step, not their sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import psutil

from napari_tilewise.engine.order import band_width
from napari_tilewise.operations.model import normal_halo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise.engine.stack import Stack

FLOAT64 = 8
TABLES = 0.1
"""Share of the budget set aside for gathered numbers (histograms, pieces of labels)."""
LEAST_TABLES = 16 * 2**20
CACHE = 0.25
"""Largest share of what is free for decoded chunks."""
RUNTIME = 90 * 2**20
"""What libraries that are imported by the first tile add to the process."""


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

    @property
    def total(self) -> int:
        """The stated peak."""
        return (
            self.process
            + self.workers * (self.per_worker + self.writing)
            + self.cache
            + self.tables
        )


def resident() -> int:
    """Return the resident memory of this process now, in bytes."""
    return int(psutil.Process().memory_info().rss)


def working_bytes(stacks: Sequence[Stack], tile: Sequence[int]) -> int:
    """Return the peak of one tile of the last stack pulled through all of them.

    Parameters
    ----------
    stacks
        The chain, the first operation first.
    tile
        Tile lengths along the spatial axes.
    """
    lengths = list(tile)
    peak = 0
    for stack in reversed(stacks):
        call = stack.call
        halo = normal_halo(call.operation.halo_of(call), call.ndim)
        ratio = _ratio(stack)
        output = prod(lengths)
        lengths = [
            min(n, int(length * r) + 1 + lo + hi) if r != 1 else min(n, length + lo + hi)
            for length, n, r, (lo, hi) in zip(lengths, call.spatial_shape, ratio, halo, strict=True)
        ]
        channels = 1 if call.channel_axis is None else call.shape[call.channel_axis]
        output *= _channels_of_result(stack)
        largest_of = call.operation.largest_of
        largest = largest_of(call) if largest_of else 0
        pixels = max(output, channels * max(prod(lengths), largest))
        peak = max(peak, int(pixels * FLOAT64 * call.operation.working))
    return peak


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


def cache_bytes(stacks: Sequence[Stack], tile: Sequence[int], free: int) -> int:
    """Return the size of the cache: what a band of tiles shares, within a share of what is free."""
    first = stacks[0]
    item = first.source.dtype.itemsize
    chunks = first.source.chunks
    if chunks is None:
        return 0
    along = [chunks[i] for i in range(len(chunks)) if i not in first.loops]
    spatial = [along[i] for i in first.call.spatial_axes]
    box = [length + 2 * chunk for length, chunk in zip(tile, spatial, strict=True)]
    most = int(free * CACHE)
    width = band_width(box, item, most)
    row = (width + 2) ** max(1, len(box) - 1)
    return min(most, int(3 * row * prod(box) * item))
