"""The results of a pipeline's steps while it is put together, and how later steps find them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from napari_tilewise.engine.views.plane_view import PlaneView

if TYPE_CHECKING:
    from napari_tilewise.engine.materialized import Materialized
    from napari_tilewise.engine.source import ArraySource, Source
    from napari_tilewise.engine.stack import Stack
    from napari_tilewise.recipe import Recipe


class StepResult(NamedTuple):
    """What a step makes."""

    stack: Stack
    materialized: Materialized | None = None
    """Where its pixels are stored."""


class Assembly:
    """The results of a pipeline's steps, and how later steps find them."""

    def __init__(self, recipe: Recipe, source: ArraySource | None = None) -> None:
        self.recipe = recipe
        self.source = source
        """The image, where it is not that which the stacks are bound to."""
        self.stacks: dict[int, Stack] = {}
        self.materialized: dict[int, Materialized] = {}

    def add(self, number: int, stack: Stack, materialized: Materialized | None = None) -> None:
        """Add the result of a step."""
        self.stacks[number] = stack
        if materialized is not None:
            self.materialized[number] = materialized

    def result(self, number: int, part: int) -> Source:
        """Return one of the results of a step."""
        stack = self.stacks[number]
        whole = self.materialized.get(number, stack)
        if stack.call.operation.result.split is not None and stack.channel is not None:
            return PlaneView(whole, (stack.channel,), (part,))
        return stack.results()[part] if part else whole
