"""Relabelling: a reduction collects the labels that occur, and a table maps them to new ones.

scikit-image's functions depend on which labels (or pairs of labels) occur, not on their positions:
called on the list of labels that occur, they return the same maps as for the image.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from skimage.util import map_array

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

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

# -- relabel_sequential ----------------------------------------------------------------------------


def _label_parts(call: Call) -> tuple[Part, ...]:
    """Describe labels followed by two maps of labels."""
    labels = Part(Output.LABELS, call.operation.result.dtype(call), call.shape)
    return labels, Part(Output.VALUES), Part(Output.VALUES)


def _widest_dtype(call: Call) -> DTypeLike:
    """Return a dtype that fits the new labels for any possible number of labels."""
    largest = int(np.iinfo(call.dtype).max)
    largest_label = call["offset"] - 1 + min(largest, prod(call.shape))
    return call.dtype if largest_label <= largest else np.min_scalar_type(largest_label)


def _relabel_sequential(call: Call) -> Plan:
    labels = yield Reduce(
        lambda block: np.unique(block.data[block.core]), _union, description="labels"
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


LabelPairs: TypeAlias = tuple[np.ndarray, np.ndarray]
"""Labels of the first image, each with a label of the second."""


def _joined_dtype(call: Call) -> DTypeLike:
    # scikit-image adds an unsigned byte to the largest label of s2, which widens int8.
    return np.result_type(call.dtype, call.image_dtype("s2"), np.uint8)


def _check_join(call: Call) -> None:
    if (dtype := call.image_dtype("s2")).kind not in "ui":
        raise InvalidImage(f"{call.operation.name}: s2 has dtype {dtype}: expected integer labels.")


def _join_segmentations(call: Call) -> Plan:
    def tile_pairs(block: Block) -> LabelPairs:
        return _distinct_pairs(block.data.ravel(), block.images["s2"].ravel())

    def merge(a: LabelPairs, b: LabelPairs) -> LabelPairs:
        return _distinct_pairs(np.concatenate([a[0], b[0]]), np.concatenate([a[1], b[1]]))

    pairs: LabelPairs = yield Reduce(tile_pairs, merge, description="pairs of labels")
    result = call.function(pairs[0], s2=pairs[1])
    new_labels, *maps = result if call["return_mapping"] else (result,)
    firsts, seconds = np.unique(pairs[0]), np.unique(pairs[1])

    def number(labels_1: np.ndarray, labels_2: np.ndarray) -> np.ndarray:
        return np.searchsorted(firsts, labels_1) * len(seconds) + np.searchsorted(seconds, labels_2)

    pair_numbers = number(*pairs)  # ascending, as `_distinct_pairs` sorts the pairs

    def compute(block: Block) -> np.ndarray:
        numbers = number(block.data, block.images["s2"])
        return np.asarray(new_labels[np.searchsorted(pair_numbers, numbers)])

    tiles = Tiles(compute, dtype=new_labels.dtype)
    return Parts((tiles, *map(Value, maps))) if maps else tiles


def _distinct_pairs(labels_1: np.ndarray, labels_2: np.ndarray) -> LabelPairs:
    """Return the distinct pairs, sorted by the first label and then by the second."""
    firsts, i = np.unique(labels_1, return_inverse=True)
    seconds, j = np.unique(labels_2, return_inverse=True)
    keys = np.unique(i.astype(np.int64) * len(seconds) + j)
    return firsts[keys // len(seconds)], seconds[keys % len(seconds)]


OPERATIONS = (
    Operation(
        name="segmentation.relabel_sequential",
        family=families.LABELS,
        kind=Kind.STATISTIC,
        specs={"offset": Number(integer=True, minimum=1, maximum=2**62, usual=(1, 300))},
        result=ResultSpec(
            output=Output.LABELS, dtype=_widest_dtype, dtype_varies=True, parts=_label_parts
        ),
        limits=Limits(dtypes="ui"),
        plan_of=_relabel_sequential,
        cost=Cost(numbers=PER_PIXEL, memory=5.0, at_once=AtOnce(function=IN_MEMORY, counted=True)),
        note="The dtype is wider than the image's if the new labels would not fit.",
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
            parts=lambda call: _label_parts(call) if call["return_mapping"] else None,
        ),
        limits=Limits(dtypes="ui", check=_check_join),
        plan_of=_join_segmentations,
        cost=Cost(numbers=PER_PIXEL, memory=10.0, at_once=AtOnce(function=IN_MEMORY, counted=True)),
        note="The dtype is wider than the labels' if the joined labels would not fit.",
    ),
)
