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
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi
from skimage.morphology import reconstruction
from skimage.segmentation import watershed
from skimage.util import regular_grid

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.operations.combined import collected
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
    Sweep,
    Tiles,
)
from napari_tilewise.operations.morphology import extrema
from napari_tilewise.operations.morphology.extrema import connectivity_of
from napari_tilewise.operations.parameters import (
    AlignedImage,
    Array,
    Either,
    Flag,
    Footprint,
    ImageOr,
    Number,
)
from napari_tilewise.operations.whole import gather_whole, handed_out, whole, whole_halo

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_tilewise.operations.grid import Region

SEEDS = "seeds"
"""The name of the stored image of seeds that minima of the image give."""
REACH = {1: 2**16, 2: 256, 3: 48}
"""Components no longer than this along any axis are flooded with each tile that they meet; longer
ones once, and kept."""
MINIMA = next(op for op in extrema.OPERATIONS if op.name == "morphology.local_minima")

# -- what a call means -----------------------------------------------------------------------------


def _connectivity(call: Call) -> int | None:
    """Return the connectivity of a call whose neighbourhood is one's; None for any other."""
    value = call["connectivity"]
    if np.ndim(value):
        connectivity = connectivity_of(np.asarray(value, bool))
    else:
        connectivity = min(int(value), call.ndim)
    offset = call["offset"]
    centred = offset is None or np.array_equal(offset, (1,) * call.ndim)
    return connectivity if centred else None


def _by_components(call: Call) -> bool:
    """Tell whether components of the mask may be flooded apart."""
    array_without_markers = np.ndim(call["connectivity"]) and call["markers"] is None
    return (
        call["mask"] is not None
        and _connectivity(call) is not None
        and not array_without_markers  # which scikit-image refuses
    )


def _halo(call: Call) -> HaloLike:
    if not _by_components(call):
        return whole_halo(call)
    return tuple(min(n, _reach(call.ndim)) for n in call.shape)


def _reach(ndim: int) -> int:
    return REACH.get(ndim, 16)


def _dtype(call: Call) -> Any:
    markers = call["markers"]
    if markers is None:
        return np.int32 if prod(call.shape) < 2**31 - 2 else np.int64  # as ndimage.label
    return markers.dtype if hasattr(markers, "dtype") else np.intp


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


# -- ties ------------------------------------------------------------------------------------------


def _is_settled(call: Call, image: np.ndarray, seeds: np.ndarray, inside: np.ndarray) -> bool:
    """Tell whether a component's flood is the same whichever of tied seeds goes first.

    Every pixel is flooded at a level, and within it in a generation, that do not depend on ties; of
    neighbours that flood it equally early, the one whose own parent, and so on up to the seed, was
    earlier wins, and equal lines end in tied seeds. So each pixel has a set of seeds that may win
    it, and wins the first of them: if that has the same label whether labels go up or down, all
    have. Levels are replaced by their ranks, with room below each for its seeds in either order.
    """
    structure = ndi.generate_binary_structure(image.ndim, _connectivity(call))
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


# -- components of the mask ------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Basins:
    """The components of the mask: where each lies and which labels its seeds have."""

    anchors: np.ndarray
    """The raster index of one pixel of each."""
    low: np.ndarray
    """First pixels, (component, axis)."""
    high: np.ndarray
    """One behind the last pixels."""
    least: np.ndarray
    """The smallest label of the seeds."""
    most: np.ndarray
    """The largest label of the seeds; less than the smallest where there is no seed."""
    unordered: np.ndarray
    """Whether the component holds NaN, which mixes up the heap of all."""

    def box(self, number: int) -> Region:
        """Return a component's box."""
        pairs = zip(self.low[number].tolist(), self.high[number].tolist(), strict=True)
        return tuple(slice(a, b) for a, b in pairs)


