"""Labels are renumbered by a table made of the labels that there are, gathered tile by tile.

scikit-image's functions depend on which labels (or pairs of labels) occur, not on where: called on
the list of those that do, they make the very maps that they would have made from the image.
"""

from __future__ import annotations

from math import prod
from typing import Any, TypeAlias

import numpy as np
from skimage.util import map_array

from napari_tilewise.errors import InvalidImage
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
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
from napari_tilewise.operations.spec.parameters import AlignedImage, Flag, Number

# -- relabel_sequential ----------------------------------------------------------------------------


def _three_parts(call: Call) -> tuple[Part, ...]:
    """Describe labels followed by two maps of labels."""
    labels = Part(Output.LABELS, call.operation.result.dtype(call), call.shape)
    return labels, Part(Output.VALUES), Part(Output.VALUES)


def _roomy_dtype(call: Call) -> Any:
    """Return a type for the new labels, however many labels there turn out to be."""
    largest = int(np.iinfo(call.dtype).max)
    last = call["offset"] - 1 + min(largest, prod(call.shape))
    return call.dtype if last <= largest else np.min_scalar_type(last)


def _relabel_sequential(call: Call) -> Plan:
    labels = yield Reduce(
        lambda block: np.unique(block.data[block.core]), _union, description="labels that there are"
    )
    renumbered, forward, inverse = call.function(labels)

    def compute(block: Block) -> np.ndarray:
        out = np.empty(block.data.shape, renumbered.dtype)
        return np.asarray(map_array(block.data, labels, renumbered, out=out))

    tiles = Tiles(compute, dtype=renumbered.dtype)
    return Parts((tiles, Value(forward), Value(inverse)))


def _union(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.union1d(a, b)


# -- join_segmentations ----------------------------------------------------------------------------


Pairs: TypeAlias = tuple[np.ndarray, np.ndarray]
"""Labels of the first image, and with each one of the second."""


def _joined_dtype(call: Call) -> Any:
    # One more than the largest label of s2 is computed with an unsigned byte, which widens int8.
    return np.result_type(call.dtype, call["s2"].dtype, np.uint8)


def _check_join(call: Call) -> None:
    if (dtype := call["s2"].dtype).kind not in "ui":
        raise InvalidImage(
            f"{call.operation.name}: s2 is of type {dtype}: expected integer labels."
        )


def _join_segmentations(call: Call) -> Plan:
    def of(block: Block) -> Pairs:
        return _distinct(block.data.ravel(), block.images["s2"].ravel())

    def merge(a: Pairs, b: Pairs) -> Pairs:
        return _distinct(np.concatenate([a[0], b[0]]), np.concatenate([a[1], b[1]]))

    pairs: Pairs = yield Reduce(of, merge, description="pairs of labels that there are")
    result = call.function(pairs[0], s2=pairs[1])
    joined, *maps = result if call["return_mapping"] else (result,)
    firsts, seconds = np.unique(pairs[0]), np.unique(pairs[1])

    def number(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return np.searchsorted(firsts, first) * len(seconds) + np.searchsorted(seconds, second)

    known = number(*pairs)  # ascending, as `_distinct` sorts the pairs

    def compute(block: Block) -> np.ndarray:
        found = number(block.data, block.images["s2"])
        return np.asarray(joined[np.searchsorted(known, found)])

    tiles = Tiles(compute, dtype=joined.dtype)
    return Parts((tiles, *map(Value, maps))) if maps else tiles


def _distinct(first: np.ndarray, second: np.ndarray) -> Pairs:
    """Return the distinct pairs of two lists, sorted by the first and then by the second."""
    firsts, i = np.unique(first, return_inverse=True)
    seconds, j = np.unique(second, return_inverse=True)
    keys = np.unique(i.astype(np.int64) * len(seconds) + j)
    return firsts[keys // len(seconds)], seconds[keys % len(seconds)]


OPERATIONS = (
    Operation(
        name="segmentation.relabel_sequential",
        family=families.LABELS,
        kind=Kind.STATISTIC,
        specs={"offset": Number(integer=True, minimum=1, usual=(1, 300))},
        result=ResultSpec(
            output=Output.LABELS, dtype=_roomy_dtype, dtype_varies=True, parts=_three_parts
        ),
        limits=Limits(dtypes="ui"),
        plan_of=_relabel_sequential,
        cost=Cost(memory=5.0),
        note="The data type is wider than the image's where the new labels would not fit it.",
    ),
    Operation(
        name="segmentation.join_segmentations",
        family=families.LABELS,
        kind=Kind.STATISTIC,
        specs={"s2": AlignedImage(role="labels", optional=False), "return_mapping": Flag()},
        result=ResultSpec(
            output=Output.LABELS,
            dtype=_joined_dtype,
            dtype_varies=True,
            parts=lambda call: _three_parts(call) if call["return_mapping"] else None,
        ),
        limits=Limits(dtypes="ui", check=_check_join),
        plan_of=_join_segmentations,
        cost=Cost(memory=10.0),
        note="The data type is wider than the labels' where the joined labels do not fit it.",
    ),
)
