"""Li's threshold: means of both sides of it, again and again, until it stands still.

Integers need one histogram. Floats need one pass over the image for every iteration; how close two
iterations must come is, by default, half of the smallest gap between two pixel values.
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
from napari_tilewise.operations.spec.operation import Block, Call, Gather, Plan, Value

if TYPE_CHECKING:
    from collections.abc import Generator

MOST_VALUES = 2**17
"""Up to so many different pixel values their smallest gap is found exactly."""


def li_dtype(call: Call) -> Any:
    """Return the type of the threshold: float64, or the float image's own."""
    return call.dtype if call.dtype.kind == "f" else np.float64


def li_plan(call: Call) -> Plan:
    """Return the threshold of an integer or a float image."""
    if call.dtype.kind == "f":
        return Value((yield from _of_floats(call)))
    histogram = yield from gather_histogram(call, 256)
    low = call.dtype.type(histogram.low)
    guess = None
    if callable(call["initial_guess"]) and not histogram.constant:
        guess = yield from _guessed(call, low)
    try:
        return Value(_of_integers(call, histogram, guess))
    except ZeroDivisionError as error:
        raise InvalidImage("filters.threshold_li: no pixel is left above the threshold.") from error


def _first(call: Call, mean: Any, low: Any, top: Any) -> Any:
    """Return the first threshold: the mean, or the guess where the image holds it."""
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


def _guessed(call: Call, low: Any) -> Generator[Gather, Any, Any]:
    """Return what the given function makes of all finite pixels at once, above the smallest."""

    def of(block: Block) -> Any:
        pixels = block.data.ravel()
        return call["initial_guess"](pixels[np.isfinite(pixels)] - low)

    return (yield gather_whole(call, of, what="initial guess"))


def _told(call: Call, threshold: Any) -> Any:
    """Hand a threshold to the function that wants to hear of every one, and return it."""
    if call["iter_callback"] is not None:
        call["iter_callback"](threshold)
    return threshold


def _next(fore: Any, back: Any) -> Any:
    return (back - fore) / (np.log(back) - np.log(fore))


# -- integers --------------------------------------------------------------------------------------


def _of_integers(call: Call, histogram: Histogram, guess: Any) -> Any:
    """Iterate over the gray levels, above the smallest one, in the image's own arithmetic."""
    low = call.dtype.type(histogram.low)
    if histogram.constant:
        return low
    levels = np.arange(int(low), int(histogram.high) + 1)
    with np.errstate(over="ignore"):
        # a signed image's range may overflow its type: scikit-image then works on what wraps
        levels = levels.astype(call.dtype) - low
    start = int(levels.min())
    counts = np.zeros(int(levels.max()) - start + 1, np.int64)
    counts[levels.astype(np.int64) - start] = histogram.counts
    centers = np.arange(start, start + len(counts))
    if guess is None:
        mean = np.float64(int(np.dot(counts, centers)) / int(counts.sum()))
        guess = _first(call, mean, low, levels.max())
    return _iterate_integers(call, counts, centers, guess, low)


def _iterate_integers(
    call: Call, counts: np.ndarray, centers: np.ndarray, after: Any, low: Any
) -> Any:
    tolerance = call["tolerance"] or 0.5
    weights = counts.astype("float32", copy=False)
    before = -2 * tolerance
    _told(call, after + low)
    while abs(after - before) > tolerance:
        before = after
        fore = centers > before
        mean_fore = np.average(centers[fore], weights=weights[fore])
        mean_back = np.average(centers[~fore], weights=weights[~fore])
        if mean_back == 0:
            break
        after = _next(mean_fore, mean_back)
        _told(call, after + low)
    return after + low


# -- floats ----------------------------------------------------------------------------------------


def _finite(block: Block) -> np.ndarray:
    pixels = block.data[block.core].ravel()
    return np.asarray(pixels[np.isfinite(pixels)])


