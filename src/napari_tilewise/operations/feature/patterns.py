"""`skimage.feature.local_binary_pattern`: which points of a circle are brighter than its centre.

scikit-image adds a point's offset to the pixel's coordinate and takes the fraction of the sum to
interpolate by, so that the rounding of the fraction depends on where in the image the pixel lies;
where neighbours are equal this decides the code. Here the sum is made of coordinates within the
whole image, whatever the tile, and everything after it in scikit-image's order of operations.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.grid import Region, extent
from napari_tilewise.operations.shared.common import AnyCase
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    Block,
    Call,
    Cost,
    HaloLike,
    Kind,
    Limits,
    Neighbourhood,
    Operation,
    ResultSpec,
    Tiles,
)
from napari_tilewise.operations.spec.parameters import Number

ROWS = 64
"""Rows at once: the images in between stay in the processor's cache."""


def _offsets(call: Call) -> tuple[np.ndarray, np.ndarray]:
    """Return the circle's points relative to the centre, rounded as scikit-image rounds them."""
    points, radius = int(call["P"]), float(call["R"])
    angles = 2 * np.pi * np.arange(points, dtype=np.float64) / points
    return np.round(-radius * np.sin(angles), 5), np.round(radius * np.cos(angles), 5)


def _halo(call: Call) -> HaloLike:
    return int(np.ceil(call["R"]))


def _check(call: Call) -> None:
    if call["method"] == "ror" and call["P"] > 31:
        raise InvalidParameter(
            f"{call.operation.name}: P={call['P']} with method='ror', which turns 32-bit patterns: "
            "expected at most 31."
        )


def _plan(call: Call) -> Tiles:
    def compute(block: Block) -> np.ndarray:
        out = np.empty(extent(block.tile))
        first, last = block.tile[0].start, block.tile[0].stop
        for start in range(first, last, ROWS):
            part = (slice(start, min(start + ROWS, last)), block.tile[1])
            codes = out[start - first : part[0].stop - first]
            codes[...] = _codes(call, part, block)
        return out

    reach = int(np.ceil(call["R"]))
    return Tiles(
        compute, source=lambda tile: tuple(slice(s.start - reach, s.stop + reach) for s in tile)
    )


class _Surroundings:
    """The pixels around a part of a tile, zero outside the image."""

    def __init__(self, block: Block, part: Region, reach: int) -> None:
        box = [slice(s.start - reach, s.stop + reach) for s in part]
        self._start = [s.start for s in box]
        self.data = np.zeros([s.stop - s.start for s in box])
        common = [
            slice(max(b.start, r.start), min(b.stop, r.stop))
            for b, r in zip(box, block.region, strict=True)
        ]
        to = tuple(
            slice(c.start - b.start, c.stop - b.start) for c, b in zip(common, box, strict=True)
        )
        of = tuple(
            slice(c.start - r.start, c.stop - r.start)
            for c, r in zip(common, block.region, strict=True)
        )
        self.data[to] = block.data[of]
        self._shape = extent(part)

    def at(self, row: int, column: int) -> np.ndarray:
        """Return the part's pixels, those whose box begins at this absolute place."""
        rows, columns = row - self._start[0], column - self._start[1]
        return self.data[rows : rows + self._shape[0], columns : columns + self._shape[1]]


def _codes(call: Call, part: Region, block: Block) -> np.ndarray:
    surroundings = _Surroundings(block, part, int(np.ceil(call["R"])))
    centre = surroundings.at(part[0].start, part[1].start)
    samples = (
        _sampled(surroundings, part, row, column)
        for row, column in zip(*_offsets(call), strict=True)
    )
    if call["method"] == "var":
        return _variance(samples, int(call["P"]), centre.shape)
    brighter = np.array([sample - centre >= 0 for sample in samples])
    return CODES[call["method"]](brighter)


