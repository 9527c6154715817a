"""`skimage.measure.find_contours`: segments per tile, assembled once in the whole image's order.

The segments of a square of 2 x 2 pixels depend on nothing else; the tiles' segments, sorted by the
raster index of their square, are the list that scikit-image computes from the whole image, and its
own function assembles them. Coordinates are computed from absolute positions, so they have the same
bits on both sides of a tile's border.

Memory and the time to assemble grow with the contours' length, not with the image: 40 bytes per
segment, and about 300 while scikit-image's assembly, which is written in Python, holds it. Segments
that outgrow their share of memory are assembled from disk, see `contour_assembly`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.operations.measure.contour_assembly import (
    ASSEMBLY,
    PART,
    Segments,
    assembled,
)
from napari_tilewise.operations.shared.global_numbers import extreme
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.shared.stored_columns import row_groups
from napari_tilewise.operations.shared.stored_contours import StoredContours
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.measuring.calibration import IN_PIXELS
from napari_tilewise.operations.spec.operation import (
    IN_MEMORY,
    AsStep,
    AtOnce,
    Block,
    Call,
    Cost,
    Kind,
    Limits,
    Neighbourhood,
    OnDisk,
    Operation,
    Output,
    Plan,
    Reduce,
    ResultSpec,
    Value,
)
from napari_tilewise.operations.spec.parameters import AlignedImage, ChoiceSpec, Number

if TYPE_CHECKING:
    from collections.abc import Iterator

TOP, BOTTOM, LEFT, RIGHT = range(4)

ONE_SEGMENT = {
    1: (TOP, LEFT), 2: (RIGHT, TOP), 3: (RIGHT, LEFT), 4: (LEFT, BOTTOM), 5: (TOP, BOTTOM),
    7: (RIGHT, BOTTOM), 8: (BOTTOM, RIGHT), 10: (BOTTOM, TOP), 11: (BOTTOM, LEFT),
    12: (LEFT, RIGHT), 13: (TOP, RIGHT), 14: (LEFT, TOP),
}  # fmt: skip
"""The two sides that the segment of a square connects, by the pixels above the level: 1 upper left,
2 upper right, 4 lower left, 8 lower right (scikit-image's numbering)."""

TWO_SEGMENTS = {
    "low": {6: ((RIGHT, TOP), (LEFT, BOTTOM)), 9: ((TOP, LEFT), (BOTTOM, RIGHT))},
    "high": {6: ((LEFT, TOP), (RIGHT, BOTTOM)), 9: ((TOP, RIGHT), (BOTTOM, LEFT))},
}


def _table(connected: str) -> np.ndarray:
    """Return the side for each (case, segment, end); -1: no such segment."""
    table = np.full((16, 2, 2), -1, np.int8)
    for case, sides in ONE_SEGMENT.items():
        table[case, 0] = sides
    for case, pair in TWO_SEGMENTS[connected].items():
        table[case] = pair
    return table


def reduce_nan_extremes() -> Reduce:
    """Return the reduction to the results of `nanmin` and `nanmax`, in the image's own dtype."""

    def tile_extremes(block: Block) -> tuple[Any, Any]:
        pixels = block.data[block.core].ravel()
        return extreme(np.fmin, pixels), extreme(np.fmax, pixels)

    return Reduce(
        tile_extremes,
        lambda a, b: (np.fmin(a[0], b[0]), np.fmax(a[1], b[1])),
        description="smallest and largest",
    )


def _plan(call: Call) -> Plan:
    level = call["level"]
    if level is None:
        low, high = yield reduce_nan_extremes()
        level = (low + high) / 2.0
    level = float(level)
    table = _table(call["fully_connected"])

    is_reversed = call["positive_orientation"] == "high"

    def finish(segments: Segments) -> Segments | StoredContours:
        if not segments.runs:
            return segments
        return assembled(segments, call.shape[1], reverse=is_reversed)

    segments = yield Reduce(
        lambda block: Segments(*_segments(block, level, table)),
        Segments.extend,
        halo=((0, 1), (0, 1)),
        finish=finish,
        description="contour segments",
        form="squares",
    )
    if isinstance(segments, StoredContours):
        return Value(segments.temporary())
    contours = reach("measure._find_contours", "_assemble_contours")(_sorted_segments(segments))
    return Value([contour[::-1] for contour in contours] if is_reversed else contours)


def _segments(block: Block, level: float, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the raster indices of the squares of a tile's segments (segment, end, coordinate)."""
    box = tuple(slice(core.start, core.stop + 1) for core in block.core)
    pixels = block.data[box].astype(np.float64)
    corners = [pixels[:-1, :-1], pixels[:-1, 1:], pixels[1:, :-1], pixels[1:, 1:]]
    cases = np.zeros(corners[0].shape, np.uint8)
    skipped = np.zeros(corners[0].shape, bool)
    for bit, corner in enumerate(corners):
        cases |= (corner > level).astype(np.uint8) << bit
        skipped |= np.isnan(corner)
    if "mask" in block.images:
        outside = ~block.images["mask"][box]
        for corner in (outside[:-1, :-1], outside[:-1, 1:], outside[1:, :-1], outside[1:, 1:]):
            skipped |= corner
    cases[skipped] = 0
    rows, columns = np.nonzero((cases > 0) & (cases < 15))
    upper_left, upper_right, lower_left, lower_right = (c[rows, columns] for c in corners)
    cases = cases[rows, columns]
    row, column = rows + block.tile[0].start, columns + block.tile[1].start
    sides = np.empty((len(rows), 4, 2))
    sides[:, TOP] = _points(row, column + _fraction(upper_left, upper_right, level))
    sides[:, BOTTOM] = _points(row + 1, column + _fraction(lower_left, lower_right, level))
    sides[:, LEFT] = _points(row + _fraction(upper_left, lower_left, level), column)
    sides[:, RIGHT] = _points(row + _fraction(upper_right, lower_right, level), column + 1)
    square, segment = np.nonzero(table[cases, :, 0] >= 0)
    ends = table[cases[square], segment]
    raster_indices = row * block.grid.shape[1] + column
    return raster_indices[square], sides[square[:, None], ends]


def _points(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    return np.stack([rows, columns], axis=-1)


def _fraction(start: np.ndarray, stop: np.ndarray, level: float) -> np.ndarray:
    """Return the position of the level between two pixels, from 0 to 1; 0 if they are equal."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return np.where(stop == start, 0.0, (level - start) / (stop - start))


def _sorted_segments(collected: Segments) -> Iterator[tuple[Any, Any]]:
    """Yield the segments of all tiles in the whole image's order."""
    ((_, segments),) = collected.groups()
    for rows in row_groups(len(segments), PART):
        for begin, end in segments[rows].tolist():
            yield tuple(begin), tuple(end)


def _check(call: Call) -> None:
    name = call.operation.name
    mask = call["mask"]
    if mask is not None and mask.dtype != bool:
        raise InvalidParameter(
            f"{name}: mask has dtype {mask.dtype}: expected bool. Convert it, for example with "
            "mask > 0."
        )
    if min(call.shape) < 2:
        raise InvalidImage(
            f"{name}: the image of shape {call.shape} is too small: expected at least 2 x 2 pixels."
        )


ENDS = ChoiceSpec(choices=("low", "high"), advanced=True)

OPERATIONS = (
    Operation(
        name="measure.find_contours",
        family=families.REGIONS,
        cost=Cost(
            holds_gil=True,
            at_once=AtOnce(function=IN_MEMORY),
            memory=30.0,  # a square of noise has up to two segments
            numbers=OnDisk(2 * (40 + ASSEMBLY)),
        ),
        kind=Kind.CONNECTED,
        specs={
            "level": Number(optional=True, intensity=True, usual=(0, 1)),
            "fully_connected": ENDS,
            "positive_orientation": ENDS,
            "mask": AlignedImage(),
        },
        result=ResultSpec(output=Output.CONTOURS, shape=lambda call: None),
        step=AsStep(calibration=IN_PIXELS),
        neighbourhood=Neighbourhood(halo=lambda call: ((0, 1), (0, 1))),
        limits=Limits(ndim=(2, 2), check=_check),
        plan_of=_plan,
        note="Memory grows with the contours' length, about 300 bytes per segment, up to the share "
        "of the budget that is there for it; longer contours are on disk.",
    ),
)
