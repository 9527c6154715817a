"""`scipy.ndimage`, connected components: labels, holes, and the boxes of objects.

A structure says which neighbours are connected; its items are those of `generate_binary_structure`
unless given. Holes are the components of the background that no structure carries out of the image.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.operations.ndimage.binary_filters import STRUCTURE, structure_of
from napari_tilewise.operations.ndimage.nd_parameters import (
    ARRAY,
    NO_ARRAY,
    ORIGIN,
    check_type,
    checked,
    untiled,
)
from napari_tilewise.operations.shared.components import (
    LABELLING,
    Components,
    Pieces,
    RetainedPieces,
    gather_components,
    labelled,
)
from napari_tilewise.operations.shared.whole import gather_whole, handed_out
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    IN_MEMORY,
    Adapter,
    AtOnce,
    Block,
    Call,
    Constraint,
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
from napari_tilewise.operations.spec.parameters import Number

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from napari_tilewise.types import Parameters


def _pieces(mask: np.ndarray, structure: np.ndarray) -> Pieces:
    """Return the connected pieces of a tile, numbered by their first pixels."""
    for connectivity in range(1, mask.ndim + 1):
        if np.array_equal(structure, ndi.generate_binary_structure(mask.ndim, connectivity)):
            return labelled(mask, connectivity)
    labels, count = ndi.label(mask, structure)
    return Pieces(np.asarray(labels), int(count))


def _connects_alike(structure: np.ndarray) -> bool:
    """Return whether a structure has three items per axis and is its own mirror image."""
    return set(structure.shape) == {3} and np.array_equal(structure, np.flip(structure))


# -- labels ----------------------------------------------------------------------------------------


def _check_label(call: Call) -> None:
    structure = structure_of(call)
    if not _connects_alike(structure):
        raise InvalidParameter(
            f"{call.operation.name}: structure has shape {structure.shape}: expected three items "
            "per axis, the same in opposite directions."
        )


def _label(call: Call) -> Plan:
    structure = structure_of(call)

    def tile_components(block: Block) -> Pieces:
        return _pieces(block.data[block.core] != 0, structure)

    pieces = RetainedPieces(tile_components)
    components: Components = yield gather_components(pieces.first, structure)
    ids = np.arange(components.count + 1, dtype=_label_type(call))

    def compute(block: Block) -> np.ndarray:
        return components.look_up(ids, block.position, pieces.again(block))

    return Parts((Tiles(compute, on_grid=True), Value(int(components.count))))


def _label_type(call: Call) -> DTypeLike:
    return np.intp if prod(call.shape) > 2**31 - 2 else np.int32


def _symmetric(params: Parameters, image: np.ndarray, solution: int) -> Parameters:
    """Return a structure that labels can have; a constraint's solution."""
    if params.get("structure") is None:
        return {}
    structure = ndi.generate_binary_structure(image.ndim, 1 + solution % image.ndim)
    if solution % 4 == 3:
        structure = structure & ~np.eye(3, dtype=bool).reshape(3, 3, *(1,) * (image.ndim - 2))
        structure[(1,) * image.ndim] = True
    return {"structure": structure & np.flip(structure)}


# -- holes -----------------------------------------------------------------------------------------


def _is_local(call: Call) -> bool:
    return _connects_alike(structure_of(call)) and not np.any(call["origin"])


def _leaves(call: Call, block: Block, structure: np.ndarray) -> np.ndarray:
    """Return which pixels of a tile have a neighbour beyond the image."""
    leaves = np.zeros([s.stop - s.start for s in block.tile], bool)
    for axis, (span, n) in enumerate(zip(block.tile, call.shape, strict=True)):
        for side, is_border in ((0, span.start == 0), (-1, span.stop == n)):
            if is_border and structure.take(side, axis).any():
                leaves[(slice(None),) * axis + (side,)] = True
    return leaves


def _fill(call: Call) -> Plan:
    if not _is_local(call):
        result = yield gather_whole(call, lambda block: call.function(block.data))
        return handed_out(call, result)
    structure = structure_of(call)

    def background(block: Block) -> Pieces:
        pieces = _pieces(block.data[block.core] == 0, structure)
        outside = pieces.touched(_leaves(call, block, structure))
        return replace(pieces, measures={"outside": outside})

    retained = RetainedPieces(background)
    components: Components = yield gather_components(
        retained.first, structure, ufuncs={"outside": np.logical_or}
    )
    filled = ~components.measures["outside"].astype(bool)
    filled[0] = True  # the objects themselves

    def compute(block: Block) -> np.ndarray:
        return components.look_up(filled, block.position, retained.again(block))

    return Tiles(compute, on_grid=True)


