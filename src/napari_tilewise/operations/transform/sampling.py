"""Images of another size: a box of the result from the box of the image that it is made of.

scikit-image resizes with `ndimage.zoom`, which samples at ``(k + 0.5) * n / m - 0.5``. The samples'
coordinates are computed for the whole image and moved by whole pixels, which is exact in floating
point. Splines of order two and more are recursive filters whose memory fades by their pole: a box
holds enough pixels for it to fade below the last bit.

Boxes count the spatial axes only; arrays may have one more axis behind them, which is never cut.
Where the border mode wraps, boxes may reach beyond the image, which then continues periodically.
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

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MODES = {
    "constant": "grid-constant",
    "edge": "nearest",
    "symmetric": "reflect",
    "reflect": "mirror",
    "wrap": "grid-wrap",
}
"""ndimage's names of NumPy's border modes."""

FADING = {0: 0, 1: 0, 2: 32, 3: 40, 4: 52, 5: 64}
"""Pixels after which a spline's recursive filter has forgotten (its pole to this power is < 2**-75;
the poles are 0.172, 0.268, 0.361 and 0.431)."""

PREPAD = 12
"""Pixels that ndimage pads splines by where the border is constant or the edge."""

SLAB = 2**16
"""Samples at once, for their coordinates take more memory than they do."""


def support(order: int) -> int:
    """Return how many pixels around its coordinate a sample depends on."""
    return (order + 1) // 2 + 1 + FADING[order]


def coordinates(n: int, m: int, part: slice) -> np.ndarray:
    """Return where along an axis of n pixels a part of m samples lies, as ndimage computes it."""
    samples = np.arange(part.start, part.stop, dtype=float)
    samples += 0.5
    samples *= n / m
    samples -= 0.5
    return samples


@dataclass(frozen=True, eq=False)
class Patch:
    """The pixels of a box."""

    data: np.ndarray
    box: Region

    def take(self, box: Region, shape: Sequence[int]) -> np.ndarray:
        """Return the pixels of a box within this one.

        Where this one is the whole of an axis of an image of this shape, the other may reach
        beyond it.
        """
        data = self.data
        for axis, (want, have, n) in enumerate(zip(box, self.box, shape, strict=True)):
            if have.start <= want.start and want.stop <= have.stop:
                part = slice(want.start - have.start, want.stop - have.start)
                data = data[(slice(None),) * axis + (part,)]
            else:
                assert extent((have,)) == (n,), "a box beyond the pixels at hand"
                data = data.take((np.arange(want.start, want.stop) - have.start) % n, axis)
        return data


@dataclass(frozen=True)
class Blur:
    """A Gaussian filter over an image of one shape."""

    shape: tuple[int, ...]
    sigmas: tuple[float, ...]
    """One per axis of the array."""
    mode: str
    """In ndimage's words."""
    cval: float
    wraps: bool

    @property
    def reach(self) -> tuple[int, ...]:
        """Pixels needed to each side, per spatial axis."""
        return tuple(gaussian_radius(sigma) for sigma in self.sigmas[: len(self.shape)])

    def needs(self, box: Region) -> Region:
        """Return the box of the image that a box of the result is made of."""
        return _held(grow(box, tuple((r, r) for r in self.reach)), self.shape, self.wraps)

    def run(self, patch: Patch, box: Region) -> np.ndarray:
        """Return a box of the result."""
        smooth = ndi.gaussian_filter(patch.data, self.sigmas, cval=self.cval, mode=self.mode)
        return Patch(smooth, patch.box).take(box, self.shape)


