"""Means of regions, bit for bit as ``image[mask].mean(axis=0)`` computes them.

NumPy adds up the colours of a region one after the other, and its gray values pairwise. Visiting
the image in bands, from its first row to its last, gives the pixels of every region in that order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.operations.shared.global_numbers import cuts_of, join_cuts
from napari_tilewise.operations.spec.operation import Block, Call, Reduce

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_tilewise.grid import Region
    from napari_tilewise.operations.exposure.matching import Tally
    from napari_tilewise.operations.spec.passes import Passes

BAND = 2**22
"""Approximate number of pixels in a band."""


def bands(shape: Sequence[int]) -> Iterator[Region]:
    """Yield boxes that cover an image in the order of its pixels."""
    inner = prod(shape[1:])
    if inner > BAND:
        for index in range(shape[0]):
            for box in bands(shape[1:]):
                yield (slice(index, index + 1), *box)
        return
    height = max(1, BAND // inner)
    for start in range(0, shape[0], height):
        yield (
            slice(start, min(start + height, shape[0])),
            *(slice(0, n) for n in shape[1:]),
        )


@dataclass
class _RegionPixels:
    """The pixels of a band with the rank of each one's region, in the image's order."""

    region: np.ndarray
    values: np.ndarray


@dataclass
class _SequentialSums:
    """Sums of the colours of regions, added one pixel after the other."""

    sums: np.ndarray

    def add(self, pixels: _RegionPixels) -> None:
        for channel, values in zip(self.sums, pixels.values.T, strict=True):
            np.add.at(channel, pixels.region, values.astype(channel.dtype, copy=False))

    def result(self) -> np.ndarray:
        return self.sums.T


@dataclass
class _PairwiseSum:
    """The pairwise sum of values that arrive in parts; their total number is known before."""

    cuts: Sequence[tuple[int, int]]
    done: list[list[Any]] = field(default_factory=list)
    waiting: list[np.ndarray] = field(default_factory=list)

    def add(self, values: np.ndarray) -> None:
        while len(values):
            start, stop = self.cuts[len(self.done)]
            room = stop - start - sum(map(len, self.waiting))
            self.waiting.append(values[:room])
            if len(values) >= room:
                self.done.append([np.sum(np.concatenate(self.waiting), axis=0)])
                self.waiting = []
            values = values[room:]


@dataclass
class _PairwiseSums:
    """Pairwise sums of the gray values of regions."""

    dtype: Any
    counts: np.ndarray
    runs: dict[int, _PairwiseSum] = field(default_factory=dict)

    def add(self, pixels: _RegionPixels) -> None:
        order = np.argsort(pixels.region, kind="stable")
        values = pixels.values[order].astype(self.dtype, copy=False)
        regions, starts = np.unique(pixels.region[order], return_index=True)
        if not regions.size:
            return
        ends = np.append(starts[1:], len(values))
        for region, start, stop in zip(regions.tolist(), starts, ends, strict=True):
            if region not in self.runs:
                self.runs[region] = _PairwiseSum(cuts_of(int(self.counts[region])))
            self.runs[region].add(values[start:stop])

    def result(self) -> np.ndarray:
        sums = np.zeros(len(self.counts), self.dtype)
        for region, run in self.runs.items():
            (sums[region],) = join_cuts(run.done, run.cuts)
        return sums


def reduce_means(call: Call, image: str, regions: Tally, excluded: Any) -> Passes[np.ndarray]:
    """Return the mean of an aligned image over each label's region.

    Parameters
    ----------
    call
        The call, whose image contains the labels.
    image
        Name of the aligned image, gray or with the channels after the spatial axes.
    regions
        All labels, and how many pixels each has.
    excluded
        The label whose mean is not needed.
    """
    dtype = call.image_dtype(image)
    sum_dtype: Any = dtype if dtype.kind == "f" else np.float64
    if dtype == np.float16:
        sum_dtype = np.float32  # as NumPy's means of float16
    channels = call[image].shape[call.ndim :]

    def region_pixels(block: Block) -> _RegionPixels:
        selected = block.data != excluded
        ranks = np.searchsorted(regions.values, block.data[selected])
        return _RegionPixels(ranks, block.images[image][selected])

    def sums() -> _SequentialSums | _PairwiseSums:
        if channels:
            return _SequentialSums(np.zeros((channels[0], len(regions.values)), sum_dtype))
        return _PairwiseSums(sum_dtype, regions.counts)

    def merge(total: Any, pixels: _RegionPixels) -> Any:
        running = finish(total)
        running.add(pixels)
        return running

    def finish(total: Any) -> Any:
        if not isinstance(total, _RegionPixels):
            return total
        running = sums()
        running.add(total)
        return running

    totals = yield Reduce(
        region_pixels,
        merge,
        regions=list(bands(call.shape)),
        finish=lambda total: finish(total).result(),
        description="means of regions",
    )
    counts = regions.counts.reshape(-1, *(1 for _ in channels))
    return np.asarray((totals / counts).astype(sum_dtype, copy=False))
