"""A recipe applied to images in memory or lazy ones; steps that did not change are not run again.

A memo holds each step's result under its operation, parameters and inputs, so that after an edit
only the edited step and those after it are computed.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.axes import parse
from napari_tilewise.engine.build import DEFAULT_LAYOUT, StackLayout, eager_image
from napari_tilewise.engine.control import NO_CONTROL, Control
from napari_tilewise.engine.session import Session
from napari_tilewise.engine.stack_results import results_of
from napari_tilewise.engine.system.machine import available_memory
from napari_tilewise.pipeline.assembly import StepResult
from napari_tilewise.pipeline.bind import bind_recipe, recipe_images
from napari_tilewise.pipeline.materialize import decide

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from napari_tilewise.engine.stack import Stack
    from napari_tilewise.engine.stack_results import Result
    from napari_tilewise.pipeline.bind import Pipeline, RecipeImages
    from napari_tilewise.recipe import Link, Recipe
    from napari_tilewise.types import Parameters

SHARE = 8
"""The available memory divided by the memory that a memo's results may take."""


class Memo:
    """The results of steps on one image, for recipes that begin with the same steps.

    Parameters
    ----------
    most_bytes
        Bytes that the results may take in memory; an eighth of what is available unless given.
        Larger ones go to temporary files where that costs less than computing them again.
    """

    def __init__(self, most_bytes: int | None = None) -> None:
        self.most_bytes = most_bytes or int(available_memory() // SHARE)
        self.session = Session()
        self._images: dict[str, Any] = {}
        self._results: OrderedDict[Hashable, StepResult] = OrderedDict()

    def begin(
        self,
        images: Parameters,
        control: Control,
    ) -> None:
        """Forget results of other images; take another control.

        Parameters
        ----------
        images
            The recipe's images by name; arrays are compared by identity.
        control
            Progress, cancel and pause of this call.
        """
        shared = self._images.keys() & images.keys()
        if any(self._images[name] is not images[name] for name in shared):
            self.forget()
        self._images.update(images)
        self.session.control = control

    def forget(self) -> None:
        """Forget all results, as when the pixels of an array have changed."""
        self._results.clear()
        self._images.clear()

    def end(self) -> None:
        """Drop listener, cancel and pause: lazy results outlive the call that returns them."""
        self.session.control = NO_CONTROL

    def results(self, keys: Mapping[int, Hashable]) -> dict[int, StepResult]:
        """Return the results that the memo has, by the step's number.

        Parameters
        ----------
        keys
            Keys of the steps' results, as `keys_of` returns them.
        """
        return {number: self._results[key] for number, key in keys.items() if key in self._results}

    def add(self, keys: Mapping[int, Hashable], pipeline: Pipeline) -> None:
        """Add the results of a pipeline; the oldest are dropped if they take too much memory.

        Parameters
        ----------
        keys
            Keys of the steps' results, as `keys_of` returns them.
        pipeline
            The pipeline.
        """
        for number, stack in pipeline.stacks.items():
            self._results[keys[number]] = StepResult(stack, pipeline.materialized.get(number))
            self._results.move_to_end(keys[number])
        while self.nbytes > self.most_bytes and len(self._results) > len(pipeline.stacks):
            self._results.popitem(last=False)

    @property
    def nbytes(self) -> int:
        """Bytes of the results that are in memory."""
        return sum(_bytes_in_memory(result) for result in self._results.values())

    def fitting(self, pipeline: Pipeline) -> dict[int, bool]:
        """Return the steps whose results fit into memory, the smallest first.

        Parameters
        ----------
        pipeline
            The pipeline.
        """
        in_memory: dict[int, bool] = {}
        free = self.most_bytes
        images = [number for number, stack in pipeline.stacks.items() if stack.is_image]
        for number in sorted(images, key=lambda n: _bytes(pipeline.stacks[n])):
            free -= _bytes(pipeline.stacks[number])
            if free >= 0:
                in_memory[number] = True
        return in_memory


def apply_recipe(
    recipe: Recipe,
    image: Any,
    /,
    *,
    inputs: Parameters | None = None,
    layout: StackLayout = DEFAULT_LAYOUT,
    control: Control = NO_CONTROL,
    memo: Memo | None = None,
) -> tuple[Result, ...]:
    """Apply a recipe as a form does: a threshold gives the mask ``image > t``.

    Parameters
    ----------
    recipe
        The recipe.
    image
        A NumPy array, or anything with `shape`, `dtype` and slicing.
    inputs
        The recipe's inputs by name.
    layout
        The image's axes, those to run over, and the tiles; a step's own spatial axes go first.
    control
        Progress, cancel and pause.
    memo
        Results of earlier calls with the same image.

    Returns
    -------
    tuple[Result, ...]
        The last step's results, each with its kind: computed from a NumPy image, else lazy.

    Raises
    ------
    TilewiseError
        When the recipe does not fit the image; before any pixel is read.
    """
    source, eager = eager_image(image)
    names = parse(layout.axes.names, np.ndim(source))
    axes = layout.axes
    images = recipe_images(
        recipe, source, inputs, names=names, spatial=axes.spatial, channels=axes.channels,
    ).measured_by(axes.sizes)  # fmt: skip
    if memo is None:
        session = Session(None, control)
        pipeline = _pipeline(recipe, images, session, layout.tiles)
        return _recording(results_of(pipeline.last, eager=eager), pipeline)
    memo.begin({**images.by_name, "source": image}, control)
    keys = keys_of(recipe, layout)
    try:
        pipeline = _pipeline(recipe, images, memo.session, layout.tiles, memo, keys)
        memo.add(keys, pipeline)
        stored = pipeline.materialized.get(max(pipeline.stacks))
        return _recording(results_of(pipeline.last, eager=eager, materialized=stored), pipeline)
    finally:
        memo.end()


def _recording(results: tuple[Result, ...], pipeline: Pipeline) -> tuple[Result, ...]:
    """Return results that tell the numbers that their pipeline finds, and their pixel size."""
    measured = pipeline.measured_in
    results = tuple(replace(result, recorded=pipeline.recorded) for result in results)
    if measured is None:
        return results
    spacing, unit, lengths = measured.spacing, measured.unit, measured.lengths
    return tuple(replace(r, spacing=spacing, unit=unit, lengths=lengths) for r in results)


def _pipeline(
    recipe: Recipe,
    images: RecipeImages,
    session: Session,
    tiles: Any,
    memo: Memo | None = None,
    keys: Mapping[int, Hashable] | None = None,
) -> Pipeline:
    """Return the pipeline, with the results materialized that several passes pull."""
    pipeline = bind_recipe(recipe, images, session, tiles=tiles)
    pipeline.warn_of_alpha()
    decisions = decide(pipeline, int(available_memory() // 2))
    materialize = {choice.step: choice.in_memory for choice in decisions if choice.keep}
    if memo is None or keys is None:
        return pipeline.with_layout(materialize=materialize) if materialize else pipeline
    return pipeline.with_layout(
        materialize={**materialize, **memo.fitting(pipeline)}, computed=memo.results(keys)
    )


def keys_of(recipe: Recipe, layout: StackLayout) -> dict[int, Hashable]:
    """Return a key of each step's result: its operation, parameters, images, axes and tiles."""
    axes = layout.axes
    laid_out = tuple(map(_hashable, (axes.names, axes.spatial, layout.tiles)))
    keys: dict[int, Hashable] = {}

    def of(link: Link) -> Hashable:
        return link.input if link.step is None else (keys[link.step], link.part)

    for number in recipe.running:
        links = recipe.links[number].items()
        images = frozenset((role, of(link)) for role, link in links)
        step = recipe.steps[number]
        by = None if step.op.step.calibration is None else axes.sizes
        keys[number] = (step.computation, images, laid_out, by)
    return keys


def _hashable(value: Any) -> Hashable:
    return tuple(value) if isinstance(value, list | tuple) else value


def _bytes(stack: Stack) -> int:
    return int(prod(stack.shape) * stack.dtype.itemsize)


def _bytes_in_memory(result: StepResult) -> int:
    stored = result.materialized
    return _bytes(stored.stack) if stored is not None and stored.in_memory else 0
