"""`segmentation.watershed`: with a mask, each of its connected components is flooded separately.

scikit-image floods in the order of (level, age), and the age counts every pixel of the image.
Components of the mask never touch, however: without the others, the ages in a component change, but
not their order, so its flood is the same. Only seeds have no age, and among seeds at the same level
the one on top of the whole image's heap goes first. This order is unknown here, but `_is_settled`
checks, component by component, that it does not matter. If it might, or without a mask, the whole
image is flooded in its own order (see `ordered_flood`), or at once where no kernel does that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi
from skimage.morphology import reconstruction
from skimage.segmentation import watershed

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.operations.segmentation.basins import (
    Basins,
    ComponentFloods,
    connectivity_of_call,
    labels_dtype,
)
from napari_tilewise.operations.segmentation.ordered_flood import (
    bytes_in_order,
    flood_in_order,
    floods_in_order,
)
from napari_tilewise.operations.shared.components import Components, gather_components
from napari_tilewise.operations.shared.whole import gather_whole, handed_out, whole
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    IN_MEMORY,
    Accuracy,
    Adapter,
    AtOnce,
    Block,
    Call,
    Constraint,
    Cost,
    Deviation,
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
    from napari_tilewise.grid import Region
    from napari_tilewise.types import Parameters

REACH = {1: 2**16, 2: 256, 3: 48}
"""Components no longer than this along any axis, by dimension, are flooded again for each tile that
they intersect; longer ones are flooded once, and the result is stored."""

# -- components ------------------------------------------------------------------------------------


def _floods_components(call: Call) -> bool:
    """Return whether components of the mask may be flooded separately."""
    array_without_markers = np.ndim(call["connectivity"]) and call["markers"] is None
    return (
        call["mask"] is not None
        and connectivity_of_call(call) is not None
        and not array_without_markers  # which scikit-image rejects
    )


def _halo(call: Call) -> HaloLike:
    if not _floods_components(call):
        return 0  # no tile is flooded by itself
    return tuple(min(n, _reach(call.ndim)) for n in call.shape)


def _reach(ndim: int) -> int:
    return REACH.get(ndim, 16)


def _check(call: Call) -> None:
    name, markers, offset = call.operation.name, call["markers"], call["offset"]
    if hasattr(markers, "dtype") and markers.dtype.kind not in "ui":
        raise InvalidImage(
            f"{name}: markers has dtype {markers.dtype}: expected integers, 0 for pixels without a "
            "marker."
        )
    if offset is None:
        return
    lengths = np.shape(call["connectivity"]) if np.ndim(call["connectivity"]) else (3,) * call.ndim
    # scikit-image pads the image by the offset: it would read neighbours beyond from other memory.
    safe = len(offset) == call.ndim and all(
        length - 1 <= 2 * centre for length, centre in zip(lengths, offset, strict=True)
    )
    if not safe:
        raise InvalidParameter(
            f"{name}: offset={tuple(offset.tolist())}: expected {call.ndim} indices, none before "
            f"the middle of a neighbourhood of shape {tuple(lengths)}."
        )


def _offset_from_middle(params: Parameters, image: np.ndarray, solution: int) -> Parameters:
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
    """Return whether a component's flood is the same in any order of tied seeds.

    Every pixel is flooded at a level, and within it in a generation, that do not depend on ties.
    Among neighbours that flood it equally early, the one with the earlier parent (and so on, up to
    the seed) wins, and equal lines of parents end in tied seeds. So each pixel has a set of
    possible seeds, the first of which wins: if its label is the same in ascending and in descending
    order of labels, all these seeds have that label. Levels are replaced by their ranks, with gaps
    below each rank for its seeds in either order.
    """
    structure = ndi.generate_binary_structure(image.ndim, connectivity_of_call(call))
    seeds = np.where(inside, seeds, 0)
    is_seed = seeds != 0
    labels, ranks = np.unique(seeds[is_seed], return_inverse=True)
    values, level_ranks = np.unique(image[is_seed], return_inverse=True)
    if call["compactness"] > 0:
        return len(values) == np.count_nonzero(is_seed)  # the pixel of a seed matters too
    pairs = np.unique(level_ranks.astype(np.int64) * len(labels) + ranks)
    if len(pairs) == len(values):
        return True
    if call["watershed_line"]:
        return False
    walled = np.where(inside, image.astype(float), np.inf)
    level = reconstruction(
        np.where(is_seed, walled, np.inf), walled, method="erosion", footprint=structure
    )
    spacing = len(labels) + 1
    order = np.unique(level, return_inverse=True)[1].reshape(level.shape) * float(spacing)
    floods = []
    for label_order in (ranks, len(labels) - 1 - ranks):
        ordered = order.copy()
        ordered[is_seed] += label_order - len(labels)
        floods.append(watershed(ordered, seeds, call["connectivity"], mask=inside))
    return bool(np.array_equal(*floods))


# -- the plan --------------------------------------------------------------------------------------


class _LongFloods(dict[int, np.ndarray]):
    """The labels of long components, by their index."""

    @property
    def nbytes(self) -> int:
        return sum(labels.nbytes for labels in self.values())


def _watershed(call: Call) -> Plan:
    floods = ComponentFloods(call)
    if not _floods_components(call):
        if not floods_in_order(call):
            return (yield from whole(call))
        yield from floods.prepare_seeds()
        return (yield from flood_in_order(call, floods))
    yield from floods.prepare_seeds()
    components: Components = yield gather_components(floods.tile_components, floods.connectivity)
    basins = yield from floods.basins(components)
    has_seeds = basins.smallest <= basins.largest
    if (basins.has_nan & has_seeds).any():
        return (yield from _whole_flood(call, floods))
    contested = np.flatnonzero(basins.smallest < basins.largest)
    # A component that contains all seeds is flooded as in the whole image, including ties.
    is_single_basin = np.count_nonzero(has_seeds) == 1
    reach = _reach(call.ndim)
    lengths = basins.high[contested] - basins.low[contested]
    is_long = (lengths > reach).any(axis=1)
    if floods_in_order(call) and (lengths.prod(axis=1) > (3 * reach) ** call.ndim).any():
        return (yield from _whole_flood(call, floods))  # more than a tile with its halo
    visited = contested if not is_single_basin else contested[is_long]
    long_floods = _LongFloods()
    if len(visited):
        long = set(contested[is_long].tolist())

        def visit(block: Block) -> tuple[bool, _LongFloods]:
            index = int(visited[block.position[0]])
            inside = floods.component(block, basins.anchors[[index]])
            if not is_single_basin and not _is_settled(
                call, block.data, floods.seeds(block), inside
            ):
                return False, _LongFloods()
            labels = {index: floods.flood(block, inside)} if index in long else {}
            return True, _LongFloods(labels)

        boxes = [basins.box(number) for number in visited.tolist()]
        settled, long_floods = yield Reduce(
            visit, _merge_visits, regions=boxes, description="floods"
        )
        if not settled:
            return (yield from _whole_flood(call, floods))
    uncontested = np.where(basins.smallest == basins.largest, basins.smallest, 0)
    short = contested[~is_long]
    return _FloodedTiles(floods, components, basins, uncontested, short, long_floods).tiles()


def _merge_visits(
    total: tuple[bool, _LongFloods], part: tuple[bool, _LongFloods]
) -> tuple[bool, _LongFloods]:
    total[1].update(part[1])
    return total[0] and part[0], total[1]


def _whole_flood(call: Call, floods: ComponentFloods) -> Plan:
    """Flood the whole image: in order, or at once without the images that passes stored."""
    if floods_in_order(call):
        return (yield from flood_in_order(call, floods))

    def compute(block: Block) -> Any:
        images = {
            name: block.images[name] for name in call.operation.images if name in block.images
        }
        return call.function(block.data, **images)

    labels = yield gather_whole(call, compute)
    return handed_out(call, labels)


@dataclass(frozen=True, eq=False)
class _FloodedTiles:
    """The floods of all components, tile by tile."""

    floods: ComponentFloods
    components: Components
    basins: Basins
    uncontested: np.ndarray
    """The label of components whose seeds all have the same one, by index; 0 for others."""
    short: np.ndarray
    """The indices of the components that are flooded again for each tile."""
    long_floods: _LongFloods

    def tiles(self) -> Tiles:
        """Return the tiled pass."""
        return Tiles(self._compute, source=self._source, on_grid=True)

    def _short_components_in(self, tile: Region) -> np.ndarray:
        """Return the indices of the short components whose boxes intersect a tile."""
        low, high = self.basins.low[self.short], self.basins.high[self.short]
        intersects = np.ones(len(self.short), bool)
        for axis, span in enumerate(tile):
            intersects &= (low[:, axis] < span.stop) & (high[:, axis] > span.start)
        return np.asarray(self.short[intersects])

    def _source(self, tile: Region) -> Region:
        """Return the box that contains a tile and the short components that intersect it."""
        indices = self._short_components_in(tile)
        low = self.basins.low[indices].min(axis=0, initial=np.iinfo(np.int64).max)
        high = self.basins.high[indices].max(axis=0, initial=0)
        return tuple(
            slice(min(span.start, int(a)), max(span.stop, int(b)))
            for span, a, b in zip(tile, low, high, strict=True)
        )

    def _compute(self, block: Block) -> np.ndarray:
        tile_components = self.floods.tile_components(block)
        out = self.components.look_up(self.uncontested, block.position, tile_components)
        indices = self._short_components_in(block.tile)
        if len(indices):
            inside = self.floods.component(block, self.basins.anchors[indices])
            flooded = self.floods.flood(block, inside)[block.core]
            np.copyto(out, flooded, where=flooded != 0)
        for index, labels in self.long_floods.items():
            self._paste(out, block.tile, self.basins.box(index), labels)
        return out

    @staticmethod
    def _paste(out: np.ndarray, tile: Region, box: Region, labels: np.ndarray) -> None:
        """Copy a long component's labels to the intersection of its box and the tile."""
        tile_slices, box_slices = [], []
        for t, b in zip(tile, box, strict=True):
            start, stop = max(t.start, b.start), min(t.stop, b.stop)
            if start >= stop:
                return
            tile_slices.append(slice(start - t.start, stop - t.start))
            box_slices.append(slice(start - b.start, stop - b.start))
        pasted = labels[tuple(box_slices)]
        np.copyto(out[tuple(tile_slices)], pasted, where=pasted != 0)


