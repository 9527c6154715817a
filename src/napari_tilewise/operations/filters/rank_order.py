"""`skimage.filters.rank_order`: the rank of every pixel's value among all values of the image.

The distinct values are the second result: a reduction collects them, and each tile looks them up.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.errors import InvalidImage
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    IN_MEMORY,
    PER_PIXEL,
    AtOnce,
    Block,
    Call,
    Cost,
    Kind,
    Operation,
    Output,
    Part,
    Parts,
    Plan,
    Reduce,
    ResultSpec,
    Tiles,
    Value,
)

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


class DistinctValues:
    """The distinct values of the tiles processed so far.

    The values of new tiles are buffered in a list until they outnumber the sorted ones: each value
    is sorted only a few times, however many tiles there are.
    """

    def __init__(self, values: np.ndarray) -> None:
        self._known = values
        self._waiting: list[np.ndarray] = []
        self._count = 0

    @property
    def nbytes(self) -> int:
        """Memory for the values, including the copies that sorting them makes."""
        return 3 * (len(self._known) + self._count) * self._known.itemsize

    def add(self, values: np.ndarray) -> DistinctValues:
        """Add the values of another tile."""
        self._waiting.append(values)
        self._count += len(values)
        if self._count > max(len(self._known), 2**16):
            self.sorted()
        return self

    def sorted(self) -> np.ndarray:
        """Return the distinct values in ascending order."""
        self._known = np.unique(np.concatenate([self._known, *self._waiting]))
        self._waiting, self._count = [], 0
        return self._known


def reduce_values(call: Call) -> Reduce:
    """Return the reduction to the image's distinct values in ascending order.

    It raises `InvalidImage` for NaN, which has no rank.
    """

    def distinct_values(block: Block) -> DistinctValues:
        values = np.unique(block.data[block.core])
        if np.isnan(values[-1]):
            raise InvalidImage(
                f"{call.operation.name}: the image contains NaN, which has no rank among the "
                "values. Replace NaN first, for example with numpy.nan_to_num."
            )
        return DistinctValues(values)

    def merge(values: DistinctValues, tile_values: DistinctValues) -> DistinctValues:
        return values.add(tile_values.sorted())

    return Reduce(distinct_values, merge, finish=DistinctValues.sorted, description="values")


def _dtype(call: Call) -> DTypeLike:
    return np.min_scalar_type(prod(call.shape))


def _plan(call: Call) -> Plan:
    values = yield reduce_values(call)
    dtype = _dtype(call)

    def compute(block: Block) -> np.ndarray:
        return np.searchsorted(values, block.data).astype(dtype)

    return Parts((Tiles(compute), Value(values)))


def _parts(call: Call) -> tuple[Part, ...]:
    return (
        Part(Output.IMAGE, _dtype(call), call.shape),
        Part(Output.VALUES, call.dtype),
    )


OPERATIONS = (
    Operation(
        name="filters.rank_order",
        family=families.SMOOTHING,
        kind=Kind.STATISTIC,
        result=ResultSpec(dtype=_dtype, parts=_parts),
        plan_of=_plan,
        cost=Cost(numbers=PER_PIXEL, memory=6.0, at_once=AtOnce(function=IN_MEMORY, finite=True)),
        note="All distinct values are held in memory; a float image may have one per pixel.",
    ),
)
