"""Resampling: a box of the result is computed from the box of the image that it depends on.

scikit-image resizes with `ndimage.zoom`, which samples at ``(k + 0.5) * n / m - 0.5``. The samples'
coordinates are computed for the whole image and shifted by integers, which is exact in floating
point. Splines of order two and more are recursive filters whose response decays by their pole: a
box contains enough pixels for it to decay below the last bit.

Boxes cover the spatial axes only; arrays may have one more axis after them, which is never cut. If
the border mode wraps, boxes may extend beyond the image, which then continues periodically.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from math import ceil, floor
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage as ndi

from napari_tilewise.grid import Region, clip, extent, grow, within
from napari_tilewise.operations.shared.common import gaussian_radius
from napari_tilewise.operations.spec.substitution import run_fastest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MODES = {
    "constant": "grid-constant",
    "edge": "nearest",
    "symmetric": "reflect",
    "reflect": "mirror",
    "wrap": "grid-wrap",
}
"""ndimage's names for NumPy's border modes."""

FADING = {0: 0, 1: 0, 2: 32, 3: 40, 4: 52, 5: 64}
"""Pixels after which the response of a spline's recursive filter is negligible (its pole to this
power is < 2**-75; the poles are 0.172, 0.268, 0.361 and 0.431)."""

SMOOTHING = "scipy.ndimage.gaussian_filter"
"""The function that smooths before sampling."""

PREPAD = 12
"""Pixels by which ndimage pads the image of a spline with the modes constant and edge."""

SLAB = 2**16
"""Samples computed at once, because their coordinates take more memory than they do."""


def support(order: int) -> int:
    """Return the number of pixels, on each side of its coordinate, that a sample depends on."""
    return (order + 1) // 2 + 1 + FADING[order]


def coordinates(n: int, m: int, part: slice) -> np.ndarray:
    """Return the coordinates, on an axis of n pixels, of a part of m samples, as ndimage does."""
    samples = np.arange(part.start, part.stop, dtype=float)
    samples += 0.5
    samples *= n / m
    samples -= 0.5
    return samples


@dataclass(frozen=True, eq=False)
class Patch:
    """A box of an image with its pixels."""

    data: np.ndarray
    box: Region

    def take(self, box: Region, shape: Sequence[int]) -> np.ndarray:
        """Return the pixels of a box inside this one.

        Along an axis that this box covers entirely, for an image of this shape, the other box may
        extend beyond it.
        """
        data = self.data
        for axis, (target, source, n) in enumerate(zip(box, self.box, shape, strict=True)):
            if source.start <= target.start and target.stop <= source.stop:
                part = slice(target.start - source.start, target.stop - source.start)
                data = data[(slice(None),) * axis + (part,)]
            else:
                assert extent((source,)) == (n,), "the box extends beyond the patch"
                data = data.take((np.arange(target.start, target.stop) - source.start) % n, axis)
        return data


@dataclass(frozen=True)
class Blur:
    """A Gaussian filter over an image of one shape."""

    shape: tuple[int, ...]
    sigmas: tuple[float, ...]
    """The Gaussian's scale per axis of the array."""
    mode: str
    """The border mode by ndimage's name."""
    cval: float
    wraps: bool

    @property
    def reach(self) -> tuple[int, ...]:
        """Pixels needed on each side, per spatial axis."""
        return tuple(gaussian_radius(sigma) for sigma in self.sigmas[: len(self.shape)])

    def needs(self, box: Region) -> Region:
        """Return the box of the image that a box of the result depends on."""
        return _clip_or_wrap(grow(box, tuple((r, r) for r in self.reach)), self.shape, self.wraps)

    def run(self, patch: Patch, box: Region) -> np.ndarray:
        """Return a box of the result."""
        border = {"cval": self.cval, "mode": self.mode}
        smooth = run_fastest(SMOOTHING, ndi.gaussian_filter, patch.data, self.sigmas, **border)
        return Patch(smooth, patch.box).take(box, self.shape)


