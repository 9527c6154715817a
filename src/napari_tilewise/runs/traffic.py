"""What a run reads, computes and writes, known before it starts: passes, halos, bytes.

Compression is not foreseen, so the bytes written are an upper bound; a disk that may be too small
for them is reported, and never a reason to refuse.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Protocol

from napari_tilewise.engine.stack import Stack
from napari_tilewise.engine.system.disk import free_bytes
from napari_tilewise.engine.views.without_alpha import WithoutAlpha
from napari_tilewise.io.writers.ome_zarr_layout import SUFFIXES
from napari_tilewise.io.writers.pyramid import level_shapes
from napari_tilewise.io.writers.staging import local_path
from napari_tilewise.pipeline.materialize import passes
from napari_tilewise.sizes import format_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise.engine.source import Source
    from napari_tilewise.io.image import Image
    from napari_tilewise.pipeline.bind import Pipeline
    from napari_tilewise.pipeline.materialize import Decision
    from napari_tilewise.types import PathLike


class Planned(Protocol):
    """The part of a run's plan that decides about its traffic."""

    @property
    def pipeline(self) -> Pipeline:
        """The steps."""

    @property
    def last(self) -> Stack:
        """The step whose result is written."""

    @property
    def image(self) -> Image:
        """The source."""

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """Which results between the steps are materialized."""

    @property
    def tile(self) -> tuple[int, ...]:
        """Tile lengths in pixels along the spatial axes."""

    @property
    def output(self) -> OutputAxes:
        """The output."""


class OutputAxes(Protocol):
    """An output with named axes."""

    @property
    def axes(self) -> tuple[str, ...]:
        """One letter per axis."""


@dataclass(frozen=True)
class Traffic:
    """Upper bounds of what a run reads and writes, in bytes of uncompressed pixels."""

    passes: int
    """Number of passes over an image; a typical number if the pixels decide."""
    halo: float
    """Pixels computed in the last pass for each pixel of the result, the mean of its steps."""
    read: int
    """Decoded pixels of the source."""
    output: int
    """The result, its finest level."""
    pyramid: int
    """Its smaller levels."""
    materialized: int
    """Results between the steps that are materialized on disk."""

    @property
    def written(self) -> int:
        """Everything that is written."""
        return self.output + self.pyramid + self.materialized

    def __str__(self) -> str:
        """Return the figures as text, in two lines."""
        return (
            f"passes  {self.passes}, computing {self.halo:.2f} pixels for each of the result\n"
            f"disk    reads up to {format_size(self.read)}, writes up to "
            f"{format_size(self.written)} before compression: {format_size(self.output)} result, "
            f"{format_size(self.pyramid)} smaller levels, "
            f"{format_size(self.materialized)} materialized results"
        )

    def lasting(self, path: PathLike) -> int:
        """Return the most bytes on the destination's disk at a time.

        Parameters
        ----------
        path
            The destination. A format that is a single file is converted from a Zarr, which is
            removed when the file is complete.
        """
        return self.written + (0 if str(path).endswith(SUFFIXES) else self.output + self.pyramid)


def traffic(plan: Planned, *, pyramid: bool = True) -> Traffic:
    """Return what a planned run reads and writes.

    Parameters
    ----------
    plan
        The plan.
    pyramid
        Whether smaller levels are written.
    """
    last, image = plan.last, plan.image.data
    output = prod(last.shape) * last.dtype.itemsize if last.is_image else 0
    smaller = 0
    if last.is_image and pyramid:
        levels = level_shapes(last.shape, plan.output.axes)
        smaller = sum(map(prod, levels[1:])) * last.dtype.itemsize
    stored = [decision for decision in plan.decisions if decision.keep]
    count, pulls = passes(plan.pipeline, {decision.step for decision in stored})
    on_disk = sum(decision.size for decision in stored if not decision.in_memory)
    read = pulls * prod(image.shape) * image.dtype.itemsize
    return Traffic(count, _overhead(last, plan.tile), read, output, smaller, on_disk)


def shortage(plan: Planned, path: PathLike, *, pyramid: bool = True) -> str | None:
    """Return a warning if a destination's disk may be too small; None if it is large enough.

    Parameters
    ----------
    plan
        The plan.
    path
        The destination.
    pyramid
        Whether smaller levels are written.
    """
    needed, free = traffic(plan, pyramid=pyramid).lasting(path), free_bytes(local_path(path))
    if free is None or needed <= free:
        return None
    return (
        f"the run may write up to {format_size(needed)} before compression, and "
        f"{format_size(free)} are free in {str(local_path(path).parent)!r}"
    )


def _overhead(last: Stack, tile: Sequence[int]) -> float:
    """Return how many pixels a tile of the last step computes for each pixel of its own."""
    lengths, pixels, steps = list(tile), 0, 0
    source: Source = last
    while isinstance(source, Stack):
        shape, halo = source.call.spatial_shape, source.halo
        if len(shape) != len(lengths):
            break
        lengths = [
            min(n, length + before + after)
            for n, length, (before, after) in zip(shape, lengths, halo, strict=True)
        ]
        pixels, steps, source = pixels + prod(lengths), steps + 1, source.source
        if isinstance(source, WithoutAlpha):
            source = source.inner
    spatial = last.spatial_of(last.shape) if last.is_image else last.call.spatial_shape
    own = prod(min(length, n) for length, n in zip(tile, spatial, strict=True))
    return pixels / max(1, steps) / own
