"""A watershed in the whole image's order, in arrays that need not fit in memory.

Markers at one level leave scikit-image's heap in an order that only the whole heap knows, so this
is that heap: pixels are pushed and popped as there. Per pixel it needs the level and one byte, the
pixel's place: whether it was flooded, and from which neighbour. Labels follow these places back to
the markers at the end.
"""

from __future__ import annotations

import threading
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import OperationFailed
from napari_tilewise.operations.segmentation.basins import (
    ComponentFloods,
    connectivity_of_call,
    labels_dtype,
)
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec.operation import Block, Call, Tiles, Walk, Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_tilewise.grid import Region
    from napari_tilewise.kernels.flood_slices import Flood
    from napari_tilewise.operations.spec.passes import Plan
    from napari_tilewise.types import DType

FLOODED = "flooded"
"""The name of the stored image of labels."""
PUSHED, GONE = 0.05, 0.9
"""Shares of the way that lie behind when all markers are pushed, and when the heap is empty."""
AT_ONCE = 32
"""How many pixels are looked at in the time in which one is flooded."""
FIRST_ROOM = 2**16
"""Entries that the heap has room for at first."""
CROWD = 2**24
"""Entries of a heap from which on it is compared with the image: lines between crowded markers push
the same pixels again and again, in scikit-image too."""


def floods_in_order(call: Call) -> bool:
    """Return whether a call can be flooded in order: with a compiled kernel, and known markers.

    Parameters
    ----------
    call
        The call.
    """
    from napari_tilewise.kernels import floods_in_order

    is_known = call["markers"] is not None or (
        np.ndim(call["connectivity"]) == 0 and connectivity_of_call(call) is not None
    )
    return is_known and floods_in_order()


def bytes_in_order(call: Call) -> int:
    """Return what a flood in order uses at most; 0 where it is not done.

    Parameters
    ----------
    call
        The call.
    """
    if not floods_in_order(call):
        return 0
    if call["compactness"] > 0 or call["watershed_line"]:
        heap = 32 * len(_geometry(call)[2].steps)  # each neighbour may push a pixel
    else:
        heap = 16 if _image_dtype(call).itemsize > 4 else 12
    item = np.dtype(labels_dtype(call)).itemsize
    return prod(call.spatial_shape) * (1 + _image_dtype(call).itemsize + heap + item)


def flood_in_order(call: Call, floods: ComponentFloods) -> Plan:
    """Flood the whole image, its seeds prepared; return the pass that makes tiles.

    Parameters
    ----------
    call
        The call.
    floods
        The seeds and the mask.
    """
    flood = _OrderedFlood(call, floods)
    yield Walk(
        create=flood.create,
        load=flood.load,
        steps=flood.steps,
        pixels=flood.pixels,
        dtype=labels_dtype(call),
        name=FLOODED,
        description="flood",
    )
    return Tiles(lambda block: block.images[FLOODED])


def _image_dtype(call: Call) -> DType:
    """Return a data type that holds the levels in their order, as small as the kernel has one."""
    dtype = call.dtype
    if dtype.kind == "b" or dtype == np.uint8:
        return np.dtype(np.uint8)
    if dtype == np.uint16 or dtype == np.float32:
        return dtype
    return np.dtype(np.float32 if dtype.itemsize <= 2 else np.float64)


