"""`skimage.transform.integral_image` and `integrate`: sums over everything above and to the left.

NumPy's cumulative sum adds one pixel after another. A tile can go on with it exactly where the tile
before stopped, if it knows the sums there: so one pass per axis carries the sums from tile to tile
and keeps them at the edges of a grid of cells. Sums of integers are added up in any order; those of
fractions are continued pixel by pixel, in the order of the whole image, so that they round alike.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from skimage.transform import integrate

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.grid import Grid, Region
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
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

if TYPE_CHECKING:
    from collections.abc import Sequence

CELL = {1: 2**18, 2: 1024, 3: 128}
"""Lengths of the cells at whose edges sums are kept, by number of axes (32 beyond three): of an
image in double precision, 2 / 1024 in a plane and 3 / 128 in a volume."""


@dataclass(frozen=True, kw_only=True)
class DataType(ChoiceSpec):
    """A data type, by its name, its NumPy class or as NumPy's `dtype`."""

    def _check(self, name: str, value: Any, ndim: int | None) -> Any:
        try:
            value = np.dtype(value).name
        except TypeError as error:
            raise InvalidParameter(f"{name}={value!r}: expected {self.describe()}.") from error
        return super()._check(name, value, ndim)


# -- integral_image --------------------------------------------------------------------------------


_Part: TypeAlias = tuple[Region, np.ndarray]
"""A cell's box, and what it adds to the sums."""


def _dtype(call: Call) -> np.dtype[Any]:
    if call["dtype"] is not None:
        named: np.dtype[Any] = np.dtype(call["dtype"])
        return named
    if call.dtype.kind == "f":
        return np.promote_types(call.dtype, np.float64)
    return np.empty(0, call.dtype).cumsum().dtype


def _cells(call: Call) -> tuple[int, ...]:
    length = CELL.get(call.ndim, 32)
    return tuple(min(length, n) for n in call.shape)


