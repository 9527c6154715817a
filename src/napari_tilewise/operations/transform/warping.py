"""Warping: a box of the result is computed from the pixels that its coordinates map to.

scikit-image warps in two ways. For homographies with order 1 or 3 it has its own interpolation,
`Homography` here; all other cases use `ndimage.map_coordinates`, `MappedRegion` here. Both use the
coordinates of the whole image and shift them by integers only, so that the fractions, and with them
the result, have the same bits wherever the box starts.
"""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi

from napari_tilewise.grid import Region, extent
from napari_tilewise.operations.transform.sampling import MODES, PREPAD, spline_filter, support

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

FAR = 2.0**31
"""Coordinates beyond this, and NaN, are replaced by it to compute the box of a tile: scikit-image
cannot index so far either."""


SLAB = 2**13
"""Pixels processed at once, so that intermediate arrays stay in the processor's cache."""


class Homography:
    """scikit-image's own warp of the first two axes by a matrix (order 1 or 3).

    Parameters
    ----------
    shape
        The image's shape: rows, columns and optionally channels.
    matrix
        The map from the result's (column, row, 1) to the image's, in the image's precision.
    order, mode, cval
        As in scikit-image.
    """

    def __init__(
        self, shape: Sequence[int], matrix: np.ndarray, order: int, mode: str, cval: float
    ) -> None:
        self.shape = tuple(shape)
        self.order = order
        self.mode = mode
        self._matrix = matrix
        self._cval = matrix.dtype.type(cval)

    @property
    def spline(self) -> int:
        """The order of the recursive filter, which is 0 because there is none."""
        return 0

    def needs(self, tile: Region) -> Region:
        """Return the box of the image that a box of the result depends on."""
        rows, columns = tile[:2]
        corners = [self._coordinates(rows, columns, corners=True)]
        if not self._keeps_lines(tile):
            corners = list(self._slabs(rows, columns))
        low = [min(_lowest(c[axis]) for c in corners) for axis in (0, 1)]
        high = [max(_highest(c[axis]) for c in corners) for axis in (0, 1)]
        radius = 2 + self.order
        spans = [
            _source_span(int(np.floor(a)) - radius, int(np.ceil(b)) + radius + 1, n, self.mode)
            for a, b, n in zip(low, high, self.shape[:2], strict=True)
        ]
        return (*spans, *tile[2:])

    def sample(self, image: np.ndarray, region: Region, tile: Region) -> np.ndarray:
        """Return a box of the result from the box of the image that it needs."""
        rows, columns = tile[:2]
        out = np.empty((*extent((rows, columns)), *image.shape[2:]), image.dtype)
        interpolate = self._linear if self.order == 1 else self._cubic
        pixels = _Pixels(image, region, self.shape, self.mode, self._cval)
        start = 0
        for r, c in self._slabs(rows, columns):
            out[start : start + len(r)] = interpolate(pixels, r, c)
            start += len(r)
        return out

    def _keeps_lines(self, tile: Region) -> bool:
        """Return whether the tile's corners bound its source: the horizon does not cross it."""
        g, h, i = self._matrix[2].astype(float)
        depth = [float(g * c + h * r + i) for r in _ends(tile[0]) for c in _ends(tile[1])]
        scale = float(max(abs(g) * tile[1].stop, abs(h) * tile[0].stop, abs(i)))
        return min(map(abs, depth)) > 1e-3 * scale and (min(depth) > 0) == (max(depth) > 0)

    def _slabs(self, rows: slice, columns: slice) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        step = max(1, SLAB // (columns.stop - columns.start))
        for start in range(rows.start, rows.stop, step):
            yield self._coordinates(slice(start, min(start + step, rows.stop)), columns)

    def _coordinates(
        self, rows: slice, columns: slice, *, corners: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the image's coordinates for pixels of the result, computed as in scikit-image."""
        m = self._matrix
        y = np.array(_ends(rows)) if corners else np.arange(rows.start, rows.stop)
        x = np.array(_ends(columns)) if corners else np.arange(columns.start, columns.stop)
        y, x = y.astype(m.dtype)[:, np.newaxis], x.astype(m.dtype)
        is_affine = m[2, 0] == 0 and m[2, 1] == 0 and m[2, 2] == 1
        with np.errstate(all="ignore"):
            if is_affine and m[0, 1] == 0 and m[1, 0] == 0:
                c, r = m[0, 0] * x + m[0, 2], m[1, 1] * y + m[1, 2]
                shape = np.broadcast_shapes(x.shape, y.shape)
                return np.broadcast_to(r, shape), np.broadcast_to(c, shape)
            c = m[0, 0] * x + m[0, 1] * y + m[0, 2]
            r = m[1, 0] * x + m[1, 1] * y + m[1, 2]
            if not is_affine:
                depth = m[2, 0] * x + m[2, 1] * y + m[2, 2]
                c, r = c / depth, r / depth
        return r, c

    def _linear(self, pixels: _Pixels, r: np.ndarray, c: np.ndarray) -> np.ndarray:
        top_edge, left_edge, bottom_edge, right_edge = (
            np.floor(r),
            np.floor(c),
            np.ceil(r),
            np.ceil(c),
        )
        row_weights, column_weights = pixels.weights(r - top_edge), pixels.weights(c - left_edge)
        row, column = pixels.rows(top_edge), pixels.columns(left_edge)
        far_row, far_column = pixels.rows(bottom_edge), pixels.columns(right_edge)
        # In double precision, except products with the far column in the image's own precision.
        left_weights = 1 - column_weights.astype(float)
        upper = left_weights * pixels[row, column] + column_weights * pixels[row, far_column]
        lower = (
            left_weights * pixels[far_row, column] + column_weights * pixels[far_row, far_column]
        )
        return np.asarray((1 - row_weights.astype(float)) * upper + row_weights * lower)

    def _cubic(self, pixels: _Pixels, r: np.ndarray, c: np.ndarray) -> np.ndarray:
        top_edge, left_edge = np.floor(r), np.floor(c)
        columns = [pixels.columns(left_edge + k) for k in (-1, 0, 1, 2)]
        row_values = []
        for k in (-1, 0, 1, 2):
            row = pixels.rows(top_edge + k)
            values = [pixels[row, column] for column in columns]
            row_values.append(_catmull_rom(pixels.weights(c - left_edge), values))
        return _catmull_rom(pixels.weights(r - top_edge), row_values)


def _catmull_rom(x: np.ndarray, f: list[np.ndarray]) -> np.ndarray:
    """Return the cubic through four values, in scikit-image's order of operations."""
    half, two, three, four, five = np.array([0.5, 2, 3, 4, 5], x.dtype)
    curve = f[1] - f[2]
    curve *= three
    curve += f[3]
    curve -= f[0]
    curve *= x
    slope: np.ndarray = two * f[0]
    slope -= five * f[1]
    slope += four * f[2]
    slope -= f[3]
    slope += curve
    slope *= x
    slope += f[2] - f[0]
    slope *= half * x
    slope += f[1]
    return slope


@dataclass(frozen=True, eq=False)
class _Positions:
    """Positions along one axis of the data, as offsets in the flat array."""

    offsets: np.ndarray
    outside: np.ndarray | None = None
    """Which positions lie beyond a constant border; None: none of them."""


class _Pixels:
    """The pixels of a box, indexed by positions in the whole image or beyond it."""

    def __init__(
        self, data: np.ndarray, region: Region, shape: Sequence[int], mode: str, cval: Any
    ) -> None:
        self._flat = np.ascontiguousarray(data).reshape(-1, *data.shape[2:])
        self._width = data.shape[1]
        self._region = region
        self._shape = shape
        self._mode = mode
        self._cval = cval

    def rows(self, indices: np.ndarray) -> _Positions:
        """Return the positions of rows in the data."""
        located = self._locate(indices, 0)
        return _Positions(located.offsets * self._width, located.outside)

    def columns(self, indices: np.ndarray) -> _Positions:
        """Return the positions of columns in the data."""
        return self._locate(indices, 1)

    def weights(self, fractions: np.ndarray) -> np.ndarray:
        """Return weights that broadcast over the channels."""
        return fractions[..., np.newaxis] if self._flat.ndim > 1 else fractions

    def _locate(self, positions: np.ndarray, axis: int) -> _Positions:
        n, box = self._shape[axis], self._region[axis]
        if positions.min() >= max(box.start, 0) and positions.max() < min(box.stop, n):
            return _Positions(positions.astype(np.intp) - box.start)
        index: np.ndarray = np.nan_to_num(positions, nan=-FAR, posinf=FAR, neginf=-FAR).astype(
            np.intp
        )
        if self._mode == "constant":
            outside = (index < 0) | (index >= n)
            return _Positions(np.where(outside, 0, index - box.start), outside)
        if self._mode == "wrap":
            index -= box.start
            return _Positions(index % n if extent((box,)) == (n,) else index)
        return _Positions(_fold_index(index, n, self._mode) - box.start)

    def __getitem__(self, offsets: tuple[_Positions, _Positions]) -> np.ndarray:
        row, column = offsets
        pixels: np.ndarray = self._flat.take(row.offsets + column.offsets, axis=0)
        for outside in (row.outside, column.outside):
            if outside is not None:
                pixels[outside] = self._cval
        return pixels


def _fold_index(index: np.ndarray, n: int, mode: str) -> np.ndarray:
    """Return the pixel at a position that may be beyond the border."""
    if mode == "edge":
        return np.asarray(np.clip(index, 0, n - 1))
    period = 2 * n if mode == "symmetric" else max(1, 2 * n - 2)
    index = index % period
    return np.asarray(np.minimum(index, period - (mode == "symmetric") - index))


# -- ndimage ---------------------------------------------------------------------------------------


@dataclass
class MappedRegion:
    """`ndimage.map_coordinates`, with coordinates computed for one box of the result at a time."""

    shape: tuple[int, ...]
    """The image's shape."""
    coordinates: Callable[[Region], list[np.ndarray]]
    """Returns, per axis of the image, the image's coordinates for a box of the result."""
    order: int
    mode: str
    cval: float
    _cache: threading.local = field(default_factory=threading.local)

    @property
    def spline(self) -> int:
        """The order of the recursive filter."""
        return self.order

    @property
    def _pad(self) -> int:
        return PREPAD if self.order > 1 and self.mode in ("edge", "constant") else 0

    def needs(self, tile: Region) -> Region:
        """Return the box of the image that a box of the result depends on."""
        coordinates = self.coordinates(tile)
        self._cache.last = tile, coordinates  # the same thread computes the tile's pixels next
        radius = support(self.order)
        spans = []
        for positions, n in zip(coordinates, self.shape, strict=True):
            if self.mode != "wrap":
                positions = self._fold(positions, n) - self._pad
            low, high = int(np.floor(_lowest(positions))), int(np.ceil(_highest(positions)))
            if self.mode != "wrap":  # a spline's response decays from the image's last pixel on
                low, high = (min(max(k, 0), n - 1) for k in (low, high))
            spans.append(_source_span(low - radius, high + radius + 1, n, self.mode))
        return tuple(spans)

    def _cached_coordinates(self, tile: Region) -> list[np.ndarray]:
        cached_tile, coordinates = getattr(self._cache, "last", (None, None))
        self._cache.last = None, None
        return (
            coordinates
            if cached_tile == tile and coordinates is not None
            else self.coordinates(tile)
        )

    def _fold(self, positions: np.ndarray, n: int) -> np.ndarray:
        padded = positions + self._pad
        if self.mode in ("constant", "edge"):
            return padded  # ndimage handles each pixel beyond the border
        return fold_coordinates(padded, n + 2 * self._pad, MODES[self.mode])

    def sample(self, image: np.ndarray, region: Region, tile: Region) -> np.ndarray:
        """Return a box of the result from the box of the image that it needs."""
        coordinates = self._cached_coordinates(tile)
        shape = np.broadcast_shapes(*(positions.shape for positions in coordinates))
        out = np.empty(shape, image.dtype)
        image, _ = spline_filter(image, self.order, MODES[self.mode], self.cval)
        rows = max(1, SLAB // max(1, out[0].size))
        for start in range(0, len(out), rows):
            part = slice(start, start + rows)
            slab = [p[part] if len(p) > 1 else p for p in coordinates]
            if self.mode == "wrap":
                self._sample_periods(image, region, slab, out[part])
            else:
                shifted = [
                    self._shift(p, n, box)
                    for p, n, box in zip(slab, self.shape, region, strict=True)
                ]
                self._interpolate(image, shifted, out[part])
        return out

    def _shift(self, positions: np.ndarray, n: int, box: slice) -> np.ndarray:
        """Return coordinates in a box that ndimage does not change when it folds them again."""
        positions = self._fold(positions, n)
        if self.mode == "symmetric":
            # Only positions just before the first pixel would be folded again: undo that.
            positions = np.where(positions < 0, -positions - 1, positions)
        return np.asarray(positions - box.start)

    def _sample_periods(
        self, image: np.ndarray, region: Region, coordinates: list[np.ndarray], out: np.ndarray
    ) -> None:
        """Interpolate the pixels of one period after the other."""
        inside = [self._fold(p, n) for p, n in zip(coordinates, self.shape, strict=True)]
        periods = [
            np.zeros(p.shape, np.intp)
            if extent((box,)) == (n,)
            else np.rint((p - f) / n).astype(np.intp)
            for p, f, n, box in zip(coordinates, inside, self.shape, region, strict=True)
        ]
        for period in itertools.product(*(np.unique(p) for p in periods)):
            data, starts = image, []
            for axis, (n, box, k) in enumerate(zip(self.shape, region, period, strict=True)):
                first_pixel = box.start - int(k) * n
                if first_pixel < 0:
                    data, first_pixel = np.roll(data, first_pixel, axis), 0
                starts.append(first_pixel)
            shifted = [f - first_pixel for f, first_pixel in zip(inside, starts, strict=True)]
            in_period = np.ones(out.shape, bool)
            for p, k in zip(periods, period, strict=True):
                in_period &= p == k
            if in_period.all():
                self._interpolate(data, shifted, out)
            elif in_period.any():
                values = np.empty(int(in_period.sum()), out.dtype)
                selected = [np.broadcast_to(m, out.shape)[in_period] for m in shifted]
                self._interpolate(data, selected, values)
                out[in_period] = values

    def _interpolate(
        self, image: np.ndarray, coordinates: list[np.ndarray], out: np.ndarray
    ) -> None:
        ndi.map_coordinates(
            image,
            np.stack(np.broadcast_arrays(*coordinates)),
            output=out,
            order=self.order,
            mode=MODES[self.mode],
            cval=self.cval,
            prefilter=False,
        )


def fold_coordinates(x: np.ndarray, n: int, mode: str) -> np.ndarray:
    """Return coordinates folded into an axis of n pixels, bit for bit as in ndimage."""
    if n == 1:
        return np.where((x < 0) | (x > 0), 0.0, x)
    x = np.nan_to_num(x, nan=FAR, posinf=FAR, neginf=-FAR)
    is_before, is_after = x < 0, x > n - 1
    if mode == "grid-wrap":
        low = x + n * (np.trunc((-1 - x) / n) + 1)
        high = x - n * np.trunc(x / n)
    elif mode == "mirror":
        period = 2 * n - 2
        low = period * np.trunc(-x / period) + x
        low = np.where(low <= 1 - n, low + period, -low)
        high = x - period * np.trunc(x / period)
        high = np.where(high >= n, period - high, high)
    else:
        period = 2 * n
        low = np.where(x < -period, period * np.trunc(-x / period) + x, x)
        low = np.where(low < -n, low + period, np.where(low > -1e-15, 1e-15, -low) - 1)
        high = x - period * np.trunc(x / period)
        high = np.where(high >= n, period - high - 1, high)
    return np.where(is_before, low, np.where(is_after, high, x))


# -- boxes -----------------------------------------------------------------------------------------


def _ends(span: slice) -> tuple[int, int]:
    return span.start, span.stop - 1


def _lowest(positions: np.ndarray) -> float:
    return float(np.nan_to_num(positions, nan=-FAR, posinf=FAR, neginf=-FAR).min().clip(-FAR, FAR))


def _highest(positions: np.ndarray) -> float:
    return float(np.nan_to_num(positions, nan=FAR, posinf=FAR, neginf=-FAR).max().clip(-FAR, FAR))


def _source_span(start: int, stop: int, n: int, mode: str) -> slice:
    """Return the span of pixels for positions from `start` to `stop`, at least one pixel."""
    if mode == "wrap":
        return slice(0, n) if stop - start >= n else slice(start, stop)
    if mode in ("reflect", "symmetric") and n > 1:
        start, stop = _fold_span(start, stop, n, mode)
    first = min(max(start, 0), n - 1)
    return slice(first, max(first + 1, min(stop, n)))


def _fold_span(start: int, stop: int, n: int, mode: str) -> tuple[int, int]:
    """Return the smallest span that contains the pixels at all positions in a span."""
    period, gap = (2 * n, 1) if mode == "symmetric" else (2 * n - 2, 0)
    if stop - start >= period:
        return 0, n
    ends = _fold_index(np.array([start, stop - 1]), n, mode)
    turns_low = (stop - 1) // period > (start - 1) // period or (stop - 1 + gap) % period == 0
    turns_high = (stop - n) // period > (start - n) // period
    return 0 if turns_low else int(ends.min()), n if turns_high else int(ends.max()) + 1
