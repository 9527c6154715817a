"""Sums over windows of a padded image, at any tile, with the bits of sums along whole lines.

`match_template` adds up along one axis, subtracts what lies a window further, and does the same
along the next axis: pixel after pixel, every sum rounded. Where the image is flat the deviation of
a window is nothing but these roundings, and correlations are divided by it. Rounded the same way it
is the same: one walk over the image keeps what has been added up before the lines where tiles
begin, and a tile goes on adding from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.operations.shared.common import require_finite
from napari_tilewise.operations.spec.operation import Block, Call, Reduce

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_tilewise.grid import Region
    from napari_tilewise.operations.spec.passes import Passes

PIECE = 2**20
"""Pixels that the walk over the image holds at once."""

OUTSIDE = -1


class Padding:
    """An image padded by a window's size on every side, as `numpy.pad` does it.

    Parameters
    ----------
    shape
        The image's.
    window
        The window's shape.
    mode
        NumPy's name for what lies beyond the image's ends.
    value
        What lies there for ``mode="constant"``.
    dtype
        The data type to compute in.
    """

    def __init__(
        self, shape: Sequence[int], window: Sequence[int], mode: str, value: Any, dtype: Any
    ) -> None:
        self.window = tuple(window)
        self.dtype = np.dtype(dtype)
        self._periodic = mode == "wrap"
        self._value = value
        constant: dict[str, Any] = {"constant_values": OUTSIDE} if mode == "constant" else {}
        self._pixel = [
            np.pad(np.arange(n), w, mode=mode, **constant)  # type: ignore[call-overload]  # any mode
            for n, w in zip(shape, window, strict=True)
        ]

    @property
    def shape(self) -> tuple[int, ...]:
        """The padded image's."""
        return tuple(map(len, self._pixel))

    def source(self, box: Region) -> Region:
        """Return the image's box that a box of the padded image is made from.

        What is continued periodically is asked for where it lies beyond the image: the engine
        continues the image itself.
        """
        if self._periodic:
            return self._beyond(box)
        return self.inside(box)

    def inside(self, box: Region) -> Region:
        """Return the smallest box within the image that holds all pixels of a padded box."""
        region = []
        for span, pixel in zip(box, self._pixel, strict=True):
            pixels = pixel[span][pixel[span] != OUTSIDE]
            region.append(slice(pixels.min(), pixels.max() + 1) if pixels.size else slice(0, 1))
        return tuple(region)

    def of(self, block: Block, box: Region) -> np.ndarray:
        """Return a box of the padded image from a block of `source`'s or `inside`'s region."""
        data = block.data.astype(self.dtype, copy=False)
        if self._periodic and block.region == self._beyond(box):
            return data
        for axis, (span, region) in enumerate(zip(box, block.region, strict=True)):
            pixel = self._pixel[axis][span]
            data = data.take(pixel - region.start, axis, mode="clip")
            data[(slice(None),) * axis + (pixel == OUTSIDE,)] = self._value
        return data

    def _beyond(self, box: Region) -> Region:
        return tuple(slice(s.start - w, s.stop - w) for s, w in zip(box, self.window, strict=True))


@dataclass(frozen=True, eq=False)
class WindowBand:
    """What a band across the padded image adds up to."""

    end: np.ndarray
    """The last running sums along the first axis, as many as a window is long."""
    lines: list[tuple[int, int, slice, np.ndarray]]
    """The sums before the lines where tiles begin: the axis, the line's number, the rows."""