class _OrderedFlood:
    """One call's flood."""

    def __init__(self, call: Call, floods: ComponentFloods) -> None:
        self._call, self._floods = call, floods
        self._shape, self._padding, self._flood = _geometry(call)
        self._pixels = prod(self._shape)
        self._image_dtype = _image_dtype(call)
        self._labels_dtype = np.dtype(labels_dtype(call)).newbyteorder("=")
        self._lock = threading.Lock()
        self._has_nan = False
        self._inside = 0

    # -- the arrays ------------------------------------------------------------------------------

    def create(self, space: Workspace) -> None:
        """Make the arrays, of pixels with padding; of the heap there is none yet."""
        from napari_tilewise.kernels.flood_slices import OUTSIDE, STATE

        self._has_nan, self._inside = False, 0
        space.create("state", (STATE,), np.int64)
        space.create("places", self._shape, np.uint8)
        space.create("image", self._shape, self._image_dtype)
        heap = self._pixels * self._entry(has_nan=True).itemsize
        space.create("labels", self._shape, self._labels_dtype, beside=heap)
        places = space["places"]
        for axis, padding in enumerate(self._padding):
            if padding:
                along = np.moveaxis(places, axis, 0)
                along[:padding] = along[-padding:] = OUTSIDE

    def _entry(self, *, has_nan: bool) -> np.dtype[Any]:
        from napari_tilewise.kernels.flood_slices import entry_dtype

        return entry_dtype(self._flood, self._image_dtype, self._pixels, has_nan=has_nan)

    def _padded(self, region: Region) -> Region:
        pairs = zip(region, self._padding, strict=True)
        return tuple(slice(span.start + n, span.stop + n) for span, n in pairs)

    def load(self, block: Block, space: Workspace) -> None:
        """Take a tile's levels, markers and mask."""
        from napari_tilewise.kernels.flood_slices import MARKER, OUTSIDE

        box = self._padded(block.tile)
        seeds, mask = self._floods.seeds(block), self._floods.mask(block)
        space["image"][box] = block.data
        space["labels"][box] = seeds
        space["places"][box] = np.where(mask, np.where(seeds != 0, MARKER, 0), OUTSIDE)
        has_nan = block.data.dtype.kind == "f" and bool(np.isnan(block.data).any())
        with self._lock:
            self._has_nan |= has_nan
            self._inside += int(np.count_nonzero(mask))

    def pixels(self, region: Region, space: Workspace) -> np.ndarray:
        """Return the labels of a box."""
        return space["labels"][self._padded(region)]

    # -- the flood -------------------------------------------------------------------------------

    def steps(self, space: Workspace) -> Iterator[float]:
        """Flood: markers into the heap, pixels out of it, labels along the ways they were reached.

        No array is held while a step is waited for.
        """
        from napari_tilewise.kernels.flood_slices import NEXT, POPPED, SIZE

        state, most = space["state"], max(1, self._inside)
        room = min(FIRST_ROOM, self._pixels + len(self._flood.steps))
        space.create("heap", (room,), self._entry(has_nan=self._has_nan))
        while state[NEXT] < self._pixels:
            self._ensure_room(space)
            end = min(self._pixels, int(state[NEXT]) + AT_ONCE * space.size)
            self._flood.push_markers(self._arrays(space), end)
            yield PUSHED * int(state[NEXT]) / self._pixels
        while state[SIZE]:
            self._ensure_room(space)
            self._flood.go(self._arrays(space), space.size)
            yield PUSHED + (GONE - PUSHED) * min(1.0, int(state[POPPED]) / most)
        space.remove("heap")
        space.remove("image")
        first = 0
        while first < self._pixels:
            last = min(self._pixels, first + AT_ONCE * space.size)
            self._flood.label(space["places"], space["labels"], first, last)
            first = last
            yield GONE + (1 - GONE) * first / self._pixels

    @staticmethod
    def _arrays(space: Workspace) -> dict[str, np.ndarray]:
        return {name: space[name] for name in ("image", "places", "labels", "heap", "state")}

    def _ensure_room(self, space: Workspace) -> None:
        """Have the heap take the neighbours of one more pixel at least."""
        from napari_tilewise.kernels.flood_slices import CAPACITY, SIZE

        state, needed = space["state"], len(self._flood.steps) + 1
        capacity = len(space["heap"])
        if capacity - int(state[SIZE]) < needed:
            if capacity > max(CROWD, 2 * needed * self._pixels):
                raise OperationFailed(
                    f"{self._call.operation.name}: watershed_line=True: the lines between these "
                    "markers are looked at again and again, and scikit-image would not end either: "
                    "expected markers further apart, or watershed_line=False."
                )
            capacity += capacity // 2 + needed
            if not self._flood.is_traced:  # a pixel is pushed once
                capacity = min(capacity, self._pixels + needed)
            space.lengthen("heap", capacity)
        state[CAPACITY] = capacity


def _geometry(call: Call) -> tuple[tuple[int, ...], tuple[int, ...], Flood]:
    """Return the padded shape, the padding and the flood, as scikit-image makes them."""
    from napari_tilewise.kernels.flood_slices import Flood

    footprint, offset = reach("morphology._util", "_validate_connectivity")(
        call.ndim, call["connectivity"], call["offset"]
    )
    padding = tuple(int(n) for n in offset)
    shape = tuple(n + 2 * p for n, p in zip(call.spatial_shape, padding, strict=True))
    steps = reach("morphology._util", "_offsets_to_raveled_neighbors")(
        shape, footprint, center=offset
    )
    strides = np.append(np.cumprod(shape[:0:-1])[::-1], 1)
    return (
        shape,
        padding,
        Flood(
            np.ascontiguousarray(steps, np.int64),
            np.ascontiguousarray(strides, np.int64),
            float(call["compactness"]),
            bool(call["watershed_line"]),
        ),
    )
