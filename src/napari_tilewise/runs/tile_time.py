"""How long a tile takes, measured on the first pixels, so that no tile takes minutes.

A tile is the step of progress, of cancelling and of resuming. Memory alone would make it as large
for a non-local mean as for a Gaussian, which is a thousand times faster.
"""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass, replace
from math import inf, prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.engine.control import Control
from napari_tilewise.engine.events import PassStarted, TileDone
from napari_tilewise.engine.session import Session
from napari_tilewise.engine.system.pool import abandonable
from napari_tilewise.errors import Cancelled, TilewiseError
from napari_tilewise.grid import Grid
from napari_tilewise.operations.spec.kinds import Kind
from napari_tilewise.pipeline.bind import bind_recipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise.engine.events import Event
    from napari_tilewise.engine.stack import Stack
    from napari_tilewise.grid import Region
    from napari_tilewise.pipeline.bind import Pipeline, RecipeImages

LONGEST = 2.0
"""Seconds that a tile takes at most."""
SHORTEST = 0.25
"""Seconds that a tile may take however short the run is."""
STEPS = 32
"""Tiles that a run consists of at least, unless they would be shorter than that."""
WINDOW = 2**16
"""Pixels of the window that is computed."""
TILE = 2**12
"""Pixels of the tiles that show first whether a window takes long."""
WORTHWHILE = 2**18
"""Pixels of an image below which nothing is measured."""
CHEAP = 64 * 2**20
"""Bytes of a chunk above which nothing is read only to measure."""
SLOW_TILE = 0.01
"""Seconds of one of these tiles that show that the window would take long."""
LONG = 0.6
"""Seconds after which what is computed has shown enough."""


