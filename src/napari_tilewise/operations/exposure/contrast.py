"""`exposure.is_low_contrast`: two exact percentiles of the whole image decide."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.color import rgb2gray, rgba2rgb
from skimage.util import dtype_limits

from napari_tilewise.operations.shared.common import as_float
from napari_tilewise.operations.shared.histograms import gather_range
from napari_tilewise.operations.shared.percentiles import percentiles
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
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
    from collections.abc import Generator, Sequence

BAND = 2**20
"""About how many pixels of a colour image are taken at once."""


def _is_color(call: Call) -> bool:
    """Tell whether scikit-image takes the last of three axes for colours."""
    return len(call.shape) == 3 and call.shape[2] in (3, 4)


def _plan(call: Call) -> Plan:
    if call.dtype.kind == "b":
        found = yield from gather_range(call)
        assert found is not None
        low, high = found
        return Value(not (high == 1 and low == 0))
    wanted = [call["lower_percentile"], call["upper_percentile"]]
    if _is_color(call):
        dtype = np.dtype(as_float(call))
        bottom, top = yield from _of_gray(call, wanted, dtype)
    elif (dtype := call.dtype).kind in "ui" and dtype.itemsize <= 2:
        bottom, top = yield from _of_small_integers(call, wanted)
    else:
        bottom, top = yield from percentiles(call, _pixels, wanted, dtype)
    lowest, highest = dtype_limits(np.empty(0, dtype), clip_negative=False)
    ratio = (top - bottom) / (highest - lowest)
    return Value(ratio < call["fraction_threshold"])


def _pixels(block: Block) -> np.ndarray:
    return block.data[block.core]


def _of_small_integers(
    call: Call, wanted: Sequence[float]
) -> Generator[Reduce, Any, tuple[Any, Any]]:
    """Compute two percentiles of an image of at most 16 bits from its histogram."""
    first, length = int(np.iinfo(call.dtype).min), 2 ** (8 * call.dtype.itemsize)

    def of(block: Block) -> np.ndarray:
        return np.bincount(_pixels(block).ravel().astype(np.int64) - first, minlength=length)

    below = np.cumsum((yield Reduce(of, np.add, description="histogram")))
    count = prod(call.shape)

    def ranked(rank: int) -> Any:
        return call.dtype.type(np.searchsorted(below, rank, side="right") + first)

    def percentile(share: float) -> Any:
        at = (count - 1) * (share / 100)
        before = int(at)
        low, high = ranked(before), ranked(min(before + 1, count - 1))
        # in the image's own type, as NumPy takes the difference, even where it overflows
        with np.errstate(over="ignore"):
            step, gamma = high - low, at - before
        return high - step * (1 - gamma) if gamma >= 0.5 else low + step * gamma

    return percentile(wanted[0]), percentile(wanted[1])


def _of_gray(
    call: Call, wanted: Sequence[float], dtype: np.dtype[Any]
) -> Generator[Reduce, Any, tuple[Any, Any]]:
    """Compute two percentiles of a colour image in gray, from whole rows as BLAS would see them."""
    rows, columns, channels = call.shape
    height = max(1, BAND // columns)
    bands = [
        (slice(y, min(y + height, rows)), slice(0, columns), slice(0, channels))
        for y in range(0, rows, height)
    ]

    def gray(block: Block) -> np.ndarray:
        data = rgba2rgb(block.data) if channels == 4 else block.data
        return np.asarray(rgb2gray(data))

    plan = percentiles(replace(call, shape=(rows, columns)), gray, wanted, dtype)
    found: Any = None
    while True:
        try:
            gather = plan.send(found)
        except StopIteration as stop:
            bottom, top = stop.value
            return bottom, top
        found = yield replace(gather, regions=bands)


PERCENTILE = Number(minimum=0, maximum=100, usual=(0, 100), advanced=True)

OPERATIONS = (
    Operation(
        name="exposure.is_low_contrast",
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
        cost=Cost(memory=9.0),
        note="An image of three axes, the last of length 3 or 4, is taken for a colour image.",
    ),
)
