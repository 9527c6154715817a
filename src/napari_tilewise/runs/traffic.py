"""What a run reads, computes and writes, known before it starts: passes, halos, bounds of bytes.

Compression is not foreseen, so the bytes written are the most that they can be; where a disk may be
too small for them that is said, and never a reason to refuse.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Protocol

from napari_tilewise.engine.disk import free_bytes
from napari_tilewise.engine.stack import Stack
from napari_tilewise.io.writers.ome_zarr_layout import SUFFIXES
from napari_tilewise.io.writers.pyramid import level_shapes
from napari_tilewise.io.writers.staging import local_path
from napari_tilewise.pipeline.materialize import passes
from napari_tilewise.sizes import format_size

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from napari_tilewise.engine.source import Source
    from napari_tilewise.io.image import Image
    from napari_tilewise.pipeline.bind import Pipeline
    from napari_tilewise.pipeline.materialize import Decision


class Planned(Protocol):
    """What is asked of a plan."""

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
        """What is decided about the results between the steps."""

    @property
    def tile(self) -> tuple[int, ...]:
        """Tile lengths along the spatial axes."""

    @property
    def axes(self) -> tuple[str, ...]:
        """The output's axes."""


@dataclass(frozen=True)
class Traffic:
    """What a run moves, in bytes: the most that it can be, and pixels not compressed."""

    passes: int
    """Sweeps over an image, as many as usual where the pixels decide."""
    halo: float
    """Pixels computed in the last sweep for each pixel of its result, the mean of its steps."""
    read: int
    """What is decoded of the source."""
    output: int
    """The result, its finest level."""
    pyramid: int
    """Its smaller levels."""
    kept: int
    """Results between the steps that are kept on disk."""

    @property
    def written(self) -> int:
        """All that is written."""
        return self.output + self.pyramid + self.kept

    def __str__(self) -> str:
        """Return it in words, two lines."""
        return (
            f"passes  {self.passes}, computing {self.halo:.2f} pixels for each of the result\n"
            f"disk    reads up to {format_size(self.read)}, writes up to "
            f"{format_size(self.written)} before compression: {format_size(self.output)} result, "
            f"{format_size(self.pyramid)} smaller levels, {format_size(self.kept)} kept results"
        )

    def lasting(self, path: str | os.PathLike[str]) -> int:
        """Return the most bytes that stand on the destination's disk at a time.

        Parameters
        ----------
        path
            The destination. A format that is one file is poured from a Zarr, which stands until
            the file is complete.
        """
        return self.written + (0 if str(path).endswith(SUFFIXES) else self.output + self.pyramid)


def traffic(made: Planned, *, pyramid: bool = True) -> Traffic:
    """Return what a planned run moves.

    Parameters
    ----------
    made
        The plan.
    pyramid
        Whether smaller levels are written.
    """
    last, image = made.last, made.image.data
    output = prod(last.shape) * last.dtype.itemsize if last.is_image else 0
    smaller = 0
    if last.is_image and pyramid:
        levels = level_shapes(last.shape, made.axes)
        smaller = sum(map(prod, levels[1:])) * last.dtype.itemsize
    kept = {one.step for one in made.decisions if one.keep}
    sweeps, pulls = passes(made.pipeline, kept)
    on_disk = sum(one.size for one in made.decisions if one.keep and not one.in_memory)
    read = pulls * prod(image.shape) * image.dtype.itemsize
    return Traffic(sweeps, _overhead(last, made.tile), read, output, smaller, on_disk)


def shortage(made: Planned, path: str | os.PathLike[str], *, pyramid: bool = True) -> str | None:
    """Return in words that a destination's disk may be too small; None where it is large enough.

    Parameters
    ----------
    made
        The plan.
    path
        The destination.
    pyramid
        Whether smaller levels are written.
    """
    needed, free = traffic(made, pyramid=pyramid).lasting(path), free_bytes(local_path(path))
    if free is None or needed <= free:
        return None
    return (
        f"the run may write up to {format_size(needed)} before compression, and "
        f"{format_size(free)} are free at {str(local_path(path).parent)!r}"
    )


def _overhead(last: Stack, tile: Sequence[int]) -> float:
    """Return how many pixels a tile of the last step computes for each of its own."""
    lengths, regions, steps = list(tile), 0, 0
    source: Source = last
    while isinstance(source, Stack):
        shape, halo = source.call.spatial_shape, source.halo
        if len(shape) != len(lengths):
            break
        lengths = [
            min(n, length + before + after)
            for n, length, (before, after) in zip(shape, lengths, halo, strict=True)
        ]
        regions, steps, source = regions + prod(lengths), steps + 1, source.source
    return (
        regions / max(1, steps) / prod(min(t, n) for t, n in zip(tile, _spatial(last), strict=True))
    )


def _spatial(last: Stack) -> Sequence[int]:
    return last.spatial_of(last.shape) if last.is_image else last.call.spatial_shape