@dataclass(frozen=True)
class Zoom:
    """`ndimage.zoom` in grid mode, from an image of one shape to another."""

    lengths: tuple[tuple[int, int], ...]
    """Each spatial axis's length before and after."""
    behind: tuple[int, int] | None
    """The same of the axis behind the spatial ones."""
    order: int
    mode: str
    """In NumPy's words."""
    cval: float

    @property
    def before(self) -> tuple[int, ...]:
        """The image's spatial shape."""
        return tuple(n for n, _ in self.lengths)

    @property
    def after(self) -> tuple[int, ...]:
        """The result's spatial shape."""
        return tuple(m for _, m in self.lengths)

    @property
    def wraps(self) -> bool:
        """Whether the image continues periodically."""
        return self.mode == "wrap"

    @property
    def _all(self) -> tuple[tuple[int, int], ...]:
        return self.lengths if self.behind is None else (*self.lengths, self.behind)

    def needs(self, box: Region) -> Region:
        """Return the box of the image that a box of the result is made of."""
        near = support(self.order)
        found = []
        for (n, m), part in zip(self.lengths, box, strict=True):
            first, last = (
                coordinates(n, m, slice(k % m, k % m + 1))[0] for k in (part.start, part.stop - 1)
            )
            start = floor(first) + part.start // m * n - near
            stop = ceil(last) + (part.stop - 1) // m * n + near + 1
            found.append(slice(start, stop))
        return _held(tuple(found), self.before, self.wraps)

    def run(self, patch: Patch, box: Region) -> np.ndarray:
        """Return a box of the result, not clipped to any range."""
        if all(n == m for n, m in self._all):
            return patch.take(box, self.before)
        if clip(box, self.after) == box:
            return self._inside(patch.data, patch.box, box)
        behind = () if self.behind is None else (self.behind[1],)
        out = np.empty((*extent(box), *behind), patch.data.dtype)
        runs = [list(_periods(part, m)) for part, m in zip(box, self.after, strict=True)]
        for pieces in itertools.product(*runs):
            piece = tuple(inside for inside, _ in pieces)
            needed = self.needs(piece)
            here = _moved(needed, [p * n for (_, p), n in zip(pieces, self.before, strict=True)])
            beyond = _moved(piece, [p * m for (_, p), m in zip(pieces, self.after, strict=True)])
            data = np.ascontiguousarray(patch.take(here, self.before))
            out[within(beyond, box)] = self._inside(data, needed, piece)
        return out

    def _inside(self, image: np.ndarray, region: Region, tile: Region) -> np.ndarray:
        """Return a box inside the result from a box of the image."""
        along = []
        for axis, ((n, m), part, box) in enumerate(zip(self.lengths, tile, region, strict=True)):
            samples, first = coordinates(n, m, part), box.start
            if self.wraps:
                # ndimage folds what lies before the first pixel to the far end, which rounds it.
                samples = np.where(samples < 0, (samples + n) - n, samples)
                if first < 0:
                    # Adding to a coordinate would round it too: the image's first pixel comes first
                    # instead and those before it last, and ndimage folds as it does in the image.
                    image, first = np.roll(image, first, axis), 0
            along.append((samples, first))
        if self.behind is not None:
            along.append((coordinates(*self.behind, slice(0, self.behind[1])), 0))
        return self._interpolated(image, along)

    def _interpolated(self, image: np.ndarray, along: list[tuple[np.ndarray, int]]) -> np.ndarray:
        """Return the image at a grid of coordinates, given per axis with the image's first one."""
        mode = MODES[self.mode]
        out = np.empty([len(samples) for samples, _ in along], image.dtype)
        image, pad = filtered(image, self.order, mode, self.cval)
        # ndimage adds the padding to the coordinates, which rounds them; so before they are moved.
        places = np.ix_(*((samples + pad) - first for samples, first in along))
        rows = max(1, SLAB // max(1, out[0].size))
        for start in range(0, len(out), rows):
            part = out[start : start + rows]
            grid = np.stack(np.broadcast_arrays(places[0][start : start + rows], *places[1:]))
            ndi.map_coordinates(
                image,
                grid,
                output=part,
                order=self.order,
                mode=mode,
                cval=self.cval,
                prefilter=False,
            )
        return out


def filtered(image: np.ndarray, order: int, mode: str, cval: float) -> tuple[np.ndarray, int]:
    """Return an image's spline coefficients, and how many pixels were put around them."""
    pad = 0
    if order > 1:
        if mode in ("nearest", "grid-constant"):
            pad = PREPAD
            if mode == "nearest":
                image = np.pad(image, pad, mode="edge")
            else:
                image = np.pad(image, pad, mode="constant", constant_values=cval)
        image = ndi.spline_filter(image, order, mode=mode)
    return image, pad


def _held(box: Region, shape: Sequence[int], wraps: bool) -> Region:
    """Return a box clipped to the image; where it wraps, a period is all there is."""
    if not wraps:
        return clip(box, tuple(shape))
    return tuple(
        slice(0, n) if s.stop - s.start >= n else s for s, n in zip(box, shape, strict=True)
    )


def _periods(part: slice, length: int) -> Iterator[tuple[slice, int]]:
    """Yield (where inside the axis, which period) for each run of a span beyond it."""
    position = part.start
    while position < part.stop:
        period, inside = divmod(position, length)
        count = min(length - inside, part.stop - position)
        yield slice(inside, inside + count), period
        position += count


def _moved(box: Region, by: Sequence[int]) -> Region:
    return tuple(slice(s.start + k, s.stop + k) for s, k in zip(box, by, strict=True))
