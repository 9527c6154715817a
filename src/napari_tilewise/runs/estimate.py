"""How long a run will take, told by running it: on windows of the image, for a few seconds.

A window in the middle of the image is run as the whole would be, with all workers at once: read,
computed, encoded, written to a temporary folder, its smaller levels too. Windows grow while there
is time; what they cost per pixel, and what a run costs however small, is scaled to the image. What
the passes find is a window's own: nothing of it reaches the real run.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

import numpy as np

from napari_tilewise.engine.checkpoint import Checkpoint
from napari_tilewise.engine.control import Control
from napari_tilewise.engine.pool import sweep
from napari_tilewise.engine.session import Session
from napari_tilewise.errors import Cancelled, TilewiseError
from napari_tilewise.grid import extent
from napari_tilewise.io.metadata.image_metadata import ImageMetadata
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.io.views.axis_order import align_axes, open_inputs
from napari_tilewise.io.views.cropped import CroppedView
from napari_tilewise.io.writers.create import OutputRequest
from napari_tilewise.io.writers.ome_zarr import OmeZarrWriter
from napari_tilewise.io.writers.output_layout import OutputLayout
from napari_tilewise.operations.spec.kinds import Kind
from napari_tilewise.pipeline.bind import bind_recipe, given
from napari_tilewise.provenance.record import RunSources, record
from napari_tilewise.runs.plan import Plan, plan
from napari_tilewise.runs.resume import begin
from napari_tilewise.runs.run import carry_out
from napari_tilewise.runs.traffic import traffic

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Sequence

    from napari_tilewise.engine.pass_results import PartialResult
    from napari_tilewise.engine.stack import Stack
    from napari_tilewise.grid import Region
    from napari_tilewise.io.image import Image

T = TypeVar("T")
V = TypeVar("V")

SMALLEST, LARGEST = 2**16, 2**24
"""Pixels of the first window, and most pixels of the last."""
MOST = 16
"""Most tiles that a gathering pass sees, where tiles are sampled."""
SHARE = 4
"""A window is at most one part in so many of an image that is larger than the smallest."""
PARTS = 8
"""The first part of a tile that is sampled is one in so many of it along each axis."""
GROWTH = 4
"""How many times as large as the one before a window is."""
WIDE = 2048
"""Pixels of a window along the last axis: an image this wide has smaller levels."""
ALIKE = 1.25
"""Ratio of two numbers of pixels up to which a window's result is to it as the image's to it."""

_ALONE = {Kind.POINTWISE, Kind.NEIGHBOURHOOD, Kind.GEOMETRY, Kind.STATISTIC}
"""The kinds of which a tile can be computed with numbers that were gathered elsewhere."""


@dataclass(frozen=True)
class Estimate:
    """How long a run will take."""

    seconds: float | None
    """The time, where samples could tell it."""
    share: float
    """The part of the image's pixels that was computed in the largest sample."""
    took: float
    """Seconds that the estimate itself took."""
    why: str = ""
    """Why there is no time."""

    def __str__(self) -> str:
        """Return it in words."""
        if self.seconds is None:
            return f"not known from samples: {self.why}"
        return f"about {_duration(self.seconds)}, from {self.share:.1%} of the image"


def estimate(
    made: Plan,
    *,
    pyramid: bool = True,
    within: float = 3.0,
    cancel: threading.Event | None = None,
) -> Estimate:
    """Return how long a planned run will take on this machine, as idle as it is now.

    Parts of the image are read and computed: at most 16 million pixels, and a quarter of any but a
    small image. Nothing is left behind. A part is begun only when it should be done in time, so all
    takes little longer than `within`, unless the smallest part already does.

    Parameters
    ----------
    made
        The plan.
    pyramid
        Whether smaller levels are written.
    within
        Seconds that the samples may take.
    cancel
        Set this event to stop within one tile's time.

    Raises
    ------
    Cancelled
        When `cancel` is set.
    """
    started = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory(prefix="napari-tilewise-") as folder:
            samples = _Samples(made, Path(folder), pyramid, started + within, cancel)
            seconds, share = samples.of_tiles() if samples.is_fixed() else samples.of_windows()
    except Cancelled:
        raise
    except TilewiseError as error:
        return Estimate(None, 0.0, time.perf_counter() - started, str(error))
    return Estimate(seconds, share, time.perf_counter() - started)


