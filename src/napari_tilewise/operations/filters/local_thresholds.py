"""`skimage.filters`, local thresholds: a threshold for every pixel from the window around it."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.operations.filters.thresholds import ABOVE, above
from napari_tilewise.operations.shared.common import (
    BORDER,
    CVAL,
    as_float,
    check_mirroring,
    gaussian_radius,
    kernel_length,
    require_finite,
    running_median,
)
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    IN_ONE_CALL,
    WIDENED_IN_BANDS,
    Accuracy,
    Adapter,
    AsStep,
    AtOnce,
    Block,
    Call,
    Constraint,
    Cost,
    HaloLike,
    Kind,
    Limits,
    Neighbourhood,
    Operation,
    ResultSpec,
    Tiles,
    tiled,
)
from napari_tilewise.operations.spec.parameters import ChoiceSpec, Either, FunctionSpec, Number

if TYPE_CHECKING:
    from napari_tilewise.types import Parameters

WINDOW = Number(integer=True, odd=True, minimum=1, per_axis=True, length=True, usual=(3, 31))


def _local_halo(call: Call) -> HaloLike:
    blocks = call.per_axis(call["block_size"])
    if call["method"] != "gaussian":
        return tuple(block // 2 for block in blocks)
    param = call["param"]
    sigmas = [(b - 1) / 6.0 for b in blocks] if param is None else call.per_axis(param)
    return tuple(gaussian_radius(sigma) for sigma in sigmas)


def _window_halo(call: Call) -> HaloLike:
    return tuple(width // 2 for width in call.per_axis(call["window_size"]))


def _window_pixels(call: Call) -> int:
    """Return the pixels of a kernel of weights, or of a window whose pixels are sorted."""
    if call["method"] in ("generic", "median"):
        return prod(call.per_axis(call["block_size"]))
    return kernel_length(call)


def _check_local(call: Call) -> None:
    if call.dtype.kind == "f" and call.dtype.itemsize > 8:
        raise InvalidImage("filters.threshold_local does not take long floats: convert to float64.")
    method, param = call["method"], call["param"]
    if method == "generic" and not callable(param):
        raise InvalidParameter(
            f"filters.threshold_local: param={param!r} with method='generic': expected a function "
            "of a window's pixels, such as numpy.max."
        )
    if method == "gaussian" and callable(param):
        raise InvalidParameter(
            "filters.threshold_local: param is a function with method='gaussian': expected the "
            "Gaussian's scale, or method='generic'."
        )
    if method in ("generic", "median"):
        check_mirroring(call, [width // 2 for width in call.per_axis(call["block_size"])])


def _mirrored_once(params: Parameters, image: np.ndarray, solution: int) -> Parameters:
    """Return another border mode for windows that reach over four times a small image.

    SciPy mirrors pixels that far away to one outside the image (see `check_mirroring`).
    """
    reach = np.max(params.get("block_size", 3)) // 2
    by_windows = params.get("method") in ("generic", "median")
    return {"mode": "mirror"} if by_windows and reach >= 4 * min(image.shape) else {}


def _summed(call: Call) -> Tiles:
    """Plan running sums along lines, which any pixel that is not finite would spoil."""

    def compute(block: Block) -> np.ndarray:
        require_finite(call, block.data, "running sums spread it over the rest of the line")
        return np.asarray(call.function(block.data))

    return Tiles(compute, halo=call.operation.neighbourhood.halo(call))


def _local(call: Call) -> Tiles:
    if call["method"] == "median" and call.ndim == 1:
        return running_median(call)
    return _summed(call) if call["method"] == "mean" else tiled(call)


def _takes_whole(call: Call) -> bool:
    """Return whether tiles cannot pay: of a volume's running means, halos are a large part."""
    return prod(call.shape) <= 2**16 or (call["method"] == "mean" and call.ndim > 2)


def _window(name: str, **specs: Any) -> Operation:
    return Operation(
        name=f"filters.threshold_{name}",
        family=families.THRESHOLDS,
        kind=Kind.NEIGHBOURHOOD,
        # Both use prefix sums over the whole array, whose rounding error grows with its size: a
        # window's variance has an error of about eps * pixels * <I^2> / window area, and a
        # deviation of zero becomes its root: for 131072 x 131072 pixels and a window of 15, 9e-5
        # of the image's scale, times k. The tile's result is the more accurate one. Single
        # precision rounds the variance itself to 2**-24, whose root is 2.4e-4, on both sides.
        accuracy=Accuracy(tolerance=1e-4, single=5e-4, pixels=2**34),
        specs={"window_size": WINDOW, "k": Number(usual=(0, 1)), **specs},
        neighbourhood=Neighbourhood(halo=_window_halo),
        plan_of=_summed,
        adapter=Adapter(kernels=(f"skimage.filters.threshold_{name}",)),
        result=ResultSpec(dtype=as_float),
        step=AsStep(apply=above, text=ABOVE),
        cost=Cost(memory=12.0, at_once=AtOnce(function=IN_ONE_CALL, finite=True)),
    )


OPERATIONS = (
    Operation(
        name="filters.threshold_local",
        family=families.THRESHOLDS,
        kind=Kind.NEIGHBOURHOOD,
        # Bit for bit except method="mean", a running sum along each line: two roundings per pixel,
        # so at most 2 * eps * length per axis, 1e-10 for lines of 2**18 pixels. In single precision
        # the first axis's result is rounded to float32, where the difference may become 2**-23.
        accuracy=Accuracy(tolerance=1e-10, single=2.0**-22),
        specs={
            "block_size": WINDOW,
            "method": ChoiceSpec(choices=("gaussian", "mean", "median", "generic")),
            "offset": Number(difference=True, usual=(-0.2, 0.2)),
            "mode": BORDER,
            "param": Either(
                options=(
                    Number(minimum=0, usual=(0, 6), per_axis=True),
                    FunctionSpec(samples=(np.max,)),
                ),
                optional=True,
                advanced=True,
            ),
            "cval": CVAL,
        },
        neighbourhood=Neighbourhood(halo=_local_halo, border="mode"),
        plan_of=_local,
        adapter=Adapter(kernels=("skimage.filters.threshold_local",)),
        result=ResultSpec(dtype=as_float),
        constraints=(Constraint(names=("mode",), satisfy=_mirrored_once),),
        limits=Limits(check=_check_local),
        step=AsStep(apply=above, text=ABOVE),
        cost=Cost(
            memory=5.0,
            largest_region=_window_pixels,
            at_once=WIDENED_IN_BANDS._replace(function=2**20, finite=True, when=_takes_whole),
        ),
    ),
    _window("niblack"),
    _window("sauvola", r=Number(minimum=0, exclusive=True, usual=(0.1, 2), optional=True)),
)
