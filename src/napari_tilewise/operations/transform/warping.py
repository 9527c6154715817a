"""Images seen through a map of coordinates: a box of the result from the pixels it looks at.

scikit-image warps in two ways. With a homography and order 1 or 3 it has its own interpolation,
`Homography` here; everything else goes through `ndimage.map_coordinates`, `MappedRegion` here.
Both take the coordinates of the whole image; a pixel's neighbours are found by whole numbers, so
that the fractions, and with them the result, keep their bits wherever the box begins.
"""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi

from napari_tilewise.grid import Region, extent
from napari_tilewise.operations.transform.sampling import MODES, PREPAD, filtered, support

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

FAR = 2.0**31
"""Coordinates beyond this, and those that are no numbers, count as this far away when the box of a
tile is looked for: scikit-image cannot index so far either."""


SLAB = 2**13
"""Pixels at once: what is computed on the way to them stays in the processor's cache."""


class Homography:
    """scikit-image's own warp of the first two axes by a matrix (order 1 or 3).

    Parameters
    ----------
    shape
        The image's: rows, columns and maybe channels.
    matrix
        From the result's (column, row, 1) to the image's, in the image's precision.
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
        """The order of the recursive filter: there is none."""
        return 0

    def needs(self, tile: Region) -> Region:
        """Return the box of the image that a box of the result looks at."""
        rows, columns = tile[:2]
        corners = [self._coordinates(rows, columns, corners=True)]
        if not self._keeps_lines(tile):
            corners = list(self._slabs(rows, columns))
        low = [min(_least(c[axis]) for c in corners) for axis in (0, 1)]
        high = [max(_most(c[axis]) for c in corners) for axis in (0, 1)]
        near = 2 + self.order
        spans = [
            _looked_at(int(np.floor(a)) - near, int(np.ceil(b)) + near + 1, n, self.mode)
            for a, b, n in zip(low, high, self.shape[:2], strict=True)
        ]
        return (*spans, *tile[2:])

    def sample(self, image: np.ndarray, region: Region, tile: Region) -> np.ndarray:
        """Return a box of the result from the box of the image that it needs."""
        rows, columns = tile[:2]
        out = np.empty((*extent((rows, columns)), *image.shape[2:]), image.dtype)
        interpolate = self._linear if self.order == 1 else self._cubic
        pixels = _BoxPixels(image, region, self.shape, self.mode, self._cval)
        start = 0
        for r, c in self._slabs(rows, columns):
            out[start : start + len(r)] = interpolate(pixels, r, c)
            start += len(r)
        return out

    def _keeps_lines(self, tile: Region) -> bool:
        """Return whether the tile's corners bound where it comes from: no horizon crosses it."""
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
        """Return where pixels of the result lie in the image, computed as scikit-image does."""
        m = self._matrix
        y = np.array(_ends(rows)) if corners else np.arange(rows.start, rows.stop)
        x = np.array(_ends(columns)) if corners else np.arange(columns.start, columns.stop)
        y, x = y.astype(m.dtype)[:, np.newaxis], x.astype(m.dtype)
        flat = m[2, 0] == 0 and m[2, 1] == 0 and m[2, 2] == 1
        with np.errstate(all="ignore"):
            if flat and m[0, 1] == 0 and m[1, 0] == 0:
                c, r = m[0, 0] * x + m[0, 2], m[1, 1] * y + m[1, 2]
                shape = np.broadcast_shapes(x.shape, y.shape)
                return np.broadcast_to(r, shape), np.broadcast_to(c, shape)
            c = m[0, 0] * x + m[0, 1] * y + m[0, 2]
            r = m[1, 0] * x + m[1, 1] * y + m[1, 2]
            if not flat:
                depth = m[2, 0] * x + m[2, 1] * y + m[2, 2]
                c, r = c / depth, r / depth
        return r, c

    def _linear(self, pixels: _BoxPixels, r: np.ndarray, c: np.ndarray) -> np.ndarray:
        top, left, bottom, right = np.floor(r), np.floor(c), np.ceil(r), np.ceil(c)
        down, across = pixels.weights(r - top), pixels.weights(c - left)
        row, column = pixels.rows(top), pixels.columns(left)
        far_row, far_column = pixels.rows(bottom), pixels.columns(right)
        # In double precision, but for the products with the far column: those are in the image's.
        rest = 1 - across.astype(float)
        upper = rest * pixels[row, column] + across * pixels[row, far_column]
        lower = rest * pixels[far_row, column] + across * pixels[far_row, far_column]
        return np.asarray((1 - down.astype(float)) * upper + down * lower)

    def _cubic(self, pixels: _BoxPixels, r: np.ndarray, c: np.ndarray) -> np.ndarray:
        top, left = np.floor(r), np.floor(c)
        columns = [pixels.columns(left + k) for k in (-1, 0, 1, 2)]
        across = []
        for k in (-1, 0, 1, 2):
            row = pixels.rows(top + k)
            values = [pixels[row, column] for column in columns]
            across.append(_catmull_rom(pixels.weights(c - left), values))
        return _catmull_rom(pixels.weights(r - top), across)


