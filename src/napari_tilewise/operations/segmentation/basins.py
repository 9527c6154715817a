"""The basins of `segmentation.watershed`: the mask's connected components with their seeds."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
from napari_tilewise.operations.spec.operation import Block, Call, Reduce, Sweep, Walk
from napari_tilewise.operations.spec.passes import tiles_of

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import DTypeLike

    from napari_tilewise.grid import Region
    from napari_tilewise.operations.spec.passes import Passes

SEEDS = "seeds"
"""The name of the stored image of seeds, if the image's minima are the seeds."""
MINIMA = next(op for op in extrema.OPERATIONS if op.name == "morphology.local_minima")


def connectivity_of_call(call: Call) -> int | None:
    """Return the connectivity that matches a call's neighbourhood; None if there is none."""
    value = call["connectivity"]
    if np.ndim(value):
        connectivity = connectivity_of(np.asarray(value, bool))
    else:
        connectivity = min(int(value), call.ndim)
    offset = call["offset"]
    centred = offset is None or np.array_equal(offset, (1,) * call.ndim)
    return connectivity if centred else None


def labels_dtype(call: Call) -> DTypeLike:
    """Return the dtype of the labels that scikit-image returns."""
    markers = call["markers"]
    if markers is None:
        return np.int32 if prod(call.shape) < 2**31 - 2 else np.int64  # as ndimage.label
    return call.image_dtype("markers") if hasattr(markers, "dtype") else np.intp


@dataclass(frozen=True, eq=False)
class Basins:
    """The components of the mask, with their boxes and the labels of their seeds."""

    anchors: np.ndarray
    """The raster index of one pixel of each component."""
    low: np.ndarray
    """The first pixels of the boxes, (component, axis)."""
    high: np.ndarray
    """The ends (exclusive) of the boxes, (component, axis)."""
    smallest: np.ndarray
    """The smallest label among the component's seeds."""
    largest: np.ndarray
    """The largest label among the component's seeds; without seeds less than the smallest."""
    has_nan: np.ndarray
    """Whether the component contains NaN, which disturbs the order of the whole heap."""

    def box(self, index: int) -> Region:
        """Return a component's box."""
        pairs = zip(self.low[index].tolist(), self.high[index].tolist(), strict=True)
        return tuple(slice(a, b) for a, b in pairs)


