"""`skimage.measure.profile_line`: only the boxes that the line runs through are read.

The line is cut into pieces; each piece's box holds every pixel that its interpolation touches, so
that `scipy.ndimage.map_coordinates` makes the same numbers of it as of the whole image.
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
from napari_tilewise.operations.spec.operation import (
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
    from napari_tilewise.grid import Region

PIECE = 256
"""Steps along the line that are taken from one box."""

PREFILTER = 128
"""The reach of the spline prefilter of order 2 to 5. Its slowest response falls by 0.43 per pixel:
below one unit in the last place after 44, and what rounding it leaves dies out as fast."""

PADDING = 12
"""Pixels that SciPy puts around the image for splines that continue it by one value."""


def _plan(call: Call) -> Plan:
    validate = reach("_shared.utils", "_validate_interpolation_order")
    order = validate(call.dtype, call["order"])
    coordinates = reach("measure.profile", "_line_profile_coordinates")
    lines = coordinates(call["src"], call["dst"], linewidth=call["linewidth"])
    if order > 1 and call["mode"] in ("nearest", "constant"):
        # SciPy moves the points by its padding: rounding must be that of absolute coordinates
        lines = (lines + PADDING) - PADDING
    pieces = [lines[:, start : start + PIECE] for start in range(0, lines.shape[1], PIECE)]
    boxes = [_box(call, piece, order) for piece in pieces]

    def of(block: Block) -> dict[int, np.ndarray]:
        (number,) = block.position
        start = np.reshape(block.start[:2], (2, 1, 1))
        return {number: _interpolated(call, block.data, pieces[number] - start, order)}

    found = yield Reduce(of, lambda a, b: a | b, regions=boxes, description="line profile")
    # (channel, step, across): NumPy adds up in the order of memory, which must be scikit-image's
    channels, _, across = found[0].shape
    stacked = np.empty((channels, lines.shape[1], across), found[0].dtype)
    for number, part in found.items():
        stacked[:, number * PIECE : number * PIECE + part.shape[1]] = part
    pixels = stacked.transpose(1, 2, 0) if call.ndim == 3 else stacked[0]
    pixels = np.flip(pixels, axis=1)
    reduce_func = call["reduce_func"]
    if reduce_func is None:
        return Value(pixels)
    try:
        return Value(reduce_func(pixels, axis=1))
    except TypeError:  # as in scikit-image: the function has no axis
        return Value(np.apply_along_axis(reduce_func, arr=pixels, axis=1))


def _interpolated(call: Call, image: np.ndarray, points: np.ndarray, order: int) -> np.ndarray:
    """Return the values at some points, one array for each channel."""
    channels = [image] if image.ndim == 2 else [image[..., i] for i in range(image.shape[-1])]
    mode = reach("_shared.utils", "_fix_ndimage_mode")(call["mode"])
    keywords = {"prefilter": order > 1, "order": order, "mode": mode, "cval": call["cval"]}
    return np.stack([ndi.map_coordinates(channel, points, **keywords) for channel in channels])


def _box(call: Call, points: np.ndarray, order: int) -> Region:
    """Return the box of the image that interpolation at some points needs."""
    margin = order // 2 + 2 + (PREFILTER if order > 1 else 0)
    box = []
    for axis, n in enumerate(call.shape[:2]):
        low, high = np.floor(points[axis].min()), np.ceil(points[axis].max())
        box.append(_span(low, high, n, margin, call["mode"]))
    return (*box, *(slice(0, n) for n in call.shape[2:]))


def _span(low: float, high: float, n: int, margin: int, mode: str) -> slice:
    """Return which pixels along an axis are needed for points from low to high.

    A box that ends where the image does continues it as the whole image does, so long as it
    holds what the border mode mirrors.
    """
    first, last = low - margin, high + margin
    if mode == "wrap" and (first < 0 or last > n - 1):
        return slice(0, n)
    mirrored = mode in ("reflect", "mirror")
    if low < 0:
        first, last = 0, max(last, (-low if mirrored else 0) + margin)
    if high > n - 1:
        first, last = min(first, n - 1 - (high - (n - 1) if mirrored else 0) - margin), n - 1
    start = int(np.clip(first, 0, n - 1))
    return slice(start, int(np.clip(last, start, n - 1)) + 1)


def _check(call: Call) -> None:
    if call.ndim == 3 and prod(call.shape[2:]) > 2**16:
        raise InvalidImage(
            f"{call.operation.name}: the image of shape {call.shape} has {call.shape[2]} channels "
            "along its last axis: expected a plane, or one with a few channels."
        )


OPERATIONS = (
    Operation(
        name="measure.profile_line",
        family=families.WHOLE_IMAGE,
        kind=Kind.STATISTIC,
        specs={
            "src": Array(shape=(2,), usual=(-9, 50)),
            "dst": Array(shape=(2,), usual=(-9, 50)),
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
        cost=Cost(memory=6.0),
        note="The last axis of an image with three holds channels.",
    ),
)