@dataclass(frozen=True)
class Zoom:
    """`ndimage.zoom` in grid mode, from an image of one shape to another."""

    lengths: tuple[tuple[int, int], ...]
    """The input and output length of each spatial axis."""
    behind: tuple[int, int] | None
    """The input and output length of the axis after the spatial ones; None without one."""
    order: int
    mode: str
    """The border mode by NumPy's name."""
    cval: float

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The image's spatial shape."""
        return tuple(n for n, _ in self.lengths)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The result's spatial shape."""
        return tuple(m for _, m in self.lengths)

    @property
    def wraps(self) -> bool:
        """Whether the image continues periodically."""
        return self.mode == "wrap"

    @property
    def _all_lengths(self) -> tuple[tuple[int, int], ...]:
        return self.lengths if self.behind is None else (*self.lengths, self.behind)

    def needs(self, box: Region) -> Region:
        """Return the box of the image that a box of the result depends on."""
        radius = support(self.order)
        spans = []
        for (n, m), part in zip(self.lengths, box, strict=True):
            first_sample, last_sample = (
                coordinates(n, m, slice(k % m, k % m + 1))[0] for k in (part.start, part.stop - 1)
            )
            start = floor(first_sample) + part.start // m * n - radius
            stop = ceil(last_sample) + (part.stop - 1) // m * n + radius + 1
            spans.append(slice(start, stop))
        return _clip_or_wrap(tuple(spans), self.input_shape, self.wraps)

    def run(self, patch: Patch, box: Region) -> np.ndarray:
        """Return a box of the result, without clipping its values."""
        if all(n == m for n, m in self._all_lengths):
            return patch.take(box, self.input_shape)
        if clip(box, self.output_shape) == box:
            return self._sample_inside(patch.data, patch.box, box)
        channel_lengths = () if self.behind is None else (self.behind[1],)
        out = np.empty((*extent(box), *channel_lengths), patch.data.dtype)
        runs = [list(_periods(part, m)) for part, m in zip(box, self.output_shape, strict=True)]
        for period_runs in itertools.product(*runs):
            tile = tuple(inside for inside, _ in period_runs)
            needed = self.needs(tile)
            shifted_input = _shift_box(
                needed, [p * n for (_, p), n in zip(period_runs, self.input_shape, strict=True)]
            )
            shifted_tile = _shift_box(
                tile, [p * m for (_, p), m in zip(period_runs, self.output_shape, strict=True)]
            )
            data = np.ascontiguousarray(patch.take(shifted_input, self.input_shape))
            out[within(shifted_tile, box)] = self._sample_inside(data, needed, tile)
        return out

    def _sample_inside(self, image: np.ndarray, region: Region, tile: Region) -> np.ndarray:
        """Return a box inside the result from a box of the image."""
        axis_samples = []
        for axis, ((n, m), part, box) in enumerate(zip(self.lengths, tile, region, strict=True)):
            samples, first_pixel = coordinates(n, m, part), box.start
            if self.wraps:
                # ndimage adds the length to coordinates before the first pixel, which rounds them.
                samples = np.where(samples < 0, (samples + n) - n, samples)
                if first_pixel < 0:
                    # Adding to a coordinate would round it too: instead, the box is rolled so that
                    # the image's first pixel comes first, and ndimage folds as in the whole image.
                    image, first_pixel = np.roll(image, first_pixel, axis), 0
            axis_samples.append((samples, first_pixel))
        if self.behind is not None:
            axis_samples.append((coordinates(*self.behind, slice(0, self.behind[1])), 0))
        return self._interpolate(image, axis_samples)

    def _interpolate(
        self, image: np.ndarray, axis_samples: list[tuple[np.ndarray, int]]
    ) -> np.ndarray:
        """Return the image at a grid of coordinates, per axis with the position of pixel 0."""
        out = np.empty([len(samples) for samples, _ in axis_samples], image.dtype)
        image, pad = spline_filter(image, self.order, MODES[self.mode], self.cval)
        # ndimage adds the padding to the coordinates, which rounds them: it must precede the shift.
        lines = [(samples + pad) - first_pixel for samples, first_pixel in axis_samples]
        for box in self._sample_between(image, lines, out):
            parts = [line[part] for line, part in zip(lines, box, strict=True)]
            self._map([image, *parts], out[box])
        return out

    def _sample_between(
        self, image: np.ndarray, lines: list[np.ndarray], out: np.ndarray
    ) -> list[Region]:
        """Sample an image where all samples lie between pixels; return the boxes around that part.

        The border mode decides the others, which `ndimage` samples.
        """
        everything = (slice(None),) * len(lines)
        pairs = zip(lines, image.shape, strict=True)
        inside = tuple(_between(line, n, self.order) for line, n in pairs)
        inner = [line[part] for line, part in zip(lines, inside, strict=True)]
        if not all(map(len, inner)) or not self._sample(image, inner, out[inside]):
            return [everything]
        boxes = []
        for axis, part in enumerate(inside):
            for side in (slice(0, part.start), slice(part.stop, None)):
                boxes.append((*inside[:axis], side, *everything[axis + 1 :]))
        return boxes

    def _sample(self, image: np.ndarray, lines: list[np.ndarray], out: np.ndarray) -> bool:
        """Sample an image between its pixels; return False, with nothing done, if `ndimage` must.

        It adds up products in float64 from 0: integers of 64 bits are rounded, and -0.0 becomes 0.
        """
        if self.order == 0 and (image.dtype.kind == "f" or image.dtype.itemsize <= 4):
            for axis, line in enumerate(lines):
                image = image.take(np.floor(line + 0.5).astype(np.intp), axis)
            out[...] = image if image.dtype.kind != "f" else image + image.dtype.type(0)
            return True
        if self.order == 0:
            return False
        from napari_tilewise import kernels

        if self.order == 1 and kernels.samples_between(image, lines):
            kernels.linear_samples(image, lines, out)
            return True
        if self.order > 1 and kernels.samples_splines(image, lines, self.order):
            kernels.sampled_splines(image, lines, self.order, out)
            return True
        return False

    def _map(self, image_and_lines: list[np.ndarray], out: np.ndarray) -> None:
        """Sample an image at the crossings of lines by `ndimage`, in slabs."""
        image, *lines = image_and_lines
        if not out.size:
            return
        positions = np.ix_(*lines)
        rows = max(1, SLAB // max(1, out[0].size))
        for start in range(0, len(out), rows):
            part = out[start : start + rows]
            grid = np.stack(np.broadcast_arrays(positions[0][start : start + rows], *positions[1:]))
            ndi.map_coordinates(
                image,
                grid,
                output=part,
                order=self.order,
                mode=MODES[self.mode],
                cval=self.cval,
                prefilter=False,
            )


def _between(line: np.ndarray, n: int, order: int) -> slice:
    """Return the longest run of samples whose pixels are all inside an axis of n pixels."""
    if order == 0:
        is_inside = (line >= 0) & (line <= n - 1)
    else:
        first = np.floor(line if order % 2 else line + 0.5) - order // 2
        is_inside = (first >= 0) & (first + order < n)
    inside = np.flatnonzero(is_inside)
    if not len(inside) or inside[-1] - inside[0] + 1 != len(inside):
        return slice(0, 0)
    return slice(int(inside[0]), int(inside[-1]) + 1)


def spline_filter(image: np.ndarray, order: int, mode: str, cval: float) -> tuple[np.ndarray, int]:
    """Return an image's spline coefficients, and the number of pixels of padding."""
    pad = 0
    if order > 1:
        if mode in ("nearest", "grid-constant"):
            pad = PREPAD
            if mode == "nearest":
                image = np.pad(image, pad, mode="edge")
            else:
                image = np.pad(image, pad, mode="constant", constant_values=cval)
        image = _coefficients(image, order, mode)
    return image, pad


def _coefficients(image: np.ndarray, order: int, mode: str) -> np.ndarray:
    """Return the coefficients of a spline, by a kernel where it has SciPy's bits."""
    from napari_tilewise.kernels import filters_splines, spline_coefficients

    if filters_splines(image, order, mode):
        return spline_coefficients(image, order, mode)
    return np.asarray(ndi.spline_filter(image, order, mode=mode))


def _clip_or_wrap(box: Region, shape: Sequence[int], wraps: bool) -> Region:
    """Return a box clipped to the image, or if the image wraps, limited to one period."""
    if not wraps:
        return clip(box, tuple(shape))
    return tuple(
        slice(0, n) if s.stop - s.start >= n else s for s, n in zip(box, shape, strict=True)
    )


def _periods(part: slice, length: int) -> Iterator[tuple[slice, int]]:
    """Yield the span inside the axis and the period for each run of a span that exceeds it."""
    position = part.start
    while position < part.stop:
        period, inside = divmod(position, length)
        count = min(length - inside, part.stop - position)
        yield slice(inside, inside + count), period
        position += count


def _shift_box(box: Region, offsets: Sequence[int]) -> Region:
    return tuple(slice(s.start + k, s.stop + k) for s, k in zip(box, offsets, strict=True))
