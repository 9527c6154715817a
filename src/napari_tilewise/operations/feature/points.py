"""`skimage.feature`, corners given as points: each is looked at in a window of its own.

Points are grouped by where they lie, and the pixels around a group are read together.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidParameter, InvalidParameterType
from napari_tilewise.operations.shared.common import as_float
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
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
    from collections.abc import Callable, Generator, Sequence

    from napari_tilewise.grid import Region

NEAR = 512
"""Points within boxes of this many pixels are looked at together."""


@dataclass(frozen=True, kw_only=True)
class Points(Array):
    """Coordinates of pixels, one row per point, as peaks are found."""

    ndim: int | None = 2
    shape: tuple[int, ...] | None = (5, 2)
    """What a property test draws; any number of points will do."""
    usual: tuple[float, float] = (1, 1)
    integer: bool = True

    def _check(self, name: str, value: Any, ndim: int | None) -> Any:
        points = np.asarray(value)
        whole = points.dtype.kind in "ui" or (
            points.dtype.kind == "f" and bool((points == np.round(points)).all())
        )
        if not whole or points.ndim != 2:
            raise InvalidParameterType(
                f"{name} is an array of type {points.dtype} and shape {points.shape}: expected "
                f"{self.describe()}."
            )
        if ndim is not None and points.shape[1] != ndim:
            raise InvalidParameter(
                f"{name} has {points.shape[1]} columns: expected {ndim}, one per spatial axis."
            )
        return points.astype(np.intp, copy=False)

    def describe(self) -> str:
        """Return the expected values in words."""
        return "whole coordinates of pixels, one row per point"


@dataclass(frozen=True, kw_only=True)
class PointPatch(Array):
    """The surroundings of a point: a square of an odd width, or a shape as footprints have."""

    shape: tuple[int, ...] | None = (5, 5)
    """What a property test draws; any odd width will do."""
    integer: bool = True

    def _check(self, name: str, value: Any, ndim: int | None) -> Any:
        patch = Footprint(sequences=False).check(name, value, ndim)
        if len(set(patch.shape)) != 1 or patch.shape[0] % 2 == 0:
            raise InvalidParameter(
                f"{name} has shape {patch.shape}: expected {self.describe()}, for beside any other "
                "scikit-image reads what is not part of the image."
            )
        return patch

    def describe(self) -> str:
        """Return the expected values in words."""
        return "a square array of an odd width, or a shape such as {'shape': 'disk', 'radius': 3}"


def _check_inside(call: Call) -> None:
    _check_corners(call, np.array(call.shape))


def _check_corners(call: Call, beyond: Any = np.inf) -> None:
    corners = call["corners"]
    outside = ((corners < 0) | (corners >= beyond)).any(axis=1)
    if outside.any():
        raise InvalidParameter(
            f"{call.operation.name}: corners holds {corners[outside][0].tolist()}: expected pixels "
            f"of the image of shape {call.shape}."
        )


def _per_point(
    call: Call,
    reach: Sequence[int],
    of_group: Callable[[Block, np.ndarray], np.ndarray],
    out: np.ndarray,
) -> Generator[Reduce, Any, np.ndarray]:
    """Fill one row of `out` per point from ``of_group(pixels around, points)``."""
    corners = call["corners"]
    if len(corners) == 0:
        return out
    homes, members = np.unique(corners // NEAR, axis=0, return_inverse=True)
    groups = [np.flatnonzero(members.reshape(-1) == number) for number in range(len(homes))]
    boxes = [_around(call, corners[group], reach) for group in groups]

    def of(block: Block) -> list[tuple[np.ndarray, np.ndarray]]:
        group = groups[block.position[0]]
        return [(group, of_group(block, corners[group]))]

    found = yield Reduce(of, lambda a, b: a + b, regions=boxes, description="corners")
    for group, rows in found:
        out[group] = rows
    return out


def _around(call: Call, corners: np.ndarray, reach: Sequence[int]) -> Region:
    """Return the pixels around corners; the nearest one where there are none."""
    low, high = corners.min(axis=0), corners.max(axis=0)
    return tuple(
        slice(min(max(0, int(a) - by), n - 1), min(n, int(b) + by + 1))
        for a, b, by, n in zip(low, high, reach, call.shape, strict=True)
    )


# -- orientations ----------------------------------------------------------------------------------


def _mask_reach(call: Call) -> list[int]:
    # At least one pixel: scikit-image drops axes of a single one.
    return [max(1, n // 2) for n in call["mask"].shape]


def _orientations(call: Call) -> Plan:
    def of_group(block: Block, corners: np.ndarray) -> np.ndarray:
        moved = np.ascontiguousarray(corners - np.array(block.start))
        found = call.operation.raw_function(block.data, moved, call["mask"])
        return np.asarray(found)

    out = np.zeros(len(call["corners"]), as_float(call))
    return Value((yield from _per_point(call, _mask_reach(call), of_group, out)))


# -- positions between pixels ----------------------------------------------------------------------


class _Padded:
    """The whole image as `corner_subpix` sees it, of which only a box is at hand.

    The function pads the image with zeros, cuts a window around every corner, by slices that begin
    before the first pixel where a corner lies at the border, and adds what it finds to the corner's
    coordinate. Given the whole image's coordinates it rounds as it does for the whole image.
    """

    def __init__(self, block: Block, shape: tuple[int, ...], dtype: Any, pad: int = 0) -> None:
        self._block = block
        self._shape = shape
        self._pad = pad
        self.dtype = dtype

    def astype(self, dtype: Any, copy: bool = True) -> _Padded:
        """Return the image in another type."""
        return _Padded(self._block, self._shape, np.dtype(dtype), self._pad)

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Take `numpy.pad` with zeros; nothing else is done to the whole image."""
        if function is not np.pad or kwargs.get("mode") != "constant":
            return NotImplemented
        return _Padded(self._block, self._shape, self.dtype, int(kwargs["pad_width"]))

    def __getitem__(self, window: tuple[slice, slice]) -> np.ndarray:
        spans = [
            range(*s.indices(n + 2 * self._pad)) for s, n in zip(window, self._shape, strict=True)
        ]
        out = np.zeros([len(span) for span in spans], self.dtype)
        to, of = [], []
        for span, r in zip(spans, self._block.region, strict=True):
            first = max(span.start - self._pad, r.start)
            last = max(first, min(span.stop - self._pad, r.stop))
            to.append(slice(first + self._pad - span.start, last + self._pad - span.start))
            of.append(slice(first - r.start, last - r.start))
        out[tuple(to)] = self._block.data[tuple(of)]
        return out


def _subpix(call: Call) -> Plan:
    def of_group(block: Block, corners: np.ndarray) -> np.ndarray:
        image = _Padded(block, call.shape, call.dtype)
        found = call.operation.raw_function(image, corners, call["window_size"], call["alpha"])
        return np.asarray(found)

    out = np.zeros(call["corners"].shape, as_float(call))
    return Value((yield from _per_point(call, _window_reach(call), of_group, out)))


def _window_reach(call: Call) -> list[int]:
    return [(int(call["window_size"]) - 1) // 2 + 2] * 2


def _cost(reach: Callable[[Call], list[int]]) -> Cost:
    """Return the cost of passes over groups of points, each with its neighbours."""
    return Cost(memory=4.0, largest_region=lambda call: prod(NEAR + 2 * by for by in reach(call)))


OPERATIONS = (
    Operation(
        name="feature.corner_subpix",
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
        neighbourhood=Neighbourhood(halo=_window_reach),
        plan_of=_subpix,
        limits=Limits(ndim=(2, 2), check=_check_corners),
        cost=_cost(_window_reach),
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
        limits=Limits(ndim=(2, 2), shortest=2, check=_check_inside),
        cost=_cost(_mask_reach),
    ),
)
