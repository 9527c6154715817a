"""Numbers of the whole image, gathered tile by tile, with the bits NumPy would give.

NumPy adds up an array pairwise: it halves the flat array again and again. Cut at the same places,
pieces summed alone and joined along the same tree give the very sum; so means and deviations in
single precision come out as they would from the whole image.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from math import prod
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from napari_tilewise.errors import InvalidImage
from napari_tilewise.grid import LazySequence
from napari_tilewise.operations.spec.operation import Block, Call, HaloLike, Reduce

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from napari_tilewise.grid import Region
    from napari_tilewise.operations.spec.passes import Passes

PIECE = 2**20
"""Largest number of values summed at once (NumPy itself stops halving at 128)."""


def pixels(block: Block, call: Call) -> np.ndarray:
    """Return a block's own tile, without halo, as a contiguous array, the channels last."""
    data = block.data[call.with_channel(block.core, slice(None))]
    if call.channel_axis is not None:
        data = np.moveaxis(data, call.channel_axis, -1)
    return np.ascontiguousarray(data)


def extreme(ufunc: Any, values: np.ndarray) -> Any:
    """Return what `np.minimum`, `np.fmax` or their like make of all values."""
    return ufunc.reduce(values, axis=None)


def largest_cut(call: Call) -> int:
    """Return the pixels of the largest cut of `sums`, which the stated memory has to hold."""
    return min(prod(call.shape), PIECE)


def refuse_unless_finite(call: Call, low: Any, high: Any) -> None:
    """Raise for an image whose smallest or largest value is NaN or infinite.

    Raises
    ------
    InvalidImage
        If one of the two is.
    """
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InvalidImage(
            f"{call.operation.name}: the image holds NaN or infinite values: expected finite "
            "ones. Replace them first, for example with numpy.nan_to_num."
        )


def extremes(call: Call, *, finite: bool = False) -> Passes[tuple[Any, Any]]:
    """Compute the smallest and largest value, in the image's dtype; NaN if there is any.

    Raises
    ------
    InvalidImage
        For NaN or infinite values where `finite`.
    """

    def of(block: Block) -> tuple[Any, Any]:
        data = pixels(block, call)
        low, high = data.min(), data.max()
        if finite:
            refuse_unless_finite(call, low, high)
        return low, high

    def merge(a: tuple[Any, Any], b: tuple[Any, Any]) -> tuple[Any, Any]:
        return np.minimum(a[0], b[0]), np.maximum(a[1], b[1])

    low, high = yield Reduce(
        of,
        merge,
        in_groups=True,
        only_reads=True,
        description="smallest and largest value",
        share=None if finite or call.channel_axis is not None or call.dtype == bool else "range",
    )
    return low, high


def deviation(call: Call, values: Callable[[np.ndarray], np.ndarray]) -> Passes[Any]:
    """Compute ``values(image).std()``, channels last, as NumPy computes it."""
    count = np.intp(prod(call.shape))
    channels = call.shape[call.channel_axis] if call.channel_axis is not None else 1

    def raw(block: Block) -> Iterator[np.ndarray]:
        yield values(pixels(block, call))

    (total,) = yield from sums(call, raw, channels=channels, description="mean")
    mean = total.dtype.type(total / count)

    def squares(block: Block) -> Iterator[np.ndarray]:
        yield np.square(values(pixels(block, call)) - mean)

    (total,) = yield from sums(call, squares, channels=channels, description="standard deviation")
    variance = total.dtype.type(total / count)
    return variance.dtype.type(np.sqrt(variance))


def sums(
    call: Call,
    of: Callable[[Block], Iterator[np.ndarray]],
    *,
    channels: int = 1,
    halo: HaloLike = 0,
    description: str = "sums",
    piece: int = PIECE,
) -> Passes[list[Any]]:
    """Return ``[array.sum(), ...]`` of arrays over the image, each pixel holding `channels` values.

    `of` yields the parts of these arrays that lie on a block's tile. `piece` is the largest number
    of values to sum at once.
    """
    shape = call.spatial_shape
    count = prod(shape) * channels
    cuts = cuts_of(count, piece)
    boxes = bands(shape, cuts, channels)

    def summed(block: Block) -> CutSums:
        number = block.position[0]
        start, stop = cuts[number]
        corner = np.ravel_multi_index([s.start for s in boxes[number]], shape) * channels
        part = slice(start - int(corner), stop - int(corner))
        return CutSums(count, cuts[number], [np.sum(a.reshape(-1)[part]) for a in of(block)])

    # Boxes are visited, and joined, in the order given.
    totals: list[Any] = yield Reduce(
        summed, CutSums.extend, halo=halo, regions=boxes, finish=CutSums.totals,
        description=description, form="joined",
    )  # fmt: skip
    return totals


