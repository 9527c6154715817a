"""`skimage.feature.local_binary_pattern`: which points of a circle are brighter than its centre.

scikit-image adds a point's offset to the pixel's coordinate and interpolates by the fraction of the
sum, so the rounding of the fraction depends on the pixel's position in the image; among equal
neighbours this decides the code. Here the sum uses coordinates in the whole image, for any tile,
and all later steps follow scikit-image's order of operations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.grid import Region, extent, within
from napari_tilewise.operations.shared.common import AnyCase
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    SLOW_AT_ONCE,
    Block,
    Call,
    Cost,
    Kind,
    Limits,
    Neighbourhood,
    Operation,
    ResultSpec,
    Tiles,
)
from napari_tilewise.operations.spec.parameters import Number

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = 64
"""Rows processed at once, so that intermediate arrays stay in the processor's cache."""
SAMPLES = 2**23
"""Samples compared at once at most, in which many points of a circle leave fewer rows."""


def _offsets(call: Call) -> tuple[np.ndarray, np.ndarray]:
    """Return the circle's points relative to the centre, rounded as in scikit-image."""
    points, radius = int(call["P"]), float(call["R"])
    angles = 2 * np.pi * np.arange(points, dtype=np.float64) / points
    return np.round(-radius * np.sin(angles), 5), np.round(radius * np.cos(angles), 5)


def _halo(call: Call) -> int:
    return int(np.ceil(call["R"]))


def _check(call: Call) -> None:
    if call["method"] == "ror" and call["P"] > 31:
        raise InvalidParameter(
            f"{call.operation.name}: P={call['P']} with method='ror', which rotates 32-bit "
            "patterns: expected at most 31."
        )


def _plan(call: Call) -> Tiles:
    def compute(block: Block) -> np.ndarray:
        out = np.empty(extent(block.tile))
        for part in _parts(block.tile, int(call["P"])):
            out[within(part, block.tile)] = _codes(call, part, block)
        return out

    radius = int(np.ceil(call["R"]))
    return Tiles(
        compute, source=lambda tile: tuple(slice(s.start - radius, s.stop + radius) for s in tile)
    )


