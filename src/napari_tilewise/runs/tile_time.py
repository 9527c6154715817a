"""How long a tile takes, measured on the first pixels, so that no tile takes minutes.

A tile is the step of progress, of cancelling and of resuming. Memory alone would make it as large
for a non-local mean as for a Gaussian, which is a thousand times faster.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.engine.control import Control
from napari_tilewise.engine.session import Session
from napari_tilewise.errors import Cancelled, TilewiseError
from napari_tilewise.operations.spec.kinds import Kind
from napari_tilewise.pipeline.bind import bind_recipe

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from napari_tilewise.engine.stack import Stack
    from napari_tilewise.grid import Region
    from napari_tilewise.pipeline.bind import Pipeline, RecipeImages

LONGEST = 2.0
"""Seconds that a tile takes at most."""
SHORTEST = 0.25
"""Seconds that a tile may take however short the run is."""
STEPS = 32
"""Tiles that a run consists of at least, unless they would be shorter than that."""
SAMPLES = (2**12, 2**16)
"""Pixels of the windows that are computed."""
WORTHWHILE = 2**18
"""Pixels of an image below which nothing is measured."""
CHEAP = 64 * 2**20
"""Bytes of a chunk above which nothing is read only to measure."""
LONG = 0.6
"""Seconds that the second window must not be expected to take."""


@dataclass(frozen=True)
class TilePace:
    """What a pixel of the result takes."""

    seconds: float
    """Seconds per pixel in one thread."""
    halo: int
    """Pixels on every side of a tile that are computed beside it."""

    def of_tile(self, tile: Sequence[int]) -> float:
        """Return the seconds that a tile takes.

        Parameters
        ----------
        tile
            Its lengths in pixels.
        """
        return self.seconds * prod(length + 2 * self.halo for length in tile)

    def limit(self, shape: Sequence[int], planes: int, workers: int) -> float:
        """Return the seconds that a tile should take at most.

        Parameters
        ----------
        shape
            Lengths of a plane of the result.
        planes
            Number of the planes.
        workers
            Tiles that are computed at a time.
        """
        run = self.seconds * prod(shape) * planes / workers
        return min(LONGEST, max(SHORTEST, run / STEPS))


def measure_pace(
    pipeline: Pipeline, images: RecipeImages, cancel: threading.Event | None
) -> TilePace | None:
    """Return what a pixel of the result takes; None where windows cannot tell it.

    Parameters
    ----------
    pipeline
        The recipe bound to its images.
    images
        The images.
    cancel
        Set by the caller to stop.

    Raises
    ------
    Cancelled
        When `cancel` is set.
    """
    if not _is_measurable(pipeline, images.source):
        return None
    measured: list[tuple[int, float]] = []
    try:
        for pixels in SAMPLES:
            window = _window(pipeline.order[0], images, pixels)
            size, seconds = _timed(pipeline, window, pixels, cancel)
            # Modules are imported once.
            seconds = min(seconds, _timed(pipeline, window, pixels, cancel)[1])
            measured.append((size, seconds))
            if seconds * SAMPLES[1] / pixels > LONG:
                break
    except Cancelled:
        raise
    except (TilewiseError, OSError):
        return None  # the run itself says what is wrong, if the image is not just too small
    halo = sum(max((h for pair in stack.halo for h in pair), default=0) for stack in pipeline.order)
    (first, before), (last, after) = measured[0], measured[-1]
    if last == first:
        return TilePace(before / first, halo)
    return TilePace(max(0.0, after - before) / (last - first), halo)


def _is_measurable(pipeline: Pipeline, source: Any) -> bool:
    """Return whether tiles of the run are like a window of the image, which is cheap to read."""
    if any(stack.call.operation.kind is Kind.WHOLE for stack in pipeline.order):
        return False
    if prod(source.shape) < WORTHWHILE or hasattr(source, "__dask_graph__"):
        return False
    chunks = pipeline.order[0].source.chunks
    return chunks is None or prod(chunks) * np.dtype(source.dtype).itemsize <= CHEAP


def _window(first: Stack, images: RecipeImages, pixels: int) -> RecipeImages:
    """Return the images of a recipe cut down to a window in the middle of one plane."""
    shape = first.source.shape
    plane = [axis for axis in range(len(shape)) if axis not in first.loops]
    spatial = [plane[axis] for axis in first.call.spatial_axes]
    side = max(1, round(pixels ** (1 / len(spatial))))
    chunks = first.source.chunks or (1,) * len(shape)
    box = [slice(0, 1) if axis in first.loops else slice(0, n) for axis, n in enumerate(shape)]
    for axis in spatial:
        start = max(0, shape[axis] - side) // 2 // chunks[axis] * chunks[axis]
        box[axis] = slice(start, min(shape[axis], start + side))
    in_plane = tuple(box[axis] for axis in plane)
    plane_shape = tuple(shape[axis] for axis in plane)
    boxes = {tuple(shape): tuple(box), plane_shape: in_plane}
    return replace(
        images, by_name={name: _cut(image, boxes) for name, image in images.by_name.items()}
    )


def _cut(image: Any, boxes: dict[tuple[int, ...], Region]) -> Any:
    box = boxes.get(tuple(np.shape(image)))
    return image if box is None else np.asarray(image[box])


def _timed(
    pipeline: Pipeline, images: RecipeImages, pixels: int, cancel: threading.Event | None
) -> tuple[int, float]:
    """Return how many pixels of the result of a window were computed, and in how many seconds.

    Seconds of this thread's processor, which alone computes: what other programs take of the
    machine at this moment must not decide about the layout of an output.
    """
    last = bind_recipe(pipeline.recipe, images, Session(1, Control(cancel=cancel))).last
    started = time.thread_time()
    if not last.is_image:
        last.value()
        return prod(last.call.spatial_shape), time.thread_time() - started
    side = max(1, round(pixels ** (1 / max(1, last.call.ndim))))
    spatial = set(last.spatial_of(range(len(last.shape))))
    box = tuple(
        slice(0, min(n, side)) if axis in spatial else slice(0, n)
        for axis, n in enumerate(last.shape)
    )
    last.read(box)
    seconds = time.thread_time() - started
    return max(1, prod(box[axis].stop for axis in spatial)), seconds
