"""A recipe in larger pixels: lengths, areas and positions are divided, as their specs declare."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_tilewise import axes as _axes
from napari_tilewise.errors import InvalidAxes
from napari_tilewise.operations.spec.parameters import is_image
from napari_tilewise.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise.axes import AxisSelection
    from napari_tilewise.recipe import Step


def scaled(recipe: Recipe, axes: AxisSelection, factors: Sequence[float]) -> Recipe:
    """Return the recipe that does in larger pixels what a recipe does in those of the source.

    Parameters
    ----------
    recipe
        The recipe.
    axes
        The source's axes, and those to run over where a step does not say.
    factors
        The length of the larger pixels along each of the source's axes.
    """
    if all(factor == 1 for factor in factors):
        return recipe
    steps = [_scaled_step(step, axes, factors) for step in recipe.steps]
    return Recipe(steps, recipe.inputs)


def _scaled_step(step: Step, axes: AxisSelection, factors: Sequence[float]) -> Step:
    along = _along(step, axes, factors)
    values, changed = {**step.bound, **step.parameters}, {}
    for name, spec in step.op.specs.items():
        value = values[name]
        if name in step.inputs or is_image(spec, value):
            continue
        larger = spec.scaled(value, along)
        if larger is not value:
            changed[name] = larger
    return replace(step, parameters={**step.parameters, **changed}) if changed else step


def _along(step: Step, axes: AxisSelection, factors: Sequence[float]) -> tuple[float, ...]:
    """Return the factors along a step's spatial axes."""
    spatial = axes.spatial if step.spatial is None else step.spatial
    try:
        names = _axes.parse(axes.names, len(factors))
        over = _axes.spatial_indices(names, spatial, len(factors))
    except InvalidAxes:  # of an image whose axes an earlier step changed
        over = tuple(range(len(factors)))[-2:]
    channel = None if step.op.channel is None else step.bound[step.op.channel]
    if channel is not None:
        over = tuple(axis for axis in over if axis != channel % len(factors))
    return tuple(factors[axis] for axis in over)
