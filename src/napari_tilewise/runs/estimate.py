"""How long a run will take, measured on windows of the image for a few seconds.

A window in the middle of the image runs as the whole would, with all workers at once: read,
computed, encoded, written to a temporary folder, its smaller levels too. Windows grow while there
is time; their time per pixel, and the constant time of a run, is scaled to the image. The results
of a window's passes are its own: none of them reach the real run.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

import numpy as np

from napari_tilewise.axes import AxisSelection
from napari_tilewise.engine.checkpoints.checkpoint import Checkpoint
from napari_tilewise.engine.control import Control
from napari_tilewise.engine.session import Session
from napari_tilewise.engine.source import chunk_lengths
from napari_tilewise.engine.system.pool import sweep
from napari_tilewise.engine.views.cropped import CroppedView
from napari_tilewise.errors import Cancelled, TilewiseError
from napari_tilewise.grid import extent
from napari_tilewise.io.axis_order import align_axes, open_inputs, without_alpha
from napari_tilewise.io.metadata.channels import names_of
from napari_tilewise.io.metadata.image_metadata import ImageMetadata
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.io.writers.create import OutputRequest
from napari_tilewise.io.writers.ome_zarr import OmeZarrWriter
from napari_tilewise.io.writers.output_layout import OutputLayout
from napari_tilewise.operations.spec.kinds import Kind
from napari_tilewise.pipeline.bind import bind_recipe, recipe_images
from napari_tilewise.pipeline.pixel_sizes import stated_sizes
from napari_tilewise.provenance.record import RunSources, record
from napari_tilewise.runs.planner import make_plan
from napari_tilewise.runs.request import Resources, RunRequest
from napari_tilewise.runs.resume import attach
from napari_tilewise.runs.run_job import RunJob
from napari_tilewise.runs.traffic import traffic
from napari_tilewise.sizes import duration

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Sequence

    from napari_tilewise.engine.checkpoints.pass_results import PartialResult
    from napari_tilewise.engine.stack import Stack
    from napari_tilewise.grid import Region
    from napari_tilewise.io.image import Image
    from napari_tilewise.runs.run_plan import RunPlan

T = TypeVar("T")
V = TypeVar("V")

SMALLEST, LARGEST = 2**16, 2**24
"""Pixels of the first window, and most pixels of the last."""
MAX_TILES = 16
"""Largest number of tiles in a sampled reduction."""
SHARE = 4
"""A window has at most the n-th part of the pixels of an image larger than the smallest window."""
PARTS = 8
"""The first sampled part of a tile is the n-th part of it along each axis."""
GROWTH = 4
"""Factor by which the next window is larger."""
WIDE = 2048
"""Pixels of a window along the last axis: an image this wide has smaller levels."""
SIMILAR = 1.25
"""Largest ratio at which the result of a window has its share of the pixels of the result."""

_SAMPLED = {Kind.POINTWISE, Kind.NEIGHBOURHOOD, Kind.GEOMETRY, Kind.STATISTIC}
"""Kinds for which a tile can be computed from statistics of other tiles."""


@dataclass(frozen=True)
class Estimate:
    """How long a run will take."""

    seconds: float | None
    """The time; None if samples cannot tell it."""
    share: float
    """Share of the image's pixels in the largest sample."""
    took: float
    """Seconds that the estimate itself took."""
    reason: str = ""
    """Why there is no time."""

    def __str__(self) -> str:
        """Return the estimate as text."""
        if self.seconds is None:
            return f"unknown: {self.reason}"
        return f"about {duration(self.seconds)}, from {self.share:.1%} of the image"


