"""`skimage.measure`: connected components, and the entropy of the pixel values."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import entropy

from napari_tilewise.errors import InvalidImage
from napari_tilewise.operations.shared.components import (
    LABELLING,
    Components,
    Pieces,
    RetainedPieces,
    gather_components,
    labelled,
)
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    IN_MEMORY,
    PER_PIXEL,
    Adapter,
    AtOnce,
    Block,
    Call,
    Cost,
    Kind,
    Limits,
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
from napari_tilewise.operations.spec.parameters import Flag, Number

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import DTypeLike


def _label(call: Call) -> Plan:
    connectivity = call["connectivity"] or call.ndim
    is_labelled = call.dtype.kind != "b"

    def tile_components(block: Block) -> Pieces:
        values = block.data[block.core]
        pieces = labelled(values, connectivity, call["background"])
        # scikit-image labels equal integers: fractions are truncated first.
        return replace(pieces, values=values.astype(np.intp)) if is_labelled else pieces

    pieces = RetainedPieces(tile_components)
    components: Components = yield gather_components(pieces.first, connectivity)
    ids = np.arange(components.count + 1, dtype=_label_dtype(call))
    if is_labelled and call.ndim == 3 and call.shape[-1] == 1:
        ids[1:] = 1 + np.argsort(np.argsort((yield _first_in_columns(components, tile_components))))

    def compute(block: Block) -> np.ndarray:
        return components.look_up(ids, block.position, pieces.again(block))

    tiles = Tiles(compute, on_grid=True)
    return Parts((tiles, Value(int(components.count)))) if call["return_num"] else tiles


def _first_in_columns(components: Components, pieces: Callable[[Block], Pieces]) -> Reduce:
    """Return the pass that finds each component's first pixel, counted along the first axis.

    So scikit-image numbers the components of integers in volumes whose last axis has one pixel.
    """
    numbers = np.arange(components.count + 1)

    def of(block: Block) -> np.ndarray:
        labels = components.look_up(numbers, block.position, pieces(block))
        rows, columns, _ = np.nonzero(labels)
        index = (columns + block.tile[1].start) * block.grid.shape[0] + rows + block.tile[0].start
        first = np.full(components.count + 1, np.iinfo(np.int64).max)
        np.minimum.at(first, labels[labels > 0], index)
        return first

    return Reduce(
        of, np.minimum, in_groups=True, finish=lambda first: first[1:], description="first pixels"
    )


def _label_dtype(call: Call) -> DTypeLike:
    """Return scipy's int32 for masks (int64 if the image could have more labels), else intp."""
    if call.dtype.kind != "b":
        return np.intp
    return np.int32 if np.prod(call.shape, dtype=float) < 2**31 - 2 else np.int64


def _label_parts(call: Call) -> tuple[Part, ...] | None:
    if not call["return_num"]:
        return None
    return (
        Part(Output.LABELS, _label_dtype(call), call.shape),
        Part(Output.SCALAR, np.intp, ()),
    )


# -- entropy ---------------------------------------------------------------------------------------

MOST_VALUES = 2**27
"""Largest number of distinct values, which are held in memory with their counts."""


class _Counts:
    """How often each value occurs; new parts are buffered until they are as long as the total."""

    def __init__(self, values: np.ndarray, counts: np.ndarray) -> None:
        self.values, self.counts = values, counts
        self._waiting: list[_Counts] = []
        self._length = 0

    @property
    def nbytes(self) -> int:
        """Memory for the values and counts, which the engine compares with the budget."""
        return (self.values.itemsize + 8) * (len(self.values) + self._length)

    def add(self, other: _Counts) -> _Counts:
        """Add another tile's counts, and return this object, as a reduction's `merge` does."""
        self._waiting.append(other)
        self._length += len(other.values)
        if self._length > len(self.values):
            self.settle()
        return self

    def settle(self) -> np.ndarray:
        """Merge the buffered parts; return the counts in ascending order of the values."""
        parts = [self, *self._waiting]
        self.values, inverse = np.unique(
            np.concatenate([part.values for part in parts]), return_inverse=True
        )
        counts = np.concatenate([part.counts for part in parts])
        self.counts = np.zeros(len(self.values), np.int64)
        np.add.at(self.counts, inverse, counts)
        self._waiting, self._length = [], 0
        if len(self.values) > MOST_VALUES:
            raise InvalidImage(
                f"measure.shannon_entropy: the image has more than {MOST_VALUES} distinct values. "
                "Convert it to an integer type first, for example with skimage.util.img_as_uint."
            )
        return self.counts


def _shannon_entropy(call: Call) -> Plan:
    counts = yield Reduce(
        lambda block: _Counts(*np.unique(block.data[block.core], return_counts=True)),
        _Counts.add,
        finish=_Counts.settle,
        description="counts of values",
    )
    return Value(entropy(counts, base=call["base"]))


SHANNON_ENTROPY = Operation(
    name="measure.shannon_entropy",
    family=families.WHOLE_IMAGE,
    kind=Kind.STATISTIC,
    specs={"base": Number(minimum=0, exclusive=True, optional=True, usual=(0.5, 10))},
    result=ResultSpec(output=Output.SCALAR, dtype=lambda call: np.float64, shape=lambda call: ()),
    plan_of=_shannon_entropy,
    cost=Cost(numbers=PER_PIXEL, memory=8.0, at_once=AtOnce(function=IN_MEMORY)),
    note="Memory grows with the number of distinct values, 16 bytes each: little for integers, as "
    "much as the image for floats that are all distinct. More than 2**27 are rejected.",
)

OPERATIONS = (
    Operation(
        name="measure.label",
        family=families.LABELS,
        kind=Kind.CONNECTED,
        specs={
            "background": Number(integer=True, optional=True, usual=(0, 2), advanced=True),
            "return_num": Flag(advanced=True),
            "connectivity": Number(integer=True, minimum=1, optional=True, usual=(1, 2)),
        },
        result=ResultSpec(output=Output.LABELS, dtype=_label_dtype, parts=_label_parts),
        limits=Limits(ndim=(1, 3)),
        plan_of=_label,
        adapter=Adapter(kernels=(LABELLING,)),
        cost=Cost(memory=6.0, at_once=AtOnce(function=IN_MEMORY, kernel=2**24)),
    ),
    SHANNON_ENTROPY,
)
