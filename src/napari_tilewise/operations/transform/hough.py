"""`skimage.transform.hough_*`: votes for lines, circles and ellipses.

Votes for lines are integers that add up over tiles, computed from absolute coordinates. A circle's
votes lie within its radius, which is the halo. The other functions need all pixels, or all votes,
at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod, sqrt
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.grid import Region, grow, within
from napari_tilewise.operations.shared.whole import WHOLE
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.measuring.calibration import PixelLengths
from napari_tilewise.operations.spec.measuring.quantities import LENGTH, NUMBER, Quantity, position
from napari_tilewise.operations.spec.operation import (
    IN_ONE_CALL,
    AsStep,
    AtOnce,
    Block,
    Call,
    Cost,
    HaloLike,
    Kind,
    Limits,
    Neighbourhood,
    Operation,
    Output,
    Plan,
    Reduce,
    ResultSpec,
    Tiles,
    Trial,
    Value,
    first_axis,
)
from napari_tilewise.operations.spec.parameters import Array, Flag, Number, Numbers, Seed
from napari_tilewise.operations.spec.pixel_positions import shifted

if TYPE_CHECKING:
    from napari_tilewise.operations.spec.pixel_positions import Samplings
    from napari_tilewise.types import Parameters

ANGLES = Array(ndim=1, usual=(-1.6, 1.6), optional=True, longest=30)
PIXELS = Number(minimum=0, integer=True, length=True, usual=(0, 20))
COUNT = Number(minimum=0, usual=(0, 30))
NUMBERS = 32
"""Bytes per pixel that votes are set aside for; those of more angles count as what a tile takes."""
POINTS = 2**18
"""Number of pixels whose votes are computed at once."""


# -- lines -----------------------------------------------------------------------------------------


@dataclass
class _Votes:
    """Votes by distance, starting with `first`, and angle."""

    first: int
    counts: np.ndarray

    @property
    def nbytes(self) -> int:
        """Memory for the votes."""
        return self.counts.nbytes

    def add(self, other: _Votes) -> _Votes:
        """Return the sum of both, added in place if the distances of `other` are covered."""
        if len(other.counts) == 0 or len(self.counts) == 0:
            return other if len(self.counts) == 0 else self
        first = min(self.first, other.first)
        stop = max(self.first + len(self.counts), other.first + len(other.counts))
        if first < self.first or stop > self.first + len(self.counts):
            extended = np.zeros((stop - first, self.counts.shape[1]), np.uint64)
            extended[self.first - first :][: len(self.counts)] = self.counts
            self.first, self.counts = first, extended
        self.counts[other.first - self.first :][: len(other.counts)] += other.counts
        return self


def _theta(call: Call) -> np.ndarray:
    if call["theta"] is not None:
        return np.asarray(call["theta"])
    return np.linspace(-np.pi / 2, np.pi / 2, 180, endpoint=False)


def _hough_line(call: Call) -> Plan:
    theta = _theta(call)
    cos, sin = np.cos(theta), np.sin(theta)

    def tile_votes(block: Block) -> _Votes:
        rows, columns = np.nonzero(block.data[block.core])
        rows, columns = rows + block.tile[0].start, columns + block.tile[1].start
        largest_distance = _distance(*(s.stop for s in block.tile))
        counts = np.zeros((2 * largest_distance + 3, len(theta)), np.uint64)
        for start in range(0, len(rows), POINTS):
            x, y = columns[start : start + POINTS], rows[start : start + POINTS]
            for k in range(len(theta)):
                distances = cos[k] * x + sin[k] * y
                # Rounded half away from zero, as in scikit-image.
                rounded = np.trunc(
                    np.where(distances > 0, distances + 0.5, distances - 0.5)
                ).astype(np.intp)
                counts[:, k] += np.bincount(
                    rounded + largest_distance + 1, minlength=len(counts)
                ).astype(np.uint64)
        nonzero = np.flatnonzero(counts.any(axis=1))
        span = slice(nonzero[0], nonzero[-1] + 1) if len(nonzero) else slice(0, 0)
        return _Votes(int(span.start) - largest_distance - 1, counts[span].copy())

    votes: _Votes = yield Reduce(tile_votes, lambda a, b: a.add(b), description="votes")
    offset = _distance(*call.shape)
    space = np.zeros((2 * offset + 1, len(theta)), np.uint64)
    if len(votes.counts):
        space[votes.first + offset :][: len(votes.counts)] = votes.counts
    return Value((space, theta, np.linspace(-offset, offset, len(space))))


def _further_votes(call: Call) -> int:
    """Return what votes of many angles take beside gathered numbers, in pixels of the image."""
    angles = 180 if call["theta"] is None else len(call["theta"])
    votes = angles * (2 * _distance(*call.shape) + 1)
    return max(0, 16 * votes - NUMBERS * prod(call.shape)) // 112


def _distance(rows: int, columns: int) -> int:
    """Return the largest distance of a line through an image from its corner."""
    return ceil(sqrt(rows * rows + columns * columns))


def _check_theta(call: Call) -> None:
    theta = call["theta"]
    if theta is not None and theta.dtype != np.float64:
        raise InvalidParameter(
            f"{call.operation.name}: theta has dtype {theta.dtype}: expected float64."
        )


# -- circles ---------------------------------------------------------------------------------------


def _radii(call: Call) -> np.ndarray:
    return np.atleast_1d(np.asarray(call["radius"])).astype(np.intp)


def _largest(call: Call) -> int:
    return int(_radii(call).max())


def _circle_shape(call: Call) -> tuple[int, ...]:
    padding = 2 * _largest(call) if call["full_output"] else 0
    return (len(_radii(call)), *(n + padding for n in call.shape))


def _perimeters(call: Call) -> int:
    """Return what the coordinates of the largest circle take, in pixels of the image."""
    return 16 * int(np.max(call["radius"], initial=0))


def _circle_sampling(call: Call, shape: tuple[int, ...]) -> Samplings:
    padding = _largest(call) if call["full_output"] else 0
    return shifted([-padding] * len(shape))


def _circle_halo(call: Call) -> HaloLike:
    return _largest(call)


def _hough_circle(call: Call) -> Tiles:
    largest = _largest(call)
    # The result starts this number of pixels before the image.
    padding = largest if call["full_output"] else 0

    def source(tile: Region) -> Region:
        box = tuple(slice(s.start - padding, s.stop - padding) for s in tile)
        return grow(box, ((largest, largest),) * 2)

    def compute(block: Block) -> np.ndarray:
        votes = call.function(block.data)
        return np.ascontiguousarray(votes[(slice(None), *within(block.tile, block.region))])

    return Tiles(compute, source=source)


# -- declarations ----------------------------------------------------------------------------------


def _line_votes(params: Parameters, ndim: int) -> dict[str, Quantity]:
    return {"accumulator": NUMBER, "angles": NUMBER, "distances": LENGTH}


def _lines(params: Parameters, ndim: int) -> dict[str, Quantity]:
    """Return what the ends of lines are: x comes first."""
    x, y = position(1, ndim), position(0, ndim)
    return {"x0": x, "y0": y, "x1": x, "y1": y}


def _circles(params: Parameters, ndim: int) -> dict[str, Quantity]:
    """Return what circles are, in votes whose first axis is that of the radii."""
    rows, columns = 1, 2
    center = {"cx": position(columns, ndim), "cy": position(rows, ndim)}
    return {"accumulator": NUMBER, **center, "radius": Quantity(1, over=(rows, columns))}


def _ellipses(params: Parameters, ndim: int) -> dict[str, Quantity]:
    center = {"yc": position(0, ndim), "xc": position(1, ndim)}
    return {"accumulator": NUMBER, **center, "a": LENGTH, "b": LENGTH, "orientation": NUMBER}


def _no_shape(call: Call) -> None:
    return None


VALUES = ResultSpec(output=Output.VALUES, shape=_no_shape)

OPERATIONS = (
    Operation(
        name="transform.hough_line",
        title="Hough transform (lines)",
        family=families.INTEGRALS,
        kind=Kind.STATISTIC,
        specs={"theta": ANGLES},
        result=VALUES,
        step=AsStep(calibration=PixelLengths(columns=_line_votes)),
        plan_of=_hough_line,
        limits=Limits(check=_check_theta, ndim=(2, 2)),
        cost=Cost(
            numbers=NUMBERS,
            memory=14.0,
            largest_region=_further_votes,
            at_once=AtOnce(function=2**26),
        ),
    ),
    Operation(
        name="transform.hough_line_peaks",
        title="Hough transform, peaks of lines",
        family=families.INTEGRALS,
        **WHOLE,
        specs={
            "angles": Array(ndim=1, usual=(-1.6, 1.6), longest=300),
            "dists": Array(ndim=1, usual=(-60, 60), longest=300),
            "min_distance": PIXELS,
            "min_angle": PIXELS,
            "threshold": Number(optional=True, intensity=True, usual=(0, 1)),
            "num_peaks": COUNT,
        },
        result=VALUES,
        limits=Limits(ndim=(2, 2)),
        cost=Cost(memory=6.0),
        note="Needs all votes, which are sorted. The image must be the votes that hough_line "
        "returns.",
    ),
    Operation(
        name="transform.probabilistic_hough_line",
        title="Probabilistic Hough transform (lines)",
        family=families.INTEGRALS,
        **WHOLE,
        specs={
            "threshold": Number(minimum=0, integer=True, usual=(0, 20)),
            "line_length": PIXELS,
            "line_gap": PIXELS,
            "theta": ANGLES,
            "rng": Seed(advanced=True),
        },
        result=VALUES,
        step=AsStep(calibration=PixelLengths(columns=_lines, rows=True)),
        limits=Limits(ndim=(2, 2), check=_check_theta),
        cost=Cost(memory=30.0),
        note="Needs the whole image: edge pixels are drawn at random from all that remain.",
    ),
    Operation(
        name="transform.hough_circle",
        title="Hough transform (circles)",
        family=families.INTEGRALS,
        kind=Kind.NEIGHBOURHOOD,
        specs={
            "radius": Numbers(item=Number(minimum=0, length=True, usual=(1, 12))),
            "normalize": Flag(),
            "full_output": Flag(advanced=True),
        },
        neighbourhood=Neighbourhood(halo=_circle_halo, sampling=_circle_sampling),
        result=ResultSpec(dtype=lambda call: np.float64, shape=_circle_shape, channel=first_axis),
        plan_of=_hough_circle,
        limits=Limits(ndim=(2, 2)),
        cost=Cost(memory=6.0, largest_region=_perimeters, at_once=AtOnce(function=IN_ONE_CALL)),
    ),
    Operation(
        name="transform.hough_circle_peaks",
        title="Hough transform, peaks of circles",
        family=families.INTEGRALS,
        **WHOLE,
        specs={
            "radii": Array(ndim=1, usual=(1, 30), longest=14),
            "min_xdistance": Number(minimum=1, integer=True, length=True, usual=(1, 10)),
            "min_ydistance": Number(minimum=1, integer=True, length=True, usual=(1, 10)),
            "threshold": Number(optional=True, intensity=True, usual=(0, 1)),
            "num_peaks": COUNT,
            "total_num_peaks": COUNT,
            "normalize": Flag(),
        },
        result=VALUES,
        step=AsStep(calibration=PixelLengths(columns=_circles)),
        limits=Limits(ndim=(3, 3)),
        cost=Cost(memory=6.0),
        note="Needs all votes, which are sorted. The image must be the votes that hough_circle "
        "returns, one plane per radius.",
    ),
    Operation(
        name="transform.hough_ellipse",
        title="Hough transform (ellipses)",
        family=families.INTEGRALS,
        **WHOLE,
        specs={
            "threshold": Number(minimum=0, integer=True, usual=(0, 10)),
            "accuracy": Number(minimum=0, exclusive=True, usual=(0.5, 3)),
            "min_size": Number(minimum=0, integer=True, length=True, usual=(2, 10)),
            "max_size": Number(
                minimum=0, integer=True, optional=True, length=True, usual=(4, 30), advanced=True
            ),
        },
        result=VALUES,
        step=AsStep(calibration=PixelLengths(columns=_ellipses)),
        limits=Limits(ndim=(2, 2)),
        note="Needs the whole image: every pair of edge pixels votes. The time grows with the "
        "third power of the number of edge pixels, in scikit-image "
        "too.",
        cost=Cost(trial=Trial(length=8)),
    ),
)
