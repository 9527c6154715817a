"""Small objects and holes: connected components of a mask, or label ids, with their sizes."""

from __future__ import annotations

import warnings

import numpy as np

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
from napari_tilewise.operations.spec.deprecated_parameters import renamed
from napari_tilewise.operations.spec.operation import (
    IN_MEMORY,
    Adapter,
    AtOnce,
    Block,
    Call,
    Cost,
    Kind,
    Limits,
    Operation,
    Output,
    Plan,
    Reduce,
    ResultSpec,
    Tiles,
)
from napari_tilewise.operations.spec.parameters import Number

MAX_SIZE = Number(minimum=0, area=True, usual=(0, 200))
CONNECTIVITY = Number(integer=True, minimum=1, usual=(1, 2))


def _drop_small(call: Call, *, holes: bool) -> Plan:
    """Drop the components (of the background, for holes) of at most `max_size` pixels."""
    connectivity = min(call["connectivity"], call.ndim)

    def tile_components(block: Block) -> Pieces:
        mask = block.data[block.core].astype(bool)
        return labelled(~mask if holes else mask, connectivity, sizes=True)

    pieces = RetainedPieces(tile_components)
    components: Components = yield gather_components(
        pieces.first, connectivity, ufuncs={"size": np.add}
    )
    is_large = components.measures["size"] > call["max_size"]
    is_large[0] = False

    def compute(block: Block) -> np.ndarray:
        large_objects = components.look_up(is_large, block.position, pieces.again(block))
        return ~large_objects if holes else large_objects

    return Tiles(compute, on_grid=True)


def _count_labels(block: Block) -> dict[int, int]:
    labels = block.data[block.core]
    low, high = int(labels.min()), int(labels.max())
    if low < 0:
        raise InvalidImage(
            f"The smallest label is {low}: expected no negative labels. Relabel the image with "
            "measure.label first."
        )
    if high - low < labels.size:  # a dense range is counted without sorting
        counts = np.bincount((labels - labels.dtype.type(low)).ravel().astype(np.intp, copy=False))
        values = np.flatnonzero(counts)
        counts = counts[values]
    else:
        values, counts = np.unique(labels - labels.dtype.type(low), return_counts=True)
    return {
        value + low: count for value, count in zip(values.tolist(), counts.tolist(), strict=True)
    }


def merge_counts(total: dict[int, int], counts: dict[int, int]) -> dict[int, int]:
    """Add the pixel counts of a tile, by label, to the total."""
    for value, count in counts.items():
        total[value] = total.get(value, 0) + count
    return total


def _remove_small_objects(call: Call) -> Plan:
    if call["max_size"] == 0:
        return Tiles(lambda block: block.data)
    if call.dtype.kind == "b":
        return (yield from _drop_small(call, holes=False))
    sizes = yield Reduce(_count_labels, merge_counts, description="sizes")
    if max(sizes) == 1:
        warnings.warn(
            "Only one label was provided to `remove_small_objects`. "
            "Did you mean to use a boolean array?",
            stacklevel=2,
        )
    small = np.array(
        [value for value, size in sizes.items() if size <= call["max_size"]], call.dtype
    )

    def compute(block: Block) -> np.ndarray:
        block.data[np.isin(block.data, small)] = 0
        return block.data

    return Tiles(compute)


def _remove_small_holes(call: Call) -> Plan:
    if call.dtype.kind != "b":
        warnings.warn(
            "Any labeled images will be returned as a boolean array. "
            "Did you mean to use a boolean array?",
            stacklevel=2,
        )
    if call["max_size"] == 0:
        return Tiles(lambda block: block.data.astype(bool))
    return (yield from _drop_small(call, holes=True))


OPERATIONS = (
    Operation(
        name="morphology.remove_small_objects",
        family=families.OBJECTS,
        kind=Kind.CONNECTED,
        specs={"connectivity": CONNECTIVITY, "max_size": MAX_SIZE},
        result=ResultSpec(output=Output.LABELS),
        limits=Limits(dtypes="bui"),
        plan_of=_remove_small_objects,
        cost=Cost(memory=3.0, at_once=AtOnce(function=IN_MEMORY, kernel=2**24, counted=True)),
        adapter=Adapter(
            modernize=renamed("min_size", "max_size"),
            kernels=(LABELLING, "skimage.morphology.remove_small_objects"),
        ),
    ),
    Operation(
        name="morphology.remove_small_holes",
        family=families.OBJECTS,
        kind=Kind.CONNECTED,
        specs={"connectivity": CONNECTIVITY, "max_size": MAX_SIZE},
        result=ResultSpec(output=Output.MASK, dtype=lambda call: np.bool_),
        limits=Limits(dtypes="bui"),
        plan_of=_remove_small_holes,
        cost=Cost(memory=3.0, at_once=AtOnce(kernel=2**24)),
        adapter=Adapter(
            modernize=renamed("area_threshold", "max_size"),
            kernels=(LABELLING, "skimage.morphology.remove_small_holes"),
        ),
    ),
)