@dataclass(frozen=True)
class TilePace:
    """What a pixel of the result takes."""

    seconds: float
    """Seconds per pixel in one thread."""
    halo: int
    """Pixels on every side of a tile that are computed beside it."""
    shape: tuple[int, ...]
    """Lengths of the image, beyond which nothing is computed."""

    def of_tile(self, tile: Sequence[int]) -> float:
        """Return the seconds that a tile takes.

        Parameters
        ----------
        tile
            Its lengths in pixels.
        """
        lengths = zip(tile, self.shape, strict=True)
        return self.seconds * prod(min(t + 2 * self.halo, max(t, n)) for t, n in lengths)

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
    """Return what a pixel of the result takes; None where a window cannot tell it.

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
    halo = sum(max((h for pair in stack.halo for h in pair), default=0) for stack in pipeline.order)
    try:
        # A tile of very many iterations takes for ever, which no tile's end would show.
        seconds = abandonable(lambda: _seconds_per_pixel(pipeline, images, halo, cancel), cancel)
    except Cancelled:
        raise
    except (TilewiseError, OSError):
        return None  # the run itself says what is wrong, if the image is not just too small
    return TilePace(seconds, halo, tuple(pipeline.last.call.spatial_shape))


def _seconds_per_pixel(
    pipeline: Pipeline, images: RecipeImages, halo: int, cancel: threading.Event | None
) -> float:
    """Return the seconds of this thread's processor that a pixel of the result takes.

    A window is bound, once, and computed in small tiles, then at one go unless it takes long. What
    other programs take of the machine must not decide about the layout of an output, so that it is
    the processor's time; this thread alone computes.
    """
    stopwatch = _Stopwatch(cancel)
    session = Session(1, Control(progress=stopwatch, cancel=stopwatch.stop))
    window = bind_recipe(pipeline.recipe, _window(pipeline.order[0], images), session)
    lengths = window.last.call.spatial_shape
    side = max(1, round(TILE ** (1 / max(1, len(lengths)))))
    modules, is_long = -1, False
    while modules != len(sys.modules) and not is_long:  # modules are imported once
        modules, started = len(sys.modules), time.thread_time()
        _compute_until_known(window, side, stopwatch, cancel)
        # What is computed between passes may take long however few the pixels.
        is_long = time.thread_time() - started > LONG
    if stopwatch.slow_tile is not None:
        computed = prod(min(n, side + 2 * halo) for n in lengths)
        return stopwatch.slow_tile / float(computed)
    pixels = None
    if not is_long:
        pixels = _compute_until_known(window, max(lengths), stopwatch, cancel)
    return stopwatch.seconds / float(prod(lengths) if pixels is None else pixels)


def _compute_until_known(
    window: Pipeline, side: int, stopwatch: _Stopwatch, cancel: threading.Event | None
) -> int | None:
    """Compute a window anew in tiles of a side; return the pixels, or None if it was stopped."""
    is_whole = side >= max(window.last.call.spatial_shape)
    stopwatch.start(inf if is_whole else SLOW_TILE)
    try:
        return _compute(window.with_layout((side,) * window.last.call.ndim).last, side, stopwatch)
    except Cancelled:
        if cancel is not None and cancel.is_set():
            raise
        return None


class _Stopwatch:
    """Listens to passes: times their tiles, and stops them where they take long.

    Parameters
    ----------
    cancel
        Set by the caller to stop.
    """

    def __init__(self, cancel: threading.Event | None) -> None:
        self.stop = threading.Event()
        """Stops the passes."""
        self.slow_tile: float | None = None
        """Seconds of a tile, if two in a row were slow: one may be slow by accident."""
        self._cancel = cancel
        self._passes: list[_TimedPass] = []
        self._end = self._slow = inf
        self._last_tile = 0.0

    @property
    def seconds(self) -> float:
        """Seconds that all tiles of the passes take, where some of them are done."""
        return sum(part.seconds * part.tiles / part.done for part in self._passes if part.done)

    def start(self, slow: float) -> None:
        """Start anew, to stop after `LONG` seconds, or when tiles take so many."""
        self.stop.clear()
        self.slow_tile = None
        self._passes.clear()
        self._end, self._slow = time.thread_time() + LONG, slow
        self._last_tile = 0.0

    def begin(self, tiles: int) -> None:
        """Begin a pass of so many tiles."""
        self._passes.append(_TimedPass(tiles, time.thread_time()))

    def tile_done(self) -> None:
        """Note a tile of the pass that began last."""
        now, current = time.thread_time(), self._passes[-1]
        current.done += 1
        seconds = now - current.started - current.seconds
        current.seconds += seconds
        both = min(seconds, self._last_tile)
        self._last_tile = seconds
        if both > self._slow:
            self.slow_tile = both
        is_over = self.slow_tile is not None or now > self._end
        if is_over or (self._cancel is not None and self._cancel.is_set()):
            self.stop.set()

    def __call__(self, event: Event) -> None:
        if isinstance(event, PassStarted):
            self.begin(event.tiles)
        elif isinstance(event, TileDone):
            self.tile_done()


@dataclass
class _TimedPass:
    """Tiles of a pass."""

    tiles: int
    started: float
    done: int = 0
    seconds: float = 0.0
    """Of the tiles that are done."""


def _is_measurable(pipeline: Pipeline, source: Any) -> bool:
    """Return whether tiles of the run are like a window of the image, which is cheap to read."""
    if any(stack.call.operation.kind is Kind.WHOLE for stack in pipeline.order):
        return False
    if prod(source.shape) < WORTHWHILE or hasattr(source, "__dask_graph__"):
        return False
    chunks = pipeline.order[0].source.chunks
    return chunks is None or prod(chunks) * np.dtype(source.dtype).itemsize <= CHEAP


def _window(first: Stack, images: RecipeImages) -> RecipeImages:
    """Return the images of a recipe cut down to a window in the middle of one plane."""
    shape = first.source.shape
    plane = [axis for axis in range(len(shape)) if axis not in first.loops]
    spatial = [plane[axis] for axis in first.call.spatial_axes]
    side = max(1, round(WINDOW ** (1 / len(spatial))))
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


def _compute(last: Stack, side: int, stopwatch: _Stopwatch) -> int:
    """Compute the result of a window, an image in boxes of a side; return its pixels."""
    spatial_shape = last.call.spatial_shape
    if not last.is_image:
        last.value()
        return prod(spatial_shape)
    spatial = set(last.spatial_of(range(len(last.shape))))
    shape = tuple(
        min(n, max(spatial_shape)) if axis in spatial else n for axis, n in enumerate(last.shape)
    )
    boxes = Grid(shape, tuple(side if axis in spatial else n for axis, n in enumerate(shape)))
    last.prepare(tuple(slice(0, n) for n in shape))
    stopwatch.begin(len(boxes))
    for position in boxes.positions():
        last.read(boxes.region(position))
        stopwatch.tile_done()
        if stopwatch.stop.is_set():
            raise Cancelled("Cancelled.")
    return max(1, int(prod(shape[axis] for axis in spatial)))
