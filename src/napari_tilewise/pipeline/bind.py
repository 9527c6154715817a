"""A pipeline is a recipe bound to images: one stack per step, each pulling from those it names.

Steps with finite halos need no store between them: a tile of the last pulls through all. A result
that several passes pull may be materialized instead of computed again.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_tilewise import axes as _axes
from napari_tilewise.engine.build import StackLayout, build
from napari_tilewise.engine.materialized import Materialized
from napari_tilewise.engine.result_axes import ResultAxis, result_axes
from napari_tilewise.engine.source import ArraySource, array_source
from napari_tilewise.engine.tile_size import tile_over
from napari_tilewise.engine.views.plane_view import PlaneView
from napari_tilewise.engine.views.transposed import TransposedView
from napari_tilewise.engine.views.without_alpha import WithoutAlpha
from napari_tilewise.errors import (
    InvalidAxes,
    InvalidParameter,
    SourceWarning,
    did_you_mean,
    option,
)
from napari_tilewise.operations.spec.calibration import Calibration
from napari_tilewise.operations.spec.operation import Output
from napari_tilewise.operations.spec.parameters import AlignedImage, OtherImage
from napari_tilewise.operations.spec.pixel_positions import UNMOVED
from napari_tilewise.pipeline.pixel_sizes import measured_in
from napari_tilewise.recipe.step import SOURCE, record_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise.axes import PixelSizes
    from napari_tilewise.engine.session import Session
    from napari_tilewise.engine.source import Source
    from napari_tilewise.engine.stack import Stack
    from napari_tilewise.operations.spec.binding import BoundParameters
    from napari_tilewise.operations.spec.operation import Operation
    from napari_tilewise.operations.spec.parameters import Spec
    from napari_tilewise.pipeline.pixel_sizes import MeasuredIn
    from napari_tilewise.recipe import Link, Recipe, Step
    from napari_tilewise.types import Parameters, TileLengths

Names = tuple[str, ...] | None


@dataclass(frozen=True, eq=False)
class RecipeImages:
    """What a recipe is run on."""

    by_name: Parameters
    """The images by name: the source and the recipe's inputs."""
    names: Names = None
    """The names of the source's axes."""
    spatial: Any = None
    """The axes to run over, where a step does not say."""
    channels: tuple[str, ...] = ()
    """The names of the source's channels, if it names them."""
    sizes: PixelSizes | None = None
    """The size of the source's pixels, if it is known: tables are measured by it."""

    @property
    def source(self) -> Any:
        """The source."""
        return self.by_name[SOURCE]

    def measured_by(self, sizes: PixelSizes | None) -> RecipeImages:
        """Return the images with the size of the source's pixels.

        Parameters
        ----------
        sizes
            Tables are measured by it; None: in pixels.
        """
        return replace(self, sizes=sizes)


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
        assembly = _Assembly(self.recipe)
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
        assembly = _Assembly(self.recipe, source)
        for number, stack in self.stacks.items():
            placed, materialized = self._placed(number, stack, None, assembly), None
            if number in self.materialized:
                in_memory = self.materialized[number].in_memory
                materialized = Materialized(placed, in_memory=in_memory, step=number)
            assembly.add(number, placed, materialized)
        return Pipeline(self.recipe, assembly.stacks, assembly.materialized, self.measured)

    def _placed(
        self, number: int, stack: Stack, tile: tuple[int, ...] | None, assembly: _Assembly
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


def recipe_images(
    recipe: Recipe,
    source: Any,
    inputs: Parameters | None,
    *,
    names: Names = None,
    spatial: Any = None,
    channels: tuple[str, ...] = (),
) -> RecipeImages:
    """Return what a recipe is run on, after a look whether all its inputs are there.

    Parameters
    ----------
    recipe
        The recipe.
    source
        The image.
    inputs
        The recipe's inputs by name.
    names
        Names of the source's axes.
    spatial
        The axes to run over; all unless given.
    channels
        Names of the source's channels, along its axis ``c``.

    Raises
    ------
    InvalidParameter
        When an input is missing or unknown.
    """
    inputs = dict(inputs or {})
    for name in inputs:
        if name not in recipe.inputs:
            hint = did_you_mean(name, recipe.inputs)
            names_text = ", ".join(map(repr, recipe.inputs)) or "none"
            raise InvalidParameter(f"The recipe has no input {name!r}; it has {names_text}.{hint}")
    for name in recipe.inputs:
        if inputs.get(name) is None:
            raise InvalidParameter(
                f"The recipe's input {name!r} is missing: give an image for it, as in "
                f"{option('inputs', {name: 'PATH'})}."
            )
    return RecipeImages({SOURCE: source, **inputs}, names, spatial, channels)


def bind_recipe(
    recipe: Recipe, images: RecipeImages, session: Session, *, tiles: TileLengths = "auto"
) -> Pipeline:
    """Return a recipe bound to images; everything is checked, nothing read.

    Parameters
    ----------
    recipe
        The recipe.
    images
        The images.
    session
        Workers, memory and control of the passes.
    tiles
        ``"auto"`` or tile lengths along the spatial axes of the last step, in pixels.

    Raises
    ------
    TilewiseError
        When a step cannot take its images.
    """
    if not recipe.running:
        recipe.output  # noqa: B018  # says that every step is switched off
    binder = _Binder(recipe, images, session, tiles)
    for number in recipe.running:
        binder.bind(number)
    return Pipeline(recipe, binder.assembly.stacks, measured=binder.measured)


class StepResult(NamedTuple):
    """What a step makes."""

    stack: Stack
    materialized: Materialized | None = None
    """Where its pixels are stored."""


class _Assembly:
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


class _Binder:
    """Binds the steps of a recipe one after another."""

    def __init__(
        self, recipe: Recipe, images: RecipeImages, session: Session, tiles: TileLengths
    ) -> None:
        self.recipe = recipe
        self.images = images
        self.session = session
        self.tiles = tiles
        self.assembly = _Assembly(recipe)
        self.measured: dict[int, MeasuredIn] = {}

    def bind(self, number: int) -> None:
        """Bind a step to the results of those before it."""
        step, links = self.recipe.steps[number], self.recipe.links[number]
        main = self._image(links[step.first])
        names = self._names(links[step.first])
        operation = step.op.as_step()
        further = {
            role: self._further(link, names, operation.specs.get(role))
            for role, link in links.items()
            if role != step.first
        }
        params = step.bound | further
        if operation.channel and operation.channel not in step.parameters and names:
            # A colour operation's default is "the last axis"; here the axis has a name.
            if operation.parameters[operation.channel].default is not None and "c" in names:
                params = params | {operation.channel: names.index("c")}
        spatial = self._spatial(step, names)
        over = _axes.spatial_indices(names, spatial, len(main.shape))
        channel = _channel_axis(operation, params, main.shape, over)
        measured = self._measured_in(operation, params, links[step.first], over, channel)
        if measured is not None:
            params, self.measured[number] = measured.params, measured
        count = len(over) - (channel in over)
        tiles = tile_over(self.tiles, count) if isinstance(self.tiles, tuple) else self.tiles
        axes = _axes.AxisSelection(names, spatial, self._channels(links[step.first]))
        layout = StackLayout(axes, tiles, number)
        stack = build(operation, main, params, self.session, layout)
        self.assembly.add(number, stack)

    def _measured_in(
        self,
        operation: Operation,
        params: BoundParameters,
        link: Link,
        over: Sequence[int],
        channel: int | None,
    ) -> MeasuredIn | None:
        """Return by which pixel size a step measures; None for one that has no units."""
        if operation.step.calibration is None:
            return None
        axes = self._axes(link)
        return measured_in(
            operation, params, [axes[i] for i in over if i != channel], self.images.sizes
        )

    def _axes(self, link: Link) -> Sequence[ResultAxis | None]:
        """Return the axes of an image with respect to the source's; None for those of another."""
        first = link
        while first.step is not None:
            first = self.recipe.links[first.step][self.recipe.steps[first.step].first]
        image, source = self.images.by_name[first.input], self.images.source
        if link.step is None:
            axes = [ResultAxis(axis, UNMOVED) for axis in range(len(image.shape))]
        else:
            stack = self.assembly.stacks[link.step]
            is_split = stack.call.operation.result.split is not None
            removed = stack.channel if is_split else None
            axes = [item for axis, item in enumerate(result_axes(stack)) if axis != removed]
        return axes if tuple(image.shape) == tuple(source.shape) else [None] * len(axes)

    def _spatial(self, step: Step, names: Names) -> Any:
        if step.spatial is not None:
            return step.spatial
        spatial = self.images.spatial
        if names is None or self.images.names is None or not isinstance(spatial, str):
            return spatial
        # An axis that an earlier step removed is not looked for.
        removed = set(self.images.names) - set(names)
        return "".join(axis for axis in spatial if axis not in removed) or None

    def _image(self, link: Link) -> Any:
        if link.step is None:
            return self.images.by_name[link.input]
        return self.assembly.result(link.step, link.part)

    def _further(self, link: Link, names: Names, spec: Spec | None) -> Any:
        """Return an aligned image; its channels come last where the first image has none."""
        image, own = self._image(link), self._names(link)
        is_aligned = isinstance(spec, AlignedImage) and not isinstance(spec, OtherImage)
        if not is_aligned or link.step is not None or not hasattr(image, "__getitem__"):
            return image
        if names is None or own is None or "c" in names or "c" not in own:
            return image
        channel = own.index("c")
        return TransposedView(image, [*(i for i in range(len(own)) if i != channel), channel])

    def _names(self, link: Link) -> Names:
        if link.step is None:
            same_ndim = np.ndim(self.images.by_name[link.input]) == np.ndim(self.images.source)
            return self.images.names if same_ndim else None
        stack = self.assembly.stacks[link.step]
        names = stack.names
        if names is None or stack.call.operation.result.split is None or stack.channel is None:
            return names
        return tuple(n for axis, n in enumerate(names) if axis != stack.channel)

    def _channels(self, link: Link) -> tuple[str, ...]:
        """Return the names of an image's channels: the source's, while steps loop over them."""
        if link.step is not None:
            return self.assembly.stacks[link.step].samples
        return self.images.channels if link.input == SOURCE else ()


def _moved_like(source: ArraySource, image: Source | None) -> Source:
    """Return a source with its axes in the order of the image that was bound in its place."""
    view = getattr(image, "array", None)
    if not isinstance(view, TransposedView):
        return source
    return array_source(TransposedView(source.array, view.order))


def _channel_axis(
    operation: Operation,
    params: Parameters,
    shape: tuple[int, ...],
    over: Sequence[int],
) -> int | None:
    """Return the axis of channels that a step takes, its parameter's default included."""
    if operation.channel is None:
        implied = operation.limits.implied_channel
        axis = None if implied is None else implied(tuple(shape[i] for i in over))
        return None if axis is None else over[axis]
    return operation.channel_index(params, shape)


def named_spatial(names: Names, ndim: int) -> str | None:
    """Return the axes to run over where nobody says: z, y and x where the axes are known.

    Parameters
    ----------
    names
        Names of the image's axes.
    ndim
        Their number.

    Raises
    ------
    InvalidAxes
        When an image of more than three axes does not name them.
    """
    if names is None and ndim > 3:
        raise InvalidAxes(
            f"The source has {ndim} axes and does not name them: name them, such as "
            f"{option('axes', 'tzyx')}, so that time and channels stay apart."
        )
    return "".join(a for a in names or () if _axes.kind(a) == "space") or None
