"""`skimage.exposure`: pointwise, once the range or the histogram of the whole image is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.operations.exposure.clahe import (
    LOOK_UP,
    clahe_bins,
    clahe_dtype,
    clahe_plan,
    clahe_shape,
)
from napari_tilewise.operations.exposure.intensity_histogram import cumulative
from napari_tilewise.operations.shared.common import as_float
from napari_tilewise.operations.shared.histograms import (
    BINNING,
    COUNTING,
    DRAWING,
    Histogram,
    bins_of,
    counted_levels,
    gather_histogram,
    gather_range,
    pixels_of,
)
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    IN_ONE_CALL,
    Adapter,
    AtOnce,
    Block,
    Call,
    Cost,
    Kind,
    Limits,
    Operation,
    Plan,
    ResultSpec,
    Tiles,
)
from napari_tilewise.operations.spec.parameters import AlignedImage, Flag, Number, Range
from napari_tilewise.operations.spec.substitution import run_fastest

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import DTypeLike

TYPES = (
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64",
    "float16", "float32", "float64", "float", "uint10", "uint12", "uint14",
)  # fmt: skip


# -- rescale_intensity -----------------------------------------------------------------------------


def _rescaled_dtype(call: Call) -> DTypeLike:
    name = call["out_range"]
    if not isinstance(name, str):
        return as_float(call)
    if name in ("dtype", "image"):
        return call.dtype
    # values of 10 to 14 bits are stored in 16
    return np.uint16 if name in ("uint10", "uint12", "uint14") else np.dtype(name)


def _rescale_plan(call: Call) -> Plan:
    """Replace "image" by the range of the whole image, instead of that of a tile."""
    ranges = {name: call[name] for name in ("in_range", "out_range")}
    dtype = _rescaled_dtype(call)
    if "image" in ranges.values():
        image_range = yield from gather_range(call, lambda block: block.data[block.core].ravel())
        # with a pair as `out_range` the function returns the same values as floats, without a cast
        ranges = {
            name: image_range if value == "image" else value for name, value in ranges.items()
        }

    def compute(block: Block) -> np.ndarray:
        return np.asarray(call.function(block.data, **ranges)).astype(dtype, copy=False)

    return Tiles(compute)


# -- equalize_hist ---------------------------------------------------------------------------------


def _equalize_plan(call: Call) -> Plan:
    """Map pixels by the cumulative histogram of the whole image, as `equalize_hist` does."""

    def masked_pixels(block: Block) -> np.ndarray:
        mask = block.images["mask"][block.core].astype(bool).ravel()
        return np.asarray(pixels_of(block)[mask])

    pixels = pixels_of if call.params.get("mask") is None else masked_pixels
    histogram = yield from gather_histogram(call, call["nbins"], pixels)
    shares = cumulative(histogram, call.dtype)

    def equalized(data: np.ndarray) -> np.ndarray:
        out = run_fastest(DRAWING, np.interp, data.ravel(), histogram.centers, shares)
        return np.asarray(out.reshape(data.shape).astype(as_float(call), copy=False))

    if call.dtype.kind not in "ui":
        return Tiles(lambda block: equalized(block.data), only_reads=True)
    if call.dtype not in (np.uint8, np.uint16):
        return Tiles(_equal_levels(histogram, equalized), only_reads=True)
    table = equalized(np.arange(np.iinfo(call.dtype).max + 1, dtype=call.dtype))
    return Tiles(
        lambda block: np.asarray(run_fastest(LOOK_UP, np.take, table, block.data)),
        only_reads=True,
    )


def _equal_levels(
    histogram: Histogram, equalized: Callable[[np.ndarray], np.ndarray]
) -> Callable[[Block], np.ndarray]:
    """Return what looks every integer up among those that were counted."""
    low, high = int(histogram.centers[0]), int(histogram.centers[-1])
    table = equalized(histogram.centers)

    def compute(block: Block) -> np.ndarray:
        # Pixels beyond a mask may lie beyond the levels that were counted.
        return np.asarray(table[np.clip(block.data, low, high).astype(np.int64) - low])

    return compute


FEW = 2**20
"""Pixels that are computed in the time that handing out tiles takes."""

OPERATIONS = (
    Operation(
        name="exposure.adjust_gamma",
        family=families.INTENSITY,
        kind=Kind.POINTWISE,
        specs={
            "gamma": Number(minimum=0, usual=(0, 4)),
            "gain": Number(usual=(0, 1)),
        },
        cost=Cost(memory=5.0, at_once=AtOnce(function=FEW)),
    ),
    Operation(
        name="exposure.adjust_log",
        title="Logarithmic correction",
        family=families.INTENSITY,
        kind=Kind.POINTWISE,
        specs={"gain": Number(usual=(0, 1)), "inv": Flag()},
        cost=Cost(memory=5.0, at_once=AtOnce(function=FEW)),
    ),
    Operation(
        name="exposure.adjust_sigmoid",
        family=families.INTENSITY,
        kind=Kind.POINTWISE,
        specs={
            "cutoff": Number(usual=(0, 1)),
            "gain": Number(usual=(0, 20)),
            "inv": Flag(),
        },
        cost=Cost(memory=5.0, at_once=AtOnce(function=FEW)),
    ),
    Operation(
        name="exposure.rescale_intensity",
        family=families.INTENSITY,
        kind=Kind.STATISTIC,
        specs={
            "in_range": Range(names=("image", "dtype", *TYPES), intensity=True),
            "out_range": Range(names=("dtype", "image", *TYPES)),
        },
        result=ResultSpec(dtype=_rescaled_dtype),
        plan_of=_rescale_plan,
        cost=Cost(memory=6.0, at_once=AtOnce(function=4 * FEW)),
    ),
    Operation(
        name="exposure.equalize_hist",
        family=families.INTENSITY,
        kind=Kind.STATISTIC,
        specs={
            "nbins": Number(integer=True, minimum=1, usual=(2, 300), advanced=True),
            "mask": AlignedImage(advanced=True),
        },
        result=ResultSpec(dtype=as_float),
        plan_of=_equalize_plan,
        adapter=Adapter(
            kernels=("skimage.exposure.equalize_hist", BINNING, COUNTING, DRAWING, LOOK_UP)
        ),
        limits=Limits(finite=True),
        cost=Cost(
            memory=5.0,
            numbers=counted_levels,
            largest_region=bins_of,
            at_once=AtOnce(
                function=IN_ONE_CALL,
                kernel=2**24,
                counted=True,
                when=lambda call: call.dtype.kind == "b",
            ),
        ),
    ),
    Operation(
        name="exposure.equalize_adapthist",
        family=families.INTENSITY,
        kind=Kind.STATISTIC,
        specs={
            "kernel_size": Number(
                integer=True, minimum=1, usual=(2, 20), per_axis=True, length=True, optional=True
            ),
            "clip_limit": Number(minimum=0, usual=(0, 0.2)),
            "nbins": Number(integer=True, minimum=2, usual=(16, 300), advanced=True),
        },
        result=ResultSpec(dtype=clahe_dtype, shape=clahe_shape),
        plan_of=clahe_plan,
        adapter=Adapter(kernels=(LOOK_UP,)),
        limits=Limits(finite=True),
        cost=Cost(memory=20.0, largest_region=clahe_bins, at_once=AtOnce(function=2**14)),
    ),
)
