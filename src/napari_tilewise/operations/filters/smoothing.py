"""`skimage.filters`, smoothing: each pixel depends on its neighbours within a kernel only.

The exception is `unsharp_mask`: whether any pixel of the image is negative decides how it clips.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from skimage.util import img_as_float

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.grid import clip, within
from napari_tilewise.operations.filters.rank import (
    check_rank,
    footprint_halo,
    rank_dtype,
    rank_plan,
)
from napari_tilewise.operations.shared.common import (
    BORDER,
    CHANNEL,
    CVAL,
    as_float,
    check_mirroring,
    gaussian_radius,
    kernel_length,
    running_median,
)
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    IN_BANDS,
    SLOW,
    WIDENED_IN_BANDS,
    Accuracy,
    Adapter,
    Block,
    Call,
    Cost,
    Deviation,
    HaloLike,
    Kind,
    Limits,
    Neighbourhood,
    Operation,
    Plan,
    Reduce,
    ResultSpec,
    Tiles,
    tiled,
)
from napari_tilewise.operations.spec.parameters import ChoiceSpec, Flag, Footprint, Number
from napari_tilewise.operations.spec.substitution import run_fastest

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

SIGMA = Number(minimum=0, per_axis=True, length=True, usual=(0, 8))
TRUNCATE = Number(minimum=0, finite=True, usual=(1, 5), advanced=True)


def _gaussian_halo(call: Call) -> HaloLike:
    return tuple(gaussian_radius(s, call["truncate"]) for s in call.per_axis(call["sigma"]))


# -- difference of Gaussians -----------------------------------------------------------------------


def _sigmas(call: Call) -> list[tuple[float, float]]:
    low = call.per_axis(call["low_sigma"])
    high = call["high_sigma"]
    high_sigmas = [1.6 * s for s in low] if high is None else call.per_axis(high)
    return list(zip(low, high_sigmas, strict=True))


def _dog_halo(call: Call) -> HaloLike:
    return tuple(gaussian_radius(max(pair), call["truncate"]) for pair in _sigmas(call))


def _check_dog(call: Call) -> None:
    for low, high in _sigmas(call):
        if high < low:
            raise InvalidParameter(
                f"filters.difference_of_gaussians: high_sigma={high:g} is below low_sigma={low:g}: "
                "expected a value at least as large on every axis."
            )


# -- unsharp mask ----------------------------------------------------------------------------------

SHARPENING = "skimage.filters._unsharp_mask._unsharp_mask_single_channel"


UNWRITTEN_ROWS = Deviation(
    calls="`channel_axis` counted from the last axis, such as -1",
    library="writes only as many rows as there are channels, and returns unwritten memory for the "
    "rest",
    ours="that of the same axis counted from the first",
    versions="0.24 to 0.26",
    applies=lambda image, params: (params["channel_axis"] or 0) < 0,
)


def _unsharp_halo(call: Call) -> HaloLike:
    return tuple(gaussian_radius(r) for r in call.per_axis(call["radius"]))


def _unsharp_plan(call: Call) -> Plan:
    """Clip to [-1, 1] if any pixel of the whole image is negative, otherwise to [0, 1]."""
    limits = None
    if not call["preserve_range"]:
        negative = False
        if call.dtype.kind in "if":
            negative = yield Reduce(
                of=lambda block: bool(np.any(block.data < 0)),
                merge=lambda a, b: a or b,
                description="sign of the image",
            )
        limits = [-1.0, 1.0] if negative else [0.0, 1.0]
    function = reach("filters._unsharp_mask", "_unsharp_mask_single_channel")
    sharpen = partial(run_fastest, SHARPENING, function)
    dtype = as_float(call)

    def compute(block: Block) -> np.ndarray:
        image = block.data if call["preserve_range"] else img_as_float(block.data)
        image = image.astype(dtype, copy=False)
        if call.channel_axis is None:
            return np.asarray(sharpen(image, call["radius"], call["amount"], limits))
        result = np.empty_like(image)
        for channel in range(image.shape[call.channel_axis]):
            index = (slice(None),) * call.channel_axis + (channel,)
            result[index] = sharpen(image[index], call["radius"], call["amount"], limits)
        return result

    return Tiles(compute, halo=_unsharp_halo(call))


# -- median ----------------------------------------------------------------------------------------


def _has_windows(call: Call) -> bool:
    """Return whether each median is that of its window alone: not along a line, nor by ranks."""
    return bool(call["behavior"] == "ndimage") and call.ndim > 1


def _median_plan(call: Call) -> Plan | Tiles:
    if call["behavior"] == "ndimage":
        return tiled(call) if _has_windows(call) else running_median(call)
    return _rank_median(call)


def _rank_median(call: Call) -> Plan:
    """Run the rank filter, which has no border mode: it ignores pixels outside the image."""
    rank_tiles = yield from rank_plan(call, "filters.rank.median", {"footprint": call["footprint"]})

    def compute(block: Block) -> np.ndarray:
        inside = clip(block.region, call.spatial_shape)
        if inside == block.region:
            return rank_tiles.compute(block)
        box = within(inside, block.region)
        inner_block = Block(
            np.ascontiguousarray(block.data[box]),
            {},
            block.tile,
            inside,
            block.grid,
            block.position,
        )
        result = np.zeros(block.data.shape, rank_dtype(call))
        result[box] = rank_tiles.compute(inner_block)
        return result

    return Tiles(compute, halo=rank_tiles.halo)


def _median_halo(call: Call) -> HaloLike:
    return footprint_halo(call["footprint"], call.ndim)


def _median_dtype(call: Call) -> DTypeLike:
    return call.dtype if call["behavior"] == "ndimage" else rank_dtype(call)


def _check_median(call: Call) -> None:
    if call["behavior"] == "rank":
        check_rank(call)
    elif call.dtype == np.float16 and call.ndim > 1:
        raise InvalidImage(
            "filters.median: SciPy has no median of float16 images of several axes: convert to "
            "float32 first."
        )
    elif call.ndim > 1:
        check_mirroring(
            call, [half_width for half_width, _ in footprint_halo(call["footprint"], call.ndim)]
        )


OPERATIONS = (
    Operation(
        name="filters.gaussian",
        family=families.SMOOTHING,
        kind=Kind.NEIGHBOURHOOD,
        specs={
            "sigma": SIGMA,
            "mode": BORDER,
            "cval": CVAL,
            "preserve_range": Flag(advanced=True),
            "truncate": TRUNCATE,
            "channel_axis": CHANNEL,
        },
        neighbourhood=Neighbourhood(halo=_gaussian_halo, border="mode"),
        result=ResultSpec(dtype=as_float),
        adapter=Adapter(kernels=("skimage.filters.gaussian",)),
        cost=Cost(memory=3.5, largest_region=kernel_length, at_once=WIDENED_IN_BANDS),
    ),
    Operation(
        name="filters.difference_of_gaussians",
        family=families.SMOOTHING,
        kind=Kind.NEIGHBOURHOOD,
        specs={
            "low_sigma": Number(minimum=0, per_axis=True, length=True, usual=(0, 3)),
            "high_sigma": Number(
                minimum=0, per_axis=True, length=True, usual=(3, 8), optional=True
            ),
            "mode": BORDER,
            "cval": CVAL,
            "channel_axis": CHANNEL,
            "truncate": TRUNCATE,
        },
        neighbourhood=Neighbourhood(halo=_dog_halo, border="mode"),
        result=ResultSpec(dtype=as_float),
        limits=Limits(check=_check_dog),
        adapter=Adapter(kernels=("skimage.filters.difference_of_gaussians",)),
        cost=Cost(memory=6.0, largest_region=kernel_length, at_once=WIDENED_IN_BANDS),
    ),
    Operation(
        name="filters.unsharp_mask",
        family=families.SMOOTHING,
        kind=Kind.STATISTIC,
        specs={
            "radius": Number(minimum=0, per_axis=True, length=True, usual=(0, 6)),
            "amount": Number(usual=(0, 4)),
            "preserve_range": Flag(advanced=True),
            "channel_axis": CHANNEL,
        },
        neighbourhood=Neighbourhood(halo=_unsharp_halo),
        result=ResultSpec(dtype=as_float),
        plan_of=_unsharp_plan,
        adapter=Adapter(kernels=("skimage.filters.unsharp_mask", SHARPENING)),
        accuracy=Accuracy(deviations=(UNWRITTEN_ROWS,)),
        cost=Cost(
            memory=6.0,
            largest_region=kernel_length,
            at_once=WIDENED_IN_BANDS._replace(function=2**18),
        ),
    ),
    Operation(
        name="filters.median",
        family=families.SMOOTHING,
        kind=Kind.NEIGHBOURHOOD,
        specs={
            "footprint": Footprint(optional=True, sequences=False),
            "mode": BORDER,
            "cval": CVAL,
            "behavior": ChoiceSpec(choices=("ndimage", "rank"), advanced=True),
        },
        neighbourhood=Neighbourhood(halo=_median_halo, border="mode"),
        result=ResultSpec(dtype=_median_dtype),
        plan_of=_median_plan,
        adapter=Adapter(kernels=("skimage.filters.median", "skimage.filters.rank.median")),
        limits=Limits(check=_check_median),
        cost=Cost(
            memory=3.0, at_once=IN_BANDS._replace(function=SLOW, passes=SLOW, when=_has_windows)
        ),
    ),
)
