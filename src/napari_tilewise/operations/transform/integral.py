"""`skimage.transform.integral_image` and `integrate`: sums over all pixels above and to the left.

NumPy's cumulative sum adds one pixel after another. A tile continues it exactly where the previous
tile stopped, given the sums there: one reduction per axis carries the sums from tile to tile and
stores them at the edges of a grid of cells. Sums of integers are added up in any order; sums of
floats are continued pixel by pixel, in the order of the whole image, so that they round the same.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from skimage.transform import integrate

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.grid import Grid, Region
from napari_tilewise.operations.shared.finite_results import last_is_finite
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    SMALL_WHOLE,
    Block,
    Call,
    Cost,
    HaloLike,
    Kind,
    Neighbourhood,
    Operation,
    Output,
    Plan,
    Reduce,
    ResultSpec,
    Tiles,
    Value,
)
from napari_tilewise.operations.spec.parameters import Array, ChoiceSpec
from napari_tilewise.operations.spec.value_specs import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise.types import DType

CELL = {1: 2**18, 2: 1024, 3: 128}
"""Length of the cells at whose edges sums are stored, by number of axes (32 for more than three).
The sums take 2 / 1024 of the memory of a 2D image in double precision, and 3 / 128 of a volume."""


@dataclass(frozen=True, kw_only=True)
class DataType(ChoiceSpec):
    """A dtype, given by its name, as a NumPy scalar type or as a `numpy.dtype`."""

    def _check(self, name: str, value: Any, ndim: int | None) -> Any:
        try:
            value = np.dtype(value).name
        except TypeError as error:
            raise InvalidParameter(f"{shown(name, value)}: expected {self.describe()}.") from error
        return super()._check(name, value, ndim)


# -- integral_image --------------------------------------------------------------------------------


_CellSums: TypeAlias = tuple[Region, np.ndarray]
"""A cell's box, and its contribution to the sums."""


def _dtype(call: Call) -> DType:
    if call["dtype"] is not None:
        dtype: DType = np.dtype(call["dtype"])
        return dtype
    if call.dtype.kind == "f":
        return np.promote_types(call.dtype, np.float64)
    return np.empty(0, call.dtype).cumsum().dtype


def _cells(call: Call) -> tuple[int, ...]:
    length = CELL.get(call.ndim, 32)
    return tuple(min(length, n) for n in call.shape)


