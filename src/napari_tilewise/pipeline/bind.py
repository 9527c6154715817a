"""A recipe is bound to images step by step: everything is checked, and nothing read.

Other rooms import what belongs to it from here: the images that go in, and the pipeline that comes
out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise import axes as _axes
from napari_tilewise.engine.build import StackLayout, build
from napari_tilewise.engine.result_axes import ResultAxis, result_axes
from napari_tilewise.engine.tile_size import tile_over
from napari_tilewise.engine.views.transposed import TransposedView
from napari_tilewise.errors import InvalidAxes, option
from napari_tilewise.operations.spec.parameters import AlignedImage, OtherImage
from napari_tilewise.operations.spec.pixel_positions import UNMOVED
from napari_tilewise.pipeline.assembly import Assembly
from napari_tilewise.pipeline.pipeline import Pipeline
from napari_tilewise.pipeline.pixel_sizes import measured_in
from napari_tilewise.pipeline.recipe_images import Names, RecipeImages, recipe_images
from napari_tilewise.recipe.step import SOURCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise.engine.session import Session
    from napari_tilewise.operations.spec.binding import BoundParameters
    from napari_tilewise.operations.spec.operation import Operation
    from napari_tilewise.operations.spec.parameters import Spec
    from napari_tilewise.pipeline.pixel_sizes import MeasuredIn
    from napari_tilewise.recipe import Link, Recipe, Step
    from napari_tilewise.types import Parameters, TileLengths

__all__ = [
    "Pipeline",
    "RecipeImages",
    "bind_recipe",
    "named_spatial",
    "recipe_images",
]


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


class _Binder:
    """Binds the steps of a recipe one after another."""

    def __init__(
        self, recipe: Recipe, images: RecipeImages, session: Session, tiles: TileLengths
    ) -> None:
        self.recipe = recipe
        self.images = images
        self.session = session
        self.tiles = tiles
        self.assembly = Assembly(recipe)
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
