"""Numbers of the whole image, gathered tile by tile, with the bits NumPy would give.

NumPy adds up an array pairwise: it halves the flat array again and again. Cut at the same places,
pieces summed alone and joined along the same tree give the very sum; so means and deviations in
single precision come out as they would from the whole image.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidImage
from napari_tilewise.operations.spec.operation import Block, Call, HaloLike, Reduce

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

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
        if finite and not (np.isfinite(low) and np.isfinite(high)):
            raise InvalidImage(
                f"{call.operation.name}: the image holds NaN or infinite values: expected finite "
                "ones. Replace them first, for example with numpy.nan_to_num."
            )
        return low, high

    def merge(a: tuple[Any, Any], b: tuple[Any, Any]) -> tuple[Any, Any]:
        return np.minimum(a[0], b[0]), np.maximum(a[1], b[1])

    low, high = yield Reduce(
        of,
        merge,
        in_groups=True,
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
    cuts = cuts_of(prod(shape) * channels, piece)
    boxes = [band(shape, start // channels, -(-stop // channels)) for start, stop in cuts]

    def summed(block: Block) -> dict[int, list[Any]]:
        number = block.position[0]
        start, stop = cuts[number]
        corner = np.ravel_multi_index([s.start for s in boxes[number]], shape) * channels
        part = slice(start - int(corner), stop - int(corner))
        return {number: [np.sum(array.reshape(-1)[part]) for array in of(block)]}

    sums_of_cuts = yield Reduce(
        summed, lambda a, b: a | b, halo=halo, regions=boxes, description=description
    )
    return join_cuts([sums_of_cuts[number] for number in range(len(cuts))], cuts)


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


def cuts_of(count: int, piece: int = PIECE) -> list[tuple[int, int]]:
    """Return the runs, of at most `piece` values, that NumPy sums alone on its way to the sum."""
    return list(_cuts(0, count, piece))


def _cuts(start: int, count: int, piece: int) -> Iterator[tuple[int, int]]:
    if count <= max(piece, 128):
        yield start, start + count
    else:
        yield from _cuts(start, _half(count), piece)
        yield from _cuts(start + _half(count), count - _half(count), piece)


def join_cuts(parts: list[list[Any]], cuts: list[tuple[int, int]]) -> list[Any]:
    """Add up the sums of such runs along NumPy's tree."""
    if len(parts) == 1:
        return parts[0]
    start, stop = cuts[0][0], cuts[-1][1]
    middle = start + _half(stop - start)
    split = next(i for i, cut in enumerate(cuts) if cut[0] == middle)
    first, second = join_cuts(parts[:split], cuts[:split]), join_cuts(parts[split:], cuts[split:])
    return [a + b for a, b in zip(first, second, strict=True)]
