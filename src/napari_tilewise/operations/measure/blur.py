"""`skimage.measure.blur_effect`: two sums per axis over the image and its blurred copy."""

from __future__ import annotations

from math import prod

import numpy as np
from scipy import ndimage as ndi
from skimage.color import rgb2gray
from skimage.filters import sobel
from skimage.util import img_as_float

from napari_tilewise.errors import InvalidImage
from napari_tilewise.operations.shared.common import CHANNEL
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    IN_MEMORY,
    Accuracy,
    AtOnce,
    Block,
    Call,
    Cost,
    Kind,
    Limits,
    Neighbourhood,
    Operation,
    Output,
    Plan,
    Reduce,
    ResultSpec,
    Value,
)
from napari_tilewise.operations.spec.parameters import FunctionSpec, Number

FEW = 2**16
"""Pixels of a plane whose tiles take longer than all of it."""
LEAST = np.spacing(np.float64(1))
"""scikit-image's smallest gradient, which also converts single precision to double."""


def _blur_effect(call: Call) -> Plan:
    def gradient_sums(block: Block) -> np.ndarray:
        """Return a tile's sums (axis, sharp and lost gradients), without the image's border."""
        image = block.data
        if call.channel_axis is not None:
            image = rgb2gray(np.moveaxis(image, call.channel_axis, -1))
        image = img_as_float(image)
        inner = tuple(
            slice(max(tile.start, 2) - region.start, min(tile.stop, n - 1) - region.start)
            for tile, region, n in zip(block.tile, block.region, call.spatial_shape, strict=True)
        )
        inner = tuple(slice(s.start, max(s.start, s.stop)) for s in inner)
        sums = []
        for axis in range(image.ndim):
            blurred = ndi.uniform_filter1d(image, call["h_size"], axis=axis)
            sharp = np.maximum(LEAST, np.abs(sobel(image, axis=axis)[inner]))
            blur = np.maximum(LEAST, np.abs(sobel(blurred, axis=axis)[inner]))
            sums.append([sharp.sum(), np.maximum(0, sharp - blur).sum()])
        return np.array(sums)

    sums = yield Reduce(gradient_sums, np.add, halo=_halo(call), description="gradients")
    blurs = [np.abs(sharp - lost) / sharp for sharp, lost in sums]
    return Value(blurs if call["reduce_func"] is None else call["reduce_func"](blurs))


def _halo(call: Call) -> int:
    return int(call["h_size"]) // 2 + 1


def _line_of_window(call: Call) -> int:
    """Return the pixels of a line as SciPy copies it, with half a window at both ends."""
    return int(call["h_size"]) // 9 + 1  # a pixel takes as much as 9 of the line


def _is_small_or_deep(call: Call) -> bool:
    """Return whether tiles take longer than the whole image."""
    return len(call.spatial_shape) > 2 or prod(call.spatial_shape) <= FEW


def _check(call: Call) -> None:
    if call.channel_axis is not None and call.shape[call.channel_axis] != 3:
        raise InvalidImage(
            f"{call.operation.name}: the image has {call.shape[call.channel_axis]} channels along "
            f"axis {call.channel_axis}: expected 3 (red, green, blue)."
        )


OPERATIONS = (
    Operation(
        name="measure.blur_effect",
        family=families.WHOLE_IMAGE,
        kind=Kind.STATISTIC,
        # scikit-image's blurred pixels have the rounding error of a running sum along the whole
        # line, its sums that of adding up row after row: both grow with the root of the number of
        # pixels. This tolerance is 340 units in the last place times that root. The gray values of
        # color images, products by BLAS, have the precision of the image's own dtype.
        accuracy=Accuracy(tolerance=1e-8, single=5e-2, pixels=2**34),
        specs={
            "h_size": Number(integer=True, minimum=1, length=True, usual=(1, 15)),
            "channel_axis": CHANNEL,
            "reduce_func": FunctionSpec(
                optional=True, advanced=True, samples=(np.max, np.mean, np.min)
            ),
        },
        result=ResultSpec(
            output=Output.SCALAR,
            shape=lambda call: None if call["reduce_func"] is None else (),
            dtype=lambda call: np.float64,
        ),
        neighbourhood=Neighbourhood(halo=_halo),
        plan_of=_blur_effect,
        limits=Limits(check=_check),
        cost=Cost(
            memory=9.0,
            largest_region=_line_of_window,
            at_once=AtOnce(function=IN_MEMORY, finite=True, when=_is_small_or_deep),
        ),
    ),
)
