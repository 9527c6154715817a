"""A job's recipe bound to the array that stands for its source, at some size."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise._napari.preview.scaling import scaled
from napari_tilewise.axes import AxisSelection, parse
from napari_tilewise.engine.build import StackLayout
from napari_tilewise.engine.lazy import as_source
from napari_tilewise.engine.views.strided import StridedView
from napari_tilewise.engine.views.window_source import WindowSource
from napari_tilewise.operations.spec.operation import Kind
from napari_tilewise.pipeline.apply_recipe import keys_of
from napari_tilewise.pipeline.bind import bind_recipe, recipe_images

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping

    import dask.array as da

    from napari_tilewise._napari.jobs.job import Job
    from napari_tilewise._napari.preview.gathered import Gathered
    from napari_tilewise._napari.preview.source_level import Level
    from napari_tilewise.engine.session import Session
    from napari_tilewise.engine.stack import Stack
    from napari_tilewise.grid import Region
    from napari_tilewise.pipeline.bind import Pipeline

MOST_SOURCES = 8
"""How many arrays are kept open for the next request."""
SMALL = 2**22
"""The most pixels of a plane over which passes are done for a preview."""


class Sources:
    """The arrays of recent requests as sources of pixels, so that what is read stays in memory."""

    def __init__(self) -> None:
        self._sources: OrderedDict[Hashable, tuple[Any, Any]] = OrderedDict()

    def source(self, array: Any) -> Any:
        """Return an array that is in memory as it is, any other as a source with a window.

        Parameters
        ----------
        array
            Anything with shape, dtype and slicing.
        """
        if isinstance(array, np.ndarray):
            return array
        key = token(array)
        if key not in self._sources:
            self._sources[key] = (array, WindowSource(as_source(array)))
            if len(self._sources) > MOST_SOURCES:
                self._sources.popitem(last=False)
        self._sources.move_to_end(key)
        return self._sources[key][1]


def token(array: np.ndarray | da.Array | Any) -> Hashable:
    """Return a value that tells an array apart as long as it exists.

    Parameters
    ----------
    array
        Anything with shape and dtype.
    """
    if isinstance(array, np.ndarray):
        address = array.__array_interface__["data"][0]
        return ("memory", address, array.shape, array.strides, array.dtype.str)
    name = getattr(array, "name", None)
    return ("lazy", name or id(array), tuple(array.shape))


@dataclass(frozen=True, eq=False)
class Binding:
    """What a job's recipe is bound to."""

    job: Job
    level: Level
    region: Region
    """The visible box of the level, samples included."""

    @property
    def axes(self) -> AxisSelection:
        """The source's axes, and those to run over."""
        source = self.job.source
        return AxisSelection(source.names, self.job.spatial, source.samples)

    @property
    def key(self) -> Hashable:
        """Tells the computation apart, whatever the box."""
        job, level = self.job, self.level
        keys = keys_of(job.recipe, StackLayout(self.axes))
        inputs = tuple((name, token(array)) for name, array in sorted(job.inputs.items()))
        images = (token(job.source.finest), level.number, level.steps, inputs)
        return (images, keys[max(keys)], job.part)

    def images(self, sources: Sources) -> dict[str, Any]:
        """Return the recipe's further images at the level's size.

        Parameters
        ----------
        sources
            The open arrays.
        """
        return {
            name: sources.source(self._of_size(array)) for name, array in self.job.inputs.items()
        }

    def _of_size(self, array: Any) -> Any:
        """Return every n-th pixel of a further image that lies on the source's."""
        steps = self.along(array, self.level.steps)
        if steps is None or all(step == 1 for step in steps):
            return array
        strided = StridedView(array, steps)
        return strided.view() if isinstance(array, np.ndarray) else strided

    def along(self, array: Any, items: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Return the items of the source's axes that are those of a further image.

        Parameters
        ----------
        array
            The further image.
        items
            One item per axis of the source.

        Returns
        -------
        tuple or None
            None for an image that does not lie on the source's pixels.
        """
        shape, ours = tuple(np.shape(array)), self.job.source.shape
        if not items or shape == ours[: len(shape)]:
            return items[: len(shape)] or None
        return items[-len(shape) :] if shape == ours[-len(shape) :] else None

    def bind(
        self,
        image: Any,
        inputs: Mapping[str, Any],
        session: Session,
    ) -> Pipeline:
        """Return the recipe bound to the level, or to a part of it; nothing is read.

        Parameters
        ----------
        image
            The array or source.
        inputs
            The further images.
        session
            Workers and control.
        """
        recipe = scaled(self.job.recipe, self.axes, self.level.factors)
        names = parse(self.axes.names, np.ndim(image))
        inputs = {name: inputs[name] for name in recipe.inputs}
        spatial = self.axes.spatial
        images = recipe_images(
            recipe, image, inputs, names=names, spatial=spatial, channels=self.axes.channels
        )
        return bind_recipe(recipe, images, session)

    def share(self, pipeline: Pipeline, gathered: Gathered, *, stores: bool) -> None:
        """Let a pipeline use the numbers that were gathered over whole images.

        Parameters
        ----------
        pipeline
            A bound pipeline.
        gathered
            The numbers.
        stores
            Whether the pipeline's image is the whole one, at full resolution.
        """
        recipe, image = self.job.recipe, token(self.job.source.finest)
        keys = keys_of(recipe, StackLayout(self.axes))
        for number, stack in pipeline.stacks.items():
            link = recipe.links[number][recipe.steps[number].first]
            before = link.input if link.step is None else (keys[link.step], link.part)
            numbers = gathered.numbers((image, before), stores=stores)
            for index in planes(stack, self.region):
                stack.runner(index).statistics = numbers


def planes(stack: Stack, region: Region) -> Iterator[tuple[int, ...]]:
    """Yield the planes of a stack that a box of the recipe's source meets.

    Parameters
    ----------
    stack
        A step's result.
    region
        The box. A step that changed the axes is taken to have one plane.
    """
    if len(stack.source.shape) != len(region):
        yield (0,) * len(stack.loops)
        return
    lengths = stack.source.shape  # one less than the region's, where an alpha is not computed
    yield from product(
        *(range(region[axis].start, min(region[axis].stop, lengths[axis])) for axis in stack.loops)
    )


def global_steps(pipeline: Pipeline) -> list[Stack]:
    """Return the steps whose tiles depend on more than their neighbours.

    Parameters
    ----------
    pipeline
        A bound pipeline.
    """
    return [
        stack
        for stack in pipeline.stacks.values()
        if stack.call.operation.kind is Kind.WHOLE
        or stack.runner((0,) * len(stack.loops)).first_pass() is not None
    ]


def is_small(pipeline: Pipeline) -> bool:
    """Return whether passes over the planes of a pipeline are done at once.

    Parameters
    ----------
    pipeline
        A bound pipeline.
    """
    return max(prod(stack.call.spatial_shape) for stack in pipeline.stacks.values()) <= SMALL


def are_finished(stacks: list[Stack], region: Region) -> bool:
    """Return whether the passes on the planes that a box meets are done.

    Parameters
    ----------
    stacks
        The steps with passes.
    region
        The box.
    """
    return all(
        stack.runner(index).finished is not None
        for stack in stacks
        for index in planes(stack, region)
    )