def _catmull_rom(x: np.ndarray, f: list[np.ndarray]) -> np.ndarray:
    """Return the cubic through four values, with the operations in scikit-image's order."""
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
class _Places:
    """Where pixels are along one axis of the data, as offsets in the flat array."""

    offsets: np.ndarray
    outside: np.ndarray | None = None
    """Which of them lie beyond a constant border."""


class _BoxPixels:
    """The pixels of a box of an image, by their places in the image or beyond it."""

    def __init__(
        self, data: np.ndarray, region: Region, shape: Sequence[int], mode: str, cval: Any
    ) -> None:
        self._flat = np.ascontiguousarray(data).reshape(-1, *data.shape[2:])
        self._width = data.shape[1]
        self._region = region
        self._shape = shape
        self._mode = mode
        self._cval = cval

    def rows(self, places: np.ndarray) -> _Places:
        """Return where rows are in the data."""
        found = self._find(places, 0)
        return _Places(found.offsets * self._width, found.outside)

    def columns(self, places: np.ndarray) -> _Places:
        """Return where columns are in the data."""
        return self._find(places, 1)

    def weights(self, fractions: np.ndarray) -> np.ndarray:
        """Return weights that count for all channels."""
        return fractions[..., np.newaxis] if self._flat.ndim > 1 else fractions

    def _find(self, places: np.ndarray, axis: int) -> _Places:
        n, box = self._shape[axis], self._region[axis]
        if places.min() >= max(box.start, 0) and places.max() < min(box.stop, n):
            return _Places(places.astype(np.intp) - box.start)
        index: np.ndarray = np.nan_to_num(places, nan=-FAR, posinf=FAR, neginf=-FAR).astype(np.intp)
        if self._mode == "constant":
            outside = (index < 0) | (index >= n)
            return _Places(np.where(outside, 0, index - box.start), outside)
        if self._mode == "wrap":
            index -= box.start
            return _Places(index % n if extent((box,)) == (n,) else index)
        return _Places(_folded_index(index, n, self._mode) - box.start)

    def __getitem__(self, places: tuple[_Places, _Places]) -> np.ndarray:
        row, column = places
        found: np.ndarray = self._flat.take(row.offsets + column.offsets, axis=0)
        for outside in (row.outside, column.outside):
            if outside is not None:
                found[outside] = self._cval
        return found


def _folded_index(index: np.ndarray, n: int, mode: str) -> np.ndarray:
    """Return the pixel that a place beyond the border stands for."""
    if mode == "edge":
        return np.asarray(np.clip(index, 0, n - 1))
    period = 2 * n if mode == "symmetric" else max(1, 2 * n - 2)
    index = index % period
    return np.asarray(np.minimum(index, period - (mode == "symmetric") - index))


# -- ndimage ---------------------------------------------------------------------------------------


