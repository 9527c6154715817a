"""The passes of an operation on a small image in memory, which is one tile, in the calling thread.

No pool, session or checkpoint comes between: these cost more than many functions take there.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.engine.blocks import Blocks, within_image
from napari_tilewise.engine.passes.joined_planes import in_memory
from napari_tilewise.engine.source import ArraySource
from napari_tilewise.errors import OperationFailed
from napari_tilewise.grid import Grid, clip
from napari_tilewise.grid import whole as whole_region
from napari_tilewise.operations.shared.whole import whole
from napari_tilewise.operations.spec.operation import (
    Kind,
    Parts,
    Reduce,
    Tiles,
    normal_halo,
)
from napari_tilewise.operations.spec.operation import Value as FinalValue

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from napari_tilewise.grid import Region
    from napari_tilewise.operations.spec.operation import Block, Call, Final, Part, Plan
    from napari_tilewise.types import Array, Value


def results_of_one_tile(
    call: Call, pixels: Array, images: Mapping[str, Array], parts: Sequence[Part]
) -> tuple[Value, ...] | None:
    """Return the results of an operation; None where a pass stores an image for later ones.

    Parameters
    ----------
    call
        The bound operation.
    pixels
        The image, contiguous.
    images
        The further images by parameter name.
    parts
        What the results are.
    """
    sources = {name: ArraySource(image) for name, image in images.items()}
    grid = Grid(call.spatial_shape, call.spatial_shape)
    blocks = Blocks(call, ArraySource(pixels), sources, grid)
    final = _final(blocks, pixels)
    if final is None:
        return None
    finals = final.parts if isinstance(final, Parts) else (final,)
    return tuple(_result(blocks, *pair) for pair in zip(finals, parts, strict=True))


def image_of_one_tile(
    call: Call, pixels: Array, images: Mapping[str, Array], part: Part
) -> tuple[Array, Value] | None:
    """Return the image that an operation makes, and the number that its passes tell of it.

    Parameters
    ----------
    call, pixels, images
        See `results_of_one_tile`.
    part
        What the result is: the only one, an image.
    """
    sources = {name: ArraySource(image) for name, image in images.items()}
    grid = Grid(call.spatial_shape, call.spatial_shape)
    blocks = Blocks(call, ArraySource(pixels), sources, grid)
    final = _final(blocks, pixels)
    if not isinstance(final, Tiles):
        return None
    image = _result(blocks, final, part)
    return image.astype(part.dtype, copy=False), final.scalar


def _plan(call: Call, pixels: Array) -> Plan:
    """Return the passes: the whole image's, where it may need to be computed whole anyway.

    NaN is for the operation's own passes to answer, as with tiles.
    """
    operation = call.operation
    if operation.kind is not Kind.WHOLE and operation.cost.whole is not None:
        if pixels.dtype.kind != "f" or not np.isnan(pixels).any():
            return whole(call)
    return operation.plan(call)


def _final(blocks: Blocks, pixels: Array) -> Final | None:
    plan, value = _plan(blocks.call, pixels), None
    while True:
        try:
            step = plan.send(value)
        except StopIteration as stop:
            final: Final = stop.value
            return final
        if not isinstance(step, Reduce):
            return None
        value = _reduced(blocks, step)


def _reduced(blocks: Blocks, step: Reduce) -> Value:
    total = reduce(step.merge, map(step.of, _visited(blocks, step)))
    return total if step.finish is None else step.finish(total)


def _visited(blocks: Blocks, step: Reduce) -> Iterator[Block]:
    """Yield what a reduction sees: the image, or the boxes that it names."""
    call, grid = blocks.call, blocks.grid
    halo = normal_halo(step.halo, call.ndim, call.operation.name)
    if step.image is not None and step.regions is None:
        grid, block_of = blocks.look_at(step.image)
        for position in grid.positions():
            tile = grid.region(position)
            yield block_of(tile, within_image(tile, halo, grid.shape), position)
        return
    if step.regions is None:
        boxes: Sequence[tuple[tuple[int, ...], Region]] = [((0,) * call.ndim, _everything(call))]
    else:
        boxes = [((number,), region) for number, region in enumerate(step.regions)]
    for position, tile in boxes:
        region = blocks.grown(tile, halo, None)
        yield blocks.block(tile, region, position, copies=not step.only_reads)


def _everything(call: Call) -> Region:
    return whole_region(call.spatial_shape)


def _result(blocks: Blocks, final: Tiles | FinalValue, part: Part) -> Value:
    if isinstance(final, Tiles) is not part.output.is_image:
        raise OperationFailed(f"{blocks.call.operation.name} ends in {type(final).__name__}.")
    if isinstance(final, FinalValue):
        return in_memory(final.value)
    shape = part.shape or ()
    tile = whole_region(tuple(n for axis, n in enumerate(shape) if axis != part.channel))
    region, position = _region_of(blocks, final, tile), (0,) * blocks.call.ndim
    block = blocks.block(tile, region, position, copies=not final.only_reads)
    result = np.asarray(final.compute(block), order="C")
    expected = np.dtype(part.dtype if final.dtype is None else final.dtype)
    if result.dtype != expected or result.shape != shape:
        raise OperationFailed(
            f"{blocks.call.operation.name} made {result.dtype} pixels of shape {result.shape}: "
            f"expected {expected} and {shape}."
        )
    declared = result.astype(part.dtype, copy=False)
    varies = blocks.call.operation.result.dtype_varies
    return declared.astype(expected, copy=False) if varies else declared


def _region_of(blocks: Blocks, final: Tiles, tile: Region) -> Region | None:
    """Return the box of the image that the result needs; None: no pixel of it."""
    if final.source is None:
        return _everything(blocks.call)
    region = final.source(tile)
    if region is None or blocks.call.wraps:
        return region
    return clip(region, blocks.call.spatial_shape)
