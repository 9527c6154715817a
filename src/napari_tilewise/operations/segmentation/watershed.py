"""`segmentation.watershed`: with a mask, each connected component of it is flooded by itself.

scikit-image floods in the order of (level, age), and the age counts every pixel of the image. Yet
components of the mask never touch: leaving the others out changes the ages in one of them, not
their order, so its flood is the same. Only seeds start without an age, and of seeds at one level
whichever the heap of the whole image has on top goes first. That order is never known here; it is
shown not to matter, component by component (`_is_settled`). Where it might, and without a mask, the
whole image is flooded at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi
from skimage.morphology import reconstruction
from skimage.segmentation import watershed

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.operations.segmentation.floods import (
    Basins,
    Floods,
    connectivity_of_call,
    labels_dtype,
)
from napari_tilewise.operations.shared.components import Components, gather_components
from napari_tilewise.operations.shared.whole import gather_whole, handed_out, whole, whole_halo
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    Block,
    Call,
    Constraint,
    Cost,
    HaloLike,
    Kind,
    Limits,
    Neighbourhood,
    Operation,
    Output,
    Plan,
    Reduce,
    ResultSpec,
    Tiles,
)
from napari_tilewise.operations.spec.parameters import (
    AlignedImage,
    Array,
    Either,
    Flag,
    Footprint,
    ImageOr,
    Number,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_tilewise.grid import Region

REACH = {1: 2**16, 2: 256, 3: 48}
"""Components no longer than this along any axis are flooded with each tile that they meet; longer
ones once, and kept."""

# -- what a call means -----------------------------------------------------------------------------


def _by_components(call: Call) -> bool:
    """Tell whether components of the mask may be flooded apart."""
    array_without_markers = np.ndim(call["connectivity"]) and call["markers"] is None
    return (
        call["mask"] is not None
        and connectivity_of_call(call) is not None
        and not array_without_markers  # which scikit-image refuses
    )


def _halo(call: Call) -> HaloLike:
    if not _by_components(call):
        return whole_halo(call)
    return tuple(min(n, _reach(call.ndim)) for n in call.shape)


def _reach(ndim: int) -> int:
    return REACH.get(ndim, 16)


def _check(call: Call) -> None:
    name, markers, offset = call.operation.name, call["markers"], call["offset"]
    if hasattr(markers, "dtype") and markers.dtype.kind not in "ui":
        raise InvalidImage(
            f"{name}: markers is of type {markers.dtype}: expected integers, 0 where there is no "
            "marker."
        )
    if offset is None:
        return
    lengths = np.shape(call["connectivity"]) if np.ndim(call["connectivity"]) else (3,) * call.ndim
    # scikit-image pads the image by the offset: a neighbour beyond it would be read from nowhere.
    safe = len(offset) == call.ndim and all(
        length - 1 <= 2 * place for length, place in zip(lengths, offset, strict=True)
    )
    if not safe:
        raise InvalidParameter(
            f"{name}: offset={tuple(offset.tolist())}: expected {call.ndim} places, none before "
            f"the middle of a neighbourhood of shape {tuple(lengths)}."
        )


def _offset_from_middle(
    params: Mapping[str, Any], image: np.ndarray, solution: int
) -> Mapping[str, Any]:
    """Return the offset of a flood, not before the middle of its neighbourhood.

    scikit-image pads the image by the offset: a neighbour that lies farther behind is read from
    memory that belongs to others.
    """
    offset, middle = (
        params.get("offset"),
        np.array(np.asarray(params.get("connectivity")).shape) // 2,
    )
    if offset is None or len(offset) != len(middle):
        return {}
    return {"offset": np.maximum(offset, middle)}


# -- ties ------------------------------------------------------------------------------------------


def _is_settled(call: Call, image: np.ndarray, seeds: np.ndarray, inside: np.ndarray) -> bool:
    """Tell whether a component's flood is the same whichever of tied seeds goes first.

    Every pixel is flooded at a level, and within it in a generation, that do not depend on ties; of
    neighbours that flood it equally early, the one whose own parent, and so on up to the seed, was
    earlier wins, and equal lines end in tied seeds. So each pixel has a set of seeds that may win
    it, and wins the first of them: if that has the same label whether labels go up or down, all
    have. Levels are replaced by their ranks, with room below each for its seeds in either order.
    """
    structure = ndi.generate_binary_structure(image.ndim, connectivity_of_call(call))
    seeds = np.where(inside, seeds, 0)
    at = seeds != 0
    labels, ranks = np.unique(seeds[at], return_inverse=True)
    values, steps = np.unique(image[at], return_inverse=True)
    if call["compactness"] > 0:
        return len(values) == np.count_nonzero(at)  # which pixel of a seed floods matters, too
    pairs = np.unique(steps.astype(np.int64) * len(labels) + ranks)
    if len(pairs) == len(values):
        return True
    if call["watershed_line"]:
        return False
    walled = np.where(inside, image.astype(float), np.inf)
    level = reconstruction(
        np.where(at, walled, np.inf), walled, method="erosion", footprint=structure
    )
    room = len(labels) + 1
    order = np.unique(level, return_inverse=True)[1].reshape(level.shape) * float(room)
    floods = []
    for place in (ranks, len(labels) - 1 - ranks):
        ordered = order.copy()
        ordered[at] += place - len(labels)
        floods.append(watershed(ordered, seeds, call["connectivity"], mask=inside))
    return bool(np.array_equal(*floods))


# -- the plan --------------------------------------------------------------------------------------


class _Kept(dict[int, np.ndarray]):
    """The floods of long components, by number."""

    @property
    def nbytes(self) -> int:
        return sum(labels.nbytes for labels in self.values())


def _watershed(call: Call) -> Plan:
    if not _by_components(call):
        return (yield from whole(call))
    floods = Floods(call)
    yield from floods.prepare_seeds()
    components: Components = yield gather_components(floods.pieces, floods.connectivity)
    basins = yield from floods.basins(components)
    seeded = basins.least <= basins.most
    if (basins.unordered & seeded).any():
        return (yield from _at_once(call))
    contested = np.flatnonzero(basins.least < basins.most)
    # A component that holds all the seeds there are is flooded as in the whole image, ties and all.
    alone = np.count_nonzero(seeded) == 1
    reach = _reach(call.ndim)
    is_long = (basins.high[contested] - basins.low[contested] > reach).any(axis=1)
    visited = contested if not alone else contested[is_long]
    kept = _Kept()
    if len(visited):
        long = set(contested[is_long].tolist())

        def visit(block: Block) -> tuple[bool, _Kept]:
            number = int(visited[block.position[0]])
            inside = floods.component(block, basins.anchors[[number]])
            if not alone and not _is_settled(call, block.data, floods.seeds(block), inside):
                return False, _Kept()
            found = {number: floods.flood(block, inside)} if number in long else {}
            return True, _Kept(found)

        boxes = [basins.box(number) for number in visited.tolist()]
        settled, kept = yield Reduce(visit, _both, regions=boxes, description="floods")
        if not settled:
            return (yield from _at_once(call))
    uncontested = np.where(basins.least == basins.most, basins.least, 0)
    short = contested[~is_long]
    return _Answer(floods, components, basins, uncontested, short, kept).tiles()


def _both(a: tuple[bool, _Kept], b: tuple[bool, _Kept]) -> tuple[bool, _Kept]:
    a[1].update(b[1])
    return a[0] and b[0], a[1]


def _at_once(call: Call) -> Plan:
    """Flood the whole image, whatever images earlier passes stored."""

    def compute(block: Block) -> Any:
        given = {name: block.images[name] for name in call.operation.images if name in block.images}
        return call.function(block.data, **given)

    found = yield gather_whole(call, compute)
    return handed_out(call, found)


@dataclass(frozen=True, eq=False)
class _Answer:
    """The floods of all components, tile by tile."""

    floods: Floods
    components: Components
    basins: Basins
    uncontested: np.ndarray
    """The label of components whose seeds all have one, by number; 0 for others."""
    short: np.ndarray
    """Numbers of the components that are flooded with each tile."""
    kept: _Kept

    def tiles(self) -> Tiles:
        """Return the last pass."""
        return Tiles(self._compute, source=self._around, on_grid=True)

    def _met(self, tile: Region) -> np.ndarray:
        """Return the numbers of the short components whose boxes meet a tile."""
        low, high = self.basins.low[self.short], self.basins.high[self.short]
        met = np.ones(len(self.short), bool)
        for axis, span in enumerate(tile):
            met &= (low[:, axis] < span.stop) & (high[:, axis] > span.start)
        return np.asarray(self.short[met])

    def _around(self, tile: Region) -> Region:
        """Return the box that holds a tile and the short components that it meets."""
        met = self._met(tile)
        low = self.basins.low[met].min(axis=0, initial=np.iinfo(np.int64).max)
        high = self.basins.high[met].max(axis=0, initial=0)
        return tuple(
            slice(min(span.start, int(a)), max(span.stop, int(b)))
            for span, a, b in zip(tile, low, high, strict=True)
        )

    def _compute(self, block: Block) -> np.ndarray:
        pieces = self.floods.pieces(block)
        out = self.components.look_up(self.uncontested, block.position, pieces)
        met = self._met(block.tile)
        if len(met):
            inside = self.floods.component(block, self.basins.anchors[met])
            flooded = self.floods.flood(block, inside)[block.core]
            np.copyto(out, flooded, where=flooded != 0)
        for number, labels in self.kept.items():
            self._paste(out, block.tile, self.basins.box(number), labels)
        return out

    @staticmethod
    def _paste(out: np.ndarray, tile: Region, box: Region, labels: np.ndarray) -> None:
        """Copy a long component's labels where its box meets the tile."""
        here, there = [], []
        for t, b in zip(tile, box, strict=True):
            start, stop = max(t.start, b.start), min(t.stop, b.stop)
            if start >= stop:
                return
            here.append(slice(start - t.start, stop - t.start))
            there.append(slice(start - b.start, stop - b.start))
        found = labels[tuple(there)]
        np.copyto(out[tuple(here)], found, where=found != 0)


