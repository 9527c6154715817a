"""`skimage.feature`, corners given as points: each is measured in a window around it.

Points are grouped by position, and the pixels around a group are read together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidParameter, InvalidParameterType
from napari_tilewise.operations.feature.tensors import DROPPED_FIRST
from napari_tilewise.operations.shared.common import as_float
from napari_tilewise.operations.shared.finite_results import all_are_finite
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.measuring.calibration import IN_PIXELS
from napari_tilewise.operations.spec.operation import (
    SMALL_WHOLE,
    AsStep,
    Block,
    Call,
    Cost,
    Kind,
    Limits,
    Neighbourhood,
    Operation,
    Output,
    Plan,
    Reduce,
    ResultSpec,
    Value,
)
from napari_tilewise.operations.spec.parameters import Array, Footprint, Number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_tilewise.grid import Region
    from napari_tilewise.operations.spec.passes import Passes

BOX = 512
"""Length, in pixels, of the boxes whose points are processed together."""


@dataclass(frozen=True, kw_only=True)
class Points(Array):
    """Coordinates of pixels, one row per point, such as those of peaks."""

    ndim: int | None = 2
    shape: tuple[int, ...] | None = (5, 2)
    """The shape that property tests draw; any number of points is valid."""
    usual: tuple[float, float] = (1, 1)
    integer: bool = True

    def _check(self, name: str, value: Any, ndim: int | None) -> Any:
        points = np.asarray(value)
        if points.shape == (0,):  # a recipe's list of none
            points = points.reshape(0, ndim or 0)
        is_integer = points.dtype.kind in "ui" or (
            points.dtype.kind == "f" and bool((points == np.round(points)).all())
        )
        if not is_integer or points.ndim != 2:
            raise InvalidParameterType(
                f"{name} has dtype {points.dtype} and shape {points.shape}: expected "
                f"{self.describe()}."
            )
        if ndim is not None and points.shape[1] != ndim:
            raise InvalidParameter(
                f"{name} has {points.shape[1]} columns: expected {ndim}, one per spatial axis."
            )
        return points.astype(np.intp, copy=False)

    def describe(self) -> str:
        """Return the expected values in words."""
        return "integer coordinates of pixels, one row per point"


@dataclass(frozen=True, kw_only=True)
class PointPatch(Array):
    """The neighbourhood of a point: a square array of odd width, or a footprint's shape."""

    shape: tuple[int, ...] | None = (5, 5)
    """The shape that property tests draw; any odd width is valid."""
    integer: bool = True

    def _check(self, name: str, value: Any, ndim: int | None) -> Any:
        patch = Footprint(sequences=False).check(name, value, ndim)
        if len(set(patch.shape)) != 1 or patch.shape[0] % 2 == 0:
            raise InvalidParameter(
                f"{name} has shape {patch.shape}: expected {self.describe()}, because with others "
                "scikit-image reads memory outside the image."
            )
        return patch

    def describe(self) -> str:
        """Return the expected values in words."""
        return "a square array of odd width, or a shape such as {'shape': 'disk', 'radius': 3}"


def _check_inside(call: Call) -> None:
    _check_corners(call, np.array(call.shape))


def _check_corners(call: Call, limit: Any = np.inf) -> None:
    corners = call["corners"]
    outside = ((corners < 0) | (corners >= limit)).any(axis=1)
    if outside.any():
        raise InvalidParameter(
            f"{call.operation.name}: the corner {corners[outside][0].tolist()} is outside the "
            f"image of shape {call.shape}: expected corners inside it."
        )


