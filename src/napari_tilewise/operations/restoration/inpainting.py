"""`skimage.restoration.inpaint_biharmonic`: each hole is solved alone, from two pixels around it.

A hole's equations contain only its pixels and those at most two pixels away. So a tile reads the
whole of the holes that it intersects, however large, and solves them; the result is clipped to the
range of the whole image's known pixels.
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
    Trial,
)
from napari_tilewise.operations.spec.parameters import AlignedImage, Flag

if TYPE_CHECKING:
    from napari_tilewise.operations.spec.passes import Passes

RADIUS = 2
"""Radius of the biharmonic stencil, in pixels."""


def _pixels(call: Call, data: np.ndarray) -> np.ndarray:
    """Return a block's pixels as floats with a last axis for the channels (or of length 1)."""
    image = img_as_float(data).astype(as_float(call), copy=False)
    if call.channel_axis is None:
        return np.asarray(image[..., np.newaxis])
    return np.moveaxis(image, call.channel_axis, -1)


def _label_holes(mask: np.ndarray) -> np.ndarray:
    """Return labels of the holes; holes less than two pixels apart count as one."""
    cross = ndi.generate_binary_structure(mask.ndim, 1)
    return np.asarray(label(ndi.binary_dilation(mask, structure=cross)))


def _reduce_limits(call: Call) -> Passes[tuple[np.ndarray, np.ndarray]]:
    """Return the smallest and the largest known pixel of each channel."""

    def known_range(block: Block) -> tuple[np.ndarray, np.ndarray] | None:
        known_pixels = _pixels(call, block.data)[~block.images["mask"].astype(bool)]
        return (known_pixels.min(axis=0), known_pixels.max(axis=0)) if len(known_pixels) else None

    def merge(a: Any, b: Any) -> Any:
        if a is None or b is None:
            return b if a is None else a
        return np.minimum(a[0], b[0]), np.maximum(a[1], b[1])

    limits = yield Reduce(known_range, merge, description="known pixels")
    if limits is None:
        raise InvalidImage(
            f"{call.operation.name}: the mask covers the whole image: expected at least one pixel "
            "outside the mask."
        )
    low, high = limits
    return low, high


# -- boxes of the holes ----------------------------------------------------------------------------


def _tile_holes(block: Block) -> Pieces:
    """Return the connected components of a tile's holes, dilated by one pixel."""
    mask = block.images["mask"].astype(bool)
    cross = ndi.generate_binary_structure(mask.ndim, 1)
    labels, count = label(ndi.binary_dilation(mask, structure=cross)[block.core], return_num=True)
    return Pieces(labels, count)


def _reduce_boxes(call: Call) -> Passes[np.ndarray]:
    """Return the box of every hole, as an array (hole, axis, side)."""
    components = yield gather_components(_tile_holes, call.ndim, halo=1)
    ids_of_components = np.arange(components.count + 1)

    def hole_boxes(block: Block) -> list[tuple[np.ndarray, np.ndarray]]:
        ids = components.look_up(ids_of_components, block.position, _tile_holes(block))
        ids *= block.images["mask"][block.core].astype(bool)
        hole_ids, inverse = np.unique(ids, return_inverse=True)
        boxes = [
            [(s.start + t.start, s.stop + t.start) for s, t in zip(box, block.tile, strict=True)]
            for box in ndi.find_objects(inverse.reshape(ids.shape) + 1)
        ]
        boxes_part = np.array(boxes, np.int64).reshape(len(hole_ids), ids.ndim, 2)
        return [(hole_ids[hole_ids > 0], boxes_part[hole_ids > 0])]

    def merge(parts: list[Any], tile_boxes: list[Any]) -> list[Any]:
        parts.extend(tile_boxes)
        return parts

    def finish(parts: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        boxes = np.empty((components.count, call.ndim, 2), np.int64)
        boxes[..., 0], boxes[..., 1] = np.iinfo(np.int64).max, -1
        for hole_ids, boxes_part in parts:
            np.minimum.at(boxes[..., 0], hole_ids - 1, boxes_part[..., 0])
            np.maximum.at(boxes[..., 1], hole_ids - 1, boxes_part[..., 1])
        return boxes

    boxes: np.ndarray = yield Reduce(
        hole_boxes, merge, halo=1, finish=finish, description="boxes of holes"
    )
    return boxes


def _plan(call: Call) -> Plan:
    low, high = yield from _reduce_limits(call)
    boxes = yield from _reduce_boxes(call)

    def source(tile: Region) -> Region:
        """Return the smallest box that contains the tile and all holes that intersect it."""
        starts, stops = np.array([[s.start, s.stop] for s in tile]).T
        intersects = ((boxes[..., 0] < stops) & (boxes[..., 1] > starts)).all(axis=1)
        low_corner = np.minimum(starts, boxes[intersects, :, 0].min(axis=0, initial=2**62) - RADIUS)
        high_corner = np.maximum(stops, boxes[intersects, :, 1].max(axis=0, initial=0) + RADIUS)
        return tuple(slice(int(a), int(b)) for a, b in zip(low_corner, high_corner, strict=True))

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
    """Solve, in place, the holes with pixels in the core; the array contains them entirely."""
    labels = _label_holes(mask)
    labels *= mask
    boxes = ndi.find_objects(labels)
    solve = reach("restoration.inpaint", "_inpaint_biharmonic_single_region")
    stencil, offsets, values = reach("restoration.inpaint", "_get_neigh_coef")(
        (2 * RADIUS + 1,) * mask.ndim, (RADIUS,) * mask.ndim, dtype=out.dtype
    )
    for hole_id in np.unique(labels[core]):
        if hole_id == 0:
            continue
        window = clip(grow(boxes[hole_id - 1], ((RADIUS, RADIUS),) * mask.ndim), mask.shape)
        window_pixels = out[window].copy()
        strides = np.array(window_pixels.strides[:-1]) // window_pixels.strides[-2]
        steps = np.sum((offsets - RADIUS) * strides[:, np.newaxis], axis=0)
        hole = labels[window] == hole_id
        solve(window_pixels.copy(), hole, window_pixels, stencil, values, steps)
        out[window] = window_pixels


OPERATIONS = (
    Operation(
        name="restoration.inpaint_biharmonic",
        title="Biharmonic inpainting",
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
            trial=Trial(length=24),
            memory=80.0,  # the sparse factors of a hole that is the whole tile
        ),
        note="A hole is read whole, and solved for each tile that it meets. The system of all "
        "holes at once, which is scikit-image's default, falls apart into those of each: the "
        "sparse solver gives both the same bits.",
    ),
)
