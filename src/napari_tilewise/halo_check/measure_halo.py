"""The smallest halo, measured: an image is cut, and the results that change near the cut give it.

A pixel whose result differs from the whole image's depends on pixels behind the cut; the distance
of the farthest such pixel from the cut is the halo. Each axis and side is cut separately.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.halo_check.sample_images import Sample, samples

if TYPE_CHECKING:
    from napari_tilewise.grid import Halo
    from napari_tilewise.operations.spec.operation import Operation
    from napari_tilewise.types import Array, Parameters

ACROSS = {1: 1, 2: 33, 3: 15}
"""Length in pixels of the axes that are not cut, by number of axes."""
SHORTEST, LONGEST = 64, 512
"""Lengths in pixels of the axis that is cut: doubled until the halo is short against it."""
ROUNDING = 1000
"""Largest difference, in units of rounding, that counts as rounding."""


class ImagesRefused(Exception):
    """The function fails on all of the images."""


class NotDeterministic(Exception):
    """Two calls with the same image give different results."""


@dataclass(frozen=True)
class MeasuredHalo:
    """The smallest halo for one set of parameters."""

    halo: Halo | None
    """None: at the longest axes, results still depend on pixels farther away."""
    longest: int
    """The longest halo, in pixels, that the measurement can find."""
    exact: bool
    """Whether pixels beyond the halo are equal bit for bit; otherwise except for rounding."""
    images: int
    """Number of images that were cut."""


@dataclass(frozen=True)
class _Cut:
    """A cut of an image, and the side of it that is computed alone."""

    axis: int
    """The spatial axis that is cut."""
    position: int
    """The first pixel behind the cut."""
    keeps_end: bool
    """Whether the part behind the cut is computed; otherwise the part before it."""


def measure(
    operation: Operation, params: Parameters, ndim: int, expected: int, seed: int
) -> MeasuredHalo:
    """Return the smallest halo for which cut images give the whole image's results.

    Parameters
    ----------
    operation
        The operation to measure.
    params
        Its parameters, without images.
    ndim
        The number of spatial axes of the images.
    expected
        The expected halo in pixels, which decides the length of the first images.
    seed
        Seed of the random images.

    Raises
    ------
    ImagesRefused
        If the function fails on all of the images.
    NotDeterministic
        If two calls give different results.
    """
    equal = _Measurement(operation, params, ndim, seed, exact=True).halo(expected)
    if equal.halo is None:
        rounded = _Measurement(operation, params, ndim, seed, exact=False).halo(expected)
        return equal if rounded.halo is None else rounded
    return equal


@dataclass(frozen=True)
class _Measurement:
    """The measurement of one function with one set of parameters."""

    operation: Operation
    params: Parameters
    ndim: int
    seed: int
    exact: bool

    def halo(self, expected: int) -> MeasuredHalo:
        """Measure along longer and longer axes until the halo is short against them."""
        length = max(SHORTEST, 4 * expected + 40)
        while True:
            zones, images = self._zones(length)
            reach = length // 3
            if max(max(zone) for zone in zones) <= reach:
                return MeasuredHalo(zones, reach, self.exact, images)
            if length >= LONGEST:
                return MeasuredHalo(None, reach, self.exact, images)
            length *= 2

    def _zones(self, length: int) -> tuple[Halo, int]:
        """Return how far from cuts results differ, per axis and side, and the number of images."""
        zones = []
        count = 0
        for axis in range(self.ndim):
            zone, images = self._zone_of_axis(axis, length)
            zones.append(zone)
            count += images
        return tuple(zones), count

    def _zone_of_axis(self, axis: int, length: int) -> tuple[tuple[int, int], int]:
        shape = tuple(length if a == axis else ACROSS.get(self.ndim, 5) for a in range(self.ndim))
        lo = hi = 0
        rng = np.random.default_rng([self.seed, length, axis])
        refusal: Exception | None = None
        accepted = 0
        for sample in samples(self.operation, shape, rng):
            try:
                whole = call(self.operation, sample, self.params)
            except Exception as error:  # noqa: BLE001 - the function may refuse a data type
                refusal = error
                continue
            if not accepted:
                self._check_deterministic(sample, whole)
            accepted += 1
            for odd, keeps_end in product((0, 1), (True, False)):
                position = length // 3 + odd if keeps_end else length - length // 3 - odd
                zone = self._zone(sample, whole, _Cut(axis, position, keeps_end))
                lo, hi = (max(lo, zone), hi) if keeps_end else (lo, max(hi, zone))
        if not accepted:
            raise ImagesRefused(str(refusal)) from refusal
        return (lo, hi), accepted

    def _check_deterministic(self, sample: Sample, result: Array) -> None:
        if differing(call(self.operation, sample, self.params), result).any():
            raise NotDeterministic

    def _zone(self, sample: Sample, whole: Array, cut: _Cut) -> int:
        """Return how far from a cut the results of one side differ from the whole image's."""
        image_axis = _array_axis(self.operation, sample, self.params, cut.axis)
        start, stop = (cut.position, None) if cut.keeps_end else (None, cut.position)

        def side(array: Array, axis: int = image_axis) -> Array:
            return array[(slice(None),) * axis + (slice(start, stop),)]

        further = {
            name: side(image, image_axis if image.ndim == whole.ndim else cut.axis)
            for name, image in sample.images.items()
        }
        part = Sample(side(sample.image), further, sample.description)
        wrong = differing(call(self.operation, part, self.params), side(whole), exact=self.exact)
        others = tuple(axis for axis in range(wrong.ndim) if axis != image_axis)
        along = np.flatnonzero(wrong.any(axis=others))
        if not len(along):
            return 0
        return int(along[-1]) + 1 if cut.keeps_end else cut.position - int(along[0])