def _parts(tile: Region, points: int) -> Iterator[Region]:
    """Yield the parts of a tile whose samples are in memory at once."""
    width = max(1, min(extent(tile)[1], SAMPLES // points))
    rows = max(1, min(ROWS, SAMPLES // (points * width)))
    for row in range(tile[0].start, tile[0].stop, rows):
        for column in range(tile[1].start, tile[1].stop, width):
            yield (
                slice(row, min(row + rows, tile[0].stop)),
                slice(column, min(column + width, tile[1].stop)),
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
        target = tuple(
            slice(c.start - b.start, c.stop - b.start) for c, b in zip(common, box, strict=True)
        )
        source = tuple(
            slice(c.start - r.start, c.stop - r.start)
            for c, r in zip(common, block.region, strict=True)
        )
        self.data[target] = block.data[source]
        self._shape = extent(part)

    def shifted(self, row: int, column: int) -> np.ndarray:
        """Return the box of pixels, of the part's shape, that starts at this absolute position."""
        rows, columns = row - self._start[0], column - self._start[1]
        return self.data[rows : rows + self._shape[0], columns : columns + self._shape[1]]


def _codes(call: Call, part: Region, block: Block) -> np.ndarray:
    surroundings = _Surroundings(block, part, int(np.ceil(call["R"])))
    centre = surroundings.shifted(part[0].start, part[1].start)
    samples = (
        _sample(surroundings, part, row, column)
        for row, column in zip(*_offsets(call), strict=True)
    )
    if call["method"] == "var":
        return _variance(samples, int(call["P"]), centre.shape)
    brighter = np.array([sample - centre >= 0 for sample in samples])
    return CODES[call["method"]](brighter)


def _sample(surroundings: _Surroundings, part: Region, row: float, column: float) -> np.ndarray:
    """Return the image interpolated at every pixel of a part shifted by an offset."""
    (row_low, row_high, rows), (column_low, column_high, columns) = (
        _fractions(span, offset) for span, offset in zip(part, (row, column), strict=True)
    )
    rows = rows[:, None]
    weight_low, weight_high = 1 - columns, columns
    top = weight_low * surroundings.shifted(
        row_low, column_low
    ) + weight_high * surroundings.shifted(row_low, column_high)
    bottom = weight_low * surroundings.shifted(
        row_high, column_low
    ) + weight_high * surroundings.shifted(row_high, column_high)
    return np.asarray((1 - rows) * top + rows * bottom)


def _fractions(span: slice, offset: float) -> tuple[int, int, np.ndarray]:
    """Return the first pixel before and after a shifted span, and the fractions between them.

    An offset rounded to five digits is either an integer or far from one: all pixels of the span
    lie between neighbours at the same two distances.
    """
    positions = np.arange(span.start, span.stop) + offset
    floors = np.floor(positions)
    return int(floors[0]), int(np.ceil(positions[0])), positions - floors


# -- codes -----------------------------------------------------------------------------------------


def _weighted_sum(brighter: np.ndarray) -> np.ndarray:
    weights = 2 ** np.arange(len(brighter), dtype=np.int32)
    code = np.zeros(brighter.shape[1:])
    for bit, weight in zip(brighter, weights, strict=True):
        code += bit * weight
    return code


def _smallest_rotation(brighter: np.ndarray) -> np.ndarray:
    """Return the smallest number among all rotations of the pattern."""
    points = len(brighter)
    pattern = _weighted_sum(brighter).astype(np.int64)
    smallest = pattern.copy()
    for _ in range(points - 1):
        pattern = (pattern >> 1) | ((pattern & 1) << (points - 1))
        np.minimum(smallest, pattern, out=smallest)
    return smallest.astype(np.float64)


def _uniform_count(brighter: np.ndarray) -> np.ndarray:
    count = brighter.sum(axis=0, dtype=np.float64)
    return np.where(_changes(brighter) <= 2, count, float(len(brighter) + 1))


def _nonrotated_uniform(brighter: np.ndarray) -> np.ndarray:
    points = len(brighter)
    count = brighter.sum(axis=0, dtype=np.int64)
    first_one, first_zero = brighter.argmax(axis=0), brighter.argmin(axis=0)
    rotation = np.where(first_one == 0, count - first_zero, points - first_one)
    code = 1 + (count - 1) * points + rotation
    code[count == 0] = 0
    code[count == points] = points * (points - 1) + 1
    code[_changes(brighter) > 2] = points * (points - 1) + 2
    return np.asarray(code, np.float64)


def _changes(brighter: np.ndarray) -> np.ndarray:
    """Return the number of changes from the pattern's first point to its last."""
    return np.asarray((brighter[1:] != brighter[:-1]).sum(axis=0))


def _variance(samples: Any, points: int, shape: tuple[int, ...]) -> np.ndarray:
    total, squares = np.zeros(shape), np.zeros(shape)
    for sample in samples:
        total += sample
        squares += sample * sample
    variance = (squares - (total * total) / points) / points
    variance[variance == 0] = np.nan
    return variance


CODES = {
    "default": _weighted_sum,
    "ror": _smallest_rotation,
    "uniform": _uniform_count,
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
        neighbourhood=Neighbourhood(halo=_halo, padding=_halo),
        result=ResultSpec(dtype=lambda call: np.float64),
        plan_of=_plan,
        limits=Limits(ndim=(2, 2), check=_check),
        # a few hundred bytes for each point: its offset, and an array of what is sampled there
        cost=Cost(
            memory=8.0,
            largest_region=lambda call: 8 * int(call["P"]),
            at_once=SLOW_AT_ONCE,
        ),
    ),
)
