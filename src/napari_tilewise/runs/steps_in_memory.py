"""The steps of a recipe on a small image, one after another, each in one call of its passes.

A pipeline pulls tiles through sessions, caches and locks, which cost more than a small image does.
What is not an image of one plane in memory, or fails, is for the pipeline to answer.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary, WeakSet

import numpy as np

from napari_tilewise.engine.at_once.one_tile import image_of_one_tile
from napari_tilewise.engine.at_once.step_at_once import image_of_step
from napari_tilewise.engine.plane import QUICK
from napari_tilewise.engine.system.pool import is_interruptible
from napari_tilewise.engine.views.without_alpha import WithoutAlpha
from napari_tilewise.operations.spec.kinds import Kind
from napari_tilewise.recipe.step import SOURCE

if TYPE_CHECKING:
    from napari_tilewise.engine.stack import Stack
    from napari_tilewise.pipeline.bind import Pipeline
    from napari_tilewise.types import Array


AT_ONCE = 0.1
"""Seconds for which Ctrl-C may wait."""

_suits: WeakKeyDictionary[Pipeline, bool] = WeakKeyDictionary()
"""Whether each step of a pipeline makes one image of one plane."""
_quick: WeakSet[Pipeline] = WeakSet()
"""Pipelines that took less on another image of their kind."""


class SmallImage(NamedTuple):
    """What a recipe makes of a small image."""

    pixels: Array
    values: dict[str, Any]
    """The numbers that the steps found on their way, such as thresholds, by name."""


def computed_in_memory(pipeline: Pipeline, pixels: Array) -> SmallImage | None:
    """Return the image that a pipeline makes, with the same bits; None where it has to be pulled.

    Parameters
    ----------
    pipeline
        Bound to an image of the shape and data type of the pixels.
    pixels
        The image.
    """
    if pixels.size > QUICK and is_interruptible() and pipeline not in _quick:
        return None  # Ctrl-C would wait for the step
    suits = _suits.get(pipeline)
    if suits is None:
        suits = _suits[pipeline] = all(map(_is_one_image, pipeline.stacks.values()))
    if not suits:
        return None
    try:
        return _computed(pipeline, np.ascontiguousarray(pixels))
    except Exception:  # noqa: BLE001 - the pipeline meets it too, and knows how to say it
        return None


def note_time(pipeline: Pipeline, seconds: float) -> None:
    """Note how long a pipeline took on an image of its kind.

    Parameters
    ----------
    pipeline
        The pipeline that later images are given to as well.
    seconds
        The time.
    """
    if seconds < AT_ONCE:
        _quick.add(pipeline)


def _is_one_image(stack: Stack) -> bool:
    """Return whether a step makes one image of one plane, whatever its pixels are."""
    call, operation = stack.call, stack.call.operation
    pixels = prod(call.spatial_shape)
    return (
        stack.is_image
        and stack.count is None
        and not stack.loops
        and call.channel_axis is None
        and operation.result.split is None
        and operation.kind is not Kind.WHOLE
        and operation.cost.least(call) <= pixels
        and not isinstance(stack.source, WithoutAlpha)
    )


def _computed(pipeline: Pipeline, pixels: Array) -> SmallImage | None:
    recipe = pipeline.recipe
    results: dict[int | None, Array] = {None: pixels}
    numbers: dict[int, Any] = {}
    for number, stack in pipeline.stacks.items():
        links = recipe.links[number]
        if set(stack.images) - set(links) or any(link.input != SOURCE for link in links.values()):
            return None
        images = {role: results[link.step] for role, link in links.items()}
        image = images.pop(recipe.steps[number].first)
        if image.dtype != stack.call.dtype or image.shape != stack.call.shape:
            return None
        call, part = stack.call, stack.part
        result = image_of_step(call, image, images, part)
        if result is None:
            result = image_of_one_tile(call, image, images, part)
        if result is None:
            return None
        results[number], numbers[number] = result
    return SmallImage(results[max(pipeline.stacks)], pipeline.by_name(numbers))