def bands(
    shape: Sequence[int], cuts: Sequence[tuple[int, int]], channels: int = 1
) -> LazySequence[Region]:
    """Return the smallest boxes that hold runs of values, `channels` of them to a pixel."""

    def box(number: int) -> Region:
        start, stop = cuts[number]
        return band(shape, start // channels, -(-stop // channels))

    return LazySequence(len(cuts), box)


def band(shape: Sequence[int], start: int, stop: int) -> Region:
    """Return the smallest box, whole along its last axes, that holds a run of pixels."""
    first, last = np.unravel_index([start, stop - 1], tuple(shape)), []
    whole = False
    for (a, b), n in zip(first, shape, strict=True):
        last.append(slice(0, n) if whole else slice(int(a), int(b) + 1))
        whole = whole or a != b
    return tuple(last)


def _half(count: int) -> int:
    return count // 2 - count // 2 % 8


def cuts_of(count: int, piece: int = PIECE) -> Sequence[tuple[int, int]]:
    """Return the runs, of at most `piece` values, that NumPy sums alone on its way to the sum."""
    return _Cuts(count, piece)


class _Cuts(Sequence[tuple[int, int]]):
    """Runs of an array that are made when they are asked for, however long the array is."""

    def __init__(self, count: int, piece: int) -> None:
        self._count = count
        self._longest = max(piece, 128)
        self._numbers: dict[int, int] = {}

    def __len__(self) -> int:
        return self._number_of(self._count)

    @overload
    def __getitem__(self, number: int) -> tuple[int, int]: ...

    @overload
    def __getitem__(self, number: slice) -> Sequence[tuple[int, int]]: ...

    def __getitem__(self, number: int | slice) -> tuple[int, int] | Sequence[tuple[int, int]]:
        """Return a run, or several."""
        numbers = range(len(self))[number]
        if not isinstance(numbers, int):
            return [self[n] for n in numbers]
        start, count = 0, self._count
        while count > self._longest:
            half = _half(count)
            before = self._number_of(half)
            if numbers < before:
                count = half
            else:
                start, numbers, count = start + half, numbers - before, count - half
        return start, start + count

    def _number_of(self, count: int) -> int:
        """Return how many runs so many values have."""
        if count <= self._longest:
            return 1
        if count not in self._numbers:  # of one length or another at each depth
            half = _half(count)
            self._numbers[count] = self._number_of(half) + self._number_of(count - half)
        return self._numbers[count]


class CutSums:
    """Sums of such runs, added in order and joined along NumPy's tree as they come.

    Parameters
    ----------
    count
        Number of values of all runs.
    cut
        The first run.
    sums
        Its sums, one for each array.
    """

    def __init__(self, count: int, cut: tuple[int, int], sums: list[Any]) -> None:
        self._count = count
        self._cut = cut
        self._sums = [sums]
        self._join()

    def extend(self, other: CutSums) -> CutSums:
        """Add the sums of the next run: a reduction's merge."""
        self._cut = other._cut
        self._sums.extend(other._sums)
        self._join()
        return self

    def totals(self) -> list[Any]:
        """Return the sums of all runs, after the last was added."""
        return self._sums[0]

    def _join(self) -> None:
        """Join what the last run completes: as often as it lies at the end of a half."""
        start, count, ends = 0, self._count, 0
        while count > self._cut[1] - self._cut[0]:
            half = _half(count)
            if self._cut[0] < start + half:
                count, ends = half, 0
            else:
                start, count, ends = start + half, count - half, ends + 1
        for _ in range(min(ends, len(self._sums) - 1)):
            last = self._sums.pop()
            self._sums[-1] = [a + b for a, b in zip(self._sums[-1], last, strict=True)]


def join_cuts(parts: Iterable[list[Any]], cuts: Sequence[tuple[int, int]]) -> list[Any]:
    """Add up the sums of such runs along NumPy's tree."""
    count = cuts[-1][1]
    runs = (CutSums(count, cut, part) for cut, part in zip(cuts, parts, strict=True))
    return reduce(CutSums.extend, runs).totals()
