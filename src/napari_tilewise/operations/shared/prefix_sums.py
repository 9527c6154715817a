"""Prefix sums of the whole image, at any tile, with the bits of one sum over all pixels in order.

scikit-image's `integral_image` adds along the rows' axis and then along the columns', pixel after
pixel, and every sum is rounded. Rounded the same way they are the same: one walk over the image
keeps the sums along the lines where tiles begin, and a tile goes on adding from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import prod
from typing import TYPE_CHECKING

import numpy as np
from skimage.util import img_as_float

from napari_tilewise.operations.shared.common import as_float
from napari_tilewise.operations.spec.operation import Block, Call, HaloLike, Reduce, normal_halo

if TYPE_CHECKING:
    from napari_tilewise.grid import Grid
    from napari_tilewise.operations.spec.passes import Passes

PIECE = 2**20
"""Pixels that the walk over the image holds at once."""


@dataclass(frozen=True, eq=False)
class PrefixBand:
    """What a band of whole rows adds up to."""

    rows: slice
    end: np.ndarray
    """Down to its last row."""
    tops: dict[int, np.ndarray]
    """Down to the rows before those where tiles begin."""
    lefts: np.ndarray
    """Across, up to the columns before those where tiles begin."""


class PrefixSums:
    """What has been added up before the lines where tiles begin.

    Parameters
    ----------
    call
        The operation on the image.
    columns
        The columns where regions begin.
    """

    def __init__(self, call: Call, columns: list[int]) -> None:
        self._call = call
        self._columns = {column: number for number, column in enumerate(columns)}
        self._tops: dict[int, np.ndarray] = {0: np.zeros(call.shape[1])}
        self._lefts = np.zeros((call.shape[0], len(columns)))

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return self._lefts.nbytes + sum(line.nbytes for line in self._tops.values())

    def walk(self, block: Block, top: np.ndarray, rows: list[int]) -> PrefixBand:
        """Return what a band of whole rows adds up to, given what there was before it.

        Parameters
        ----------
        block
            The band.
        top
            What has been added up before it.
        rows
            The rows in it, or just beyond, where tiles begin.
        """
        first = block.region[0].start
        down = _continued(self._pixels(block), top[None], axis=0)
        across = np.cumsum(down[1:], axis=1)
        before = np.array([column - 1 for column in self._columns], int)
        return PrefixBand(
            slice(first, block.region[0].stop),
            end=down[-1].copy(),
            tops={row: down[row - first].copy() for row in rows},
            lefts=np.where(before < 0, 0, across[:, before]),
        )

    def take(self, band: PrefixBand) -> None:
        """Take in what a band adds up to.

        Parameters
        ----------
        band
            What `walk` found.
        """
        self._tops.update(band.tops)
        self._lefts[band.rows] = band.lefts

    def of(self, block: Block) -> np.ndarray:
        """Return the prefix sums of a block's region, as the whole image's."""
        rows, columns = block.region
        top = self._tops[rows.start][columns]
        beside = self._lefts[rows, self._columns[columns.start]]
        down = _continued(self._pixels(block), top[None], axis=0)[1:]
        return np.ascontiguousarray(_continued(down, beside[:, None], axis=1)[:, 1:])

    def _pixels(self, block: Block) -> np.ndarray:
        image = img_as_float(block.data).astype(as_float(self._call), copy=False)
        return np.asarray(image, np.float64)


def _continued(data: np.ndarray, before: np.ndarray, axis: int) -> np.ndarray:
    """Return running sums along an axis that go on from a line of sums, which comes first."""
    return np.cumsum(np.concatenate([before, data], axis=axis), axis=axis)


def gather_prefix_sums(call: Call, halo: HaloLike) -> Passes[PrefixSums]:
    """Walk over the image, so that the prefix sums of any tile grown by a halo are at hand."""
    height, width = call.shape
    corner = (slice(0, 1), slice(0, 1))
    grid: Grid = yield Reduce(lambda block: block.grid, lambda a, b: a, regions=[corner])
    rows, columns = _starts(grid, halo)
    sums = PrefixSums(call, columns)
    top = np.zeros(width)
    step = max(1, PIECE // width)
    for start in range(0, height, step):
        stop = min(height, start + step)
        inside = [row for row in rows if start < row <= stop]
        # The whole band travels and is kept: no other process, and no later run, has these sums.
        band: PrefixBand = yield Reduce(
            partial(sums.walk, top=top, rows=inside),
            lambda a, b: a,
            regions=[(slice(start, stop), slice(0, width))],
            description="sums",
        )
        sums.take(band)
        top = band.end
    return sums


def largest_band(call: Call) -> int:
    """Return how many pixels the walk holds at once."""
    return min(prod(call.shape), max(PIECE, call.shape[1]))


def _starts(grid: Grid, halo: HaloLike) -> list[list[int]]:
    """Return where regions of tiles begin along each axis: at a halo of either side's width."""
    starts_of_axes = []
    for n, length, reach in zip(grid.shape, grid.tile, normal_halo(halo, 2), strict=True):
        wider = (reach[0], max(reach))
        starts = {max(0, tile - w) for tile in range(0, n, length) for w in wider}
        starts_of_axes.append(sorted(starts))
    return starts_of_axes
