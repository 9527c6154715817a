"""The intensities that a later step of a recipe meets: those of the result before it.

A small image is computed whole, and windows of a large one; where a step before needs a pass over
the whole image, a coarse level of it is computed, as a preview does.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np

from napari_tilewise._napari.layers.intensities import IntensitySource
from napari_tilewise._napari.preview.bound import Binding, Sources
from napari_tilewise._napari.preview.scaling import scaled
from napari_tilewise._napari.preview.source_level import level_of
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
    from napari_tilewise.grid import Region

SMALL = 2**22
"""The most pixels of an image, or of a coarse level, of which the steps before are computed."""
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

    Nothing is computed yet, and the pixels that are read are bounded, whatever the image's size.

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
    is_coarse = not is_small and any(step.op.kind not in SAMPLED for step in running)
    layout = StackLayout(AxisSelection(source.names, job.spatial, source.samples))

    def read(cancel: threading.Event) -> Any:
        first = replace(job, recipe=steps, part=None)
        recipe, image, inputs = (
            _overview(first) if is_coarse else (steps, source.finest, job.inputs)
        )
        if not (is_small or is_coarse) and isinstance(image, np.ndarray):
            image = da.from_array(image, name=False)
        results = apply_recipe(
            recipe, image, inputs=dict(inputs), layout=layout, control=Control(cancel=cancel)
        )
        result = results[link.part]
        return result.value if result.output is Output.IMAGE else None

    return IntensitySource((id(source.finest), keys_of(steps, layout)[link.step], link.part), read)


def _overview(job: Job) -> tuple[Recipe, np.ndarray, dict[str, Any]]:
    """Return a recipe, its image and its further images in larger pixels, of the plane in view."""
    level = level_of(job.source, job.box, SMALL, alone=not job.inputs)
    binding = Binding(job, level, level.region(job.box))
    sources, inputs = Sources(), {}
    for name, array in binding.images(sources).items():
        spans = binding.along(job.inputs[name], binding.region)
        inputs[name] = array if spans is None else _pixels(array, spans)
    image = _pixels(sources.source(level.array), binding.region)
    return scaled(job.recipe, binding.axes, level.factors), image, inputs


def _pixels(image: Any, region: Region) -> np.ndarray:
    """Return the pixels of a box of an array or a source."""
    return np.asarray(image[region] if isinstance(image, np.ndarray) else image.read(region))
