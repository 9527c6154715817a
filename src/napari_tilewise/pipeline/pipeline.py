"""A pipeline is a recipe bound to images: one stack per step, each pulling from those it names.

Steps with finite halos need no store between them: a tile of the last pulls through all. A result
that several passes pull may be materialized instead of computed again.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from napari_tilewise.engine.materialized import Materialized
from napari_tilewise.engine.source import array_source
from napari_tilewise.engine.tile_size import tile_over
from napari_tilewise.engine.views.transposed import TransposedView
from napari_tilewise.engine.views.without_alpha import WithoutAlpha
from napari_tilewise.errors import SourceWarning
from napari_tilewise.operations.spec.measuring.calibration import Calibration
from napari_tilewise.operations.spec.operation import Output
from napari_tilewise.pipeline.assembly import Assembly, StepResult
from napari_tilewise.recipe.step import record_name

if TYPE_CHECKING:
    from napari_tilewise.engine.source import ArraySource, Source
    from napari_tilewise.engine.stack import Stack
    from napari_tilewise.pipeline.pixel_sizes import MeasuredIn
    from napari_tilewise.recipe import Recipe


@dataclass(frozen=True, eq=False)
class Pipeline:
    """The stacks of a recipe's steps, those that are switched off left out."""

    recipe: Recipe
    stacks: Mapping[int, Stack]
    """By the step's number."""
    materialized: Mapping[int, Materialized] = field(default_factory=dict)
    """The results that later steps read back instead of computing them, by the step's number."""
    measured: Mapping[int, MeasuredIn] = field(default_factory=dict)
    """By which pixel size the steps measure that give tables in units, by the step's number."""

    @property
    def measured_in(self) -> MeasuredIn | None:
        """By which pixel size the result is measured; None for one that has no units."""
        return self.measured.get(max(self.stacks))

    @property
    def last(self) -> Stack:
        """The step whose result is asked for."""
        return self.stacks[max(self.stacks)]

    @property
    def calibrated_recipe(self) -> Recipe:
        """The recipe with the pixel sizes as parameters, which it measures by wherever it runs."""
        recipe = self.recipe
        for number, measured in self.measured.items():
            spec, step = measured.operation.step.calibration, recipe.steps[number]
            if not isinstance(spec, Calibration):
                continue
            if measured.params[spec.parameter] is not None:
                params = {**step.parameters, spec.parameter: measured.spacing}
                recipe = recipe.replaced(number, replace(step, parameters=params))
        return recipe

    @property
    def order(self) -> tuple[Stack, ...]:
        """The stacks in the order of the steps."""
        return tuple(self.stacks[number] for number in sorted(self.stacks))

    def with_layout(
        self,
        tile: tuple[int, ...] | None = None,
        materialize: Mapping[int, bool] | None = None,
        computed: Mapping[int, StepResult] | None = None,
    ) -> Pipeline:
        """Return the pipeline with other tiles and materialized results; nothing is bound again.

        Parameters
        ----------
        tile
            Tile lengths along the spatial axes of the last step, in pixels; unchanged unless given.
        materialize
            Numbers of the steps whose results are materialized, and whether in memory.
        computed
            Results of steps that an earlier run computed, by the step's number.
        """
        assembly = Assembly(self.recipe)
        for number, stack in self.stacks.items():
            stack, materialized = (computed or {}).get(number) or StepResult(
                self._placed(number, stack, tile, assembly)
            )
            in_memory = (materialize or {}).get(number)
            if materialized is None and in_memory is not None:
                materialized = Materialized(stack, in_memory=in_memory, step=number)
            assembly.add(number, stack, materialized)
        return Pipeline(self.recipe, assembly.stacks, assembly.materialized, self.measured)

    def on(self, source: ArraySource) -> Pipeline:
        """Return the pipeline on another image; nothing is bound again.

        Parameters
        ----------
        source
            The image, of the same shape and data type; the recipe has no further ones.
        """
        assembly = Assembly(self.recipe, source)
        for number, stack in self.stacks.items():
            placed, materialized = self._placed(number, stack, None, assembly), None
            if number in self.materialized:
                in_memory = self.materialized[number].in_memory
                materialized = Materialized(placed, in_memory=in_memory, step=number)
            assembly.add(number, placed, materialized)
        return Pipeline(self.recipe, assembly.stacks, assembly.materialized, self.measured)

    def _placed(
        self, number: int, stack: Stack, tile: tuple[int, ...] | None, assembly: Assembly
    ) -> Stack:
        """Return a stack on the images of an assembly, where it was on those of another."""
        links, first = self.recipe.links[number], self.recipe.steps[number].first
        results: dict[str, Source] = {}
        for role, link in links.items():
            if link.step is not None:
                results[role] = assembly.result(link.step, link.part)
            elif assembly.source is not None:
                results[role] = _moved_like(assembly.source, stack.images.get(role))
        source = results.pop(first, stack.source)
        tile = None if tile is None else tile_over(tile, stack.call.ndim)
        return stack.on(source, {**stack.images, **results}, tile)

    def recorded(self) -> dict[str, Any]:
        """Return the numbers that the steps found on their way, such as thresholds.

        They are called by the step's name, or its operation's with the step's number. To be asked
        after the run: what was not gathered yet is gathered now.
        """
        return self.by_name({number: stack.recorded() for number, stack in self.stacks.items()})

    def by_name(self, numbers: Mapping[int, Any]) -> dict[str, Any]:
        """Return the numbers that steps found, under the names that a record has for them.

        Parameters
        ----------
        numbers
            A number, several by name or None, by the step's number.
        """
        values: dict[str, Any] = {}
        for number, value in numbers.items():
            step = self.recipe.steps[number]
            name = record_name(step.name, step.operation, number)
            if isinstance(value, Mapping):
                values |= {f"{name} {key}".strip(): item for key, item in value.items()}
            elif value is not None:
                values[name] = value
        return values

    def holds_labels(self, source: bool) -> bool:
        """Return whether the result is labels or a mask, whose pyramid is never averaged.

        An operation that keeps the pixels' type (an erosion, small objects removed) keeps labels.

        Parameters
        ----------
        source
            Whether the source holds labels.
        """
        holds: dict[int, bool] = {}
        for number, stack in self.stacks.items():
            link = self.recipe.links[number][self.recipe.steps[number].first]
            before = source if link.step is None else holds[link.step]
            same_type = before and stack.dtype == stack.source.dtype
            holds[number] = same_type or stack.part.output is not Output.IMAGE
        return holds[max(holds)]

    @property
    def keeps_label_ids(self) -> bool:
        """Whether a label of the source has the same number in the result."""
        return all(
            stack.dtype == stack.source.dtype and stack.part.output is Output.IMAGE
            for stack in self.stacks.values()
        )

    @property
    def keeps_samples(self) -> bool:
        """Whether each channel of the result is what the same one of the source is."""
        return all(stack.keeps_samples for stack in self.stacks.values())

    def warn_of_alpha(self) -> None:
        """Warn of a step that leaves out the alpha of a picture."""
        for stack in self.stacks.values():
            source = stack.source
            if stack.is_image and isinstance(source, WithoutAlpha) and not stack.has_alpha:
                is_typed = stack.dtype == source.dtype
                change = "another shape" if is_typed else f"{stack.dtype} for {source.dtype}"
                warnings.warn(
                    f"{stack.call.operation.name} leaves the image's alpha out, as its result has "
                    f"{change}.",
                    SourceWarning,
                    stacklevel=2,
                )

    @property
    def keeps_intensities(self) -> bool:
        """Whether the values of the result are on the scale of the source's."""
        families = [self.recipe.steps[number].op.family for number in self.stacks]
        return self.keeps_label_ids and all(
            family is not None and family.keeps_intensities for family in families
        )


def _moved_like(source: ArraySource, image: Source | None) -> Source:
    """Return a source with its axes in the order of the image that was bound in its place."""
    view = getattr(image, "array", None)
    if not isinstance(view, TransposedView):
        return source
    return array_source(TransposedView(source.array, view.order))
