"""`skimage.measure.profile_line`: only boxes along the line are read.

The line is cut into segments; each segment's box contains every pixel that its interpolation uses,
so that `scipy.ndimage.map_coordinates` computes the same numbers as from the whole image.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage as ndi

from napari_tilewise.errors import InvalidImage
from napari_tilewise.operations.shared.common import BORDER, CVAL
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.measuring.calibration import PixelLengths
from napari_tilewise.operations.spec.operation import (
    IN_MEMORY,
    AsStep,
    AtOnce,
    Block,
    Call,
    Cost,
    Kind,
    Limits,
    Operation,
    Output,
    Plan,
    Reduce,
    ResultSpec,
    Value,
)
from napari_tilewise.operations.spec.parameters import Array, FunctionSpec, Number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise.grid import Region
    from napari_tilewise.types import Parameters

SEGMENT = 256
"""Steps along the line in one segment."""

PREFILTER = 128
"""The reach of the spline prefilter of order 2 to 5. Its slowest response falls by 0.43 per pixel,
below one unit in the last place after 44 pixels, and rounding errors decay as fast."""

PADDING = 12
"""Pixels by which SciPy pads the image for splines with the modes nearest and constant."""


def _plan(call: Call) -> Plan:
    validate = reach("_shared.utils", "_validate_interpolation_order")
    order = validate(call.dtype, call["order"])
    coordinates = reach("measure.profile", "_line_profile_coordinates")
    lines = coordinates(call["src"], call["dst"], linewidth=call["linewidth"])
    if order > 1 and call["mode"] in ("nearest", "constant"):
        # SciPy adds its padding to the points: the same rounding needs absolute coordinates
        lines = (lines + PADDING) - PADDING
    segments = [lines[:, start : start + SEGMENT] for start in range(0, lines.shape[1], SEGMENT)]
    boxes = [_box(call, segment, order) for segment in segments]

    def segment_values(block: Block) -> dict[int, np.ndarray]:
        (index,) = block.position
        start = np.reshape(block.start[:2], (2, 1, 1))
        return {index: _interpolate(call, block.data, segments[index] - start, order)}

    parts = yield Reduce(
        segment_values, lambda a, b: a | b, regions=boxes, description="line profile"
    )
    # (channel, step, across): NumPy sums in memory order, which must be the same as scikit-image's
    channels, _, across = parts[0].shape
    stacked = np.empty((channels, lines.shape[1], across), parts[0].dtype)
    for index, part in parts.items():
        stacked[:, index * SEGMENT : index * SEGMENT + part.shape[1]] = part
    pixels = stacked.transpose(1, 2, 0) if call.ndim == 3 else stacked[0]
    pixels = np.flip(pixels, axis=1)
    reduce_func = call["reduce_func"]
    if reduce_func is None:
        return Value(pixels)
    try:
        return Value(reduce_func(pixels, axis=1))
    except TypeError:  # as in scikit-image: the function has no axis
        return Value(np.apply_along_axis(reduce_func, arr=pixels, axis=1))


def _points(call: Call) -> int:
    """Return the number of points along the line and across."""
    steps = np.hypot(*np.subtract(call["dst"], call["src"], dtype=float)) + 2
    return int(min(steps * call["linewidth"], 2.0**62))


def _step(params: Parameters, spacing: Sequence[float]) -> float:
    """Return the distance between two points along the line, which divide it evenly."""
    along = np.subtract(params["dst"], params["src"], dtype=float)
    count = int(np.ceil(np.hypot(*along)))
    return float(np.hypot(*(along * spacing[:2]))) / max(count, 1)


def _interpolate(call: Call, image: np.ndarray, points: np.ndarray, order: int) -> np.ndarray:
    """Return the values at some points, one array for each channel."""
    channels = [image] if image.ndim == 2 else [image[..., i] for i in range(image.shape[-1])]
    mode = reach("_shared.utils", "_fix_ndimage_mode")(call["mode"])
    keywords = {"prefilter": order > 1, "order": order, "mode": mode, "cval": call["cval"]}
    return np.stack([ndi.map_coordinates(channel, points, **keywords) for channel in channels])


def _box(call: Call, points: np.ndarray, order: int) -> Region:
    """Return the box of the image that is needed to interpolate at the points."""
    margin = order // 2 + 2 + (PREFILTER if order > 1 else 0)
    box = []
    for axis, n in enumerate(call.shape[:2]):
        low, high = np.floor(points[axis].min()), np.ceil(points[axis].max())
        box.append(_span(low, high, n, margin, call["mode"]))
    return (*box, *(slice(0, n) for n in call.shape[2:]))


def _span(low: float, high: float, n: int, margin: int, mode: str) -> slice:
    """Return the span of pixels along an axis that is needed for points from low to high.

    A box that ends at the image's border is extrapolated as the whole image is, provided that it
    contains the pixels that the border mode mirrors.
    """
    start_needed, stop_needed = low - margin, high + margin
    if mode == "wrap" and (start_needed < 0 or stop_needed > n - 1):
        return slice(0, n)
    mirrors = mode in ("reflect", "mirror")
    if low < 0:
        start_needed, stop_needed = 0, max(stop_needed, (-low if mirrors else 0) + margin)
    if high > n - 1:
        start_needed, stop_needed = (
            min(start_needed, n - 1 - (high - (n - 1) if mirrors else 0) - margin),
            n - 1,
        )
    start = int(np.clip(start_needed, 0, n - 1))
    return slice(start, int(np.clip(stop_needed, start, n - 1)) + 1)


def _check(call: Call) -> None:
    if call.ndim == 3 and prod(call.shape[2:]) > 2**16:
        raise InvalidImage(
            f"{call.operation.name}: the image of shape {call.shape} has {call.shape[2]} channels "
            "along its last axis: expected a 2D image, or one with a few channels."
        )


OPERATIONS = (
    Operation(
        name="measure.profile_line",
        title="Line profile",
        family=families.WHOLE_IMAGE,
        kind=Kind.STATISTIC,
        specs={
            "src": Array(shape=(2,), position=True, usual=(-9, 50)),
            "dst": Array(shape=(2,), position=True, usual=(-9, 50)),
            "linewidth": Number(integer=True, minimum=1, length=True, usual=(1, 5)),
            "order": Number(
                integer=True, minimum=0, maximum=5, optional=True, usual=(0, 5), advanced=True
            ),
            "mode": BORDER,
            "cval": CVAL,
            "reduce_func": FunctionSpec(
                optional=True, advanced=True, samples=(np.mean, np.max, np.sum, np.sqrt)
            ),
        },
        result=ResultSpec(output=Output.VALUES, shape=lambda call: None),
        limits=Limits(ndim=(2, 3), check=_check),
        plan_of=_plan,
        cost=Cost(
            memory=6.0,
            largest_region=_points,
            at_once=AtOnce(function=IN_MEMORY, when=lambda call: call["order"] in (None, 0, 1)),
        ),
        step=AsStep(calibration=PixelLengths(step=_step)),
        note="The last of three axes is the channel axis.",
    ),
)
