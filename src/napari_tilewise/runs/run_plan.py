"""The plan of a run: its pipeline, tiles and memory, all known before the run starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.engine.budget import numbers_per_pixel
from napari_tilewise.executors.assignment import Assignment, portable_source
from napari_tilewise.operations.notebook import html_table
from napari_tilewise.operations.spec.operation import OnDisk
from napari_tilewise.operations.spec.substitution import instruction_set
from napari_tilewise.runs.traffic import traffic
from napari_tilewise.sizes import format_size, plural

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_tilewise.engine.budget import Budget
    from napari_tilewise.engine.session import Session
    from napari_tilewise.engine.stack import Stack
    from napari_tilewise.executors.executor import Executor
    from napari_tilewise.grid import Grid
    from napari_tilewise.io.image import Image
    from napari_tilewise.io.plain_data import MetadataDict
    from napari_tilewise.io.writers.image_writer import ImageWriter
    from napari_tilewise.pipeline.bind import Pipeline
    from napari_tilewise.pipeline.materialize import Decision
    from napari_tilewise.recipe import Recipe, Step
    from napari_tilewise.runs.output_geometry import OutputGeometry
    from napari_tilewise.runs.request import RunRequest


@dataclass(frozen=True)
class Layout:
    """What two plans must share for a run of one to resume a run of the other."""

    tile: tuple[int, ...]
    """Tile lengths in pixels along the spatial axes."""
    materialized: tuple[int, ...]
    """Numbers of the steps whose results are materialized."""


@dataclass(frozen=True, eq=False)
class RunPlan:
    """How a run proceeds."""

    request: RunRequest
    """What was planned, with the spatial axes resolved."""
    image: Image
    """The source, open."""
    source_axes: tuple[str, ...] | None
    """Names of the source's axes, if they are known."""
    pipeline: Pipeline
    """The steps, each reading from those that it names."""
    decisions: tuple[Decision, ...]
    """Which results between the steps are materialized."""
    tile: tuple[int, ...]
    """Tile lengths in pixels along the spatial axes."""
    output: OutputGeometry
    budget: Budget
    limit: int
    """The memory budget in bytes."""
    session: Session
    executor: Executor

    def __repr__(self) -> str:
        names = " -> ".join(step.operation for step in self.recipe.steps)
        memory = format_size(self.budget.total)
        return f"<RunPlan {names}: {plural(self.tiles, 'tile')}, at most {memory} of memory>"

    def _repr_html_(self) -> str:
        """Return the plan as a table for a notebook."""
        rows = [line.partition("  ") for line in self.describe().splitlines()]
        return html_table("Plan of a run", [(name, text.strip()) for name, _, text in rows])

    @property
    def recipe(self) -> Recipe:
        """The recipe that runs."""
        return self.request.recipe

    @property
    def layout(self) -> Layout:
        """What a run must share to resume a run of this plan."""
        stored = tuple(decision.step for decision in self.decisions if decision.keep)
        return Layout(self.tile, stored)

    @property
    def stacks(self) -> tuple[Stack, ...]:
        """The steps in order."""
        return self.pipeline.order

    @property
    def last(self) -> Stack:
        """The step whose result is written."""
        return self.pipeline.last

    @property
    def _spills(self) -> bool:
        """Whether what grows with objects goes to disk, in each step where it may be much."""
        growing = [s.call.operation.cost for s in self.stacks if numbers_per_pixel(s.call)]
        return bool(growing) and all(isinstance(cost.numbers, OnDisk) for cost in growing)

    @property
    def grid(self) -> Grid:
        """The tiles of the output."""
        return self.last.grid(self.tile)

    @property
    def tiles(self) -> int:
        """Number of tiles of the output, or of the last pass if the output is not an image."""
        return len(self.grid if self.last.is_image else self.last.node_grid)

    @property
    def images(self) -> int:
        """Number of images of the last step, of which a run writes the first; 0: no image."""
        return (self.last.count or 1) if self.last.is_image else 0

    def assignment(self, folder: Path, writer: ImageWriter | None) -> Assignment:
        """Return what worker processes need to compute tiles of the run.

        Parameters
        ----------
        folder
            Folder of the checkpoint.
        writer
            Writer of the output; None if it is not an image.
        """
        request, session, budget = self.request, self.session, self.budget
        inputs = {name: portable_source(image) for name, image in request.inputs.items()}
        sharers = budget.workers if self.executor.is_local else 1
        user_operations = tuple(step.op for step in self.recipe.steps if step.op.adapter.digest)
        return Assignment(
            user_operations, self.recipe, portable_source(request.source), inputs, self.source_axes,
            request.axes.spatial, self.tile, tuple(self.pipeline.materialized), str(folder),
            budget.cache // sharers, (session.memory or 0) // sharers, budget.tables // sharers,
            1 if self.executor.is_local else budget.workers,
            writer, self.grid if self.last.is_image else None, session.in_tiles,
        )  # fmt: skip

    def to_dict(self, *, pyramid: bool = True) -> MetadataDict:
        """Return the plan as plain data.

        Parameters
        ----------
        pyramid
            Whether smaller levels are written.
        """
        last, data, amounts = self.last, self.image.data, traffic(self, pyramid=pyramid)
        decisions = {decision.step: str(decision) for decision in self.decisions}
        return {
            "image": {
                "shape": list(data.shape),
                "dtype": str(np.dtype(data.dtype)),
                "axes": "".join(self.source_axes or ()),
            },
            "result": {
                "kind": str(last.part.output),
                "shape": list(last.shape) if last.is_image else None,
                "dtype": str(last.dtype) if last.is_image else None,
            },
            "tile": list(self.tile),
            "tiles": self.tiles,
            "passes": amounts.passes,
            "executor": str(self.executor),
            "workers": self.budget.workers,
            "memory": {"needed": self.budget.total, "budget": self.limit},
            "bytes": {"read": amounts.read, "written": amounts.written},
            "steps": [
                {
                    "operation": self.recipe.steps[number].operation,
                    "result": decisions.get(number, "the result"),
                    "computed_by": _computed_by(self.recipe.steps[number]),
                    **self._measured(number),
                }
                for number in sorted(self.pipeline.stacks)
            ],
        }

    def _measured(self, number: int) -> MetadataDict:
        """Return the pixel size by which a step measures; nothing for a step without units."""
        measured = self.pipeline.measured.get(number)
        if measured is None or not measured.is_calibrated:
            return {}
        return {"spacing": list(measured.spacing), "unit": measured.unit}

    def describe(self) -> str:
        """Return the plan as text: image, tiles, memory, and what happens to each step's result.

        Returns
        -------
        str
            Lines of text.
        """
        last, data = self.last, self.image.data
        result = _lengths(last.shape) if last.is_image else str(last.part.output)
        first = f"the first of {self.images}: " if self.images > 1 else ""
        lines = [
            f"image   {_lengths(data.shape)} {np.dtype(data.dtype)}, "
            f"axes {''.join(self.source_axes) if self.source_axes else 'unknown'}",
            f"result  {first}{result}" + (f" {last.dtype}" if last.is_image else ""),
            f"tiles   {_lengths(self.tile)} pixels, {len(last.node_grid)} per plane",
            f"where   {self.executor}",
            f"memory  at most {format_size(self.budget.total)} of {format_size(self.limit)}: "
            + ", ".join(_memory_shares(self.budget, spills=self._spills)),
            str(traffic(self)),
        ]
        decisions = {decision.step: str(decision) for decision in self.decisions}
        for number in sorted(self.pipeline.stacks):
            step = self.recipe.steps[number]
            decision = decisions.get(number, "the result")
            line = f"step {number + 1}  {step.operation}: {decision}, {_computed_by(step)}"
            measured = self.pipeline.measured.get(number)
            is_calibrated = measured is not None and measured.is_calibrated
            lines.append(f"{line}; measured {measured}" if is_calibrated else line)
        return "\n".join(lines)


def _computed_by(step: Step) -> str:
    """Return what computes a step's pixels, as text."""
    level = instruction_set() if step.op.adapter.kernels else None
    return "by the function itself" if level is None else f"by a compiled kernel ({level})"


def _lengths(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _at_once(budget: Budget) -> str:
    """Return what the largest share is for that an operation may need for the whole image."""
    if not budget.in_order:
        return "the whole image at once, if that is needed"
    on_disk = budget.in_order - budget.fallback
    rest = f", and {format_size(on_disk)} on disk" if on_disk > 0 else ""
    return f"the whole image in an order of its own, if that is needed{rest}"


def _memory_shares(budget: Budget, *, spills: bool) -> Iterator[str]:
    """Yield what uses the memory, as text."""
    yield f"{format_size(budget.process)} process"
    per_worker = format_size(budget.per_worker + budget.writing)
    yield f"{plural(budget.workers, 'worker')} with {per_worker} each"
    shares = {
        "decoded chunks": budget.cache,
        "tables" + (" (what is more is on disk)" if spills else ""): budget.tables,
        _at_once(budget): budget.fallback,
        "materialized results": budget.materialized,
    }
    yield from (f"{format_size(size)} {name}" for name, size in shares.items() if size)
