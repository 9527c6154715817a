"""`skimage.feature.canny`: thin edges from a halo, and strong ones from connected components.

Smoothing, gradient and thinning need a finite halo; connected components of the whole image join
weak edges to strong ones. Only the smoothing uses the border mode: a wrapped border is cropped
before the gradient, which always mirrors at the image's border.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from scipy import ndimage as ndi
from skimage.filters import gaussian

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.grid import Region, clip, within
from napari_tilewise.operations.filters.hysteresis import strong_components
from napari_tilewise.operations.shared.common import (
    BORDER,
    CVAL,
    as_float,
    gaussian_radius,
    kernel_length,
)
from napari_tilewise.operations.shared.components import (
    LABELLING,
    Components,
    Pieces,
    RetainedPieces,
    gather_components,
)
from napari_tilewise.operations.shared.percentiles import percentiles
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    IN_ONE_CALL,
    Adapter,
    AtOnce,
    Block,
    Call,
    Cost,
    HaloLike,
    Kind,
    Limits,
    Neighbourhood,
    Operation,
    Output,
    Plan,
    ResultSpec,
    Tiles,
)
from napari_tilewise.operations.spec.parameters import AlignedImage, Flag, Number
from napari_tilewise.operations.spec.substitution import run_fastest

SMOOTHING = "skimage.filters.gaussian"
DERIVATIVE = "scipy.ndimage.sobel"
THINNING = "napari_tilewise.operations.feature.canny.thinned_magnitude"
FULL = np.ones((3, 3), bool)


def _halo(call: Call) -> HaloLike:
    return [gaussian_radius(sigma) + 2 for sigma in call.per_axis(call["sigma"])]


def _check(call: Call) -> None:
    if call.dtype in (np.int64, np.uint64):
        raise InvalidImage(
            f"{call.operation.name} does not take {call.dtype} images: expected at most 32-bit "
            "integers. Convert the image first."
        )
    low, high = _thresholds(call)
    if call["use_quantiles"] and not (0 <= low <= 1 and 0 <= high <= 1):
        raise InvalidParameter(
            f"{call.operation.name}: low_threshold={low!r}, high_threshold={high!r} with "
            "use_quantiles=True: expected quantiles from 0 to 1."
        )
    if high < low:
        raise InvalidParameter(
            f"{call.operation.name}: high_threshold={call['high_threshold']!r} is below "
            f"low_threshold={call['low_threshold']!r} (defaults: 20 % and 10 % of the dtype's "
            "largest value): expected high_threshold >= low_threshold."
        )


def _thresholds(call: Call) -> tuple[float, float]:
    """Return both thresholds as fractions of the dtype's largest value, or as quantiles."""
    thresholds = []
    for name, default in (("low_threshold", 0.1), ("high_threshold", 0.2)):
        value = call[name]
        if value is None:
            value = default
        elif not call["use_quantiles"]:
            value /= np.iinfo(call.dtype).max if call.dtype.kind in "ui" else 1
        thresholds.append(value)
    return thresholds[0], thresholds[1]


