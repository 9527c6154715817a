"""Whether something is anywhere in an image: looked for in few tiles first, in all at the worst.

Most images answer from their first tile, so an operation that must know does not wait for a pass
over all of them.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

from napari_tilewise.grid import Grid
from napari_tilewise.operations.spec.operation import Block, Call, HaloLike, Reduce

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_tilewise.operations.spec.passes import Passes

LENGTH = {1: 2**20, 2: 1024, 3: 128}
"""Lengths of the boxes looked through (32 beyond three axes)."""


def anywhere(
    call: Call, holds: Callable[[Block], bool], *, halo: HaloLike = 0, description: str
) -> Passes[bool]:
    """Find whether any box of the image holds something, in ever larger strides.

    Parameters
    ----------
    call
        The bound operation.
    holds
        Tells of a block whether its tile holds it.
    halo
        What `holds` needs around the tile.
    description
        What is looked for, in words, for progress.
    """
    shape = call.spatial_shape
    grid = Grid(shape, tuple(min(n, LENGTH.get(call.ndim, 32)) for n in shape))
    boxes = grid.regions()
    begin, many = 0, 1
    while begin < len(boxes):
        stride = boxes[begin : begin + many]
        exists = yield Reduce(
            holds, operator.or_, halo=halo, regions=stride, description=description
        )
        if exists:
            return True
        begin, many = begin + many, 4 * many
    return False