def _reduce_points(
    call: Call,
    reach: Sequence[int],
    measure: Callable[[Block, np.ndarray], np.ndarray],
    rows_of_points: np.ndarray,
) -> Passes[np.ndarray]:
    """Fill one row of `out` per point from ``of_group(pixels around, points)``."""
    corners = call["corners"]
    if len(corners) == 0:
        return rows_of_points
    boxes_of_groups, group_ids = np.unique(corners // BOX, axis=0, return_inverse=True)
    groups = [
        np.flatnonzero(group_ids.reshape(-1) == index) for index in range(len(boxes_of_groups))
    ]
    boxes = [_box_around(call, corners[group], reach) for group in groups]

    def group_rows(block: Block) -> list[tuple[np.ndarray, np.ndarray]]:
        group = groups[block.position[0]]
        return [(group, measure(block, corners[group]))]

    results = yield Reduce(group_rows, lambda a, b: a + b, regions=boxes, description="corners")
    for group, rows in results:
        rows_of_points[group] = rows
    return rows_of_points


def _box_around(call: Call, corners: np.ndarray, reach: Sequence[int]) -> Region:
    """Return the box of pixels around corners; if it is outside, the nearest pixel."""
    low, high = corners.min(axis=0), corners.max(axis=0)
    return tuple(
        slice(min(max(0, int(a) - margin), n - 1), min(n, int(b) + margin + 1))
        for a, b, margin, n in zip(low, high, reach, call.shape, strict=True)
    )


# -- orientations ----------------------------------------------------------------------------------


def _mask_reach(call: Call) -> list[int]:
    # At least one pixel: scikit-image drops axes of length 1.
    return [max(1, n // 2) for n in call["mask"].shape]


def _orientations(call: Call) -> Plan:
    def measure(block: Block, corners: np.ndarray) -> np.ndarray:
        relative = np.ascontiguousarray(corners - np.array(block.start))
        orientations = call.operation.raw_function(block.data, relative, call["mask"])
        return np.asarray(orientations)

    out = np.zeros(len(call["corners"]), as_float(call))
    return Value((yield from _reduce_points(call, _mask_reach(call), measure, out)))


# -- positions between pixels ----------------------------------------------------------------------


class _PaddedWindow:
    """A stand-in for the whole image that `corner_subpix` pads and slices, with one box in memory.

    The function pads the image with zeros, cuts a window around every corner (by slices that start
    before the first pixel if a corner is at the border), and adds the refinement to the corner's
    coordinate. With the whole image's coordinates it rounds as for the whole image.
    """

    def __init__(self, block: Block, shape: tuple[int, ...], dtype: Any, pad: int = 0) -> None:
        self._block = block
        self._shape = shape
        self._pad = pad
        self.dtype = dtype

    def astype(self, dtype: Any, copy: bool = True) -> _PaddedWindow:
        """Return the image with another dtype."""
        return _PaddedWindow(self._block, self._shape, np.dtype(dtype), self._pad)

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Accept `numpy.pad` with zeros; other functions are not supported."""
        if function is not np.pad or kwargs.get("mode") != "constant":
            return NotImplemented
        return _PaddedWindow(self._block, self._shape, self.dtype, int(kwargs["pad_width"]))

    def __getitem__(self, window: tuple[slice, slice]) -> np.ndarray:
        spans = [
            range(*s.indices(n + 2 * self._pad)) for s, n in zip(window, self._shape, strict=True)
        ]
        out = np.zeros([len(span) for span in spans], self.dtype)
        targets, sources = [], []
        for span, r in zip(spans, self._block.region, strict=True):
            start = max(span.start - self._pad, r.start)
            stop = max(start, min(span.stop - self._pad, r.stop))
            targets.append(slice(start + self._pad - span.start, stop + self._pad - span.start))
            sources.append(slice(start - r.start, stop - r.start))
        out[tuple(targets)] = self._block.data[tuple(sources)]
        return out


def _subpix(call: Call) -> Plan:
    def measure(block: Block, corners: np.ndarray) -> np.ndarray:
        image = _PaddedWindow(block, call.shape, call.dtype)
        positions = call.operation.raw_function(image, corners, call["window_size"], call["alpha"])
        return np.asarray(positions)

    out = np.zeros(call["corners"].shape, as_float(call))
    return Value((yield from _reduce_points(call, _window_reach(call), measure, out)))


def _window_reach(call: Call) -> list[int]:
    return [(int(call["window_size"]) - 1) // 2 + 2] * 2


def _cost(reach: Callable[[Call], list[int]]) -> Cost:
    """Return the cost of passes over groups of points, each with its neighbours."""
    return Cost(
        memory=4.0,
        largest_region=lambda call: prod(BOX + 2 * by for by in reach(call)),
        at_once=SMALL_WHOLE,
    )


OPERATIONS = (
    Operation(
        name="feature.corner_subpix",
        title="Subpixel corners",
        family=families.CORNERS,
        kind=Kind.NEIGHBOURHOOD,
        specs={
            "corners": Points(),
            "window_size": Number(integer=True, minimum=1, length=True, usual=(1, 13)),
            "alpha": Number(minimum=0, maximum=1, usual=(0, 1)),
        },
        result=ResultSpec(
            output=Output.POINTS, dtype=as_float, shape=lambda call: call["corners"].shape
        ),
        step=AsStep(calibration=IN_PIXELS),
        neighbourhood=Neighbourhood(halo=_window_reach),
        plan_of=_subpix,
        limits=Limits(ndim=(2, 2), check=_check_corners),
        # Of windows with NaN or infinity no corner comes.
        cost=replace(_cost(_window_reach), at_once=SMALL_WHOLE._replace(shown=all_are_finite)),
    ),
    Operation(
        name="feature.corner_orientations",
        family=families.CORNERS,
        kind=Kind.NEIGHBOURHOOD,
        specs={"corners": Points(), "mask": PointPatch()},
        result=ResultSpec(
            output=Output.VALUES, dtype=as_float, shape=lambda call: (len(call["corners"]),)
        ),
        neighbourhood=Neighbourhood(halo=_mask_reach),
        plan_of=_orientations,
        limits=Limits(ndim=(2, 2), single=DROPPED_FIRST, check=_check_inside),
        cost=_cost(_mask_reach),
    ),
)
