"""The array that stands for a source at a size: a level of its pyramid, or every n-th pixel."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.engine.views.strided import StridedView
from napari_tilewise.errors import InvalidImage
from napari_tilewise.grid import Region, extent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise._napari.layers.snapshot import Box, Snapshot

MOST_READ = 2**26
"""The most pixels of a lazy image without a pyramid that are read for an overview."""


@dataclass(frozen=True, eq=False)
class Level:
    """An array in the place of a source, with its larger pixels."""

    array: Any
    factors: tuple[float, ...]
    """The length of its pixels along each of the source's axes, in pixels of the source."""
    number: int = 0
    """The level of the pyramid."""
    steps: tuple[int, ...] = ()
    """The step between the pixels that are taken of that level, along each axis."""

    @property
    def is_full(self) -> bool:
        """Whether it is the source itself."""
        return all(factor == 1 for factor in self.factors)

    def region(self, box: Box) -> Region:
        """Return a box of the source as a box of this array, samples included.

        Parameters
        ----------
        box
            A box along the layer's axes, at full resolution.
        """
        shape = np.shape(self.array)
        spans = []
        for span, factor, length in zip(box, self.factors, shape, strict=False):
            start = min(int(span.start / factor), length - 1)
            spans.append(slice(start, max(start + 1, min(ceil(span.stop / factor), length))))
        return (*spans, *(slice(0, n) for n in shape[len(spans) :]))


def level_of(source: Snapshot, box: Box, most: int, *, alone: bool) -> Level:
    """Return the finest level of which a box has at most so many pixels.

    Parameters
    ----------
    source
        The layer's arrays.
    box
        The visible box, at full resolution.
    most
        The most pixels.
    alone
        Whether no further image must have the same shape: then the pyramid is used.

    Raises
    ------
    InvalidImage
        If the image is lazy and has no pyramid, and too much of it is visible.
    """
    levels = source.levels if alone else source.levels[:1]
    for number, array in enumerate(levels):
        level = Level(array, _factors(source.shape, np.shape(array)), number)
        if prod(extent(level.region(box)[: len(box)])) <= most:
            return level
    number = len(levels) - 1
    visible = prod(extent(level.region(box)[: len(box)]))
    in_memory = isinstance(levels[number], np.ndarray)
    if not in_memory and visible > MOST_READ:
        raise InvalidImage(
            f"{source.name!r} has no pyramid, and {visible / 1e6:,.0f} million of its pixels are "
            "visible: zoom in to preview."
        )
    shown = [span.stop - span.start > 1 for span in box]
    step = ceil((visible / most) ** (1 / max(1, sum(shown))))
    steps = tuple(step if is_shown else 1 for is_shown in shown)
    steps += (1,) * (len(source.shape) - len(steps))
    strided = StridedView(levels[number], steps)
    array = strided.view() if in_memory else strided
    factors = tuple(f * s for f, s in zip(level.factors, steps, strict=True))
    return Level(array, factors, number, steps)


def _factors(shape: Sequence[int], coarse: Sequence[int]) -> tuple[float, ...]:
    return tuple(1.0 if n == m else n / m for n, m in zip(shape, coarse, strict=True))