@dataclass
class MappedRegion:
    """`ndimage.map_coordinates`, with coordinates computed for a box of the result at a time."""

    shape: tuple[int, ...]
    """The image's."""
    coordinates: Callable[[Region], list[np.ndarray]]
    """Return, per axis of the image, where a box of the result lies in the image."""
    order: int
    mode: str
    cval: float
    _kept: threading.local = field(default_factory=threading.local)

    @property
    def spline(self) -> int:
        """The order of the recursive filter."""
        return self.order

    @property
    def _pad(self) -> int:
        return PREPAD if self.order > 1 and self.mode in ("edge", "constant") else 0

    def needs(self, tile: Region) -> Region:
        """Return the box of the image that a box of the result looks at."""
        found = self.coordinates(tile)
        self._kept.last = tile, found  # the same thread asks for the tile's pixels next
        near = support(self.order)
        spans = []
        for places, n in zip(found, self.shape, strict=True):
            if self.mode != "wrap":
                places = self._folded(places, n) - self._pad
            low, high = int(np.floor(_least(places))), int(np.ceil(_most(places)))
            if self.mode != "wrap":  # splines fade from the image's last pixel on, not from beyond
                low, high = (min(max(k, 0), n - 1) for k in (low, high))
            spans.append(_looked_at(low - near, high + near + 1, n, self.mode))
        return tuple(spans)

    def _taken(self, tile: Region) -> list[np.ndarray]:
        kept, found = getattr(self._kept, "last", (None, None))
        self._kept.last = None, None
        return found if kept == tile and found is not None else self.coordinates(tile)

    def _folded(self, places: np.ndarray, n: int) -> np.ndarray:
        padded = places + self._pad
        if self.mode in ("constant", "edge"):
            return padded  # ndimage looks beyond the border, pixel by pixel
        return folded(padded, n + 2 * self._pad, MODES[self.mode])

    def sample(self, image: np.ndarray, region: Region, tile: Region) -> np.ndarray:
        """Return a box of the result from the box of the image that it needs."""
        along = self._taken(tile)
        shape = np.broadcast_shapes(*(places.shape for places in along))
        out = np.empty(shape, image.dtype)
        image, _ = filtered(image, self.order, MODES[self.mode], self.cval)
        rows = max(1, SLAB // max(1, out[0].size))
        for start in range(0, len(out), rows):
            part = slice(start, start + rows)
            some = [p[part] if len(p) > 1 else p for p in along]
            if self.mode == "wrap":
                self._sample_periods(image, region, some, out[part])
            else:
                moved = [
                    self._moved(p, n, box)
                    for p, n, box in zip(some, self.shape, region, strict=True)
                ]
                self._interpolate(image, moved, out[part])
        return out

    def _moved(self, places: np.ndarray, n: int, box: slice) -> np.ndarray:
        """Return coordinates in a box, for ndimage to fold once more without changing them."""
        places = self._folded(places, n)
        if self.mode == "symmetric":
            # Just before the first pixel is the only place that is folded anew: undo that.
            places = np.where(places < 0, -places - 1, places)
        return np.asarray(places - box.start)

    def _sample_periods(
        self, image: np.ndarray, region: Region, along: list[np.ndarray], out: np.ndarray
    ) -> None:
        """Interpolate pixel by pixel of one period after another."""
        inside = [self._folded(p, n) for p, n in zip(along, self.shape, strict=True)]
        periods = [
            np.zeros(p.shape, np.intp)
            if extent((box,)) == (n,)
            else np.rint((p - f) / n).astype(np.intp)
            for p, f, n, box in zip(along, inside, self.shape, region, strict=True)
        ]
        for period in itertools.product(*(np.unique(p) for p in periods)):
            data, starts = image, []
            for axis, (n, box, k) in enumerate(zip(self.shape, region, period, strict=True)):
                first = box.start - int(k) * n
                if first < 0:
                    data, first = np.roll(data, first, axis), 0
                starts.append(first)
            moved = [f - first for f, first in zip(inside, starts, strict=True)]
            mine = np.ones(out.shape, bool)
            for p, k in zip(periods, period, strict=True):
                mine &= p == k
            if mine.all():
                self._interpolate(data, moved, out)
            elif mine.any():
                some = np.empty(int(mine.sum()), out.dtype)
                chosen = [np.broadcast_to(m, out.shape)[mine] for m in moved]
                self._interpolate(data, chosen, some)
                out[mine] = some

    def _interpolate(self, image: np.ndarray, places: list[np.ndarray], out: np.ndarray) -> None:
        ndi.map_coordinates(
            image,
            np.stack(np.broadcast_arrays(*places)),
            output=out,
            order=self.order,
            mode=MODES[self.mode],
            cval=self.cval,
            prefilter=False,
        )


def folded(x: np.ndarray, n: int, mode: str) -> np.ndarray:
    """Return coordinates folded into an axis of n pixels, bit for bit as ndimage folds them."""
    if n == 1:
        return np.where((x < 0) | (x > 0), 0.0, x)
    x = np.nan_to_num(x, nan=FAR, posinf=FAR, neginf=-FAR)
    before, behind = x < 0, x > n - 1
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
    return np.where(before, low, np.where(behind, high, x))


# -- boxes -----------------------------------------------------------------------------------------


def _ends(span: slice) -> tuple[int, int]:
    return span.start, span.stop - 1


def _least(places: np.ndarray) -> float:
    return float(np.nan_to_num(places, nan=-FAR, posinf=FAR, neginf=-FAR).min().clip(-FAR, FAR))


def _most(places: np.ndarray) -> float:
    return float(np.nan_to_num(places, nan=FAR, posinf=FAR, neginf=-FAR).max().clip(-FAR, FAR))


def _looked_at(start: int, stop: int, n: int, mode: str) -> slice:
    """Return the pixels of an axis that places from `start` to `stop` stand for, never none."""
    if mode == "wrap":
        return slice(0, n) if stop - start >= n else slice(start, stop)
    if mode in ("reflect", "symmetric") and n > 1:
        start, stop = _folded_span(start, stop, n, mode)
    low = min(max(start, 0), n - 1)
    return slice(low, max(low + 1, min(stop, n)))


def _folded_span(start: int, stop: int, n: int, mode: str) -> tuple[int, int]:
    """Return the smallest span that holds all pixels that places in a span stand for."""
    period, gap = (2 * n, 1) if mode == "symmetric" else (2 * n - 2, 0)
    if stop - start >= period:
        return 0, n
    ends = _folded_index(np.array([start, stop - 1]), n, mode)
    turns_low = (stop - 1) // period > (start - 1) // period or (stop - 1 + gap) % period == 0
    turns_high = (stop - n) // period > (start - n) // period
    return 0 if turns_low else int(ends.min()), n if turns_high else int(ends.max()) + 1