def _check_fill(call: Call) -> None:
    structure = structure_of(call)
    origins = call.per_axis(call["origin"])
    if not all(0 <= n // 2 + o < n for n, o in zip(structure.shape, origins, strict=True)):
        raise InvalidParameter(
            f"{call.operation.name}: origin={call['origin']!r} moves the structure of shape "
            f"{structure.shape} off its centre, where SciPy reads beyond it."
        )


def _usual(params: Parameters, image: np.ndarray, solution: int) -> Parameters:
    """Return a structure and origin that SciPy can take; a constraint's solution."""
    centre = {"origin": 0} if "origin" in params else {}
    return {**_symmetric(params, image, solution), **centre}


# -- boxes -----------------------------------------------------------------------------------------


JOINED = 3
"""How often boxes are in memory while they are joined."""


def _row_bytes(ndim: int) -> int:
    """Return the bytes of a label and its box."""
    return 8 * (1 + 2 * ndim)


class _Boxes:
    """The boxes of labels seen so far: those of the tiles are joined when they are many."""

    def __init__(self, ids: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
        self._parts = [(ids, low, high)]
        self._rows = self._settled = len(ids)
        self._row_bytes = _row_bytes(low.shape[1])

    @property
    def nbytes(self) -> int:
        """What joining takes at its peak."""
        return JOINED * self._rows * self._row_bytes

    def add(self, other: _Boxes) -> _Boxes:
        """Take in another tile's boxes, and return this object."""
        self._parts += other._parts
        self._rows += other._rows
        if self._rows > 2 * self._settled + 4096:
            self.joined()
        return self

    def joined(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the labels in order, with their first pixels and those behind their last."""
        ids, low, high = (np.concatenate(arrays) for arrays in zip(*self._parts, strict=True))
        unique, inverse = np.unique(ids, return_inverse=True)
        first = np.full((len(unique), low.shape[1]), np.iinfo(np.int64).max)
        last = np.zeros_like(first)
        np.minimum.at(first, inverse, low)
        np.maximum.at(last, inverse, high)
        self._parts = [(unique, first, last)]
        self._rows = self._settled = len(unique)
        return unique, first, last


def _boxes_of(labels: np.ndarray, most: int) -> tuple[np.ndarray, list[tuple[slice, ...]]]:
    """Return the ids in an array, in order, up to the largest that counts, and their boxes."""
    if 0 <= int(labels.max()) <= labels.size:
        boxes = ndi.find_objects(labels.astype(np.intp, copy=False), max(most, 0))
        numbers = [number for number, box in enumerate(boxes) if box is not None]
        return np.array(numbers, np.intp) + 1, [boxes[number] for number in numbers]
    ids = np.unique(labels)
    ids = ids[(ids > 0) & (ids <= most)] if most > 0 else ids[ids > 0]
    numbered = np.searchsorted(ids, labels).astype(np.intp)
    matched = np.zeros(labels.shape, bool)
    inside = numbered < len(ids)
    matched[inside] = ids[numbered[inside]] == labels[inside]
    return ids, ndi.find_objects(np.where(matched, numbered + 1, 0))


def _find_objects(call: Call) -> Plan:
    def of(block: Block) -> _Boxes:
        ids, boxes = _boxes_of(block.data[block.core], call["max_label"])
        corner = [s.start for s in block.tile]
        low = [[s.start + c for s, c in zip(box, corner, strict=True)] for box in boxes]
        high = [[s.stop + c for s, c in zip(box, corner, strict=True)] for box in boxes]
        shape = (len(ids), call.ndim)
        return _Boxes(
            ids.astype(np.int64),
            np.array(low, np.int64).reshape(shape),
            np.array(high, np.int64).reshape(shape),
        )

    ids, low, high = yield Reduce(
        of, _Boxes.add, in_groups=True, finish=_Boxes.joined, description="boxes of objects"
    )
    length = call["max_label"] if call["max_label"] > 0 else int(ids.max(initial=0))
    boxes: list[Any] = [None] * length
    for number, first, last in zip(ids.tolist(), low.tolist(), high.tolist(), strict=True):
        boxes[number - 1] = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
    return Value(boxes)


OPERATIONS = (
    Operation(
        name="ndimage.label",
        family=families.LABELS,
        kind=Kind.CONNECTED,
        specs={"structure": STRUCTURE},
        result=ResultSpec(
            output=Output.LABELS,
            dtype=_label_type,
            parts=lambda call: (
                Part(Output.LABELS, _label_type(call), call.shape),
                Part(Output.SCALAR, np.intp, ()),
            ),
        ),
        plan_of=_label,
        limits=Limits(check=checked(check_type, _check_label)),
        constraints=(Constraint(names=("structure",), satisfy=_symmetric),),
        adapter=Adapter(
            kernels=("scipy.ndimage.label", LABELLING), modernize=untiled(output=ARRAY)
        ),
        cost=Cost(memory=6.0, at_once=AtOnce(function=IN_MEMORY, kernel=IN_MEMORY)),
    ),
    Operation(
        name="ndimage.binary_fill_holes",
        title="Fill holes (SciPy)",
        family=families.OBJECTS,
        kind=Kind.CONNECTED,
        specs={"structure": STRUCTURE, "origin": ORIGIN},
        result=ResultSpec(output=Output.MASK, dtype=lambda call: np.bool_),
        plan_of=_fill,
        limits=Limits(check=_check_fill),
        constraints=(Constraint(names=("structure", "origin"), satisfy=_usual),),
        adapter=Adapter(
            kernels=("scipy.ndimage.binary_fill_holes", LABELLING), modernize=NO_ARRAY.modernize
        ),
        cost=Cost(
            memory=6.0,
            at_once=AtOnce(kernel=IN_MEMORY),
            largest_region=lambda call: 0 if _is_local(call) else prod(call.shape),
        ),
        note="A structure that is not of three items per axis, the same in opposite directions, "
        "needs the whole image.",
    ),
    Operation(
        name="ndimage.find_objects",
        family=families.REGIONS,
        kind=Kind.STATISTIC,
        specs={"max_label": Number(integer=True, usual=(0, 5))},
        result=ResultSpec(output=Output.VALUES, shape=lambda call: None),
        plan_of=_find_objects,
        limits=Limits(dtypes="ui"),
        cost=Cost(
            numbers=lambda call: JOINED * _row_bytes(call.ndim),
            memory=8.0,
            at_once=AtOnce(function=IN_MEMORY, counted=True),
        ),
    ),
)