def call(operation: Operation, sample: Sample, params: Parameters) -> Array:
    """Return the function's result for a whole image.

    Parameters
    ----------
    operation
        The operation to call.
    sample
        The image, with the further images of the call.
    params
        The parameters, without images.
    """
    bound = operation.call(sample.image.shape, sample.image.dtype, {**params, **sample.images})
    images = {name: image.copy() for name, image in sample.images.items()}
    result: Array = bound.function(sample.image.copy(), **images)
    return result


def _array_axis(operation: Operation, sample: Sample, params: Parameters, axis: int) -> int:
    """Return the axis of the array that a spatial axis is."""
    bound = operation.call(sample.image.shape, sample.image.dtype, {**params, **sample.images})
    return bound.spatial_axes[axis]


def differing(result: Array, expected: Array, *, exact: bool = True) -> np.ndarray:
    """Return which pixels differ: at all, or by more than rounding.

    Parameters
    ----------
    result, expected
        Results of the same shape.
    exact
        Whether differences of rounding count.

    Raises
    ------
    TypeError
        If the data types of the results differ.
    """
    if result.dtype != expected.dtype:
        raise TypeError(
            f"it returned {expected.dtype} pixels for an image and {result.dtype} for a part of it"
        )
    wrong: Array = result != expected
    if expected.dtype.kind not in "fc":
        return wrong
    wrong &= ~(np.isnan(result) & np.isnan(expected))
    if exact:
        return wrong
    limit = ROUNDING * float(np.finfo(expected.dtype).eps) * scale(expected)
    with np.errstate(invalid="ignore"):
        return np.asarray(wrong & ~(np.abs(result - expected) <= limit))


def scale(image: Array) -> float:
    """Return the largest magnitude in an image, or 1.

    Parameters
    ----------
    image
        Pixels of any number type; those that are not finite are ignored.
    """
    finite = np.abs(image[np.isfinite(image)])
    return max(1.0, float(finite.max(initial=0)))


def difference(result: Array, expected: Array) -> float:
    """Return the largest difference of two images, relative to the largest magnitude or 1.

    Parameters
    ----------
    result, expected
        Results of the same shape and data type.
    """
    wrong = differing(result, expected)
    if not wrong.any():
        return 0.0
    if expected.dtype.kind == "b":
        return 1.0
    differences = np.abs(result[wrong].astype(float) - expected[wrong].astype(float))
    largest = float(np.max(differences)) / scale(expected)
    return largest if np.isfinite(largest) else float("inf")
