"""The floods of a mask's connected components: where each lies, and what its seeds are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi
from skimage.util import regular_grid

from napari_tilewise.operations.morphology import extrema
from napari_tilewise.operations.morphology.extrema import connectivity_of
from napari_tilewise.operations.shared.combined import collected
from napari_tilewise.operations.shared.components import Components, Pieces, gather_components
from napari_tilewise.operations.spec.operation import Block, Call, Reduce, Sweep, Tiles

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_tilewise.grid import Region

SEEDS = "seeds"
"""The name of the stored image of seeds that minima of the image give."""
MINIMA = next(op for op in extrema.OPERATIONS if op.name == "morphology.local_minima")


def connectivity_of_call(call: Call) -> int | None:
    """Return the connectivity of a call whose neighbourhood is one's; None for any other."""
    value = call["connectivity"]
    if np.ndim(value):
        connectivity = connectivity_of(np.asarray(value, bool))
    else:
        connectivity = min(int(value), call.ndim)
    offset = call["offset"]
    centred = offset is None or np.array_equal(offset, (1,) * call.ndim)
    return connectivity if centred else None


def labels_dtype(call: Call) -> Any:
    """Return the type of the labels that scikit-image returns."""
    markers = call["markers"]
    if markers is None:
        return np.int32 if prod(call.shape) < 2**31 - 2 else np.int64  # as ndimage.label
    return markers.dtype if hasattr(markers, "dtype") else np.intp


@dataclass(frozen=True, eq=False)
class Basins:
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


class Floods:
    """The floods of one call, apart."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.connectivity = connectivity_of_call(call) or 1
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

    def prepare_seeds(self) -> Generator[Reduce | Sweep, Any, None]:
        """Find what seeds need that are not given as an image."""
        markers = self.call["markers"]
        if markers is None:
            yield from self._minima()
        elif not hasattr(markers, "dtype"):
            count: Any = yield Reduce(
                lambda block: np.sum(self.mask(block)[block.core]),
                np.add,
                description="pixels to flood",
            )
            self.places = int(markers / (count / prod(self.call.shape)))

    def _minima(self) -> Generator[Reduce | Sweep, Any, None]:
        """Store the numbered minima of the image within the mask."""
        call = self.call
        inner = MINIMA.call(call.shape, call.dtype, {"connectivity": self.connectivity})
        minima = yield from MINIMA.plan(inner)
        assert isinstance(minima, Tiles)

        def pieces(block: Block) -> Pieces:
            found = minima.compute(block) & self.mask(block)[block.core]
            return Pieces(*ndi.label(found, self.structure))

        numbered: Components = yield gather_components(pieces, self.connectivity, halo=minima.halo)
        numbers = np.arange(numbered.count + 1, dtype=labels_dtype(call))

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

    def basins(self, components: Components) -> Generator[Reduce, Any, Basins]:
        """Find where the components lie and which labels they hold."""
        ndim, count = self.call.ndim, components.count + 1
        info = np.iinfo(labels_dtype(self.call))
        columns = yield collected(lambda block: self._rows(block, components), description="basins")
        ids, anchors, low, high, least, most, unordered = columns
        found = Basins(
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
        """Return, for each piece of a tile, what `Basins` is made of."""
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
        info = np.iinfo(labels_dtype(self.call))
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
