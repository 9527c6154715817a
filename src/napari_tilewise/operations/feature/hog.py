"""`skimage.feature.hog`: descriptors of a grid of cells, and their image, one star per cell.

The grid of cells starts at the image's origin, so regions are grown to whole cells. A gradient
depends on the next pixel, a descriptor on the cells of its block. The end of a line in the image is
a rounded coordinate, and the rounding depends slightly on the distance from the origin: in the
first few cells of an array lines may end one pixel off. The halo contains these cells.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.grid import Region, extent, size
from napari_tilewise.operations.shared.common import CHANNEL, as_float
from napari_tilewise.operations.shared.whole import from_memory, gather_whole
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    Adapter,
    AsStep,
    AtOnce,
    Block,
    Call,
    Cost,
    HaloLike,
    Kind,
    Limits,
    Neighbourhood,
    Operation,
    Output,
    Part,
    Parts,
    Plan,
    Reduce,
    ResultSpec,
    Tiles,
    Value,
    no_channel,
)
from napari_tilewise.operations.spec.parameters import ChoiceSpec, Flag, Number, Numbers
from napari_tilewise.operations.spec.substitution import run_fastest

if TYPE_CHECKING:
    from napari_tilewise.operations.spec.passes import Passes

HISTOGRAMS = "skimage.feature.hog"
"""The function that computes descriptors."""

CELLS_BEFORE = 4
"""From the fourth cell on, lines end at the same pixel as in any other cell (the third suffices for
cells of 2 to 64 pixels and 1 to 36 orientations)."""

SPAN = 512
"""Approximate number of pixels along each axis whose descriptors are computed at once."""


def _cells(call: Call) -> tuple[int, int]:
    rows, columns = call["pixels_per_cell"]
    return int(rows), int(columns)


def _block(call: Call) -> tuple[int, int]:
    rows, columns = call["cells_per_block"]
    return int(rows), int(columns)


def _check(call: Call) -> None:
    for name in ("pixels_per_cell", "cells_per_block"):
        if np.shape(call[name]) != (2,):
            raise InvalidParameter(
                f"{call.operation.name}: {name}={call[name]!r}: expected two integers, one per "
                "spatial axis."
            )
    if min(_block_counts(call)) < 1:
        rows, columns = (c * b for c, b in zip(_cells(call), _block(call), strict=True))
        raise InvalidImage(
            f"{call.operation.name}: The input image is too small given the values of "
            "pixels_per_cell and cells_per_block. It should have at least: "
            f"{rows} rows and {columns} cols."
        )


# -- descriptors -----------------------------------------------------------------------------------


def _block_counts(call: Call) -> tuple[int, ...]:
    """Return the number of blocks of cells along each axis."""
    return tuple(
        n // cell - block + 1
        for n, cell, block in zip(call.spatial_shape, _cells(call), _block(call), strict=True)
    )


def _shape(call: Call) -> tuple[int, ...]:
    shape = (*_block_counts(call), *_block(call), int(call["orientations"]))
    return (int(np.prod(shape)),) if call["feature_vector"] else shape


@dataclass
class _DescriptorParts:
    """The descriptors of several boxes of the grid of blocks."""

    parts: list[tuple[Region, np.ndarray]]
    nbytes: int

    def extend(self, other: _DescriptorParts) -> _DescriptorParts:
        """Return these descriptors and those of other boxes."""
        return _DescriptorParts(self.parts + other.parts, self.nbytes + other.nbytes)


def _reduce_descriptors(call: Call) -> Passes[np.ndarray]:
    """Return the descriptors, computed box by box of the grid of blocks."""
    counts, cells = _block_counts(call), _cells(call)
    steps = [max(1, SPAN // cell) for cell in cells]
    boxes = [
        tuple(
            slice(start, min(start + step, n))
            for start, step, n in zip(starts, steps, counts, strict=True)
        )
        for starts in product(*(range(0, n, step) for n, step in zip(counts, steps, strict=True)))
    ]

    def tile_descriptors(block: Block) -> _DescriptorParts:
        box = boxes[block.position[0]]
        params = {**call.keywords, "visualize": False, "feature_vector": False}
        descriptors = run_fastest(HISTOGRAMS, call.operation.raw_function, block.data, **params)
        inner = tuple(
            slice(p.start - r.start // cell, p.stop - r.start // cell)
            for p, r, cell in zip(box, block.region, cells, strict=True)
        )
        part = np.array(descriptors[inner])
        return _DescriptorParts([(box, part)], part.nbytes)

    def finish(total: _DescriptorParts) -> np.ndarray:
        out = np.empty((*counts, *_block(call), int(call["orientations"])), as_float(call))
        while total.parts:
            box, part = total.parts.pop()
            out[box] = part
        return out.ravel() if call["feature_vector"] else out

    descriptors: np.ndarray = yield Reduce(
        tile_descriptors,
        _DescriptorParts.extend,
        regions=[_pixels(call, box) for box in boxes],
        finish=finish,
        description="descriptors",
    )
    return descriptors


def _largest(call: Call) -> int:
    """Return the number of pixels that the largest box depends on."""
    if _leaves_cells(call):
        return size(tuple(slice(0, n) for n in call.spatial_shape))
    spans = [max(1, SPAN // cell) for cell in _cells(call)]
    largest_box = tuple(slice(1, 1 + span) for span in spans)
    blocks = prod(map(min, spans, _block_counts(call)))
    descriptors = blocks * prod(_block(call)) * int(call["orientations"])
    return max(size(_pixels(call, largest_box)), descriptors // 4)


def _pixels(call: Call, box: Region) -> Region:
    """Return the pixels of a box of blocks, with one more cell around."""
    return tuple(
        slice(max(0, (span.start - 1) * cell), min(n, (span.stop + block) * cell))
        for span, cell, block, n in zip(
            box, _cells(call), _block(call), call.spatial_shape, strict=True
        )
    )


# -- the image -------------------------------------------------------------------------------------


def _halo(call: Call) -> HaloLike:
    return [(CELLS_BEFORE * cell, cell) for cell in _cells(call)]


def _image(call: Call) -> Passes[Tiles | Value]:
    cells = _cells(call)

    def compute(block: Block) -> np.ndarray:
        # The image does not depend on the blocks: a single block of all cells is fastest.
        cell_counts = [n // cell for n, cell in zip(extent(block.region), cells, strict=True)]
        overrides = {"visualize": True, "cells_per_block": cell_counts, "block_norm": "L1"}
        return np.asarray(
            call.operation.raw_function(block.data, **{**call.keywords, **overrides})[1]
        )

    if _leaves_cells(call):
        part = Part(Output.IMAGE, as_float(call), call.spatial_shape)
        return from_memory(part, (yield gather_whole(call, compute)))
    return Tiles(compute, halo=_halo(call), align=cells)


def _leaves_cells(call: Call) -> bool:
    """Return whether lines leave their cells, and may even wrap around the image's border.

    For cells of one pixel scikit-image's radius is -1.
    """
    return min(_cells(call)) == 1 and (call["visualize"] or call.operation.is_step)


def _parts(call: Call) -> tuple[Part, ...] | None:
    if not call["visualize"]:
        return None
    return (
        Part(Output.VALUES, as_float(call), _shape(call)),
        Part(Output.IMAGE, as_float(call), call.spatial_shape),
    )


def _plan(call: Call) -> Plan:
    described = Value((yield from _reduce_descriptors(call)))
    return Parts((described, (yield from _image(call)))) if call["visualize"] else described


def _is_drawn(call: Call) -> bool:
    """Return whether the function draws the histograms, line by line, which no kernel does."""
    return bool(call["visualize"]) or prod(call.shape) <= 2**16


_DESCRIPTORS = Operation(
    name="feature.hog",
    title="Histogram of oriented gradients (HOG)",
    family=families.TEXTURE,
    adapter=Adapter(kernels=(HISTOGRAMS,)),
    cost=Cost(
        holds_gil=True,
        memory=10.0,
        largest_region=_largest,
        at_once=AtOnce(function=2**22, when=_is_drawn),
    ),
    kind=Kind.NEIGHBOURHOOD,
    specs={
        "orientations": Number(minimum=1, integer=True, usual=(4, 12)),
        "pixels_per_cell": Numbers(
            item=Number(minimum=1, integer=True, length=True, usual=(1, 16)), least=2, most=2
        ),
        "cells_per_block": Numbers(
            item=Number(minimum=1, integer=True, usual=(1, 4)), least=2, most=2, advanced=True
        ),
        "block_norm": ChoiceSpec(choices=("L1", "L1-sqrt", "L2", "L2-Hys"), advanced=True),
        "visualize": Flag(advanced=True),
        "transform_sqrt": Flag(),
        "feature_vector": Flag(advanced=True),
        "channel_axis": CHANNEL,
    },
    result=ResultSpec(
        output=Output.VALUES, dtype=as_float, shape=_shape, channel=no_channel, parts=_parts
    ),
    neighbourhood=Neighbourhood(halo=_halo),
    plan_of=_plan,
    limits=Limits(ndim=(2, 2), check=_check),
    note="In a recipe or a form the result is the image of the descriptors. With cells of one "
    "pixel it needs the whole image.",
)

_IMAGE = replace(
    _DESCRIPTORS,
    result=ResultSpec(dtype=as_float, shape=lambda call: call.spatial_shape, channel=no_channel),
    plan_of=_image,
    step=AsStep(text="{call}[1]", params={"visualize": True}),
)

OPERATIONS = (replace(_DESCRIPTORS, step=AsStep(operation=_IMAGE)),)
"""Descriptors; in a recipe or a form their image, whatever the value of `visualize`."""