@dataclass(eq=False)
class _SomeTiles(Session):
    """A session whose gathering passes see some tiles only, from all over the image."""

    gathered: float = 0.0
    """Seconds that they would take over all of them."""

    def reduce(
        self,
        title: str,
        contribution: Callable[[T], V],
        merge: Callable[[V, V], V],
        items: Sequence[T],
        partial: PartialResult | None = None,
        remote: Callable[[Sequence[T]], Sequence[V]] | None = None,
    ) -> V | None:
        """Return the merged contributions of some of the items."""
        count = max(self.workers or 1, min(len(items) // SHARE, MOST))
        some = items[:: max(1, len(items) // count)]
        started = time.perf_counter()
        found = super().reduce(title, contribution, merge, some)
        self.gathered += (time.perf_counter() - started) * len(items) / len(some)
        return found


class _Samples:
    """Parts of a run, and the time that each takes."""

    def __init__(
        self,
        made: Plan,
        folder: Path,
        pyramid: bool,
        deadline: float,
        cancel: threading.Event | None,
    ) -> None:
        self.made = made
        self.folder = folder
        self.pyramid = pyramid
        self.deadline = deadline
        self.cancel = cancel
        first = made.stacks[0]
        self.loops = first.loops
        plane = [axis for axis in range(len(first.source.shape)) if axis not in first.loops]
        self.spatial = [plane[axis] for axis in first.call.spatial_axes]
        self.shape = made.image.data.shape
        # Processes share nothing that one thread has for itself: each works as one thread does.
        here = not made.place.processes
        self.how: dict[str, Any] = {
            "executor": "threads" if here else "serial",
            "workers": made.budget.workers if here else None,
        }
        self.apart = 1 if here else made.place.slots

    # -- windows -------------------------------------------------------------------------------

    def of_windows(self) -> tuple[float, float]:
        """Return the seconds that the run takes, and the share of the last window."""
        pixels = prod(self.shape)
        self._run(self._boxed(SMALLEST))  # imports, and threads that start
        told: list[tuple[float, float]] = []
        share = 0.0
        for box in self._growing():
            size = prod(map(_length, box))
            if told and time.perf_counter() + _scaled(told, size) > self.deadline:
                break
            window = self._planned(box)
            took = self._timed(window)
            share = size / pixels
            # As many pixels of the image: there the halos of larger tiles weigh less.
            told.append((size * traffic(window).halo / traffic(self.made).halo, took))
        return _scaled(told, pixels) / self.apart, share

    def _growing(self) -> Iterator[Region]:
        """Yield the windows, each larger than the one before."""
        most = min(LARGEST, max(SMALLEST, prod(self.shape) // SHARE))
        pixels, last = SMALLEST, None
        while pixels <= most:
            box = self._boxed(pixels)
            if box != last:
                yield box
            pixels, last = pixels * GROWTH, box

    def _boxed(self, pixels: int) -> Region:
        """Return a box of so many pixels, in the middle, that begins with whole chunks."""
        left = float(pixels)
        lengths = list(self.shape)
        for number, axis in enumerate(reversed(self.spatial)):
            wanted = round(left ** (1 / (len(self.spatial) - number)))
            wanted = max(wanted, 64 if number else min(WIDE, pixels // 64))
            lengths[axis] = min(self.shape[axis], wanted)
            left /= lengths[axis]
        for axis in self.loops:
            lengths[axis] = max(1, min(self.shape[axis], int(left)))
            left /= lengths[axis]
        chunks = getattr(self.made.image.data, "chunks", None) or (1,) * len(lengths)
        starts = (
            (n - length) // 2 // chunk * chunk
            for n, length, chunk in zip(self.shape, lengths, chunks, strict=True)
        )
        return tuple(slice(s, s + length) for s, length in zip(starts, lengths, strict=True))

    def _planned(self, box: Region) -> Plan:
        made = self.made
        inputs = {name: self._cut(image, box) for name, image in made.request.inputs.items()}
        return plan(
            made.recipe, self._cut(made.image, box), inputs=inputs, memory=made.limit,
            axes=made.source_axes, spatial=made.request.spatial, cancel=self.cancel,
            resume=True, **self.how,
        )  # fmt: skip

    def _cut(self, image: Any, box: Region) -> Image:
        """Return a box of the source, or of an input that lies on it; any other input whole."""
        whole = align_axes(open_image(image), self.made.image, self.made.source_axes)
        data = whole.data
        if data.shape != self.shape:
            box = tuple(span for axis, span in enumerate(box) if axis not in self.loops)
            on_plane = [n for axis, n in enumerate(self.shape) if axis not in self.loops]
            if data.shape != tuple(on_plane):
                return whole
        bounds = [(span.start, span.stop) for span in box]
        view = data[box] if isinstance(data, np.ndarray) else CroppedView(data, bounds)
        return replace(whole, data=view, levels=(view,), name="window", format="array")

    def _run(self, box: Region) -> None:
        self._timed(self._planned(box))

    def _timed(self, window: Plan) -> float:
        """Run a window, and return the seconds that it takes."""
        suffix = "ome.zarr" if window.last.is_image else "json"
        target = OutputRequest(
            self.folder / f"window.{suffix}", overwrite=True, pyramid=self.pyramid
        )
        history = record(window.recipe, RunSources(window.image), fingerprints=False)
        checkpoint = Checkpoint(self.folder / "checkpoint", uuid4().hex, {})
        try:
            started = time.perf_counter()
            begin(window, checkpoint)
            carry_out(window, (), target, history, resume=False, started=started)
            return time.perf_counter() - started
        finally:
            checkpoint.remove()

    # -- tiles ---------------------------------------------------------------------------------

    def is_fixed(self) -> bool:
        """Whether the result's size does not follow the image's, so that a window would mislead."""
        last = self.made.last
        if not last.is_image:
            return False
        box = self._boxed(SMALLEST)
        window = self._planned(box).last
        before = prod(last.shape) / prod(self.shape)
        ratio = prod(window.shape) / prod(map(_length, box)) / before
        return not 1 / ALIKE < ratio < ALIKE

    def of_tiles(self) -> tuple[float, float]:
        """Return the seconds that the run takes by some of its tiles, and their share."""
        made = self.made
        if made.pipeline.materialized or any(
            s.call.operation.kind not in _ALONE for s in made.stacks
        ):
            raise TilewiseError(
                "the result has a size of its own, and a step before it needs more than samples"
            )
        session = _SomeTiles(
            made.session.workers, Control(cancel=self.cancel), cache=made.session.cache
        )
        inputs = open_inputs(made.request.inputs, made.image, made.source_axes)
        asked = given(
            made.recipe,
            made.image.data,
            inputs,
            names=made.source_axes,
            spatial=made.request.spatial,
        )
        last = bind_recipe(made.recipe, asked, session, tiles=made.tile).last
        last.prepare()
        pixels = prod(made.last.shape)
        told: list[tuple[float, float]] = []
        for number, regions in enumerate(self._growing_parts()):
            size = sum(prod(extent(region)) for region in regions)
            if told and time.perf_counter() + _scaled(told, size) > self.deadline:
                break
            took = self._computed(last, regions)
            if number == 1:
                told.clear()  # The first time, threads start.
            told.append((size, took))
        return session.gathered + _scaled(told, pixels), told[-1][0] / pixels

    def _growing_parts(self) -> Iterator[list[Region]]:
        """Yield parts of the result's tiles, one for each worker, each time larger ones.

        The smallest are yielded twice.
        """
        made = self.made
        positions = list(made.grid.positions())
        count = min(made.budget.workers, len(positions))
        most = min(LARGEST, prod(made.last.shape) // SHARE)
        start = (len(positions) - count) // 2
        for parts in (PARTS, *(PARTS // 2**n for n in range(PARTS.bit_length()))):
            tiles = map(made.grid.region, positions[start : start + count])
            regions = [
                tuple(slice(s.start, s.start - (s.start - s.stop) // parts) for s in tile)
                for tile in tiles
            ]
            if parts < PARTS and sum(prod(extent(region)) for region in regions) > most:
                return
            yield regions
            # The next ones lie elsewhere, where they can: what was read stays decoded.
            start = (start + count) % (len(positions) - count + 1)

    def _computed(self, last: Stack, regions: Sequence[Region]) -> float:
        """Compute and write parts of the result, all at once; return the seconds that it takes."""
        made = self.made
        layout = OutputLayout(overwrite=True, pyramid=False, chunks=made.chunks)
        writers = [
            OmeZarrWriter(
                self.folder / f"part{number}.ome.zarr",
                ImageMetadata(extent(region), made.last.dtype, made.axes),
                layout,
            )
            for number, region in enumerate(regions)
        ]

        def work(number: int, region: Region) -> None:
            whole = tuple(slice(0, n) for n in extent(region))
            writers[number].write(whole, np.ascontiguousarray(last.read(region)))

        started = time.perf_counter()
        sweep(work, regions, workers=made.budget.workers, cancel=self.cancel)
        return time.perf_counter() - started


def _length(span: slice) -> int:
    return int(span.stop - span.start)


def _scaled(told: Sequence[tuple[float, float]], pixels: int) -> float:
    """Return the seconds for an image from those of windows: a constant, and so much a pixel."""
    size, took = told[-1]
    constant = 0.0
    if len(told) > 1:
        before, took_before = told[-2]
        rate = max(0.0, took - took_before) / (size - before)
        # Noise may have the larger window take less: the constant is never more than it took.
        constant = min(max(0.0, took_before - rate * before), told[0][1], took)
    return constant + (took - constant) * pixels / size


def _duration(seconds: float) -> str:
    """Return a time in words."""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