def _survey(block: Block) -> tuple[Any, ...]:
    """Return smallest, largest, number of finite pixels, of NaN and of both infinities."""
    pixels = block.data[block.core]
    finite = _finite(block)
    ends = (finite.min(), finite.max()) if finite.size else (np.inf, -np.inf)
    high, low = int(np.isposinf(pixels).sum()), int(np.isneginf(pixels).sum())
    return (*ends, finite.size, int(np.isnan(pixels).sum()), high, low)


def _join_surveys(a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
    return (min(a[0], b[0]), max(a[1], b[1]), *(x + y for x, y in zip(a[2:], b[2:], strict=True)))


def _of_floats(call: Call) -> Generator[Gather, Any, Any]:
    low, high, count, _, above, below = yield Gather(
        of=_survey, merge=_join_surveys, what="range of the image"
    )
    if count == 0:
        if not above and not below:
            return np.nan
        return 0.0 if above and below else call.dtype.type(np.inf if above else -np.inf)
    if low == high and not above and not below:
        return low
    if low == high and not call["tolerance"]:
        raise InvalidImage(
            "filters.threshold_li: all finite pixels are equal and the others are infinite; "
            "there is nothing to separate."
        )
    if callable(call["initial_guess"]):
        after = yield from _guessed(call, low)
    else:
        if count == prod(call.shape):
            total = yield from gather_pairwise(call, lambda pixels: pixels - low)
        else:
            total = (yield from _gather_sides(low, None))[0]
        mean = call.dtype.type(total / count)
        after = _first(call, mean, low, call.dtype.type(high - low))
    _told(call, after + low)
    close = _Close(call["tolerance"])
    before: Any = None
    while before is None or not (yield from close.reached(abs(after - before), low)):
        before = after
        total, size, rest, others = yield from _gather_sides(low, before)
        mean_fore = call.dtype.type(total / size if size else np.nan)
        mean_back = call.dtype.type(rest / others if others else np.nan)
        if mean_back == 0.0:
            break
        after = _next(mean_fore, mean_back)
        _told(call, after + low)
    return after + low


def _gather_sides(low: Any, threshold: Any) -> Generator[Gather, Any, tuple[Any, int, Any, int]]:
    """Return sum and number of the pixels above a threshold (all if None), then of the others."""

    def of(block: Block) -> np.ndarray:
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

    total, size, rest, others = yield Gather(of=of, merge=np.add, what="means of both sides")
    return total, int(size), rest, int(others)


class _Close:
    """Tells when two iterations are close enough, and looks for the smallest gap only if asked.

    The smallest gap of all pixel values is found exactly where there are not too many different
    ones. Else only a bound is known, the smallest gap met within a tile; the iteration then goes on
    below it until it makes no more progress: among so many values that moves the threshold by less
    than rounding does.
    """

    def __init__(self, tolerance: float | None) -> None:
        self.tolerance: Any = tolerance or None
        self.exact = True
        self.last: Any = np.inf

    def reached(self, difference: Any, low: Any) -> Generator[Gather, Any, bool]:
        """Return whether to stop, gathering the smallest gap at the first question."""
        if difference == 0 or np.isnan(difference):
            return True
        if self.tolerance is None:
            values, gap = yield Gather(
                of=lambda block: _thin(np.unique(_finite(block) - low), np.inf),
                merge=_join_values,
                what="smallest gap",
            )
            self.exact = values is not None
            self.tolerance = gap / 2
        close = bool(difference <= self.tolerance)
        stuck = bool(difference >= self.last)
        self.last = difference
        return close and (self.exact or stuck)


def _thin(values: np.ndarray, gap: Any) -> tuple[np.ndarray | None, Any]:
    if len(values) > 1:
        gap = min(gap, np.min(np.diff(values)))
    return (values if len(values) <= MOST_VALUES else None), gap


def _join_values(
    a: tuple[np.ndarray | None, Any], b: tuple[np.ndarray | None, Any]
) -> tuple[np.ndarray | None, Any]:
    gap = min(a[1], b[1])
    if a[0] is None or b[0] is None:
        return None, gap
    return _thin(np.union1d(a[0], b[0]), gap)
