"""Decides which results between the steps of a recipe are kept, and where.

A result that several passes pull is computed once per pass, with all that lies before it, unless it
is kept: written once, then read back. What costs less by declared work per pixel and bytes moved is
chosen; so is where, by the memory and the disk there is.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from napari_tilewise.engine.disk import free_bytes
from napari_tilewise.operations.spec.operation import Kind
from napari_tilewise.sizes import format_size

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Set

    from napari_tilewise.engine.stack import Stack
    from napari_tilewise.pipeline.bind import Pipeline

WORK: Mapping[Kind, float] = {
    Kind.POINTWISE: 4,
    Kind.NEIGHBOURHOOD: 50,
    Kind.STATISTIC: 10,
    Kind.CONNECTED: 30,
    Kind.GEOMETRY: 60,
    Kind.ITERATIVE: 400,
    Kind.WHOLE: 0,
}
"""Nanoseconds per pixel of the last pass, one thread: rough, for the fastest of each kind; what is
slower is the more worth keeping. A whole result is held by its step anyway."""

GATHERS: Mapping[Kind, int] = {
    Kind.POINTWISE: 0,
    Kind.NEIGHBOURHOOD: 0,
    Kind.STATISTIC: 2,
    Kind.CONNECTED: 1,
    Kind.GEOMETRY: 0,
    Kind.ITERATIVE: 2,
    Kind.WHOLE: 1,
}
"""Passes over a step's input before the last one: the usual number."""

WRITE, READ = 1.0, 0.4
"""Nanoseconds per byte of a temporary file, page cache and all."""

IN_MEMORY = 0.1
"""Share of the memory budget that kept results may take."""
FREE_DISK = 0.5
"""Share of the free space of the temporary folder that they may take."""


@dataclass(frozen=True)
class Decision:
    """What is decided about one step's result."""

    step: int
    keep: bool
    in_memory: bool
    size: int
    """Bytes of the whole result."""
    pulls: int
    """How many passes pull it."""

    def __str__(self) -> str:
        """Return the decision in words, for whoever reads the plan."""
        passes = f"{self.pulls} pass{'es' * (self.pulls != 1)}"
        if not self.keep:
            again = "computed in one with the next" if self.pulls <= 1 else "computed in each"
            return f"{passes}, {again}"
        where = "in memory" if self.in_memory else "in a temporary folder"
        return f"{passes}, kept {where} ({format_size(self.size)})"


def decide(
    chain: Pipeline,
    memory: int,
    *,
    outlasting: bool = False,
    beside: str | os.PathLike[str] | None = None,
) -> tuple[Decision, ...]:
    """Return what is decided about every step but the last.

    Parameters
    ----------
    chain
        The chain, nothing kept yet.
    memory
        The memory budget in bytes.
    outlasting
        Whether results have to outlast the process: then none is kept in memory.
    beside
        The destination, beside which these are kept; the temporary folder unless given.
    """
    costs = _Costs(chain)
    numbers = sorted(chain.stacks)
    fitting = [n for n in numbers[:-1] if chain.stacks[n].is_image]
    disk = Path(tempfile.gettempdir() if beside is None or not outlasting else beside)
    room = (0 if outlasting else memory * IN_MEMORY) + (free_bytes(disk) or 0) * FREE_DISK
    chosen: set[int] = set()
    best = costs.of(chosen)
    while True:
        spent = sum(costs.size[n] for n in chosen)
        open_ = [n for n in fitting if n not in chosen and spent + costs.size[n] <= room]
        tried = {n: costs.of(chosen | {n}) for n in open_}
        cheapest = min(tried, key=lambda n: tried[n], default=None)
        if cheapest is None or tried[cheapest] >= best:
            break
        chosen.add(cheapest)
        best = tried[cheapest]
    small = 0 if outlasting else int(memory * IN_MEMORY)
    return tuple(_decisions(costs, numbers[:-1], chosen, small))


def _decisions(costs: _Costs, numbers: list[int], chosen: set[int], left: int) -> list[Decision]:
    """Return the decisions; the smallest results are those that stay in memory."""
    pulls, _ = costs.pulls(chosen)
    small: set[int] = set()
    for number in sorted(chosen, key=lambda n: costs.size[n]):
        if costs.size[number] <= left:
            small.add(number)
            left -= costs.size[number]
    return [Decision(n, n in chosen, n in small, costs.size[n], pulls[n]) for n in numbers]


class _Costs:
    """What a chain costs, in nanoseconds of one thread, with some results kept."""

    def __init__(self, chain: Pipeline) -> None:
        self._numbers = sorted(chain.stacks)
        self._stacks = chain.stacks
        self._links = chain.recipe.links
        self.size = {n: _bytes(stack) for n, stack in chain.stacks.items()}

    def of(self, kept: Set[int]) -> float:
        """Return the cost of all passes together."""
        pulls, runs = self.pulls(kept)
        total = 0.0
        for number in self._numbers:
            stack = self._stacks[number]
            work = WORK[stack.call.operation.kind] * prod(stack.source.shape)
            total += runs[number] * work
            if number in kept:
                total += self.size[number] * (WRITE + READ * pulls[number])
        return total

    def pulls(self, kept: Set[int]) -> tuple[dict[int, int], dict[int, int]]:
        """Return how many passes pull each result, and how many times each is computed."""
        pulls = dict.fromkeys(self._numbers, 0)
        runs: dict[int, int] = {}
        last = self._numbers[-1]
        for number in reversed(self._numbers):
            stack = self._stacks[number]
            if number == last:
                runs[number] = int(stack.is_image)
            else:
                runs[number] = min(1, pulls[number]) if number in kept else pulls[number]
            passes = max(1, GATHERS[stack.call.operation.kind] + runs[number])
            for link in self._links[number].values():
                if link.step is not None:
                    pulls[link.step] += passes
        return pulls, runs


def _bytes(stack: Stack) -> int:
    return prod(stack.shape) * stack.dtype.itemsize if stack.is_image else 0


def passes(chain: Pipeline, kept: Set[int]) -> tuple[int, int]:
    """Return how many sweeps a chain makes over an image, and how many of them pull the source.

    Parameters
    ----------
    chain
        The chain.
    kept
        The steps whose results are kept: each is made in the sweep that first pulls it.
    """
    _, runs = _Costs(chain).pulls(kept)
    last = max(chain.stacks)
    sweeps = pulled = 0
    for number, stack in chain.stacks.items():
        gathers = GATHERS[stack.call.operation.kind]
        sweeps += gathers + (number == last and runs[number])
        if any(link.step is None for link in chain.recipe.links[number].values()):
            pulled += max(1, gathers + runs[number])
    return max(1, sweeps), pulled