OPERATIONS = (
    Operation(
        name="segmentation.watershed",
        family=families.SEGMENTATION,
        kind=Kind.CONNECTED,
        specs={
            "markers": ImageOr(role="seeds", other=Number(integer=True, minimum=1, usual=(1, 60))),
            "connectivity": Either(
                options=(
                    Number(integer=True, minimum=1, usual=(1, 3)),
                    Footprint(sequences=False),
                )
            ),
            "offset": Array(
                ndim=1, integer=True, usual=(2, 3), longest=3, optional=True, advanced=True
            ),
            "mask": AlignedImage(),
            "compactness": Number(minimum=0, usual=(0, 0.1), advanced=True),
            "watershed_line": Flag(),
        },
        result=ResultSpec(output=Output.LABELS, dtype=labels_dtype),
        neighbourhood=Neighbourhood(
            halo=_halo, typical_halo=lambda call: 32 if _by_components(call) else _halo(call)
        ),
        constraints=(Constraint(names=("offset",), satisfy=_offset_from_middle),),
        limits=Limits(check=_check),
        plan_of=_watershed,
        cost=Cost(memory=24.0),
        note="With mask=, each connected component of the mask is flooded in its own box. Without "
        "one, or where seeds of several labels tie so that the order in the whole image decides, "
        "the whole image is flooded at once.",
    ),
)