def _sampled(around: _Surroundings, part: Region, row: float, column: float) -> np.ndarray:
    """Return the image interpolated at every pixel of a part moved by an offset."""
    (row_low, row_high, rows), (column_low, column_high, columns) = (
        _fractions(span, offset) for span, offset in zip(part, (row, column), strict=True)
    )
    rows = rows[:, None]
    left, right = 1 - columns, columns
    top = left * around.at(row_low, column_low) + right * around.at(row_low, column_high)
    bottom = left * around.at(row_high, column_low) + right * around.at(row_high, column_high)
    return np.asarray((1 - rows) * top + rows * bottom)


def _fractions(span: slice, offset: float) -> tuple[int, int, np.ndarray]:
    """Return where the pixels before and after a moved span begin, and how far between they lie.

    Rounded to five digits an offset is either whole or far from it: the span's pixels all fall
    between the same two neighbours.
    """
    moved = np.arange(span.start, span.stop) + offset
    below = np.floor(moved)
    return int(below[0]), int(np.ceil(moved[0])), moved - below


# -- codes -----------------------------------------------------------------------------------------


def _default(brighter: np.ndarray) -> np.ndarray:
    weights = 2 ** np.arange(len(brighter), dtype=np.int32)
    code = np.zeros(brighter.shape[1:])
    for one, weight in zip(brighter, weights, strict=True):
        code += one * weight
    return code


def _rotated(brighter: np.ndarray) -> np.ndarray:
    """Return the smallest number among the pattern's rotations."""
    points = len(brighter)
    chain = _default(brighter).astype(np.int64)
    least = chain.copy()
    for _ in range(points - 1):
        chain = (chain >> 1) | ((chain & 1) << (points - 1))
        np.minimum(least, chain, out=least)
    return least.astype(np.float64)


def _uniform(brighter: np.ndarray) -> np.ndarray:
    count = brighter.sum(axis=0, dtype=np.float64)
    return np.where(_changes(brighter) <= 2, count, float(len(brighter) + 1))


def _nonrotated_uniform(brighter: np.ndarray) -> np.ndarray:
    points = len(brighter)
    ones = brighter.sum(axis=0, dtype=np.int64)
    first_one, first_zero = brighter.argmax(axis=0), brighter.argmin(axis=0)
    turned = np.where(first_one == 0, ones - first_zero, points - first_one)
    code = 1 + (ones - 1) * points + turned
    code[ones == 0] = 0
    code[ones == points] = points * (points - 1) + 1
    code[_changes(brighter) > 2] = points * (points - 1) + 2
    return np.asarray(code, np.float64)


def _changes(brighter: np.ndarray) -> np.ndarray:
    """Return how often the pattern changes from its first point to its last."""
    return np.asarray((brighter[1:] != brighter[:-1]).sum(axis=0))


def _variance(samples: Any, points: int, shape: tuple[int, ...]) -> np.ndarray:
    total, squares = np.zeros(shape), np.zeros(shape)
    for sample in samples:
        total += sample
        squares += sample * sample
    found = (squares - (total * total) / points) / points
    found[found == 0] = np.nan
    return found


CODES = {
    "default": _default,
    "ror": _rotated,
    "uniform": _uniform,
    "nri_uniform": _nonrotated_uniform,
}


OPERATIONS = (
    Operation(
        name="feature.local_binary_pattern",
        family=families.TEXTURE,
        kind=Kind.NEIGHBOURHOOD,
        specs={
            "P": Number(integer=True, minimum=1, usual=(1, 24)),
            "R": Number(minimum=0, length=True, usual=(0, 5)),
            "method": AnyCase(choices=("default", "ror", "uniform", "nri_uniform", "var")),
        },
        neighbourhood=Neighbourhood(halo=_halo),
        result=ResultSpec(dtype=lambda call: np.float64),
        plan_of=_plan,
        limits=Limits(ndim=(2, 2), check=_check),
        cost=Cost(memory=8.0),
    ),
)