class _Carried:
    """Sums along one axis up to the end of each row of cells, for all of the image.

    Parts come in raster order, so that along the axis each goes on where the one before stopped.
    """

    def __init__(self, call: Call, axis: int) -> None:
        self._axis = axis
        self._cell = _cells(call)[axis]
        lengths = list(call.shape)
        lengths[axis] = -(-lengths[axis] // self._cell) - 1
        self._sums = np.empty(lengths, _dtype(call))

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self._sums.nbytes

    def add(self, part: _Part) -> None:
        """Go on with a cell's contribution."""
        axis, (box, pixels) = self._axis, part
        before = self.before(box)
        if before is not None:
            pixels = np.concatenate([before, pixels.astype(before.dtype, copy=False)], axis=axis)
        total = np.add.accumulate(pixels, axis=axis, dtype=self._sums.dtype)
        edge = [slice(s.start, s.stop) for s in box]
        edge[axis] = slice(box[axis].start // self._cell, box[axis].start // self._cell + 1)
        last = [slice(None)] * len(box)
        last[axis] = slice(-1, None)
        self._sums[tuple(edge)] = total[tuple(last)]

    def before(self, box: Region) -> np.ndarray | None:
        """Return the sums just before a box that begins with a cell; None at the image's edge."""
        first = box[self._axis].start // self._cell
        if first == 0:
            return None
        edge = list(box)
        edge[self._axis] = slice(first - 1, first)
        return self._sums[tuple(edge)]


def _summed(
    call: Call, pixels: np.ndarray, box: Region, carried: Sequence[_Carried | None]
) -> np.ndarray:
    """Return the sums along the first axes, as many as were carried, in a box of whole cells."""
    dtype = _dtype(call)
    for axis, carry in enumerate(carried):
        before = None if carry is None else carry.before(box)
        if before is None:
            pixels = pixels.cumsum(axis=axis, dtype=dtype)
        else:
            joined = np.concatenate([before, pixels.astype(dtype, copy=False)], axis=axis)
            rest = (slice(None),) * axis + (slice(1, None),)
            pixels = joined.cumsum(axis=axis, dtype=dtype)[rest]
    return pixels


def _integral_image(call: Call) -> Plan:
    cells = Grid(call.shape, _cells(call))
    carried: list[_Carried | None] = []
    for axis, count in enumerate(cells.counts):
        if count == 1:
            carried.append(None)
            continue
        # What lies in the last row of cells is carried nowhere.
        boxes = [cells.region(p) for p in cells.positions() if p[axis] < count - 1]
        carried.append((yield _carry(call, axis, tuple(carried), boxes)))
    return Tiles(lambda block: _summed(call, block.data, block.region, carried), align=cells.tile)


def _carry(
    call: Call, axis: int, before: Sequence[_Carried | None], boxes: Sequence[Region]
) -> Reduce:
    """Return the pass that carries the sums along one axis, with those along the axes before."""
    exact, dtype = _dtype(call).kind in "bui", _dtype(call)

    def of(block: Block) -> _Part:
        """Return a cell's sums where order does not matter, or else its pixels."""
        sums = _summed(call, block.data, block.region, before)
        if exact:
            sums = np.asarray(sums.sum(axis=axis, dtype=dtype, keepdims=True))
        return block.region, sums

    def carried(total: _Carried | _Part) -> _Carried:
        """Return the sums, begun with the first part, which nobody merged yet."""
        if isinstance(total, _Carried):
            return total
        begun = _Carried(call, axis)
        begun.add(total)
        return begun

    def merge(total: _Carried | _Part, part: _Part) -> _Carried:
        sums = carried(total)
        sums.add(part)
        return sums

    return Reduce(of, merge, regions=boxes, finish=carried, description=f"sums along axis {axis}")


def _halo(call: Call) -> HaloLike:
    return tuple(length - 1 for length in _cells(call))


# -- integrate -------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Corners(Array):
    """One pixel, or several: a row of coordinates each."""

    shape: tuple[int, ...] | None = (3, 2)
    integer: bool = True

    def _check(self, name: str, value: Any, ndim: int | None) -> Any:
        try:
            array = np.asarray(value)
        except ValueError:
            array = np.empty(0)
        if array.dtype.kind not in "iu" or array.ndim not in (1, 2) or array.size == 0:
            raise InvalidParameter(f"{name}={value!r}: expected {self.describe()}.")
        if ndim is not None and array.shape[-1] != ndim:
            raise InvalidParameter(
                f"{name} has {array.shape[-1]} coordinates per pixel: expected {ndim}, one per "
                "axis of the image."
            )
        return array

    def describe(self) -> str:
        """Return the expected values in words."""
        return "the integer coordinates of a pixel, or a row of them per window"


class _Looked:
    """An image of which only the pixels that are asked for are at hand: first none, then those."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.ndim = len(shape)
        self.values: dict[tuple[int, ...], Any] | None = None
        self.asked: dict[tuple[int, ...], None] = {}

    def __getitem__(self, index: tuple[Any, ...]) -> Any:
        for i, n in zip(index, self.shape, strict=True):
            if not -n <= i < n:
                raise InvalidParameter(
                    f"transform.integrate: a window reaches the pixel {tuple(map(int, index))}: "
                    f"expected pixels of an image of shape {self.shape}."
                )
        place = tuple(int(i) % n for i, n in zip(index, self.shape, strict=True))
        if self.values is None:
            self.asked[place] = None
            return 0.0
        return self.values[place]


def _integrate(call: Call) -> Plan:
    looked = _Looked(call.shape)
    try:
        found = integrate(looked, call["start"], call["end"])
    except IndexError as error:
        raise InvalidParameter(f"transform.integrate: {error}.") from error
    if not looked.asked:
        return Value(found)
    places = np.array(sorted(looked.asked))
    cell = CELL.get(call.ndim, 32)
    _, group = np.unique(places // cell, axis=0, return_inverse=True)
    groups = [places[group.ravel() == k] for k in range(int(np.max(group)) + 1)]
    boxes = [
        tuple(slice(int(a), int(b) + 1) for a, b in zip(g.min(axis=0), g.max(axis=0), strict=True))
        for g in groups
    ]

    def of(block: Block) -> list[tuple[tuple[int, ...], Any]]:
        mine = groups[block.position[0]]
        values = block.data[tuple((mine - np.array(block.start)).T)]
        return [(tuple(map(int, place)), v) for place, v in zip(mine, values, strict=True)]

    pairs = yield Reduce(of, lambda a, b: a + b, regions=boxes, description="corners of windows")
    looked.values = dict(itertools.chain(pairs))
    return Value(integrate(looked, call["start"], call["end"]))


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
        cost=Cost(memory=5.0),
        note="Keeps the sums at the edges of cells of 1024 x 1024 (128 x 128 x 128) pixels.",
    ),
    Operation(
        name="transform.integrate",
        family=families.INTEGRALS,
        kind=Kind.STATISTIC,
        specs={
            "start": Corners(usual=(0, 3)),
            "end": Corners(usual=(3, 12)),
        },
        result=ResultSpec(output=Output.VALUES, shape=lambda call: None),
        plan_of=_integrate,
        cost=Cost(memory=2.0),
        note="The image is an integral image, read only where windows have their corners.",
    ),
)