def estimate(
    run_plan: RunPlan,
    *,
    pyramid: bool = True,
    within: float = 3.0,
    cancel: threading.Event | None = None,
) -> Estimate:
    """Return how long a planned run will take on this machine, as idle as it is now.

    Parts of the image are read and computed: at most 16 million pixels, and a quarter of any but a
    small image. Nothing remains on disk. A part starts only if it should finish in time, so the
    estimate takes little longer than `within`, unless the smallest part already does.

    Parameters
    ----------
    run_plan
        The plan.
    pyramid
        Whether smaller levels are written.
    within
        Seconds that the samples may take.
    cancel
        Set this event to stop within the time of one tile.

    Returns
    -------
    Estimate
        Seconds, and the share of the image that they were measured on.

    Raises
    ------
    Cancelled
        When `cancel` is set.
    """
    started = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory(prefix="napari-tilewise-") as folder:
            samples = _Samples(run_plan, Path(folder), pyramid, started + within, cancel)
            seconds, share = samples.of_tiles() if samples.is_fixed() else samples.of_windows()
    except Cancelled:
        raise
    except TilewiseError as error:
        return Estimate(None, 0.0, time.perf_counter() - started, str(error))
    return Estimate(seconds, share, time.perf_counter() - started)


@dataclass(eq=False)
class _SampledSession(Session):
    """A session whose reductions use a sample of the tiles, from all over the image."""

    reduction_seconds: float = 0.0
    """Seconds that the reductions would take over all tiles."""

    def reduce(
        self,
        title: str,
        contribution: Callable[[T], V],
        merge: Callable[[V, V], V],
        items: Sequence[T],
        partial: PartialResult | None = None,
        remote: Callable[[Sequence[T]], Sequence[V]] | None = None,
    ) -> V | None:
        """Return the merged contributions of a sample of the items."""
        count = max(self.workers or 1, min(len(items) // SHARE, MAX_TILES))
        sample = items[:: max(1, len(items) // count)]
        started = time.perf_counter()
        total = super().reduce(title, contribution, merge, sample)
        seconds = time.perf_counter() - started
        self.reduction_seconds += seconds * len(items) / len(sample)
        return total


class _Samples:
    """Parts of a run, and the time that each takes."""

    def __init__(
        self,
        run_plan: RunPlan,
        folder: Path,
        pyramid: bool,
        deadline: float,
        cancel: threading.Event | None,
    ) -> None:
        self.plan = run_plan
        self.folder = folder
        self.pyramid = pyramid
        self.deadline = deadline
        self.cancel = cancel
        first = run_plan.stacks[0]
        self.loops = first.loops
        plane = [axis for axis in range(len(first.source.shape)) if axis not in first.loops]
        self.spatial = [plane[axis] for axis in first.call.spatial_axes]
        self.shape = run_plan.image.data.shape
        # Processes share nothing that a thread has for itself: each computes as one thread does.
        if run_plan.executor.processes:
            self.resources = Resources(run_plan.limit, None, "serial")
            self.parallel = run_plan.executor.slots
        else:
            self.resources = Resources(run_plan.limit, run_plan.budget.workers, "threads")
            self.parallel = 1

    # -- windows -------------------------------------------------------------------------------

    def of_windows(self) -> tuple[float, float]:
        """Return the seconds that the run takes, and the share of the last window."""
        pixels = prod(self.shape)
        self._timed(self._planned(self._box(SMALLEST)))  # imports, and threads that start
        measured: list[tuple[float, float]] = []
        share = 0.0
        for box in self._growing_boxes():
            size = prod(map(_length, box))
            if measured and time.perf_counter() + _scaled(measured, size) > self.deadline:
                break
            window = self._planned(box)
            seconds = self._timed(window)
            share = size / pixels
            # As many pixels of the image: the halos of its larger tiles weigh less.
            measured.append((size * traffic(window).halo / traffic(self.plan).halo, seconds))
        return _scaled(measured, pixels) / self.parallel, share

    def _growing_boxes(self) -> Iterator[Region]:
        """Yield the windows, each larger than the one before."""
        most = min(LARGEST, max(SMALLEST, prod(self.shape) // SHARE))
        pixels, last = SMALLEST, None
        while pixels <= most:
            box = self._box(pixels)
            if box != last:
                yield box
            pixels, last = pixels * GROWTH, box

    def _box(self, pixels: int) -> Region:
        """Return a box of so many pixels, in the middle, that starts with whole chunks."""
        remaining = float(pixels)
        lengths = list(self.shape)
        for number, axis in enumerate(reversed(self.spatial)):
            length = round(remaining ** (1 / (len(self.spatial) - number)))
            length = max(length, 64 if number else min(WIDE, pixels // 64))
            lengths[axis] = min(self.shape[axis], length)
            remaining /= lengths[axis]
        for axis in self.loops:
            lengths[axis] = max(1, min(self.shape[axis], int(remaining)))
            remaining /= lengths[axis]
        data = self.plan.image.data
        is_chunked = getattr(data, "chunks", None) is not None
        chunks = chunk_lengths(data) if is_chunked else (1,) * len(lengths)
        starts = (
            (n - length) // 2 // chunk * chunk
            for n, length, chunk in zip(self.shape, lengths, chunks, strict=True)
        )
        return tuple(slice(s, s + length) for s, length in zip(starts, lengths, strict=True))

    def _planned(self, box: Region) -> RunPlan:
        run_plan, request = self.plan, self.plan.request
        inputs = {name: self._cropped(image, box) for name, image in request.inputs.items()}
        axes = AxisSelection(run_plan.source_axes, request.axes.spatial)
        source = self._cropped(run_plan.image, box)
        window = RunRequest(run_plan.recipe, source, inputs, axes, self.resources)
        return make_plan(window, Control(cancel=self.cancel), is_lasting=True)

    def _cropped(self, image: object, box: Region) -> Image:
        """Return a box of the source, or of an input that lies on it; any other input whole."""
        whole = align_axes(open_image(image), self.plan.image, self.plan.source_axes)
        data = whole.data
        if data.shape != self.shape:
            whole = without_alpha(whole)
            data = whole.data
        if data.shape != self.shape:
            box = tuple(span for axis, span in enumerate(box) if axis not in self.loops)
            plane = [n for axis, n in enumerate(self.shape) if axis not in self.loops]
            if data.shape != tuple(plane):
                return whole
        bounds = [(span.start, span.stop) for span in box]
        view = data[box] if isinstance(data, np.ndarray) else CroppedView(data, bounds)
        return replace(whole, data=view, levels=(view,), name="window", format="array")

    def _timed(self, window: RunPlan) -> float:
        """Run a window, and return the seconds that it takes."""
        suffix = "ome.zarr" if window.last.is_image else "json"
        path = self.folder / f"window.{suffix}"
        output = OutputRequest(path, overwrite=True, pyramid=self.pyramid)
        history = record(window.recipe, RunSources(window.image), fingerprints=False)
        checkpoint = Checkpoint(self.folder / "checkpoint", uuid4().hex, {})
        try:
            started = time.perf_counter()
            attach(window, checkpoint)
            RunJob(window, output, history).execute(resume=False, started=started)
            return time.perf_counter() - started
        finally:
            checkpoint.remove()

    # -- tiles ---------------------------------------------------------------------------------

    def is_fixed(self) -> bool:
        """Whether the result's size does not follow the image's, so that a window misleads."""
        last = self.plan.last
        if not last.is_image:
            return False
        box = self._box(SMALLEST)
        window = self._planned(box).last
        share_of_image = prod(map(_length, box)) / prod(self.shape)
        share_of_result = prod(window.shape) / prod(last.shape)
        return not 1 / SIMILAR < share_of_result / share_of_image < SIMILAR

    def of_tiles(self) -> tuple[float, float]:
        """Return the seconds that the run takes by samples of its tiles, and their share."""
        run_plan, request = self.plan, self.plan.request
        kinds = {stack.call.operation.kind for stack in run_plan.stacks}
        if run_plan.pipeline.materialized or not kinds <= _SAMPLED:
            raise TilewiseError(
                "the result has a size of its own, and a step before it needs more than samples"
            )
        session = _SampledSession(
            run_plan.session.workers,
            Control(cancel=self.cancel),
            cache=run_plan.session.cache,
        )
        images = recipe_images(
            run_plan.recipe,
            run_plan.image.data,
            open_inputs(request.inputs, run_plan.image, run_plan.source_axes),
            names=run_plan.source_axes,
            spatial=request.axes.spatial,
            channels=names_of(run_plan.image.channels, run_plan.source_axes, self.shape),
        ).measured_by(stated_sizes(run_plan.image))
        last = bind_recipe(run_plan.recipe, images, session, tiles=run_plan.tile).last
        last.prepare()
        pixels = prod(run_plan.last.shape)
        measured: list[tuple[float, float]] = []
        for number, regions in enumerate(self._growing_parts()):
            size = sum(prod(extent(region)) for region in regions)
            if measured and time.perf_counter() + _scaled(measured, size) > self.deadline:
                break
            seconds = self._computed(last, regions)
            if number == 1:
                measured.clear()  # threads start the first time
            measured.append((size, seconds))
        return session.reduction_seconds + _scaled(measured, pixels), measured[-1][0] / pixels

    def _growing_parts(self) -> Iterator[list[Region]]:
        """Yield parts of the result's tiles, one for each worker, each time larger ones.

        The smallest are yielded twice.
        """
        run_plan = self.plan
        positions = list(run_plan.grid.positions())
        count = min(run_plan.budget.workers, len(positions))
        most = min(LARGEST, prod(run_plan.last.shape) // SHARE)
        start = (len(positions) - count) // 2
        for parts in (PARTS, *(PARTS // 2**n for n in range(PARTS.bit_length()))):
            tiles = map(run_plan.grid.region, positions[start : start + count])
            regions = [
                tuple(slice(s.start, s.start - (s.start - s.stop) // parts) for s in tile)
                for tile in tiles
            ]
            if parts < PARTS and sum(prod(extent(region)) for region in regions) > most:
                return
            yield regions
            # The next ones are elsewhere if possible: these chunks stay decoded.
            start = (start + count) % (len(positions) - count + 1)

    def _computed(self, last: Stack, regions: Sequence[Region]) -> float:
        """Compute and write parts of the result, all at once; return the seconds that it takes."""
        run_plan, geometry = self.plan, self.plan.output
        layout = OutputLayout(overwrite=True, pyramid=False, chunks=geometry.chunks)
        writers = [
            OmeZarrWriter(
                self.folder / f"part{number}.ome.zarr",
                ImageMetadata(extent(region), run_plan.last.dtype, geometry.axes),
                layout,
            )
            for number, region in enumerate(regions)
        ]

        def compute(number: int, region: Region) -> None:
            whole = tuple(slice(0, length) for length in extent(region))
            writers[number].write(whole, np.ascontiguousarray(last.read(region)))

        started = time.perf_counter()
        try:
            sweep(compute, regions, workers=run_plan.budget.workers, cancel=self.cancel)
            return time.perf_counter() - started
        finally:
            for writer in writers:
                writer.close()


def _length(span: slice) -> int:
    return int(span.stop - span.start)


def _scaled(measured: Sequence[tuple[float, float]], pixels: int) -> float:
    """Return the seconds for an image from those of windows: a constant, and a time per pixel."""
    size, seconds = measured[-1]
    constant = 0.0
    if len(measured) > 1:
        size_before, seconds_before = measured[-2]
        rate = max(0.0, seconds - seconds_before) / (size - size_before)
        # Noise may make the larger window faster: the constant never exceeds a measured time.
        constant = seconds_before - rate * size_before
        constant = min(max(0.0, constant), measured[0][1], seconds)
    return constant + (seconds - constant) * pixels / size
