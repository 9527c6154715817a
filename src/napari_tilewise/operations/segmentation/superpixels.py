"""Segmentations in which every pixel may depend on every other: they need the whole image.

Felzenszwalb's graph sorts all edges of the image, quickshift links each pixel to a denser one, SLIC
places its grid of centres over the image and normalises by its extremes, the random walker solves
one linear system, and a snake moves on a spline through all pixels.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.operations.shared.common import CHANNEL, as_float, gaussian_length
from napari_tilewise.operations.shared.whole import WHOLE, gather_whole, handed_out
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.measuring.calibration import PixelLengths
from napari_tilewise.operations.spec.measuring.quantities import Quantity, position
from napari_tilewise.operations.spec.operation import (
    AsStep,
    Block,
    Call,
    Cost,
    Limits,
    Operation,
    Output,
    Part,
    Plan,
    ResultSpec,
    SingleAxes,
    Trial,
    no_channel,
)
from napari_tilewise.operations.spec.parameters import (
    AlignedImage,
    Array,
    ChannelAxis,
    ChoiceSpec,
    Flag,
    Number,
    Numbers,
    Seed,
)

if TYPE_CHECKING:
    from napari_tilewise.types import Parameters

# -- felzenszwalb, quickshift ----------------------------------------------------------------------


def _is_gray_with_channel_axis(call: Call) -> bool:
    """Return whether a 2D image has a channel axis.

    scikit-image treats it as a gray image, because channel_axis=-1 is the default, and returns the
    axis that another channel_axis names as the last one.
    """
    return len(call.shape) == 2 and call.channel_axis is not None


def _segments_shape(call: Call) -> tuple[int, ...]:
    if call.channel_axis is not None and _is_gray_with_channel_axis(call):
        return (*call.spatial_shape, call.shape[call.channel_axis])
    return call.spatial_shape


def _segments_channel(call: Call) -> int | None:
    return 1 if _is_gray_with_channel_axis(call) else None


def _shift_shape(call: Call) -> tuple[int, ...]:
    if _is_gray_with_channel_axis(call):
        return (*call.spatial_shape, 1)  # rows or columns are channels, of an image of one column
    return call.spatial_shape


def _check_quickshift(call: Call) -> None:
    if call["channel_axis"] is None or len(call.shape) == 1:
        raise InvalidImage(
            f"{call.operation.name}: an image of shape {call.shape} with "
            f"channel_axis={call['channel_axis']}: expected two spatial axes, and channel_axis=-1 "
            "or that of the channels."
        )
    channels = 1 if call.channel_axis is None else call.shape[call.channel_axis]
    if call["convert2lab"] and channels != 3:
        raise InvalidImage(
            f"{call.operation.name}: an image of shape {call.shape} has {channels} channels: "
            "expected 3 (red, green, blue), or convert2lab=False."
        )


def _quickshift(call: Call) -> Plan:
    def compute(block: Block) -> Any:
        result = call.function(block.data)
        # The tree and the distances are Cython memory views.
        return tuple(map(np.asarray, result)) if call["return_tree"] else result

    result = yield gather_whole(call, compute)
    return handed_out(call, result)


def _tree(call: Call) -> tuple[Part, ...] | None:
    if not call["return_tree"]:
        return None
    shape, channel = _shift_shape(call), _segments_channel(call)
    return (
        Part(Output.LABELS, np.intp, shape, channel),
        Part(Output.IMAGE, np.intp, shape, channel),
        Part(Output.IMAGE, as_float(call), shape, channel),
    )


# -- slic ------------------------------------------------------------------------------------------


def _check_slic(call: Call) -> None:
    if call.channel_axis is not None and call.ndim < 2:
        raise InvalidImage(
            f"{call.operation.name}: with channel_axis={call['channel_axis']} an image of shape "
            f"{call.shape} has only one spatial axis: expected channel_axis=None for a gray image."
        )
    if call["convert2lab"] and call.channel_axis is not None and call.shape[call.channel_axis] != 3:
        raise InvalidImage(
            f"{call.operation.name}: convert2lab=True needs 3 channels (red, green, blue); the "
            f"image of shape {call.shape} has {call.shape[call.channel_axis]}."
        )


# -- random_walker ---------------------------------------------------------------------------------


def _labels_dtype(call: Call) -> Any:
    return call.image_dtype("labels")


def _walker_output(call: Call) -> Output:
    """Return the kind of result: labels, or an array with a probability image per label."""
    return Output.VALUES if call["return_full_prob"] else Output.LABELS


def _walker_shape(call: Call) -> tuple[int, ...] | None:
    return None if call["return_full_prob"] else call.spatial_shape


def _check_walker(call: Call) -> None:
    if (dtype := call.image_dtype("labels")).kind not in "buif":
        raise InvalidImage(f"{call.operation.name}: labels has dtype {dtype}: expected numbers.")
    spacing = call["spacing"]
    if spacing is not None and np.size(spacing) != call.ndim:
        raise InvalidParameter(
            f"{call.operation.name}: spacing={spacing!r}: expected {call.ndim} numbers, one per "
            "spatial axis."
        )


BOUNDARY_CONDITIONS = (
    "periodic",
    "free",
    "fixed",
    "free-fixed",
    "fixed-free",
    "fixed-fixed",
    "free-free",
)

SEGMENTS = ResultSpec(
    output=Output.LABELS,
    dtype=lambda call: np.intp,
    shape=lambda call: call.spatial_shape,
    channel=no_channel,
)
SEGMENTS_OF_PLANE = replace(SEGMENTS, shape=_segments_shape, channel=_segments_channel)
SPACING = Numbers(
    pixel_size=True,
    item=Number(minimum=0, exclusive=True, usual=(0, 4)),
    least=2,
    optional=True,
    advanced=True,
)

SLIC = 7.0
"""Float64 images that superpixels take; measured."""


def _connected_pixels(call: Call) -> int:
    """Return what the image takes with the pixels that connectivity looks at, in pixels of it.

    They are listed, three integers for each, up to the largest size of a segment.
    """
    pixels, weights = prod(call.spatial_shape), gaussian_length(call["sigma"])
    if not call["enforce_connectivity"]:
        return weights
    listed = call["max_size_factor"] * pixels / max(1, call["n_segments"])
    channels = 1 if call.channel_axis is None else call.shape[call.channel_axis]
    return max(weights, pixels + int(3 * listed / (SLIC * max(1, channels))))


def _snake_columns(params: Parameters, ndim: int) -> dict[str, Quantity]:
    """Return the coordinates of a contour, which has none along a last axis of channels."""
    return {f"axis-{axis}": position(axis, ndim) for axis in range(2)}


OPERATIONS = (
    Operation(
        name="segmentation.slic",
        title="SLIC superpixels",
        family=families.SEGMENTATION,
        **WHOLE,
        specs={
            "n_segments": Number(integer=True, minimum=1, usual=(1, 100)),
            "compactness": Number(minimum=0, exclusive=True, usual=(0, 20)),
            "max_num_iter": Number(integer=True, minimum=0, usual=(1, 10), advanced=True),
            "sigma": Number(minimum=0, per_axis=True, length=True, usual=(0, 2)),
            "spacing": SPACING,
            "convert2lab": Flag(optional=True, advanced=True),
            "enforce_connectivity": Flag(advanced=True),
            "min_size_factor": Number(minimum=0, usual=(0, 1), advanced=True),
            "max_size_factor": Number(minimum=0, usual=(1, 4), advanced=True),
            "slic_zero": Flag(advanced=True),
            "start_label": ChoiceSpec(choices=(0, 1), advanced=True),
            "mask": AlignedImage(),
            "channel_axis": ChannelAxis(advanced=True),
        },
        limits=Limits(ndim=(2, 3), check=_check_slic),
        result=SEGMENTS,
        cost=Cost(memory=SLIC, largest_region=_connected_pixels),
        note="Needs the whole image: means of clusters are sums of floats in the order of all "
        "pixels, and connectivity is enforced by one walk through them.",
    ),
    Operation(
        name="segmentation.felzenszwalb",
        title="Felzenszwalb segmentation",
        family=families.SEGMENTATION,
        **WHOLE,
        result=SEGMENTS_OF_PLANE,
        limits=Limits(ndim=(1, 2), single=SingleAxes(of_image=2)),
        specs={
            "scale": Number(minimum=0, usual=(0, 200)),
            "sigma": Number(minimum=0, length=True, usual=(0, 3)),
            "min_size": Number(integer=True, minimum=0, area=True, usual=(0, 60)),
            "channel_axis": ChannelAxis(advanced=True),
        },
        cost=Cost(memory=44.0, largest_region=lambda call: gaussian_length(call["sigma"])),
        note="Needs the whole image: regions are merged in the order of all edges' weights.",
    ),
    Operation(
        name="segmentation.quickshift",
        title="Quickshift segmentation",
        family=families.SEGMENTATION,
        **{**WHOLE, "plan_of": _quickshift},
        specs={
            "ratio": Number(minimum=0, maximum=1, usual=(0, 1)),
            "kernel_size": Number(minimum=1, length=True, usual=(1, 4)),
            "max_dist": Number(minimum=0, length=True, usual=(0, 12)),
            "return_tree": Flag(advanced=True),
            "sigma": Number(minimum=0, length=True, usual=(0, 2)),
            "convert2lab": Flag(),
            "rng": Seed(advanced=True),
            "channel_axis": ChannelAxis(advanced=True, fewest_axes=3),
        },
        result=replace(SEGMENTS_OF_PLANE, shape=_shift_shape, parts=_tree),
        limits=Limits(ndim=(1, 2), check=_check_quickshift),
        cost=Cost(memory=9.0, largest_region=lambda call: gaussian_length(call["sigma"])),
        note="Needs the whole image: ties are broken by random numbers drawn for all pixels in "
        "order.",
    ),
    Operation(
        name="segmentation.random_walker",
        family=families.SEGMENTATION,
        **WHOLE,
        specs={
            "labels": AlignedImage(role="seeds", optional=False),
            "beta": Number(minimum=0, usual=(1, 400)),
            "mode": ChoiceSpec(choices=("cg_j", "cg", "cg_mg", "bf"), optional=True),
            "tol": Number(minimum=0, exclusive=True, usual=(0, 0.01), advanced=True),
            "copy": Flag(advanced=True),
            "return_full_prob": Flag(advanced=True),
            "spacing": SPACING,
            "prob_tol": Number(minimum=0, usual=(0, 0.01), advanced=True),
            "channel_axis": CHANNEL,
        },
        result=ResultSpec(
            output=Output.LABELS,
            output_of=_walker_output,
            dtype=_labels_dtype,
            shape=_walker_shape,
            channel=no_channel,
        ),
        limits=Limits(ndim=(2, 3), check=_check_walker),
        cost=Cost(trial=Trial(length=16), memory=110.0),
        note="Needs the whole image: one system of equations couples all pixels. The labels are "
        "never overwritten, whatever the value of copy. With return_full_prob "
        "the result is computed at once, because the number of labels is known only once the "
        "labels have been read. Each label beyond thirty takes the memory of three more images "
        "than stated.",
    ),
    Operation(
        name="segmentation.active_contour",
        family=families.SEGMENTATION,
        **WHOLE,
        specs={
            "snake": Array(ndim=2, position=True, usual=(0, 40), longest=12),
            "alpha": Number(usual=(0, 0.1)),
            "beta": Number(usual=(0, 1)),
            "w_line": Number(usual=(-1, 1)),
            "w_edge": Number(usual=(-1, 1)),
            "gamma": Number(usual=(0.01, 0.1)),
            "max_px_move": Number(minimum=0, usual=(0.1, 2), advanced=True),
            "max_num_iter": Number(integer=True, minimum=1, usual=(1, 60)),
            "convergence": Number(minimum=0, usual=(0, 0.5), advanced=True),
            "boundary_condition": ChoiceSpec(choices=BOUNDARY_CONDITIONS),
        },
        result=ResultSpec(output=Output.POINTS, dtype=as_float, shape=lambda call: None),
        step=AsStep(calibration=PixelLengths(columns=_snake_columns, rows=True)),
        limits=Limits(ndim=(2, 3)),
        cost=Cost(memory=16.0),
        note="Needs the whole image: the contour reads a spline through all pixels wherever it "
        "moves. An image with three axes is treated as (rows, columns, red-green-blue).",
    ),
)
