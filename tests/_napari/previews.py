"""Jobs and views for tests of the preview, without a window."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from napari_tilewise._napari.jobs.job import Job
from napari_tilewise._napari.layers import dimensions, recording, snapshot
from napari_tilewise._napari.preview.preview_request import PreviewRequest, PreviewResult
from napari_tilewise._napari.preview.view import View
from napari_tilewise.operations import OPERATIONS

SCREENFUL = 2**20


def job(name: str, layer: Any, images: dict[str, Any] | None = None, **params: Any) -> Job:
    """Return the job that Apply would run on a layer."""
    operation = OPERATIONS[name]
    is_rgb = bool(getattr(layer, "rgb", False))
    shown = range(layer.ndim - 2, layer.ndim)
    request = recording.StepRequest(
        operation,
        params,
        images or {},
        dimensions.choices(operation, layer.axis_labels, tuple(shown))[0].axes,
        dimensions.needed_channel(operation, layer.name, layer.axis_labels, is_rgb=is_rgb),
    )
    step = recording.applied_step(request, layer)
    return Job(step.recipe, step.source, snapshot.first_box(step.source), step.record, step.inputs)


def preview(previewer: Any, job: Job, box: tuple[slice, ...], pixels: int = SCREENFUL) -> Any:
    """Return a preview of a box."""
    result: PreviewResult = previewer.compute(
        PreviewRequest(job, View(box, pixels)), threading.Event()
    )
    return result


def speckles(shape: tuple[int, ...], dtype: str = "uint8", seed: int = 0) -> np.ndarray:
    """Return an image with bright spots on noise."""
    random = np.random.default_rng(seed)
    image = random.random(shape)
    image = (image + np.roll(image, 1, 0) + np.roll(image, 1, -1) + (image > 0.97)) / 4
    if dtype == "bool":
        return image > 0.4
    if np.dtype(dtype).kind == "f":
        return image.astype(dtype)
    return (image * min(np.iinfo(dtype).max, 200)).astype(dtype)
