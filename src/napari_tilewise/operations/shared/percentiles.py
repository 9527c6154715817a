"""Exact percentiles of the whole image without a sort: a radix search on the bits of values.

Read as unsigned integers, with negative ones turned round, floats keep their order. A histogram of
their first 16 bits tells in which bin a wanted rank lies; the next pass splits that bin by the next
16, or gathers its values where they are few. Values of 32 bits take two passes, of 64 bits up to
four; nothing else is gathered but histograms.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.operations.spec.operation import Block, Call, HaloLike, Reduce

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_tilewise.operations.spec.passes import Passes
    from napari_tilewise.types import DType

DIGIT = 16
FEW = 2**19
"""Values that are gathered as they are."""


def percentiles(
    call: Call,
    values: Callable[[Block], np.ndarray],
    percentages: Sequence[float],
    dtype: Any,
    halo: HaloLike = 0,
) -> Passes[np.ndarray]:
    """Compute ``np.percentile(values of all pixels, percentages)`` for values of 16 bits or more.

    `values` returns those of a block's own tile, one per pixel.
    """
    dtype = np.dtype(dtype)
    count = prod(call.spatial_shape)
    quantiles = np.true_divide(
        np.asarray(percentages), dtype.type(100) if dtype.kind == "f" else 100
    )
    virtual = (count - 1) * quantiles
    before = np.floor(virtual)
    after = before + 1
    last = virtual >= count - 1
    before[last] = after[last] = -1
    ranks = [int(rank) % count for rank in (*before, *after)]
    at_ranks = yield from ranked(values, ranks, dtype, halo)
    if at_ranks is None:
        return np.full(len(quantiles), np.nan)
    low, high = at_ranks[: len(quantiles)], at_ranks[len(quantiles) :]
    gamma = virtual - before
    step = high - low
    # NumPy's own interpolation, which starts from the nearer end.
    return np.asarray(np.where(gamma >= 0.5, high - step * (1 - gamma), low + step * gamma))


def ranked(
    values: Callable[[Block], np.ndarray],
    ranks: Sequence[int],
    dtype: DType,
    halo: HaloLike,
) -> Passes[np.ndarray | None]:
    """Compute the values of these ranks (0 is the smallest); None when any value is NaN."""
    bits = dtype.itemsize * 8
    prefixes, ranks_within = [0] * len(ranks), list(ranks)
    sizes: dict[int, int] = {}
    for shift in range(bits - DIGIT, -1, -DIGIT):
        bins = sorted(set(prefixes))
        if sizes and sum(sizes.values()) <= FEW:
            keys = yield _members(values, bins, shift + DIGIT, halo)
            places = [np.searchsorted(keys >> (shift + DIGIT), prefix) for prefix in prefixes]
            at_ranks = [
                keys[place + rank] for place, rank in zip(places, ranks_within, strict=True)
            ]
            return _value(np.array(at_ranks, f"u{dtype.itemsize}"), dtype)
        sizes = {}
        histograms, ends, has_nan = yield _histograms(values, bins, shift, halo)
        if has_nan:
            return None
        if (ends[:, 0] == ends[:, 1]).all():  # of each bin all values are equal
            return _value(ends[[bins.index(prefix) for prefix in prefixes], 0], dtype)
        for i, prefix in enumerate(prefixes):
            below = np.cumsum(histograms[bins.index(prefix)])
            digit = int(np.searchsorted(below, ranks_within[i], side="right"))
            ranks_within[i] -= int(below[digit - 1]) if digit else 0
            prefixes[i] = prefix << DIGIT | digit
            sizes[prefixes[i]] = int(histograms[bins.index(prefix)][digit])
    return _value(np.array(prefixes, f"u{dtype.itemsize}"), dtype)


def _histograms(
    values: Callable[[Block], np.ndarray], bins: Sequence[int], shift: int, halo: HaloLike
) -> Reduce:
    """Count the next digits of the values of each bin, and find its smallest and largest key."""

    def of(block: Block) -> tuple[np.ndarray, np.ndarray, bool]:
        pixels = values(block)
        keys = _key(pixels)
        counts = np.zeros((len(bins), 2**DIGIT), np.int64)
        ends = np.empty((len(bins), 2), keys.dtype)
        for row, end, prefix in zip(counts, ends, bins, strict=True):
            inside = keys
            if shift + DIGIT < keys.dtype.itemsize * 8:
                inside = keys[keys >> (shift + DIGIT) == prefix]
            digits = (inside >> shift) & (2**DIGIT - 1)
            row += np.bincount(digits.astype(np.intp), minlength=2**DIGIT)
            largest = np.iinfo(keys.dtype).max
            end[:] = inside.min(initial=largest), inside.max(initial=0)
        return counts, ends, bool(np.isnan(pixels).any())

    def merge(a: Any, b: Any) -> tuple[np.ndarray, np.ndarray, bool]:
        lows = np.minimum(a[1][:, 0], b[1][:, 0])
        highs = np.maximum(a[1][:, 1], b[1][:, 1])
        return a[0] + b[0], np.column_stack([lows, highs]), a[2] or b[2]

    return Reduce(of, merge, halo=halo, in_groups=True, description="percentiles", form="ends")


def _members(
    values: Callable[[Block], np.ndarray], bins: Sequence[int], shift: int, halo: HaloLike
) -> Reduce:
    """Gather the keys of all values that begin with one of some bits, in order."""

    def of(block: Block) -> np.ndarray:
        keys = _key(values(block))
        first = keys >> shift
        return np.sort(np.concatenate([keys[first == prefix] for prefix in bins]))

    def merge(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.concatenate([a, b])

    return Reduce(of, merge, halo=halo, finish=np.sort, description="percentiles", form="values")


def _key(values: np.ndarray) -> np.ndarray:
    """Return unsigned integers in the order of the values."""
    size = values.dtype.itemsize
    bits = np.ascontiguousarray(values).ravel().view(f"u{size}")
    sign = bits.dtype.type(1 << (8 * size - 1))
    if values.dtype.kind in "ui":
        return bits if values.dtype.kind == "u" else bits ^ sign
    return np.where(bits & sign, ~bits, bits | sign)


def _value(keys: np.ndarray, dtype: DType) -> np.ndarray:
    """Return the values of such integers."""
    sign = keys.dtype.type(1 << (8 * dtype.itemsize - 1))
    if dtype.kind in "ui":
        return (keys if dtype.kind == "u" else keys ^ sign).view(dtype)
    return np.where(keys & sign, keys ^ sign, ~keys).view(dtype)
