"""The smallest halo, measured: an image is cut, and what differs near the cut is the halo.

A pixel whose result differs from the whole image's depends on something behind the cut; the
farthest such pixel is as far from it as the halo is long. Each axis and side is cut by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.halo_check.sample_images import Sample, samples

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_tilewise.grid import Halo
    from napari_tilewise.operations.spec.operation import Operation

ACROSS = {1: 1, 2: 33, 3: 15}
"""Length of the axes that are not cut, by number of axes."""
SHORTEST, LONGEST = 64, 512
"""Length of the axis that is cut: doubled until the halo is short against it."""
ROUNDING = 1000
"""Differences of so many units of rounding are called rounding."""


class Refused(Exception):
    """The function took none of the images."""


class Random(Exception):
    """Two calls with the same image gave two results."""


@dataclass(frozen=True)
class MeasuredHalo:
    """The smallest halo that was found for one set of parameters."""

    halo: Halo | None
    """None: as far as anything was tried, results depended on pixels farther away."""
    tried: int
    """The longest halo that could have been found."""
    exact: bool
    """Whether pixels beyond it are the same bit for bit; else but for rounding."""
    images: int
    """Images that were cut."""


def measure(
    operation: Operation, params: Mapping[str, Any], ndim: int, expected: int, seed: int
) -> MeasuredHalo:
    """Return the smallest halo for which cut images give the whole image's results.

    Parameters
    ----------
    operation
        The operation.
    params
        Its parameters, without images.
    ndim
        The number of spatial axes.
    expected
        The halo that somebody thinks it needs.
    seed
        Decides the images.

    Raises
    ------
    Refused
        When the function takes none of the images.
    Random
        When two calls give two results.
    """
    found = _grown(operation, params, ndim, expected, seed, exact=True)
    if found.halo is None:
        rounded = _grown(operation, params, ndim, expected, seed, exact=False)
        return found if rounded.halo is None else rounded
    return found


def _grown(
    operation: Operation,
    params: Mapping[str, Any],
    ndim: int,
    expected: int,
    seed: int,
    *,
    exact: bool,
) -> MeasuredHalo:
    """Measure along longer and longer axes until the halo is short against them."""
    length = max(SHORTEST, 4 * expected + 40)
    while True:
        zone, images = _cut(operation, params, ndim, length, seed, exact=exact)
        reach = length // 3
        found = max(max(pair) for pair in zone)
        if found <= reach:
            return MeasuredHalo(zone, reach, exact, images)
        if length >= LONGEST:
            return MeasuredHalo(None, reach, exact, images)
        length *= 2


def _cut(
    operation: Operation,
    params: Mapping[str, Any],
    ndim: int,
    length: int,
    seed: int,
    *,
    exact: bool,
) -> tuple[Halo, int]:
    """Return how far from cuts results differ, per axis and side, and the number of images."""
    zones = []
    count = 0
    for axis in range(ndim):
        shape = tuple(length if a == axis else ACROSS.get(ndim, 5) for a in range(ndim))
        lo = hi = 0
        rng = np.random.default_rng([seed, length, axis])
        refusal: Exception | None = None
        taken = 0
        for sample in samples(operation, shape, rng):
            try:
                whole = call(operation, sample, params)
            except Exception as error:  # noqa: BLE001 - a type that the function does not take
                refusal = error
                continue
            if not taken:
                _twice(operation, sample, params, whole)
            taken += 1
            for odd, before in product((0, 1), (True, False)):
                cut = length // 3 + odd if before else length - length // 3 - odd
                zone = _zone(operation, sample, params, whole, axis, cut, before, exact)
                lo, hi = (max(lo, zone), hi) if before else (lo, max(hi, zone))
        if not taken:
            raise Refused(str(refusal)) from refusal
        zones.append((lo, hi))
        count += taken
    return tuple(zones), count


def call(operation: Operation, sample: Sample, params: Mapping[str, Any]) -> np.ndarray:
    """Return the function's result for a whole image.

    Parameters
    ----------
    operation
        The operation.
    sample
        The image.
    params
        The parameters, without images.
    """
    bound = operation.call(sample.image.shape, sample.image.dtype, {**params, **sample.images})
    images = {name: image.copy() for name, image in sample.images.items()}
    result: np.ndarray = bound.function(sample.image.copy(), **images)
    return result


def _twice(
    operation: Operation, sample: Sample, params: Mapping[str, Any], result: np.ndarray
) -> None:
    if differing(call(operation, sample, params), result).any():
        raise Random


def _zone(
    operation: Operation,
    sample: Sample,
    params: Mapping[str, Any],
    whole: np.ndarray,
    axis: int,
    cut: int,
    before: bool,
    exact: bool,
) -> int:
    """Return how far from a cut the results of one side differ from the whole image's."""
    at = _array_axis(operation, sample, params, axis)
    span = (slice(cut, None) if before else slice(None, cut),)

    def side(array: np.ndarray, axis: int = at) -> np.ndarray:
        return array[(slice(None),) * axis + span]

    further = {
        name: side(image, at if image.ndim == whole.ndim else axis)
        for name, image in sample.images.items()
    }
    part = call(operation, Sample(side(sample.image), further, sample.what), params)
    wrong = differing(part, side(whole), exact=exact)
    along = np.flatnonzero(wrong.any(axis=tuple(a for a in range(wrong.ndim) if a != at)))
    if not len(along):
        return 0
    return int(along[-1]) + 1 if before else cut - int(along[0])


def _array_axis(operation: Operation, sample: Sample, params: Mapping[str, Any], axis: int) -> int:
    bound = operation.call(sample.image.shape, sample.image.dtype, {**params, **sample.images})
    return bound.spatial_axes[axis]


def differing(found: np.ndarray, expected: np.ndarray, *, exact: bool = True) -> np.ndarray:
    """Return which pixels differ: at all, or by more than rounding.

    Parameters
    ----------
    found, expected
        Results of one shape.
    exact
        Whether rounding counts.

    Raises
    ------
    TypeError
        When the results have two types.
    """
    if found.dtype != expected.dtype:
        raise TypeError(
            f"it returned {expected.dtype} pixels for an image and {found.dtype} for a part of it"
        )
    wrong: np.ndarray = found != expected
    if expected.dtype.kind not in "fc":
        return wrong
    wrong &= ~(np.isnan(found) & np.isnan(expected))
    if exact:
        return wrong
    limit = ROUNDING * float(np.finfo(expected.dtype).eps) * scale(expected)
    with np.errstate(invalid="ignore"):
        return np.asarray(wrong & ~(np.abs(found - expected) <= limit))


def scale(image: np.ndarray) -> float:
    """Return the largest magnitude in an image, or 1.

    Parameters
    ----------
    image
        The image.
    """
    finite = np.abs(image[np.isfinite(image)])
    return max(1.0, float(finite.max(initial=0)))


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference of two images, relative to the largest magnitude or 1.

    Parameters
    ----------
    found, expected
        Results of one shape and type.
    """
    wrong = differing(found, expected)
    if not wrong.any():
        return 0.0
    if expected.dtype.kind == "b":
        return 1.0
    apart = np.abs(found[wrong].astype(float) - expected[wrong].astype(float))
    largest = float(np.max(apart)) / scale(expected)
    return largest if np.isfinite(largest) else float("inf")
