"""`exposure.is_low_contrast`: decided by two exact percentiles of the whole image."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.color import rgb2gray, rgba2rgb
from skimage.util import dtype_limits

from napari_tilewise.operations.shared.common import as_float
from napari_tilewise.operations.shared.global_numbers import extremes
from napari_tilewise.operations.shared.percentiles import percentiles
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    AtOnce,
    Block,
    Call,
    Cost,
    Kind,
    Operation,
    Output,
    Plan,
    Reduce,
    ResultSpec,
    Value,
)
from napari_tilewise.operations.spec.parameters import ChoiceSpec, Number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise.operations.spec.passes import Passes
    from napari_tilewise.types import DType

BAND = 2**20
"""Approximate number of pixels of a colour image that are converted at once."""


def _is_color(call: Call) -> bool:
    """Return whether scikit-image treats the last of three axes as colours."""
    return len(call.shape) == 3 and call.shape[2] in (3, 4)


def _plan(call: Call) -> Plan:
    if call.dtype.kind == "b":
        low, high = yield from extremes(call)
        return Value(not (high == 1 and low == 0))
    shares = [call["lower_percentile"], call["upper_percentile"]]
    if _is_color(call):
        dtype = np.dtype(as_float(call))
        bottom, top = yield from _gray_percentiles(call, shares, dtype)
    elif (dtype := call.dtype).kind in "ui" and dtype.itemsize <= 2:
        bottom, top = yield from _integer_percentiles(call, shares)
    else:
        bottom, top = yield from percentiles(call, _pixels, shares, dtype)
    lowest, highest = dtype_limits(np.empty(0, dtype), clip_negative=False)
    ratio = (top - bottom) / (highest - lowest)
    return Value(ratio < call["fraction_threshold"])


def _pixels(block: Block) -> np.ndarray:
    return block.data[block.core]


def _integer_percentiles(call: Call, shares: Sequence[float]) -> Passes[tuple[Any, Any]]:
    """Compute two percentiles of an image of at most 16 bits from its histogram."""
    minimum, length = int(np.iinfo(call.dtype).min), 2 ** (8 * call.dtype.itemsize)

    def histogram(block: Block) -> np.ndarray:
        return np.bincount(_pixels(block).ravel().astype(np.int64) - minimum, minlength=length)

    cumulative = np.cumsum((yield Reduce(histogram, np.add, description="histogram")))
    count = prod(call.shape)

    def value_of_rank(rank: int) -> Any:
        return call.dtype.type(np.searchsorted(cumulative, rank, side="right") + minimum)

    def percentile(share: float) -> Any:
        position = (count - 1) * (share / 100)
        rank_below = int(position)
        low, high = value_of_rank(rank_below), value_of_rank(min(rank_below + 1, count - 1))
        # in the image's own dtype, like NumPy's difference, even if it overflows
        with np.errstate(over="ignore"):
            step, gamma = high - low, position - rank_below
        return high - step * (1 - gamma) if gamma >= 0.5 else low + step * gamma

    return percentile(shares[0]), percentile(shares[1])


def _gray_percentiles(call: Call, shares: Sequence[float], dtype: DType) -> Passes[tuple[Any, Any]]:
    """Compute two percentiles of a colour image in gray, from whole rows to match BLAS's bits."""
    rows, columns, channels = call.shape
    height = max(1, BAND // columns)
    bands = [
        (slice(y, min(y + height, rows)), slice(0, columns), slice(0, channels))
        for y in range(0, rows, height)
    ]

    def gray(block: Block) -> np.ndarray:
        data = rgba2rgb(block.data) if channels == 4 else block.data
        return np.asarray(rgb2gray(data))

    plan = percentiles(replace(call, shape=(rows, columns)), gray, shares, dtype)
    reduced: Any = None
    while True:
        try:
            reduction = plan.send(reduced)
        except StopIteration as stop:
            bottom, top = stop.value
            return bottom, top
        reduced = yield replace(reduction, regions=bands)


PERCENTILE = Number(minimum=0, maximum=100, usual=(0, 100), advanced=True)

OPERATIONS = (
    Operation(
        name="exposure.is_low_contrast",
        title="Check for low contrast",
        family=families.INTENSITY,
        kind=Kind.STATISTIC,
        result=ResultSpec(output=Output.SCALAR, dtype=lambda call: np.bool_, shape=lambda call: ()),
        specs={
            "fraction_threshold": Number(minimum=0, usual=(0, 1)),
            "lower_percentile": PERCENTILE,
            "upper_percentile": PERCENTILE,
            "method": ChoiceSpec(choices=("linear",), advanced=True),
        },
        plan_of=_plan,
        cost=Cost(memory=9.0, at_once=AtOnce(function=2**22, finite=True)),
        note="An image with three axes, the last of length 3 or 4, is treated as a colour image.",
    ),
)