class ComponentFloods:
    """The mask, the seeds and the floods of one call, component by component."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.connectivity = connectivity_of_call(call) or 1
        self.structure = ndi.generate_binary_structure(call.ndim, self.connectivity)
        self.seed_count = 0
        """The number of regular seeds over the whole image."""

    def mask(self, block: Block) -> np.ndarray:
        """Return the region's mask: everything where there is none."""
        mask = block.images.get("mask")
        return np.ones(block.data.shape, bool) if mask is None else mask.astype(bool, copy=False)

    def tile_components(self, block: Block) -> Pieces:
        """Return the connected components of a tile's mask."""
        labels, count = ndi.label(self.mask(block)[block.core], self.structure)
        return Pieces(labels, count)

    # -- seeds -----------------------------------------------------------------------------------

    def prepare_seeds(self) -> Generator[Reduce | Sweep | Walk, Any, None]:
        """Compute the seeds' positions, if they are not given as an image."""
        markers = self.call["markers"]
        if markers is None:
            yield from self._minima()
        elif not hasattr(markers, "dtype"):
            count: Any = yield Reduce(
                lambda block: np.sum(self.mask(block)[block.core]),
                np.add,
                description="pixels to flood",
            )
            self.seed_count = int(markers / (count / prod(self.call.shape)))

    def _minima(self) -> Generator[Reduce | Sweep | Walk, Any, None]:
        """Store the labelled minima of the image within the mask."""
        call = self.call
        # What it refuses, the watershed refuses: messages name that.
        adapter = replace(MINIMA.adapter, function=MINIMA.raw_function)
        operation = replace(MINIMA, name=call.operation.name, adapter=adapter)
        minima_call = operation.call(call.shape, call.dtype, {"connectivity": self.connectivity})
        minima = tiles_of((yield from operation.plan(minima_call)), MINIMA.name)

        def tile_minima(block: Block) -> Pieces:
            is_minimum = minima.compute(block) & self.mask(block)[block.core]
            return Pieces(*ndi.label(is_minimum, self.structure))

        components: Components = yield gather_components(
            tile_minima, self.connectivity, halo=minima.halo
        )
        ids = np.arange(components.count + 1, dtype=labels_dtype(call))

        def start(block: Block) -> np.ndarray:
            out = np.zeros(block.data.shape, ids.dtype)
            out[block.core] = components.look_up(ids, block.position, tile_minima(block))
            return out

        yield Sweep(start, ids.dtype, start, minima.halo, 0, SEEDS, "minima")

    def seeds(self, block: Block) -> np.ndarray:
        """Return the region's seeds, within the mask."""
        markers = self.call["markers"]
        if markers is None:
            return block.images[SEEDS]
        marker_labels = (
            block.images["markers"] if hasattr(markers, "dtype") else self._regular(block)
        )
        return np.asarray(marker_labels * self.mask(block))

    def _regular(self, block: Block) -> np.ndarray:
        """Return the region's part of scikit-image's regular seeds."""
        shape = self.call.shape
        slices = self._grid
        out = np.zeros(block.data.shape, np.intp)
        axes, indices = [], []
        for span, positions in zip(block.region, slices, strict=True):
            coordinates = np.arange(positions.start, positions.stop, positions.step)
            in_region = (coordinates >= span.start) & (coordinates < span.stop)
            axes.append(coordinates[in_region] - span.start)
            indices.append(np.flatnonzero(in_region))
        counts = [
            len(range(positions.start, positions.stop, positions.step)) for positions in slices
        ]
        if all(len(axis) for axis in axes) and len(counts) == len(shape):
            out[np.ix_(*axes)] = 1 + np.ravel_multi_index(np.ix_(*indices), counts)
        return out

    @cached_property
    def _grid(self) -> list[slice]:
        shape = self.call.shape
        slices = zip(regular_grid(shape, self.seed_count), shape, strict=True)
        return [slice(*positions.indices(n)) for positions, n in slices]

    # -- basins ----------------------------------------------------------------------------------

    def basins(self, components: Components) -> Passes[Basins]:
        """Return the boxes of the components and the labels of their seeds."""
        ndim, count = self.call.ndim, components.count + 1
        info = np.iinfo(labels_dtype(self.call))
        columns = yield collected(lambda block: self._rows(block, components), description="basins")
        ids, anchors, low, high, smallest, largest, has_nan = columns
        basins = Basins(
            np.zeros(count, np.int64),
            np.full((count, ndim), np.iinfo(np.int64).max),
            np.zeros((count, ndim), np.int64),
            np.full(count, info.max, info.dtype),
            np.full(count, info.min, info.dtype),
            np.zeros(count, bool),
        )
        basins.anchors[ids] = anchors
        np.minimum.at(basins.low, ids, low)
        np.maximum.at(basins.high, ids, high)
        np.minimum.at(basins.smallest, ids, smallest)
        np.maximum.at(basins.largest, ids, largest)
        np.logical_or.at(basins.has_nan, ids, has_nan)
        return basins

    def _rows(self, block: Block, components: Components) -> tuple[np.ndarray, ...]:
        """Return a tile's contribution to `Basins`, with one row per component of the tile."""
        tile_components, start = self.tile_components(block), [s.start for s in block.tile]
        tile_labels, count = tile_components.label_image(), tile_components.count + 1
        flat = tile_labels.ravel()
        ids_of_components = np.arange(components.count + 1)
        ids, flat_indices = np.zeros(count, np.int64), np.zeros(count, np.int64)
        ids[flat] = components.look_up(ids_of_components, block.position, tile_components).ravel()
        flat_indices[flat] = np.arange(flat.size)
        coordinates = np.unravel_index(flat_indices, tile_labels.shape)
        image_coordinates = [a + s for a, s in zip(coordinates, start, strict=True)]
        anchors = np.ravel_multi_index(image_coordinates, self.call.shape)
        spans = [[(s.start, s.stop) for s in box] for box in ndi.find_objects(tile_labels)]
        boxes = np.array(spans, np.int64).reshape(count - 1, len(start), 2)
        boxes += np.array(start)[:, None]
        seeds = self.seeds(block)[block.core].ravel()
        info = np.iinfo(labels_dtype(self.call))
        smallest, largest = (
            np.full(count, info.max, info.dtype),
            np.full(count, info.min, info.dtype),
        )
        np.minimum.at(smallest, flat[seeds != 0], seeds[seeds != 0])
        np.maximum.at(largest, flat[seeds != 0], seeds[seeds != 0])
        nan = np.zeros(count, bool)
        if block.data.dtype.kind == "f":
            nan[flat[np.isnan(block.data[block.core]).ravel()]] = True
        columns = ids, anchors, smallest, largest, nan
        ids, anchors, smallest, largest, nan = (column[1:] for column in columns)
        return ids, anchors, boxes[..., 0], boxes[..., 1], smallest, largest, nan

    def component(self, block: Block, anchors: np.ndarray) -> np.ndarray:
        """Return the mask of the components, within the region, that contain these pixels."""
        labels, count = ndi.label(self.mask(block), self.structure)
        coordinates = np.unravel_index(anchors, self.call.shape)
        local = tuple(p - s.start for p, s in zip(coordinates, block.region, strict=True))
        is_selected = np.zeros(count + 1, bool)
        is_selected[labels[local]] = True
        return np.asarray(is_selected[labels])

    def flood(self, block: Block, inside: np.ndarray) -> np.ndarray:
        """Return the labels of a flood of this part of the mask."""
        flooded = self.call.function(block.data, markers=self.seeds(block), mask=inside)
        return np.asarray(flooded)