class WindowSums:
    """Sums over all windows of the padded image, and of its square.

    The sum numbered r along an axis is that of the padded pixels from r + 1 to r + w.

    Parameters
    ----------
    padding
        The padded image.
    starts
        The numbers along each axis where tiles begin.
    """

    def __init__(self, padding: Padding, starts: Sequence[Sequence[int]]) -> None:
        self.padding = padding
        self._starts = starts
        counts = [n - w - 1 for n, w in zip(padding.shape, padding.window, strict=True)]
        self._before: list[list[dict[int, np.ndarray]]] = []
        for _ in range(2):
            lines_before = []
            for axis, numbers in enumerate(starts):
                shape = (*counts[:axis], *padding.shape[axis + 1 :])
                lines_before.append({n: np.zeros(shape, padding.dtype) for n in numbers if n > 0})
            self._before.append(lines_before)

    def box(self, sums: Region) -> Region:
        """Return the padded pixels that give some sums: from where a tile begins."""
        return tuple(
            slice(max(n for n in numbers if n <= s.start), s.stop + w)
            for s, numbers, w in zip(sums, self._starts, self.padding.window, strict=True)
        )

    def of(self, padded: np.ndarray, box: Region) -> list[np.ndarray]:
        """Return the sums of a `box` of the padded image and of its square."""
        return [
            self._of(pixels, box, lines_before)
            for pixels, lines_before in zip((padded, padded**2), self._before, strict=True)
        ]

    def _of(
        self, sums: np.ndarray, box: Region, lines_before: Sequence[dict[int, np.ndarray]]
    ) -> np.ndarray:
        for axis, width in enumerate(self.padding.window):
            before = lines_before[axis].get(box[axis].start)
            if before is not None:
                around = [
                    slice(s.start, s.stop - w) if other < axis else s
                    for other, (s, w) in enumerate(zip(box, self.padding.window, strict=True))
                    if other != axis
                ]
                before = np.expand_dims(before[tuple(around)], axis)
            sums = _windows(_added(sums, before, axis), width, axis)
        return sums

    def walk(self, padded: np.ndarray, first: int, tails: Sequence[Any]) -> list[WindowBand]:
        """Return what a band across the padded image, and across its square, adds up to.

        Parameters
        ----------
        padded
            The band's pixels.
        first
            Its first line.
        tails
            The ends of the bands before, None for the first.
        """
        return [
            self._walk(pixels, first, tail, lines_before)
            for pixels, tail, lines_before in zip(
                (padded, padded**2), tails, self._before, strict=True
            )
        ]

    def take(self, bands: Sequence[WindowBand]) -> None:
        """Take in what a band adds up to.

        Parameters
        ----------
        bands
            What `walk` found.
        """
        for band, lines_before in zip(bands, self._before, strict=True):
            for axis, number, rows, sums in band.lines:
                lines_before[axis][number][rows] = sums

    def _walk(
        self,
        sums: np.ndarray,
        first: int,
        tail: np.ndarray | None,
        lines_before: Sequence[dict[int, np.ndarray]],
    ) -> WindowBand:
        width = self.padding.window[0]
        lines: list[tuple[int, int, slice, np.ndarray]] = []
        sums = _added(sums, None if tail is None else tail[-1:], 0)
        for number in lines_before[0]:
            if first < number <= first + len(sums):
                lines.append((0, number, slice(None), sums[number - 1 - first].copy()))
        if tail is not None:
            sums, first = np.concatenate([tail, sums]), first - len(tail)
        end: np.ndarray = sums[-width:].copy()
        sums = _windows(sums, width, 0)
        rows = slice(first, min(first + len(sums), self.padding.shape[0] - width - 1))
        sums = sums[: max(0, rows.stop - rows.start)]
        for axis in range(1, sums.ndim):
            sums = np.cumsum(sums, axis=axis)
            lines += [
                (axis, number, rows, sums.take(number - 1, axis)) for number in lines_before[axis]
            ]
            sums = _windows(sums, self.padding.window[axis], axis)
            sums = sums[(slice(None),) * axis + (slice(-1),)]
        return WindowBand(end, lines)


def _added(data: np.ndarray, before: np.ndarray | None, axis: int) -> np.ndarray:
    """Return running sums along an axis that go on from a line of sums."""
    if before is None:
        return np.cumsum(data, axis=axis)
    sums = np.cumsum(np.concatenate([before, data], axis=axis), axis=axis)
    return np.asarray(sums[(*(slice(None),) * axis, slice(1, None))])


def _windows(sums: np.ndarray, width: int, axis: int) -> np.ndarray:
    """Return what is added up between lines of running sums that lie so far apart."""
    along = (slice(None),) * axis
    return np.asarray(sums[(*along, slice(width, None))] - sums[(*along, slice(-width))])


def gather_window_sums(call: Call, padding: Padding, first: Sequence[int]) -> Passes[WindowSums]:
    """Walk over the image, so that the sums of any box are at hand.

    Parameters
    ----------
    call
        The operation on the image.
    padding
        The padded image.
    first
        The number of the sum that is the result's first pixel, along each axis.
    """
    corner = tuple(slice(0, 1) for _ in padding.shape)
    grid = yield Reduce(lambda block: block.grid, lambda a, b: a, regions=[corner])
    starts = [
        [begin + offset for offset in range(0, n, length)]
        for begin, n, length in zip(first, grid.shape, grid.tile, strict=True)
    ]
    sums = WindowSums(padding, starts)
    tails: list[Any] = [None, None]
    for start, stop in _bands(call, padding):
        box = (slice(start, stop), *(slice(0, n) for n in padding.shape[1:]))

        def walk(block: Block, box: Region = box, tails: list[Any] = tails) -> list[WindowBand]:
            require_finite(call, block.data, "sums of windows carry on")
            return sums.walk(padding.of(block, box), box[0].start, tails)

        # The whole band travels and is kept: no other process, and no later run, has these sums.
        bands: list[WindowBand] = yield Reduce(
            walk, lambda a, b: a, regions=[padding.inside(box)], description="sums of windows"
        )
        sums.take(bands)
        tails = [band.end for band in bands]
    return sums


def _bands(call: Call, padding: Padding) -> Iterator[tuple[int, int]]:
    """Yield bands across the padded image, those beyond the image's ends by themselves."""
    width, length = padding.window[0], call.shape[0]
    step = max(1, PIECE // prod(padding.shape[1:]))
    yield 0, width
    for start in range(0, length, step):
        yield width + start, width + min(length, start + step)
    yield width + length, length + 2 * width


def largest_band(call: Call, padding: Padding) -> int:
    """Return how many pixels the walk holds at once."""
    line = prod(padding.shape[1:])
    return min(prod(padding.shape), max(PIECE, line * padding.window[0]))