class _Floods:
    """The floods of one call, apart."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.connectivity = _connectivity(call) or 1
        self.structure = ndi.generate_binary_structure(call.ndim, self.connectivity)
        self.places = 0
        """How many regular seeds were asked for, over the whole image."""

    def mask(self, block: Block) -> np.ndarray:
        """Return the region's mask."""
        return block.images["mask"].astype(bool, copy=False)

    def pieces(self, block: Block) -> Pieces:
        """Label the mask of a tile."""
        labels, count = ndi.label(self.mask(block)[block.core], self.structure)
        return Pieces(labels, count)

    # -- seeds -----------------------------------------------------------------------------------

    def prepare_seeds(self) -> Generator[Gather | Sweep, Any, None]:
        """Gather what seeds need that are not given as an image."""
        markers = self.call["markers"]
        if markers is None:
            yield from self._minima()
        elif not hasattr(markers, "dtype"):
            count: Any = yield Gather(
                lambda block: np.sum(self.mask(block)[block.core]), np.add, what="pixels to flood"
            )
            self.places = int(markers / (count / prod(self.call.shape)))

    def _minima(self) -> Generator[Gather | Sweep, Any, None]:
        """Store the numbered minima of the image within the mask."""
        call = self.call
        inner = MINIMA.call(call.shape, call.dtype, {"connectivity": self.connectivity})
        minima = yield from MINIMA.plan(inner)
        assert isinstance(minima, Tiles)

        def pieces(block: Block) -> Pieces:
            found = minima.compute(block) & self.mask(block)[block.core]
            return Pieces(*ndi.label(found, self.structure))

        numbered: Components = yield gather_components(pieces, self.connectivity, halo=minima.halo)
        numbers = np.arange(numbered.count + 1, dtype=_dtype(call))

        def start(block: Block) -> np.ndarray:
            out = np.zeros(block.data.shape, numbers.dtype)
            out[block.core] = numbered.look_up(numbers, block.position, pieces(block))
            return out

        yield Sweep(start, numbers.dtype, start, minima.halo, 0, SEEDS, "minima")

    def seeds(self, block: Block) -> np.ndarray:
        """Return the region's seeds, within the mask."""
        markers = self.call["markers"]
        if markers is None:
            return block.images[SEEDS]
        found = block.images["markers"] if hasattr(markers, "dtype") else self._regular(block)
        return np.asarray(found * self.mask(block))

    def _regular(self, block: Block) -> np.ndarray:
        """Return the region's part of scikit-image's regular seeds."""
        shape = self.call.shape
        slices = self._grid
        out = np.zeros(block.data.shape, np.intp)
        axes, numbers = [], []
        for span, known in zip(block.region, slices, strict=True):
            places = np.arange(known.start, known.stop, known.step)
            met = (places >= span.start) & (places < span.stop)
            axes.append(places[met] - span.start)
            numbers.append(np.flatnonzero(met))
        counts = [len(range(known.start, known.stop, known.step)) for known in slices]
        if all(len(axis) for axis in axes) and len(counts) == len(shape):
            out[np.ix_(*axes)] = 1 + np.ravel_multi_index(np.ix_(*numbers), counts)
        return out

    @cached_property
    def _grid(self) -> list[slice]:
        shape = self.call.shape
        found = zip(regular_grid(shape, self.places), shape, strict=True)
        return [slice(*known.indices(n)) for known, n in found]

    # -- basins ----------------------------------------------------------------------------------

    def basins(self, components: Components) -> Generator[Gather, Any, _Basins]:
        """Gather where the components lie and which labels they hold."""
        ndim, count = self.call.ndim, components.count + 1
        info = np.iinfo(_dtype(self.call))
        columns = yield collected(lambda block: self._rows(block, components), what="basins")
        ids, anchors, low, high, least, most, unordered = columns
        found = _Basins(
            np.zeros(count, np.int64),
            np.full((count, ndim), np.iinfo(np.int64).max),
            np.zeros((count, ndim), np.int64),
            np.full(count, info.max, info.dtype),
            np.full(count, info.min, info.dtype),
            np.zeros(count, bool),
        )
        found.anchors[ids] = anchors
        np.minimum.at(found.low, ids, low)
        np.maximum.at(found.high, ids, high)
        np.minimum.at(found.least, ids, least)
        np.maximum.at(found.most, ids, most)
        np.logical_or.at(found.unordered, ids, unordered)
        return found

    def _rows(self, block: Block, components: Components) -> tuple[np.ndarray, ...]:
        """Return, for each piece of a tile, what `_Basins` is made of."""
        pieces, start = self.pieces(block), [s.start for s in block.tile]
        flat, count = pieces.labels.ravel(), pieces.count + 1
        numbers = np.arange(components.count + 1)
        ids, places = np.zeros(count, np.int64), np.zeros(count, np.int64)
        ids[flat] = components.look_up(numbers, block.position, pieces).ravel()
        places[flat] = np.arange(flat.size)
        at = np.unravel_index(places, pieces.labels.shape)
        absolute = [a + s for a, s in zip(at, start, strict=True)]
        anchors = np.ravel_multi_index(absolute, self.call.shape)
        spans = [[(s.start, s.stop) for s in box] for box in ndi.find_objects(pieces.labels)]
        boxes = np.array(spans, np.int64).reshape(count - 1, len(start), 2)
        boxes += np.array(start)[:, None]
        seeds = self.seeds(block)[block.core].ravel()
        info = np.iinfo(_dtype(self.call))
        least, most = np.full(count, info.max, info.dtype), np.full(count, info.min, info.dtype)
        np.minimum.at(least, flat[seeds != 0], seeds[seeds != 0])
        np.maximum.at(most, flat[seeds != 0], seeds[seeds != 0])
        nan = np.zeros(count, bool)
        if block.data.dtype.kind == "f":
            nan[flat[np.isnan(block.data[block.core]).ravel()]] = True
        columns = ids, anchors, least, most, nan
        ids, anchors, least, most, nan = (column[1:] for column in columns)
        return ids, anchors, boxes[..., 0], boxes[..., 1], least, most, nan

    def component(self, block: Block, anchors: np.ndarray) -> np.ndarray:
        """Return the mask of the components that hold these pixels and lie within the region."""
        labels, count = ndi.label(self.mask(block), self.structure)
        places = np.unravel_index(anchors, self.call.shape)
        local = tuple(p - s.start for p, s in zip(places, block.region, strict=True))
        chosen = np.zeros(count + 1, bool)
        chosen[labels[local]] = True
        return np.asarray(chosen[labels])

    def flood(self, block: Block, inside: np.ndarray) -> np.ndarray:
        """Flood a part of the mask."""
        flooded = self.call.function(block.data, markers=self.seeds(block), mask=inside)
        return np.asarray(flooded)


# -- the plan --------------------------------------------------------------------------------------


class _Kept(dict[int, np.ndarray]):
    """The floods of long components, by number."""

    @property
    def nbytes(self) -> int:
        return sum(labels.nbytes for labels in self.values())


def _watershed(call: Call) -> Plan:
    if not _by_components(call):
        return (yield from whole(call))
    floods = _Floods(call)
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
        settled, kept = yield Gather(visit, _both, regions=boxes, what="floods")
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

    floods: _Floods
    components: Components
    basins: _Basins
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
        output=Output.LABELS,
        halo_of=_halo,
        typical_halo_of=lambda call: 32 if _by_components(call) else _halo(call),
        dtype_of=_dtype,
        check=_check,
        plan_of=_watershed,
        working=24.0,
        note="With mask=, each connected component of the mask is flooded in its own box. Without "
        "one, or where seeds of several labels tie so that the order in the whole image decides, "
        "the whole image is flooded at once.",
    ),
)
