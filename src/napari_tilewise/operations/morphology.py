"""`skimage.morphology`: filters by a footprint's reach, small objects by connected pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi
from skimage import morphology

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.operations.common import CVAL
from napari_tilewise.operations.components import Components, Pieces, gather_components
from napari_tilewise.operations.model import (
    Block,
    Call,
    Gather,
    HaloLike,
    Kind,
    Operation,
    Output,
    Plan,
    Tiles,
)
from napari_tilewise.operations.parameters import Choice, Footprint, Number

if TYPE_CHECKING:
    from collections.abc import Callable

MODES = Choice(
    choices=("reflect", "constant", "nearest", "mirror", "wrap", "max", "min", "ignore"),
    advanced=True,
)
MAX_SIZE = Number(minimum=0, usual=(0, 200))
CONNECTIVITY = Number(integer=True, minimum=1, usual=(1, 2))


# -- footprints ------------------------------------------------------------------------------------


def reach(footprint: Any, ndim: int) -> tuple[tuple[int, int], ...]:
    """Return how far a footprint reaches before and after its centre, per axis.

    An even-sized footprint is padded at its start, as scikit-image does. The reaches of a sequence
    of (footprint, repetitions) add up.
    """
    if footprint is None:
        return ((1, 1),) * ndim
    if isinstance(footprint, tuple):
        total = np.zeros((ndim, 2), int)
        for part, repetitions in footprint:
            total += np.array(reach(part, ndim)) * repetitions
        return tuple((int(lo), int(hi)) for lo, hi in total)
    padded = morphology.pad_footprint(np.asarray(footprint), pad_end=False)
    pairs = []
    for axis, size in enumerate(padded.shape):
        used = np.flatnonzero(padded.any(axis=tuple(i for i in range(ndim) if i != axis)))
        centre = size // 2
        pairs.append((max(0, centre - int(used[0])), max(0, int(used[-1]) - centre)))
    return tuple(pairs)


def _once(call: Call) -> HaloLike:
    return reach(call["footprint"], call.ndim)


def _twice(call: Call) -> HaloLike:
    """Two passes, the second with the mirrored footprint."""
    return tuple((lo + hi, lo + hi) for lo, hi in reach(call["footprint"], call.ndim))


def _check_footprint(call: Call) -> None:
    footprint = call["footprint"]
    parts = footprint if isinstance(footprint, tuple) else ((footprint, 1),)
    for part, _ in parts:
        if part is not None and not np.any(part):
            raise InvalidParameter(
                f"{call.operation.name}: the footprint has no pixel set: expected at least one."
            )


def _filter(name: str, halo: Callable[[Call], HaloLike], dtypes: str = "buif") -> Operation:
    return Operation(
        name=f"morphology.{name}",
        kind=Kind.NEIGHBOURHOOD,
        specs={"footprint": Footprint(optional=True), "mode": MODES, "cval": CVAL},
        halo_of=halo,
        border="mode",
        check=_check_footprint,
        dtypes=dtypes,
        working=4.0,
    )


# -- small objects ---------------------------------------------------------------------------------


def _structure(call: Call) -> np.ndarray:
    return np.asarray(ndi.generate_binary_structure(call.ndim, call["connectivity"]))


def mask_pieces(mask: np.ndarray, structure: np.ndarray) -> Pieces:
    """Return the connected pieces of a mask with their sizes."""
    labels, count = ndi.label(mask, structure)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    return Pieces(labels, count, measures={"size": sizes})


def _drop_small(call: Call, *, holes: bool) -> Plan:
    """Drop the components (of the background, for holes) of at most `max_size` pixels."""
    structure = _structure(call)

    def pieces(block: Block) -> Pieces:
        mask = block.data[block.core].astype(bool)
        return mask_pieces(~mask if holes else mask, structure)

    components: Components = yield gather_components(
        pieces, call["connectivity"], ufuncs={"size": np.add}
    )
    keep = components.measures["size"] > call["max_size"]
    keep[0] = False

    def compute(block: Block) -> np.ndarray:
        kept = components.look_up(keep, block.position, pieces(block))
        return ~kept if holes else kept

    return Tiles(compute, on_grid=True)


def _count_labels(block: Block) -> dict[int, int]:
    values, counts = np.unique(block.data[block.core], return_counts=True)
    if values[0] < 0:
        raise InvalidImage(
            f"The labels hold {values[0]}: expected no negative ones. Relabel the image with "
            "measure.label first."
        )
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def _add_counts(total: dict[int, int], part: dict[int, int]) -> dict[int, int]:
    for value, count in part.items():
        total[value] = total.get(value, 0) + count
    return total


def _remove_small_objects(call: Call) -> Plan:
    if call["max_size"] == 0:
        return Tiles(lambda block: block.data)
    if call.dtype.kind == "b":
        return (yield from _drop_small(call, holes=False))
    sizes = yield Gather(_count_labels, _add_counts, what="sizes")
    small = np.array(
        [value for value, size in sizes.items() if size <= call["max_size"]], call.dtype
    )

    def compute(block: Block) -> np.ndarray:
        block.data[np.isin(block.data, small)] = 0
        return block.data

    return Tiles(compute)


def _remove_small_holes(call: Call) -> Plan:
    if call["max_size"] == 0:
        return Tiles(lambda block: block.data.astype(bool))
    return (yield from _drop_small(call, holes=True))


OPERATIONS = (
    _filter("erosion", _once),
    _filter("dilation", _once),
    _filter("opening", _twice),
    _filter("closing", _twice),
    _filter("white_tophat", _twice),
    _filter("black_tophat", _twice),
    Operation(
        name="morphology.remove_small_objects",
        kind=Kind.CONNECTED,
        specs={"connectivity": CONNECTIVITY, "max_size": MAX_SIZE},
        output=Output.LABELS,
        dtypes="bui",
        plan_of=_remove_small_objects,
        working=3.0,
    ),
    Operation(
        name="morphology.remove_small_holes",
        kind=Kind.CONNECTED,
        specs={"connectivity": CONNECTIVITY, "max_size": MAX_SIZE},
        output=Output.MASK,
        dtypes="bui",
        dtype_of=lambda call: np.bool_,
        plan_of=_remove_small_holes,
        working=3.0,
    ),
)
