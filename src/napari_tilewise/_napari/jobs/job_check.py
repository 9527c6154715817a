"""Whether a job's steps take its images, found out before it runs: no pixel is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_tilewise.engine.session import Session
from napari_tilewise.pipeline.bind import bind_recipe, recipe_images

if TYPE_CHECKING:
    from napari_tilewise._napari.jobs.job import Job


def check_job(job: Job) -> None:
    """Check a job as its run does it, in less than a millisecond a step.

    Parameters
    ----------
    job
        A recipe on a layer.

    Raises
    ------
    TilewiseError
        If a step cannot take its image, such as three numbers for an image of two axes.
    """
    images = recipe_images(
        job.recipe,
        job.source.finest,
        {name: job.inputs[name] for name in job.recipe.inputs},
        names=job.source.names,
        spatial=job.spatial,
        channels=job.source.samples,
    )
    bind_recipe(job.recipe, images, Session())
