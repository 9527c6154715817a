"""`skimage.filters.rank_order`: pixels numbered by the order of their values over the whole image.

The values themselves are the second result: they are gathered, and each tile is looked up in them.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from napari_tilewise.errors import InvalidImage
from napari_tilewise.operations.spec.operation import (
    Block,
    Call,
    Gather,
    Kind,
    Operation,
    Output,
    Part,
    Parts,
    Plan,
    Tiles,
    Value,
)


class Values:
    """The different values of the tiles seen so far.

    Tiles' values wait in a list until they are as many as those known: so each is sorted only a few
    times, however many tiles there are.
    """

    def __init__(self, first: np.ndarray) -> None:
        self._known = first
        self._waiting: list[np.ndarray] = []
        self._count = 0

    @property
    def nbytes(self) -> int:
        """What they take in memory, with room to sort them."""
        return 3 * (len(self._known) + self._count) * self._known.itemsize

    def add(self, values: np.ndarray) -> Values:
        """Take in the values of one more tile."""
        self._waiting.append(values)
        self._count += len(values)
        if self._count > max(len(self._known), 2**16):
            self.sorted()
        return self

    def sorted(self) -> np.ndarray:
        """Return all values, each once, in order."""
        self._known = np.unique(np.concatenate([self._known, *self._waiting]))
        self._waiting, self._count = [], 0
        return self._known


def gather_values(call: Call) -> Gather:
    """Return the pass that finds the image's different values, in order.

    It raises `InvalidImage` where there is NaN, which has no place in an order.
    """

    def of(block: Block) -> Values:
        values = np.unique(block.data[block.core])
        if np.isnan(values[-1]):
            raise InvalidImage(
                f"{call.operation.name}: the image holds NaN, which has no place in the order of "
                "values. Replace it first, for example with numpy.nan_to_num."
            )
        return Values(values)

    def merge(values: Values, more: Values) -> Values:
        return values.add(more.sorted())

    return Gather(of, merge, finish=Values.sorted, what="values")


def _dtype(call: Call) -> Any:
    return np.min_scalar_type(prod(call.shape))


def _plan(call: Call) -> Plan:
    values = yield gather_values(call)
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
        kind=Kind.STATISTIC,
        dtype_of=_dtype,
        parts_of=_parts,
        plan_of=_plan,
        working=6.0,
        note="All different values are held in memory: of a float image, as many as pixels.",
    ),
)