MEMORY_ORDER = Deviation(
    calls="`compactness` above 0 and an image that is not contiguous in C's order, such as a "
    "transposed one",
    library="measures distances to the wrong pixels, as it computes coordinates from the places in "
    "memory",
    ours="that of the same pixels in C's order",
    versions="0.26",
    applies=lambda image, params: (
        params["compactness"] > 0 and not image.flags.c_contiguous and image.ndim > 1
    ),
)

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
            halo=_halo, typical_halo=lambda call: 32 if _floods_components(call) else _halo(call)
        ),
        constraints=(Constraint(names=("offset",), satisfy=_offset_from_middle),),
        limits=Limits(check=_check),
        plan_of=_watershed,
        adapter=Adapter(kernels=("skimage.segmentation.watershed",)),
        accuracy=Accuracy(deviations=(MEMORY_ORDER,)),
        cost=Cost(
            memory=24.0,
            whole=8.5,
            in_order=bytes_in_order,
            at_once=AtOnce(
                function=IN_MEMORY,
                kernel=IN_MEMORY,
                finite=True,
                when=lambda call: bool(call["watershed_line"]),
            ),
        ),
        note="With mask=, each connected component of the mask is flooded in its own box. Without "
        "a mask, for a component longer than the halo, or if ties between seeds with different "
        "labels depend on the order in the whole image, the image is flooded in scikit-image's "
        "order by one thread, with what does not fit in memory on disk; without compiled kernels "
        "it is flooded at once, in memory.",
    ),
)
