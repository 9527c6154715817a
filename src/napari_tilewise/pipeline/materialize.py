"""Decides which results between the steps of a recipe are materialized, and where.

A result that several passes pull is computed once per pass, with all steps before it, unless it is
materialized: written once, then read back. The cheaper is chosen, by declared work per pixel and
bytes moved; free memory and disk space decide where.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from napari_tilewise.engine.system.disk import free_bytes
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
"""Nanoseconds per pixel of the last pass, one thread: rough, for the fastest of each kind; the
results of slower ones gain more. A step of kind `whole` stores its result itself."""

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
"""Share of the memory budget that materialized results may take."""
FREE_DISK = 0.5
"""Share of the free space of the temporary folder that they may take."""


@dataclass(frozen=True)
class Decision:
    """Whether and where one step's result is materialized."""

    step: int
    keep: bool
    in_memory: bool
    size: int
    """Bytes of the whole result."""
    pulls: int
    """Number of passes that pull it."""

    def __str__(self) -> str:
        """Return the decision in words."""
        passes = f"{self.pulls} pass{'es' * (self.pulls != 1)}"
        if not self.keep:
            times = "computed in one with the next" if self.pulls <= 1 else "computed in each"
            return f"{passes}, {times}"
        store = "in memory" if self.in_memory else "in a temporary folder"
        return f"{passes}, kept {store} ({format_size(self.size)})"


def decide(
    pipeline: Pipeline,
    memory: int,
    *,
    outlasting: bool = False,
    destination: str | os.PathLike[str] | None = None,
) -> tuple[Decision, ...]:
    """Return the decisions about every step but the last.

    Parameters
    ----------
    pipeline
        The pipeline, nothing materialized yet.
    memory
        The memory budget in bytes.
    outlasting
        Whether results have to outlast the process: then none stays in memory.
    destination
        The run's output, next to which such results are stored.
    """
    costs = _Costs(pipeline)
    numbers = sorted(pipeline.stacks)
    fitting = [n for n in numbers[:-1] if pipeline.stacks[n].is_image]
    disk = Path(tempfile.gettempdir() if destination is None or not outlasting else destination)
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


def _decisions(costs: _Costs, numbers: list[int], chosen: set[int], free: int) -> list[Decision]:
    """Return the decisions; the smallest results are those that stay in memory."""
    pulls, _ = costs.pulls(chosen)
    small: set[int] = set()
    for number in sorted(chosen, key=lambda n: costs.size[n]):
        if costs.size[number] <= free:
            small.add(number)
            free -= costs.size[number]
    return [Decision(n, n in chosen, n in small, costs.size[n], pulls[n]) for n in numbers]


class _Costs:
    """What a pipeline costs, in nanoseconds of one thread, with some results materialized."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._numbers = sorted(pipeline.stacks)
        self._stacks = pipeline.stacks
        self._links = pipeline.recipe.links
        self.size = {n: _bytes(stack) for n, stack in pipeline.stacks.items()}

    def of(self, stored: Set[int]) -> float:
        """Return the cost of all passes together."""
        pulls, runs = self.pulls(stored)
        total = 0.0
        for number in self._numbers:
            stack = self._stacks[number]
            work = WORK[stack.call.operation.kind] * prod(stack.source.shape)
            total += runs[number] * work
            if number in stored:
                total += self.size[number] * (WRITE + READ * pulls[number])
        return total

    def pulls(self, stored: Set[int]) -> tuple[dict[int, int], dict[int, int]]:
        """Return how many passes pull each result, and how many times each is computed."""
        pulls = dict.fromkeys(self._numbers, 0)
        runs: dict[int, int] = {}
        last = self._numbers[-1]
        for number in reversed(self._numbers):
            stack = self._stacks[number]
            if number == last:
                runs[number] = int(stack.is_image)
            else:
                runs[number] = min(1, pulls[number]) if number in stored else pulls[number]
            passes = max(1, GATHERS[stack.call.operation.kind] + runs[number])
            for link in self._links[number].values():
                if link.step is not None:
                    pulls[link.step] += passes
        return pulls, runs


def _bytes(stack: Stack) -> int:
    return prod(stack.shape) * stack.dtype.itemsize if stack.is_image else 0


def passes(pipeline: Pipeline, stored: Set[int]) -> tuple[int, int]:
    """Return how many passes a pipeline makes over an image, and how many of them pull the source.

    Parameters
    ----------
    pipeline
        The pipeline.
    stored
        Numbers of the steps whose results are materialized, each in the pass that first pulls it.
    """
    _, runs = _Costs(pipeline).pulls(stored)
    last = max(pipeline.stacks)
    sweeps = pulled = 0
    for number, stack in pipeline.stacks.items():
        gathers = GATHERS[stack.call.operation.kind]
        sweeps += gathers + (number == last and runs[number])
        if any(link.step is None for link in pipeline.recipe.links[number].values()):
            pulled += max(1, gathers + runs[number])
    return max(1, sweeps), pulled