def _smooth(call: Call, image: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Return the smoothed image, divided by what the border and the mask leave of the weights."""
    border = {name: call[name] for name in ("sigma", "mode", "cval")}
    weights = None
    if mask is not None:
        inside = mask.astype(bool, copy=False)
        image, weights = np.where(inside, image, image.dtype.type(0)), inside.astype(as_float(call))
    elif call["mode"] == "constant":
        weights = np.ones(image.shape, as_float(call))
    smooth = np.asarray(run_fastest(SMOOTHING, gaussian, image, **border))
    if weights is not None:
        share = run_fastest(SMOOTHING, gaussian, weights, **border)
        smooth /= share + np.finfo(as_float(call)).eps
    return smooth


def _smoothed(call: Call, block: Block) -> tuple[np.ndarray, np.ndarray | None, Region]:
    """Return the smoothed part of a block inside the image, that of its mask, and the core."""
    mask = block.images.get("mask")
    smooth = _smooth(call, block.data, mask)
    inside = clip(block.region, call.spatial_shape)
    box = within(inside, block.region)
    smooth = np.ascontiguousarray(smooth[box])
    return smooth, None if mask is None else mask[box], within(block.tile, inside)


def _gradient(smooth: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the derivatives along rows and columns, and their magnitude, as `canny` has them."""
    columns = run_fastest(DERIVATIVE, ndi.sobel, smooth, axis=1)
    rows = run_fastest(DERIVATIVE, ndi.sobel, smooth, axis=0)
    magnitude = rows * rows
    magnitude += columns * columns
    np.sqrt(magnitude, out=magnitude)
    return rows, columns, magnitude


def thinned_magnitude(smooth: np.ndarray, mask: np.ndarray | None, low: float) -> np.ndarray:
    """Return the gradient's magnitude where it is the largest along the gradient, else 0.

    Parameters
    ----------
    smooth
        The smoothed image, float32 or float64.
    mask
        Which pixels may be edges; None: all but those at the border.
    low
        Smallest magnitude of an edge.
    """
    if mask is None:
        mask = ndi.binary_erosion(np.ones(smooth.shape, bool), FULL, border_value=0)
    suppress = reach("feature._canny_cy", "_nonmaximum_suppression_bilinear")
    return np.asarray(suppress(*_gradient(smooth), mask, low))


def _thin_edges(call: Call, block: Block, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a tile's thinned edges above the low threshold, and those above the high one."""
    smooth, mask, core = _smoothed(call, block)
    if mask is not None:  # pixels whose neighbourhoods leave the image have no edges anyway
        mask = ndi.binary_erosion(mask.astype(bool), FULL, border_value=0)
    thinned = run_fastest(THINNING, thinned_magnitude, smooth, mask, low)[core]
    weak = thinned > 0
    return weak, weak & (thinned >= high)


def _plan(call: Call) -> Plan:
    low, high = _thresholds(call)
    halo = _halo(call)
    if call["use_quantiles"]:
        low, high = yield from percentiles(
            call,
            lambda block: _magnitude(call, block),
            [100.0 * low, 100.0 * high],
            as_float(call),
            halo=halo,
        )

    def tile_components(block: Block) -> Pieces:
        return strong_components(*_thin_edges(call, block, low, high), 2)

    pieces = RetainedPieces(tile_components)
    components: Components = yield gather_components(
        pieces.first, 2, halo=halo, ufuncs={"strong": np.logical_or}
    )
    is_strong = components.measures["strong"].copy()
    is_strong[0] = False
    return Tiles(
        lambda block: components.look_up(is_strong, block.position, pieces.again(block)),
        halo=halo,
        on_grid=True,
    )


def _magnitude(call: Call, block: Block) -> Any:
    smooth, _, core = _smoothed(call, block)
    return _gradient(smooth)[-1][core]


def _is_sorted_or_small(call: Call) -> bool:
    """Return whether the function is faster than kernels: where it sorts, or of few pixels."""
    return bool(call["use_quantiles"]) or prod(call.shape) <= 2**14


OPERATIONS = (
    Operation(
        name="feature.canny",
        title="Canny edges",
        family=families.EDGES,
        kind=Kind.CONNECTED,
        specs={
            "sigma": Number(minimum=0, per_axis=True, length=True, usual=(0, 5)),
            "low_threshold": Number(optional=True, difference=True, usual=(0, 0.3), start=0.1),
            "high_threshold": Number(optional=True, difference=True, usual=(0.1, 0.6), start=0.2),
            "mask": AlignedImage(advanced=True),
            "use_quantiles": Flag(),
            "mode": BORDER,
            "cval": CVAL,
        },
        result=ResultSpec(output=Output.MASK, dtype=lambda call: np.bool_),
        neighbourhood=Neighbourhood(halo=_halo, border="mode"),
        plan_of=_plan,
        adapter=Adapter(kernels=(SMOOTHING, THINNING, DERIVATIVE, LABELLING)),
        limits=Limits(ndim=(2, 2), check=_check),
        cost=Cost(
            memory=10.0,
            largest_region=kernel_length,
            at_once=AtOnce(function=IN_ONE_CALL, when=_is_sorted_or_small),
        ),
    ),
)
