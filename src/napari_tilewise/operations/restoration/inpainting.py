"""`skimage.restoration.inpaint_biharmonic`: every hole is solved by itself, from two pixels around.

A hole's equations hold nothing but its pixels and those within two of them. So a tile reads the
holes that it meets whole, however far they reach, and solves them; the result is held to the
smallest and the largest known pixel of the whole image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi
from skimage.measure import label
from skimage.util import img_as_float

from napari_tilewise.errors import InvalidImage
from napari_tilewise.grid import Region, clip, grow
from napari_tilewise.operations.shared.common import CHANNEL, as_float
from napari_tilewise.operations.shared.components import Pieces, gather_components
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    Block,
    Call,
    Cost,
    Kind,
    Neighbourhood,
    Operation,
    Plan,
    Reduce,
    ResultSpec,
    Tiles,
)
from napari_tilewise.operations.spec.parameters import AlignedImage, Flag

if TYPE_CHECKING:
    from collections.abc import Generator

RADIUS = 2
"""How far the biharmonic stencil reaches."""


def _pixels(call: Call, data: np.ndarray) -> np.ndarray:
    """Return a block as the function sees it: float, the channels last, one at least."""
    image = img_as_float(data).astype(as_float(call), copy=False)
    if call.channel_axis is None:
        return np.asarray(image[..., np.newaxis])
    return np.moveaxis(image, call.channel_axis, -1)


def _labelled(mask: np.ndarray) -> np.ndarray:
    """Return the holes numbered; those that are not two pixels apart are one."""
    cross = ndi.generate_binary_structure(mask.ndim, 1)
    return np.asarray(label(ndi.binary_dilation(mask, structure=cross)))


def _limits(call: Call) -> Generator[Reduce, Any, tuple[np.ndarray, np.ndarray]]:
    """Compute the smallest and the largest known pixel of each channel."""

    def of(block: Block) -> tuple[np.ndarray, np.ndarray] | None:
        known = _pixels(call, block.data)[~block.images["mask"].astype(bool)]
        return (known.min(axis=0), known.max(axis=0)) if len(known) else None

    def merge(a: Any, b: Any) -> Any:
        if a is None or b is None:
            return b if a is None else a
        return np.minimum(a[0], b[0]), np.maximum(a[1], b[1])

    found = yield Reduce(of, merge, description="known pixels")
    if found is None:
        raise InvalidImage(
            f"{call.operation.name}: the mask covers the whole image: expected pixels that are "
            "known to start from."
        )
    low, high = found
    return low, high


# -- where the holes are ---------------------------------------------------------------------------


def _pieces(block: Block) -> Pieces:
    """Return the parts of holes, one pixel wider than they are, within a block's tile."""
    mask = block.images["mask"].astype(bool)
    cross = ndi.generate_binary_structure(mask.ndim, 1)
    labels, count = label(ndi.binary_dilation(mask, structure=cross)[block.core], return_num=True)
    return Pieces(labels, count)


def _boxes(call: Call) -> Generator[Reduce, Any, np.ndarray]:
    """Compute the box of every hole, as an array (hole, axis, side)."""
    components = yield gather_components(_pieces, call.ndim, halo=1)
    numbers = np.arange(components.count + 1)

    def of(block: Block) -> list[tuple[np.ndarray, np.ndarray]]:
        ids = components.look_up(numbers, block.position, _pieces(block))
        ids *= block.images["mask"][block.core].astype(bool)
        found, compact = np.unique(ids, return_inverse=True)
        boxes = [
            [(s.start + t.start, s.stop + t.start) for s, t in zip(box, block.tile, strict=True)]
            for box in ndi.find_objects(compact.reshape(ids.shape) + 1)
        ]
        part = np.array(boxes, np.int64).reshape(len(found), ids.ndim, 2)
        return [(found[found > 0], part[found > 0])]

    def merge(parts: list[Any], more: list[Any]) -> list[Any]:
        parts.extend(more)
        return parts

    def finish(parts: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        boxes = np.empty((components.count, call.ndim, 2), np.int64)
        boxes[..., 0], boxes[..., 1] = np.iinfo(np.int64).max, -1
        for found, part in parts:
            np.minimum.at(boxes[..., 0], found - 1, part[..., 0])
            np.maximum.at(boxes[..., 1], found - 1, part[..., 1])
        return boxes

    boxes: np.ndarray = yield Reduce(of, merge, halo=1, finish=finish, description="boxes of holes")
    return boxes


def _plan(call: Call) -> Plan:
    low, high = yield from _limits(call)
    boxes = yield from _boxes(call)

    def source(tile: Region) -> Region:
        """Return the smallest box that holds the tile and all of the holes that it meets."""
        starts, stops = np.array([[s.start, s.stop] for s in tile]).T
        met = ((boxes[..., 0] < stops) & (boxes[..., 1] > starts)).all(axis=1)
        first = np.minimum(starts, boxes[met, :, 0].min(axis=0, initial=2**62) - RADIUS)
        last = np.maximum(stops, boxes[met, :, 1].max(axis=0, initial=0) + RADIUS)
        return tuple(slice(int(a), int(b)) for a, b in zip(first, last, strict=True))

    def compute(block: Block) -> np.ndarray:
        out = np.array(_pixels(call, block.data), order="C")
        mask = block.images["mask"].astype(bool)
        _fill(out, mask, block.core)
        out = np.clip(out[block.core], low, high)
        if call.channel_axis is None:
            return np.asarray(out[..., 0])
        return np.moveaxis(out, -1, call.channel_axis)

    return Tiles(compute, source=source)


def _fill(out: np.ndarray, mask: np.ndarray, core: Region) -> None:
    """Solve, in place, the holes that have pixels in the core; they lie whole within the array."""
    labels = _labelled(mask)
    labels *= mask
    boxes = ndi.find_objects(labels)
    solve = reach("restoration.inpaint", "_inpaint_biharmonic_single_region")
    stencil, places, values = reach("restoration.inpaint", "_get_neigh_coef")(
        (2 * RADIUS + 1,) * mask.ndim, (RADIUS,) * mask.ndim, dtype=out.dtype
    )
    for number in np.unique(labels[core]):
        if number == 0:
            continue
        window = clip(grow(boxes[number - 1], ((RADIUS, RADIUS),) * mask.ndim), mask.shape)
        part = out[window].copy()
        strides = np.array(part.strides[:-1]) // part.strides[-2]
        steps = np.sum((places - RADIUS) * strides[:, np.newaxis], axis=0)
        hole = labels[window] == number
        solve(part.copy(), hole, part, stencil, values, steps)
        out[window] = part


OPERATIONS = (
    Operation(
        name="restoration.inpaint_biharmonic",
        family=families.DENOISING,
        kind=Kind.CONNECTED,
        specs={
            "mask": AlignedImage(optional=False),
            "split_into_regions": Flag(advanced=True),
            "channel_axis": CHANNEL,
        },
        neighbourhood=Neighbourhood(halo=lambda call: 16),
        result=ResultSpec(dtype=as_float),
        plan_of=_plan,
        cost=Cost(
            trial_length=24,
            memory=80.0,  # the sparse factors of a hole that is the whole tile
        ),
        note="A hole is read whole, and solved for each tile that it meets. The system of all "
        "holes at once, which is scikit-image's default, falls apart into those of each: the "
        "sparse solver gives both the same bits.",
    ),
)
