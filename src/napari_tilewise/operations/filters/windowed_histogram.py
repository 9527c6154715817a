"""`skimage.filters.rank.windowed_histogram`: the share of every gray level around every pixel.

Without `n_bins` the number of levels follows from the image's largest pixel: the result's shape is
then known only after a pass over the image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidImage
from napari_tilewise.grid import Region, extent
from napari_tilewise.operations.filters.rank import (
    SHIFTS_2D,
    check_footprint,
    narrowed,
    rank_halo,
    reduce_maxima,
    with_levels,
)
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    IN_ONE_CALL,
    PER_PIXEL,
    Accuracy,
    AtOnce,
    Block,
    Call,
    Cost,
    Deviation,
    Kind,
    Limits,
    Neighbourhood,
    Operation,
    Output,
    Plan,
    Reduce,
    ResultSpec,
    Tiles,
    Value,
    last_axis,
)
from napari_tilewise.operations.spec.parameters import AlignedImage, Footprint, Number

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_tilewise.types import Parameters


LEVELS = 256
"""Gray levels of images that are converted to 8 bits."""


def _output(call: Call) -> Output:
    """Return the kind of result: an image if `n_bins` is given, otherwise an array."""
    return Output.VALUES if call["n_bins"] is None else Output.IMAGE


def _shape(call: Call) -> tuple[int, ...] | None:
    return None if call["n_bins"] is None else (*call.shape, call["n_bins"])


def _plan(call: Call) -> Plan:
    """Count the bins as scikit-image does: before the image is converted to 8 bits."""
    bins = call["n_bins"]
    is_deep = call.dtype == np.uint16
    maxima = yield from reduce_maxima(call, of_image=is_deep or bins is None)
    if bins is None and np.isnan(maxima[0]):
        raise InvalidImage(
            f"{call.operation.name}: the image holds NaN, which tells no number of bins: expected "
            "numbers, or n_bins. Replace NaN first, for example with numpy.nan_to_num."
        )
    levels = int(max(3, maxima[0])) + 1 if is_deep else LEVELS
    depth = int(maxima[0]) + 1 if bins is None else bins
    if depth < 1:
        raise InvalidImage(
            f"{call.operation.name}: the largest pixel is {maxima[0]}, so there are no bins: "
            "expected an image without negative values, or n_bins."
        )

    def compute(block: Block) -> np.ndarray:
        image, inside = narrowed(block, maxima)
        # scikit-image reads memory beyond the kernel's histogram for further bins; they stay 0
        n_levels = min(depth, levels)
        shares = with_levels(
            call.operation.name, image, inside.get("mask"), call.params, levels, n_levels
        )
        if n_levels == depth:
            return np.asarray(shares)
        padded = np.zeros((*image.shape, depth))
        padded[..., :n_levels] = shares
        return padded

    if bins is not None:
        return Tiles(compute, halo=rank_halo(call))
    return Value((yield _concatenation(call, compute, depth)))


def _concatenation(call: Call, compute: Callable[[Block], np.ndarray], depth: int) -> Reduce:
    """Return the reduction that assembles the whole result in memory."""

    def tile_shares(block: Block) -> list[tuple[Region, np.ndarray]]:
        return [(block.tile, np.ascontiguousarray(compute(block)[block.core]))]

    def finish(parts: list[tuple[Region, np.ndarray]]) -> np.ndarray:
        if len(parts) == 1:
            return parts[0][1]
        result = np.empty((*call.shape, depth))
        while parts:
            tile, shares = parts.pop()
            assert shares.shape[:-1] == extent(tile)
            result[tile] = shares
        return result

    def merge(parts: list[Any], more: list[Any]) -> list[Any]:
        parts.extend(more)
        return parts

    return Reduce(tile_shares, merge, halo=rank_halo(call), finish=finish, description="histograms")


def _largest(call: Call) -> int:
    """Return the largest number of elements of a result whose depth depends on the pixels."""
    if call["n_bins"] is not None:
        return 0
    bins = np.iinfo(call.dtype).max + 1 if call.dtype.kind == "u" else 256
    return int(np.prod(call.shape) * min(bins, 2**16))


def _is_within_levels(image: np.ndarray) -> bool:
    """Return whether no bin lies beyond the image's gray levels, if as many as those are asked."""
    dtype = image.dtype
    if dtype.kind == "f" or (dtype.kind == "u" and dtype.itemsize <= 2):
        return True
    return dtype.kind != "b" and 0 <= int(image.max()) < LEVELS


def _is_beyond_levels(image: np.ndarray, params: Parameters) -> bool:
    """Return whether some bins lie beyond the image's gray levels."""
    if not image.size or image.dtype.kind not in "buif" or not np.isfinite(largest := image.max()):
        return False
    levels = int(max(3, largest)) + 1 if image.dtype == np.uint16 else LEVELS
    bins = params["n_bins"]
    return (int(largest) + 1 if bins is None else int(bins)) > levels


MORE_BINS = Deviation(
    calls="more bins than the image has gray levels: 256, or one more than the largest pixel of an "
    "image of uint16",
    library="reads memory behind its histogram for the bins beyond",
    ours="0 in these bins",
    versions="0.26",
    applies=_is_beyond_levels,
    beyond=True,
)

OPERATIONS = (
    Operation(
        name="filters.rank.windowed_histogram",
        family=families.RANKS,
        kind=Kind.STATISTIC,
        specs={
            "footprint": Footprint(sequences=False),
            "mask": AlignedImage(advanced=True),
            **SHIFTS_2D,
            "n_bins": Number(minimum=1, integer=True, optional=True, usual=(1, 4)),
        },
        result=ResultSpec(
            output_of=_output, dtype=lambda call: np.float64, shape=_shape, channel=last_axis
        ),
        neighbourhood=Neighbourhood(halo=rank_halo),
        plan_of=_plan,
        limits=Limits(check=check_footprint, ndim=(2, 2)),
        cost=Cost(
            numbers=PER_PIXEL,
            memory=4.0,
            largest_region=_largest,
            at_once=AtOnce(
                function=IN_ONE_CALL,
                finite=True,
                when=lambda call: call["n_bins"] is None,
                suits=_is_within_levels,
            ),
        ),
        accuracy=Accuracy(deviations=(MORE_BINS,)),
        note="Give n_bins for a lazy result: without it the whole image is read first and the "
        "result is held in memory.",
    ),
)
