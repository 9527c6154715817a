"""Li's threshold: recomputed from the means of both sides until it no longer changes.

Integers need one histogram. Floats need one pass over the image for every iteration; the default
tolerance is half of the smallest gap between two pixel values.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidImage
from napari_tilewise.operations.shared.histograms import (
    Histogram,
    gather_histogram,
    gather_pairwise,
)
from napari_tilewise.operations.shared.whole import gather_whole
from napari_tilewise.operations.spec.operation import Block, Call, Plan, Reduce, Value

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from napari_tilewise.operations.spec.passes import Passes

MOST_VALUES = 2**17
"""Largest number of distinct pixel values whose smallest gap is computed exactly."""


def li_dtype(call: Call) -> DTypeLike:
    """Return the type of the threshold: float64, or the float image's or the mask's own."""
    return call.dtype if call.dtype.kind in "fb" else np.float64


def li_plan(call: Call) -> Plan:
    """Return the threshold of an integer or a float image, or of a constant mask."""
    if call.dtype.kind == "f":
        return Value((yield from _float_threshold(call)))
    histogram = yield from gather_histogram(call, 256)
    low = call.dtype.type(histogram.low)
    if call.dtype.kind == "b" and not histogram.constant:
        raise InvalidImage(
            "filters.threshold_li: the image is a mask of both values, which scikit-image's "
            "function does not separate: expected numbers. Convert it first, for example with "
            "astype('uint8')."
        )
    guess = None
    if callable(call["initial_guess"]) and not histogram.constant:
        guess = yield from _guessed_threshold(call, low)
    try:
        return Value(_integer_threshold(call, histogram, guess))
    except ZeroDivisionError as error:
        raise InvalidImage("filters.threshold_li: no pixel is left above the threshold.") from error


def _initial_threshold(call: Call, mean: Any, low: Any, top: Any) -> Any:
    """Return the initial threshold: the mean, or the guess if it is within the image's range."""
    guess = call["initial_guess"]
    if guess is None:
        return mean
    guess_above = guess - float(low)
    if not 0 < guess_above < top:
        raise InvalidImage(
            f"filters.threshold_li: initial_guess={guess} is not within the image's range: "
            f"expected a value between {low} and {top + low}."
        )
    return call.dtype.type(guess_above)


def _guessed_threshold(call: Call, low: Any) -> Passes[Any]:
    """Return the value of `initial_guess` for all finite pixels at once, minus the smallest."""

    def guess_from(block: Block) -> Any:
        pixels = block.data.ravel()
        return call["initial_guess"](pixels[np.isfinite(pixels)] - low)

    return (yield gather_whole(call, guess_from, description="initial guess"))


def _report_threshold(call: Call, threshold: Any) -> Any:
    """Call `iter_callback`, if there is one, with a threshold, and return the threshold."""
    if call["iter_callback"] is not None:
        call["iter_callback"](threshold)
    return threshold


def _next_threshold(fore: Any, back: Any) -> Any:
    return (back - fore) / (np.log(back) - np.log(fore))


# -- integers --------------------------------------------------------------------------------------


def _integer_threshold(call: Call, histogram: Histogram, guess: Any) -> Any:
    """Iterate on the gray levels minus the smallest one, in the image's own arithmetic."""
    low = call.dtype.type(histogram.low)
    if histogram.constant:
        return low
    levels = np.arange(int(low), int(histogram.high) + 1)
    with np.errstate(over="ignore"):
        # a signed image's range may overflow its type: scikit-image then works on wrapped values
        levels = levels.astype(call.dtype) - low
    start = int(levels.min())
    counts = np.zeros(int(levels.max()) - start + 1, np.int64)
    counts[levels.astype(np.int64) - start] = histogram.counts
    centers = np.arange(start, start + len(counts))
    if guess is None:
        mean = np.float64(int(np.dot(counts, centers)) / int(counts.sum()))
        guess = _initial_threshold(call, mean, low, levels.max())
    return _iterate_integers(call, counts, centers, guess, low)


def _iterate_integers(
    call: Call, counts: np.ndarray, centers: np.ndarray, threshold: Any, low: Any
) -> Any:
    tolerance = call["tolerance"] or 0.5
    weights = counts.astype("float32", copy=False)
    previous = -2 * tolerance
    _report_threshold(call, threshold + low)
    while abs(threshold - previous) > tolerance:
        previous = threshold
        fore = centers > previous
        mean_fore = np.average(centers[fore], weights=weights[fore])
        mean_back = np.average(centers[~fore], weights=weights[~fore])
        if mean_back == 0:
            break
        threshold = _next_threshold(mean_fore, mean_back)
        _report_threshold(call, threshold + low)
    return threshold + low


# -- floats ----------------------------------------------------------------------------------------


def _finite(block: Block) -> np.ndarray:
    pixels = block.data[block.core].ravel()
    is_finite = np.isfinite(pixels)
    return np.asarray(pixels if is_finite.all() else pixels[is_finite])


