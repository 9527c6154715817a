"""`skimage.filters.rank.windowed_histogram`: the shares of all gray levels around every pixel.

How many there are follows, unless it is given, from the image's largest pixel: the result's shape
is then known only after a pass over the image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidImage
from napari_tilewise.grid import Region, extent
from napari_tilewise.operations.filters.rank import (
    SHIFTS_2D,
    check_footprint,
    gather_maxima,
    narrowed,
    rank_halo,
    with_levels,
)
from napari_tilewise.operations.spec.operation import (
    Block,
    Call,
    Gather,
    Kind,
    Operation,
    Output,
    Plan,
    Tiles,
    Value,
    last_axis,
)
from napari_tilewise.operations.spec.parameters import AlignedImage, Footprint, Number

if TYPE_CHECKING:
    from collections.abc import Callable


def _output(call: Call) -> Output:
    """Return what it is: an image where the number of bins is given, else an array."""
    return Output.VALUES if call["n_bins"] is None else Output.IMAGE


def _shape(call: Call) -> tuple[int, ...] | None:
    return None if call["n_bins"] is None else (*call.shape, call["n_bins"])


def _plan(call: Call) -> Plan:
    """Count the bins as scikit-image does: before the image is converted to 8 bits."""
    bins = call["n_bins"]
    deep = call.dtype == np.uint16
    maxima = yield from gather_maxima(call, of_image=deep or bins is None)
    levels = int(max(3, maxima[0])) + 1 if deep else 256
    depth = int(maxima[0]) + 1 if bins is None else bins
    if depth < 1:
        raise InvalidImage(
            f"{call.operation.name}: the largest pixel is {maxima[0]}, which leaves no bin: "
            "expected an image without negative values, or n_bins."
        )

    def compute(block: Block) -> np.ndarray:
        image, inside = narrowed(block, maxima)
        found = np.zeros((*image.shape, depth))
        # beyond the kernel's histogram scikit-image reads what lies behind it; there is nothing
        known = min(depth, levels)
        found[..., :known] = with_levels(
            call.operation.name, image, inside.get("mask"), call.params, levels, known
        )
        return found

    if bins is not None:
        return Tiles(compute, halo=rank_halo(call))
    return Value((yield _collected(call, compute, depth)))


def _collected(call: Call, compute: Callable[[Block], np.ndarray], depth: int) -> Gather:
    """Return the pass that puts the whole result together in memory."""

    def of(block: Block) -> list[tuple[Region, np.ndarray]]:
        return [(block.tile, np.ascontiguousarray(compute(block)[block.core]))]

    def finish(parts: list[tuple[Region, np.ndarray]]) -> np.ndarray:
        result = np.empty((*call.shape, depth))
        while parts:
            tile, shares = parts.pop()
            assert shares.shape[:-1] == extent(tile)
            result[tile] = shares
        return result

    def merge(parts: list[Any], more: list[Any]) -> list[Any]:
        parts.extend(more)
        return parts

    return Gather(of, merge, halo=rank_halo(call), finish=finish, what="histograms")


def _largest(call: Call) -> int:
    """Return what the result holds at most where only the pixels tell its depth."""
    if call["n_bins"] is not None:
        return 0
    bins = np.iinfo(call.dtype).max + 1 if call.dtype.kind == "u" else 256
    return int(np.prod(call.shape) * min(bins, 2**16))


OPERATIONS = (
    Operation(
        name="filters.rank.windowed_histogram",
        kind=Kind.STATISTIC,
        specs={
            "footprint": Footprint(sequences=False),
            "mask": AlignedImage(advanced=True),
            **SHIFTS_2D,
            "n_bins": Number(minimum=1, integer=True, optional=True, usual=(1, 4)),
        },
        output_of=_output,
        halo_of=rank_halo,
        dtype_of=lambda call: np.float64,
        shape_of=_shape,
        channel_of=last_axis,
        plan_of=_plan,
        check=check_footprint,
        ndim=(2, 2),
        working=4.0,
        largest_of=_largest,
        note="Give n_bins for a lazy result: without it the whole image is read first and the "
        "result is held in memory. Bins beyond the image's gray levels are 0, where scikit-image "
        "returns whatever lies in memory.",
    ),
)