class _CarriedSums:
    """Sums along one axis up to the end of each row of cells, for the whole image.

    Cells arrive in raster order, so that along the axis each continues where the previous stopped.
    """

    def __init__(self, call: Call, axis: int) -> None:
        self._axis = axis
        self._cell = _cells(call)[axis]
        lengths = list(call.shape)
        lengths[axis] = -(-lengths[axis] // self._cell) - 1
        self._sums = np.empty(lengths, _dtype(call))

    @property
    def nbytes(self) -> int:
        """Memory for the sums."""
        return self._sums.nbytes

    def add(self, part: _CellSums) -> None:
        """Continue the sums with a cell's contribution."""
        axis, (box, pixels) = self._axis, part
        previous = self.sums_before(box)
        if previous is not None:
            pixels = np.concatenate(
                [previous, pixels.astype(previous.dtype, copy=False)], axis=axis
            )
        total = np.add.accumulate(pixels, axis=axis, dtype=self._sums.dtype)
        edge = [slice(s.start, s.stop) for s in box]
        edge[axis] = slice(box[axis].start // self._cell, box[axis].start // self._cell + 1)
        last_sums = [slice(None)] * len(box)
        last_sums[axis] = slice(-1, None)
        self._sums[tuple(edge)] = total[tuple(last_sums)]

    def sums_before(self, box: Region) -> np.ndarray | None:
        """Return the sums just before a box that starts with a cell; None at the image's edge."""
        cell_index = box[self._axis].start // self._cell
        if cell_index == 0:
            return None
        edge = list(box)
        edge[self._axis] = slice(cell_index - 1, cell_index)
        return self._sums[tuple(edge)]


def _sum_axes(
    call: Call, pixels: np.ndarray, box: Region, carried: Sequence[_CarriedSums | None]
) -> np.ndarray:
    """Return the sums along the first axes, as many as were carried, in a box of whole cells."""
    dtype = _dtype(call)
    for axis, carry in enumerate(carried):
        previous = None if carry is None else carry.sums_before(box)
        if previous is None:
            pixels = pixels.cumsum(axis=axis, dtype=dtype)
        else:
            extended = np.concatenate([previous, pixels.astype(dtype, copy=False)], axis=axis)
            without_previous = (slice(None),) * axis + (slice(1, None),)
            pixels = extended.cumsum(axis=axis, dtype=dtype)[without_previous]
    return pixels


def _integral_image(call: Call) -> Plan:
    cells = Grid(call.shape, _cells(call))
    carried: list[_CarriedSums | None] = []
    for axis, count in enumerate(cells.counts):
        if count == 1:
            carried.append(None)
            continue
        # The sums of the last row of cells are not needed.
        lengths = list(call.shape)
        lengths[axis] = (count - 1) * cells.tile[axis]
        boxes = Grid(tuple(lengths), cells.tile).regions()
        carried.append((yield _carry(call, axis, tuple(carried), boxes)))
    return Tiles(lambda block: _sum_axes(call, block.data, block.region, carried), align=cells.tile)


def _carry(
    call: Call, axis: int, carried_before: Sequence[_CarriedSums | None], boxes: Sequence[Region]
) -> Reduce:
    """Return the reduction that carries sums along one axis, after those of previous axes."""
    exact, dtype = _dtype(call).kind in "bui", _dtype(call)

    def cell_sums(block: Block) -> _CellSums:
        """Return a cell's sums if their order does not matter, otherwise its pixels."""
        sums = _sum_axes(call, block.data, block.region, carried_before)
        if exact:
            sums = np.asarray(sums.sum(axis=axis, dtype=dtype, keepdims=True))
        return block.region, sums

    def start_sums(total: _CarriedSums | _CellSums) -> _CarriedSums:
        """Return the sums; a single cell, which was not merged yet, starts them."""
        if isinstance(total, _CarriedSums):
            return total
        sums = _CarriedSums(call, axis)
        sums.add(total)
        return sums

    def merge(total: _CarriedSums | _CellSums, part: _CellSums) -> _CarriedSums:
        sums = start_sums(total)
        sums.add(part)
        return sums

    return Reduce(
        cell_sums, merge, regions=boxes, finish=start_sums, description=f"sums along axis {axis}"
    )


def _halo(call: Call) -> HaloLike:
    return tuple(length - 1 for length in _cells(call))


# -- integrate -------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Corners(Array):
    """The coordinates of one pixel, or of several pixels, one row each."""

    shape: tuple[int, ...] | None = (3, 2)
    integer: bool = True

    def _check(self, name: str, value: Any, ndim: int | None) -> Any:
        try:
            array = np.asarray(value)
        except ValueError:
            array = np.empty(0)
        if array.dtype.kind not in "iu" or array.ndim not in (1, 2) or array.size == 0:
            raise InvalidParameter(f"{shown(name, value)}: expected {self.describe()}.")
        if ndim is not None and array.shape[-1] != ndim:
            raise InvalidParameter(
                f"{name} has {array.shape[-1]} coordinates per pixel: expected {ndim}, one per "
                "axis of the image."
            )
        return array

    def describe(self) -> str:
        """Return the expected values in words."""
        return "the integer coordinates of a pixel, or one row of coordinates per window"


class _PixelRecorder:
    """A stand-in for an image that records requested pixels, and returns them once read."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.ndim = len(shape)
        self.values: dict[tuple[int, ...], Any] | None = None
        self.requested: dict[tuple[int, ...], None] = {}

    def __getitem__(self, index: tuple[Any, ...]) -> Any:
        for i, n in zip(index, self.shape, strict=True):
            if not -n <= i < n:
                raise InvalidParameter(
                    f"transform.integrate: a window reaches the pixel {tuple(map(int, index))}, "
                    f"which is outside the image of shape {self.shape}."
                )
        pixel = tuple(int(i) % n for i, n in zip(index, self.shape, strict=True))
        if self.values is None:
            self.requested[pixel] = None
            return 0.0
        return self.values[pixel]


def _integrate(call: Call) -> Plan:
    recorder = _PixelRecorder(call.shape)
    try:
        integrals = integrate(recorder, call["start"], call["end"])
    except IndexError as error:
        raise InvalidParameter(f"transform.integrate: {error}.") from error
    if not recorder.requested:
        return Value(integrals)
    pixels = np.array(sorted(recorder.requested))
    cell = CELL.get(call.ndim, 32)
    _, group_ids = np.unique(pixels // cell, axis=0, return_inverse=True)
    groups = [pixels[group_ids.ravel() == k] for k in range(int(np.max(group_ids)) + 1)]
    boxes = [
        tuple(slice(int(a), int(b) + 1) for a, b in zip(g.min(axis=0), g.max(axis=0), strict=True))
        for g in groups
    ]

    def pixel_values(block: Block) -> list[tuple[tuple[int, ...], Any]]:
        group_ids = groups[block.position[0]]
        values = block.data[tuple((group_ids - np.array(block.start)).T)]
        return [(tuple(map(int, pixel)), v) for pixel, v in zip(group_ids, values, strict=True)]

    pairs = yield Reduce(
        pixel_values, lambda a, b: a + b, regions=boxes, description="corners of windows"
    )
    recorder.values = dict(itertools.chain(pairs))
    return Value(integrate(recorder, call["start"], call["end"]))


OPERATIONS = (
    Operation(
        name="transform.integral_image",
        family=families.INTEGRALS,
        kind=Kind.STATISTIC,
        specs={
            "dtype": DataType(
                choices=("float64", "float32", "int64", "uint64", "int32", "uint32"),
                optional=True,
                advanced=True,
            ),
        },
        neighbourhood=Neighbourhood(halo=_halo, typical_halo=lambda call: 0),
        result=ResultSpec(dtype=_dtype),
        plan_of=_integral_image,
        cost=Cost(memory=5.0, at_once=SMALL_WHOLE._replace(function=2**22, shown=last_is_finite)),
        note="Stores the sums at the edges of cells of 1024 x 1024 (128 x 128 x 128) pixels.",
    ),
    Operation(
        name="transform.integrate",
        title="Sums of windows",
        family=families.INTEGRALS,
        kind=Kind.STATISTIC,
        specs={
            "start": Corners(usual=(0, 3)),
            "end": Corners(usual=(3, 12)),
        },
        result=ResultSpec(output=Output.VALUES, shape=lambda call: None),
        plan_of=_integrate,
        cost=Cost(memory=2.0, at_once=SMALL_WHOLE),
        note="The image must be an integral image; only pixels at the windows' corners are read.",
    ),
)