def _survey_finite(block: Block) -> tuple[Any, ...]:
    """Return the smallest and largest finite pixel and the numbers of finite, NaN, inf, -inf."""
    pixels = block.data[block.core]
    finite = _finite(block)
    ends = (finite.min(), finite.max()) if finite.size else (np.inf, -np.inf)
    if finite.size == pixels.size:
        return (*ends, finite.size, 0, 0, 0)
    high, low = int(np.isposinf(pixels).sum()), int(np.isneginf(pixels).sum())
    return (*ends, finite.size, int(np.isnan(pixels).sum()), high, low)


def _join_surveys(a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
    return (min(a[0], b[0]), max(a[1], b[1]), *(x + y for x, y in zip(a[2:], b[2:], strict=True)))


def _float_threshold(call: Call) -> Passes[Any]:
    low, high, count, _, positive_infinities, negative_infinities = yield Reduce(
        of=_survey_finite,
        merge=_join_surveys,
        description="range of the image",
        only_reads=True,
    )
    if count == 0:
        if not positive_infinities and not negative_infinities:
            return np.nan
        return (
            0.0
            if positive_infinities and negative_infinities
            else call.dtype.type(np.inf if positive_infinities else -np.inf)
        )
    if low == high and not positive_infinities and not negative_infinities:
        return low
    if low == high and not call["tolerance"]:
        raise InvalidImage(
            "filters.threshold_li: all finite pixels are equal and the others are infinite; "
            "there is nothing to separate."
        )
    if callable(call["initial_guess"]):
        threshold = yield from _guessed_threshold(call, low)
    else:
        if count == prod(call.shape):
            total = yield from gather_pairwise(call, lambda pixels: pixels - low)
        else:
            total = (yield from _reduce_sides(low, None))[0]
        mean = call.dtype.type(total / count)
        threshold = _initial_threshold(call, mean, low, call.dtype.type(high - low))
    _report_threshold(call, threshold + low)
    convergence = _Convergence(call["tolerance"])
    previous: Any = None
    while previous is None or not (yield from convergence.reached(abs(threshold - previous), low)):
        previous = threshold
        total, foreground_size, background_total, background_size = yield from _reduce_sides(
            low, previous
        )
        mean_fore = call.dtype.type(total / foreground_size if foreground_size else np.nan)
        mean_back = call.dtype.type(
            background_total / background_size if background_size else np.nan
        )
        if mean_back == 0.0:
            break
        threshold = _next_threshold(mean_fore, mean_back)
        _report_threshold(call, threshold + low)
    return threshold + low


def _reduce_sides(low: Any, threshold: Any) -> Passes[tuple[Any, int, Any, int]]:
    """Return sum and number of the pixels above a threshold (None: all), then of the others."""

    def side_sums(block: Block) -> np.ndarray:
        pixels = _finite(block) - low
        fore = np.ones(pixels.shape, bool) if threshold is None else pixels > threshold
        back = ~fore
        return np.array(
            [
                pixels[fore].sum(dtype=np.float64),
                np.count_nonzero(fore),
                pixels[back].sum(dtype=np.float64),
                np.count_nonzero(back),
            ]
        )

    total, foreground_size, background_total, background_size = yield Reduce(
        of=side_sums, merge=np.add, description="means of both sides", only_reads=True
    )
    return total, int(foreground_size), background_total, int(background_size)


class _Convergence:
    """The stopping rule: two iterations within a tolerance, by default half the smallest gap.

    The smallest gap between pixel values is exact if there are at most `MOST_VALUES` distinct ones.
    Otherwise only an upper bound is known, the smallest gap within a tile; the iteration then
    continues below it until the steps stop shrinking: among so many values, such steps move the
    threshold by less than rounding does.
    """

    def __init__(self, tolerance: float | None) -> None:
        self.tolerance: Any = tolerance or None
        self.exact = True
        self.last: Any = np.inf

    def reached(self, difference: Any, low: Any) -> Passes[bool]:
        """Return whether to stop; the first call computes the smallest gap, if it is needed."""
        if difference == 0 or np.isnan(difference):
            return True
        if self.tolerance is None:
            values, gap = yield Reduce(
                of=lambda block: _drop_excess_values(np.unique(_finite(block) - low), np.inf),
                merge=_join_values,
                description="smallest gap",
                only_reads=True,
            )
            self.exact = values is not None
            self.tolerance = gap / 2
        close = bool(difference <= self.tolerance)
        stuck = bool(difference >= self.last)
        self.last = difference
        return close and (self.exact or stuck)


def _drop_excess_values(values: np.ndarray, gap: Any) -> tuple[np.ndarray | None, Any]:
    if len(values) > 1:
        gap = min(gap, np.min(np.diff(values)))
    return (values if len(values) <= MOST_VALUES else None), gap


def _join_values(
    a: tuple[np.ndarray | None, Any], b: tuple[np.ndarray | None, Any]
) -> tuple[np.ndarray | None, Any]:
    gap = min(a[1], b[1])
    if a[0] is None or b[0] is None:
        return None, gap
    return _drop_excess_values(np.union1d(a[0], b[0]), gap)
