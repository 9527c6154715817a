"""The intensities that a later step of a recipe meets: those of the result before it."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np

from napari_tilewise._napari.layers.intensities import IntensitySource
from napari_tilewise.axes import AxisSelection
from napari_tilewise.engine.build import StackLayout
from napari_tilewise.engine.control import Control
from napari_tilewise.errors import TilewiseError
from napari_tilewise.operations.spec.operation import Kind, Output
from napari_tilewise.pipeline.apply_recipe import apply_recipe, keys_of
from napari_tilewise.recipe import Recipe

if TYPE_CHECKING:
    import threading

    from napari_tilewise._napari.jobs.job import Job
    from napari_tilewise._napari.recipe_panel.drafts import Draft
    from napari_tilewise._napari.recipe_panel.recipe_runs import RecipeRuns

SMALL = 2**22
"""The most pixels of an image of which the steps before are computed whole."""
SAMPLED = {Kind.POINTWISE, Kind.NEIGHBOURHOOD, Kind.GEOMETRY}
"""Kinds of steps of which parts can be computed without a pass over the whole image."""


def of_draft(runs: RecipeRuns, draft: Draft | None, number: int) -> IntensitySource | None:
    """Return the result that a step of a draft processes, as `before_step` does.

    Parameters
    ----------
    runs
        Gives the job of the draft.
    draft
        The recipe under edit.
    number
        The step, from 0.
    """
    try:
        return before_step(runs.job(draft, memo=False), number)
    except TilewiseError:
        return None  # the panel says already what is missing


def before_step(job: Job, number: int) -> IntensitySource | None:
    """Return the result that a step of a recipe processes; None if it processes no such image.

    Nothing is computed yet. A large image is sampled; if a step before needs a pass over the whole
    image, there is no histogram.

    Parameters
    ----------
    job
        The recipe on a layer.
    number
        The step, from 0.
    """
    recipe, source = job.recipe, job.source
    link = recipe.links[number][recipe.steps[number].first] if number in recipe.running else None
    if link is None or link.step is None:
        return None
    steps = Recipe(recipe.steps[: link.step + 1], recipe.inputs)
    running = [steps.steps[index] for index in steps.running]
    is_small = source.in_memory and prod(source.shape) <= SMALL
    if not is_small and any(step.op.kind not in SAMPLED for step in running):
        return None
    layout = StackLayout(AxisSelection(source.names, job.spatial, source.samples))
    image = source.finest
    if not is_small and isinstance(image, np.ndarray):
        image = da.from_array(image, name=False)

    def read(cancel: threading.Event) -> Any:
        results = apply_recipe(
            steps, image, inputs=dict(job.inputs), layout=layout, control=Control(cancel=cancel)
        )
        result = results[link.part]
        return result.value if result.output is Output.IMAGE else None

    return IntensitySource((id(source.finest), keys_of(steps, layout)[link.step], link.part), read)
