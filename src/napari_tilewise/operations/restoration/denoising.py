"""`skimage.restoration`: removal of noise and background.

The bilateral filter's colour table depends on the whole image's maximum, minimum and standard
deviation: reductions compute them and pass them to its kernel. The others need neighbours only.
"""

from __future__ import annotations

from functools import wraps
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.util import img_as_float

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.operations.restoration import tv
from napari_tilewise.operations.shared import global_numbers
from napari_tilewise.operations.shared.common import CHANNEL, CVAL, as_float, require_finite
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.shared.whole import WHOLE
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.declared_function import Constraint
from napari_tilewise.operations.spec.deprecated_parameters import without
from napari_tilewise.operations.spec.keyword_specs import Flags
from napari_tilewise.operations.spec.operation import (
    IN_ONE_CALL,
    SLOW,
    Accuracy,
    Adapter,
    AtOnce,
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
    ResultSpec,
    SingleAxes,
    Tiles,
    Trial,
    tiled,
)
from napari_tilewise.operations.spec.parameters import ChoiceSpec, Either, Flag, Footprint, Number

if TYPE_CHECKING:
    from napari_tilewise.operations.spec.adapter import Function
    from napari_tilewise.types import Parameters

# -- axes of one pixel -----------------------------------------------------------------------------


def _with_single_axes(function: Function) -> Function:
    """Return a function whose results have the axes of one pixel that scikit-image's drop."""

    @wraps(function)
    def reshaped(
        image: np.ndarray, *args: Any, channel_axis: int | None = None, **params: Any
    ) -> Any:
        if 1 not in image.shape:
            return function(image, *args, channel_axis=channel_axis, **params)
        if channel_axis is None:
            return np.reshape(function(image, *args, **params), image.shape)
        image = np.moveaxis(image, channel_axis, -1)  # others are an error beside a dropped axis
        result = function(image, *args, channel_axis=-1, **params)
        return np.moveaxis(np.reshape(result, image.shape), -1, channel_axis)

    return reshaped


def _always(call: Call, image: Any) -> bool:
    return True


# -- bilateral -------------------------------------------------------------------------------------


def _window(call: Call) -> int:
    if call["win_size"] is None:
        return max(5, 2 * ceil(3 * float(call["sigma_spatial"])) + 1)
    return int(call["win_size"])


def _bilateral_halo(call: Call) -> HaloLike:
    return (_window(call) - 1) // 2


def _largest_table(call: Call) -> int:
    """Return the pixels of the largest cut of the sums, or of the table of distances or colours."""
    return max(global_numbers.largest_cut(call), _window(call) ** 2, int(call["bins"]))


def _check_bilateral(call: Call) -> None:
    if call.dtype == np.float16:
        raise InvalidImage(
            f"{call.operation.name} does not take float16 images: convert to float32 or float64."
        )


def _is_not_constant(call: Call, image: Any) -> bool:
    """Return whether the image is computed at all; a lazy one is taken to be."""
    return not isinstance(image, np.ndarray) or bool(image.min() != image.max())


def _bilateral(call: Call) -> Plan:
    low, high = yield from global_numbers.extremes(call, finite=True)
    if low == high:
        # scikit-image returns a constant image unchanged, without scaling it.
        return Tiles(lambda block: block.data, dtype=call.dtype)
    check_range(call, low, high)
    sigma = call["sigma_color"] or (yield from global_numbers.deviation(call, img_as_float))
    return Tiles(
        lambda block: _bilateral_block(block, call, low, high, sigma), halo=_bilateral_halo(call)
    )


def _has_known_range(image: np.ndarray) -> bool:
    """Return whether the data type holds the range of an image: the plan refuses others."""
    return image.dtype.kind != "i" or (
        int(image.max(initial=0)) - int(image.min(initial=0)) <= np.iinfo(image.dtype).max
    )


def _has_usual_channels(call: Call) -> bool:
    """Return whether the function takes an image's channels without a warning."""
    return call.channel_axis is None or call.shape[call.channel_axis] in (3, 4)


BILATERAL_AT_ONCE = AtOnce(
    function=IN_ONE_CALL, kernel=2**26, when=_has_usual_channels, suits=_has_known_range
)


def check_range(call: Call, low: Any, high: Any) -> None:
    """Refuse integers whose range their type does not hold: their weights are undefined."""
    if call.dtype.kind == "i" and int(high) - int(low) > np.iinfo(call.dtype).max:
        raise InvalidImage(
            f"{call.operation.name}: pixels from {low} to {high} lie farther apart than "
            f"{call.dtype} holds, for which scikit-image's weights are undefined. Convert the "
            "image to a wider type or to float."
        )


def _bilateral_block(block: Block, call: Call, low: Any, high: Any, sigma: Any) -> np.ndarray:
    """Run the part of `denoise_bilateral` that follows its global statistics."""
    data = block.data
    if call.channel_axis is not None:
        data = np.moveaxis(data, call.channel_axis, -1)
    image = np.ascontiguousarray(np.atleast_3d(img_as_float(data)))
    color_lut = reach("restoration._denoise", "_compute_color_lut")
    spatial_lut = reach("restoration._denoise", "_compute_spatial_lut")
    colors = color_lut(call["bins"], sigma, high, dtype=image.dtype)
    distances = spatial_lut(_window(call), call["sigma_spatial"], dtype=image.dtype)
    if low < 0:
        image = image - low
        high = high - low
    out = _weighted(call, image, high, sigma, colors, distances)
    if low < 0:
        out += low
    if call.channel_axis is None:
        return out.reshape(block.data.shape)
    return np.moveaxis(out, -1, call.channel_axis)


def _weighted(
    call: Call, image: np.ndarray, high: Any, sigma: Any, colors: np.ndarray, distances: np.ndarray
) -> np.ndarray:
    """Return the weighted means of an image whose channels are last, by a kernel where one fits."""
    from napari_tilewise.kernels import available, bilateral_filtered, is_bilateral

    border, plane = (call["mode"], call["cval"]), image[..., 0]
    is_gray = image.shape[2] == 1 and available()
    if is_gray and is_bilateral(plane, _window(call), call["bins"], *border):
        out = bilateral_filtered(plane, _window(call), (colors, distances), high, border)
        return out[..., np.newaxis]
    out = np.empty(image.shape, image.dtype)
    reach("restoration._denoise_cy", "_denoise_bilateral")(
        image,
        high,
        _window(call),
        sigma,
        call["sigma_spatial"],
        call["bins"],
        *border,
        colors,
        distances,
        np.empty(image.shape[2], image.dtype),
        out,
    )
    return out


# -- non-local means -------------------------------------------------------------------------------


def _nl_padding(call: Call) -> int:
    """Return by how many pixels scikit-image pads its image, the slower mode by one less."""
    return int(call["patch_distance"] + call["patch_size"] // 2 + 1)


def _nl_halo(call: Call) -> HaloLike:
    # The fast mode mirrors one more pixel at the border than it uses.
    return _nl_padding(call)


def _check_nl(call: Call) -> None:
    if call["fast_mode"]:
        return
    if call.ndim > 3 or (call.ndim == 3 and call.channel_axis is not None):
        raise InvalidParameter(
            f"{call.operation.name}: fast_mode=False on an image with {call.ndim} spatial axes"
            f"{' and channels' if call.channel_axis is not None else ''}: expected two axes, or "
            "three without channels. Use fast_mode=True."
        )


def _nl_means(call: Call) -> Tiles:
    if not call["fast_mode"]:
        return tiled(call)

    def compute(block: Block) -> np.ndarray:
        require_finite(call, block.data, "sums of distances carry on")
        return np.asarray(call.function(block.data))

    return Tiles(compute, halo=_nl_halo(call))


def _drops_nl_axes(call: Call, image: Any) -> bool:
    return bool(call["fast_mode"]) or call.ndim < 3


# -- Bregman's total variation ---------------------------------------------------------------------


def _is_single_line(image: np.ndarray, params: Parameters) -> bool:
    shape = list(image.shape)
    if params["channel_axis"] is not None:
        del shape[params["channel_axis"]]
    return len(shape) < 2 or 1 in shape[:2]


SINGLE_LINE = Deviation(
    calls="images that are one pixel high or wide",
    library="reads memory beside the image, such as 1e160 in place of 0.04",
    ours="a refusal",
    versions="0.26",
    applies=_is_single_line,
    answered=False,
)


def _check_bregman(call: Call) -> None:
    if call.ndim + (call.channel_axis is not None) > 3:
        raise InvalidImage(
            f"{call.operation.name} takes at most three axes, including channels; the image of "
            f"shape {call.shape} has {len(call.shape)}."
        )
    if call.dtype == np.float16:
        raise InvalidImage(
            f"{call.operation.name} does not take float16 images: convert to float32 or float64."
        )
    if min(call.spatial_shape[:2]) < 2:
        raise InvalidImage(
            f"{call.operation.name}: the image of shape {call.shape} is one pixel high or wide, of "
            "which scikit-image's function reads memory beside the image: expected at least 2 "
            "pixels along the first two axes."
        )


# -- phase -----------------------------------------------------------------------------------------


def _check_phase(call: Call) -> None:
    wrap_around = call["wrap_around"]
    if call.ndim == 1 and np.any(wrap_around):
        raise InvalidParameter(
            f"{call.operation.name}: wrap_around={wrap_around!r} is not supported for one axis."
        )
    # where there is one line only, which has no neighbours, scikit-image's answer is not repeatable
    if _wraps_single(wrap_around, call.spatial_shape):
        raise InvalidParameter(
            f"{call.operation.name}: wrap_around={wrap_around!r}: expected False along an axis of "
            f"one pixel (shape {call.spatial_shape}), which is its own neighbour. Name the axes to "
            f"wrap one by one, for example "
            f"wrap_around={[bool(n > 1) for n in call.spatial_shape]!r}."
        )


def _wraps_single(wrap_around: Any, shape: tuple[int, ...]) -> bool:
    wrapped = [wrap_around] * len(shape) if np.isscalar(wrap_around) else wrap_around
    return any(wraps and n == 1 for wraps, n in zip(wrapped, shape, strict=False))


def _open_where_single(params: Parameters, image: np.ndarray, solution: int) -> Parameters:
    """Return a value that wraps no axis of one pixel; a constraint's solution."""
    wraps = _wraps_single(params.get("wrap_around", False), image.shape)
    return {"wrap_around": False} if wraps else {}


# -- rolling ball ----------------------------------------------------------------------------------


def _ball_halo(call: Call) -> HaloLike:
    kernel = call["kernel"]
    if kernel is None:
        return ceil(float(call["radius"]))
    return [(n // 2, n - 1 - n // 2) for n in kernel.shape]


def _ball_padding(call: Call) -> int:
    kernel = call["kernel"]
    return ceil(float(call["radius"])) if kernel is None else max(kernel.shape) // 2


OPERATIONS = (
    *tv.OPERATIONS,
    Operation(
        name="restoration.denoise_tv_bregman",
        title="Total variation denoising (Bregman)",
        family=families.DENOISING,
        # A Gauss-Seidel iteration updates each pixel after its neighbours in raster order: every
        # pixel depends on all previous ones
        **WHOLE,
        specs={
            "weight": Number(usual=(0.5, 20)),
            "max_num_iter": Number(minimum=0, integer=True, usual=(1, 100)),
            "eps": Number(minimum=0, usual=(1e-4, 1e-2), advanced=True),
            "isotropic": Flag(),
            "channel_axis": CHANNEL,
        },
        result=ResultSpec(dtype=as_float),
        adapter=Adapter(wrap=_with_single_axes),
        accuracy=Accuracy(deviations=(SINGLE_LINE,)),
        limits=Limits(check=_check_bregman, ndim=(2, 3), single=SingleAxes(of_result=_always)),
        cost=Cost(memory=10.0),
        note="Needs the whole image: an iteration changes pixels one after the other, each from "
        "those before it. A third axis that is not the channel axis is not smoothed, as in "
        "scikit-image.",
    ),
    Operation(
        name="restoration.denoise_bilateral",
        family=families.DENOISING,
        kind=Kind.STATISTIC,
        specs={
            "win_size": Number(minimum=1, integer=True, optional=True, length=True, usual=(1, 15)),
            "sigma_color": Number(minimum=0, optional=True, usual=(0.02, 1)),
            "sigma_spatial": Number(minimum=0, exclusive=True, length=True, usual=(0.5, 5)),
            "bins": Number(minimum=1, integer=True, usual=(100, 20000), advanced=True),
            "mode": ChoiceSpec(
                choices=("constant", "edge", "symmetric", "reflect", "wrap"), advanced=True
            ),
            "cval": CVAL,
            "channel_axis": CHANNEL,
        },
        neighbourhood=Neighbourhood(halo=_bilateral_halo, border="mode"),
        cost=Cost(largest_region=_largest_table, memory=6.0, at_once=BILATERAL_AT_ONCE),
        result=ResultSpec(dtype=as_float, dtype_varies=True),
        plan_of=_bilateral,
        adapter=Adapter(wrap=_with_single_axes, kernels=("skimage.restoration.denoise_bilateral",)),
        limits=Limits(
            ndim=(1, 2),
            check=_check_bilateral,
            finite=True,
            single=SingleAxes(of_result=_is_not_constant),
        ),
        note="scikit-image returns a constant integer image in its own dtype; a lazy result is "
        "always floating point. Its weights, which are kept, lie one to two pixels beside the "
        "pixel: edges move by as much. Signed integers whose range their type does not hold are "
        "refused: scikit-image's weights are undefined there.",
    ),
    Operation(
        name="restoration.denoise_nl_means",
        title="Non-local means denoising",
        family=families.DENOISING,
        kind=Kind.NEIGHBOURHOOD,
        # The fast mode computes patch distances d as differences of sums over the whole image, so
        # their rounding error, e = eps * N * M**2 / (h * s)**2 for N pixels of magnitude M, depends
        # on all previous pixels. Weights exp(-d) change by a factor of e (or by one of their 2**20
        # steps), and only pixels within sqrt(5) * h * s of each other have a weight: the result
        # changes by min(1, e) * sqrt(5) * h * s, at most sqrt(5 * eps * N) of M. For values from 0
        # to 1 and h > 0.02 that is below 1e-6, and nearly always 0.
        # (A distance that equals the cut-off of 5 to the last bit can drop a weight of 0.0067.)
        accuracy=Accuracy(tolerance=1e-4),
        specs={
            "patch_size": Number(minimum=1, integer=True, length=True, usual=(2, 5)),
            "patch_distance": Number(minimum=0, integer=True, length=True, usual=(1, 5)),
            "h": Number(minimum=0, exclusive=True, usual=(0.02, 1)),
            "fast_mode": Flag(),
            "sigma": Number(minimum=0, usual=(0, 0.2)),
            "preserve_range": Flag(advanced=True),
            "channel_axis": CHANNEL,
        },
        neighbourhood=Neighbourhood(halo=_nl_halo, padding=_nl_padding),
        plan_of=_nl_means,
        result=ResultSpec(dtype=as_float),
        limits=Limits(ndim=(2, 4), check=_check_nl, single=SingleAxes(of_result=_drops_nl_axes)),
        adapter=Adapter(wrap=_with_single_axes, kernels=("skimage.restoration.denoise_nl_means",)),
        cost=Cost(
            trial=Trial(volume_length=3),
            memory=10.0,
            at_once=AtOnce(function=SLOW, kernel=2**14, passes=SLOW, finite=True),
        ),
        note="fast_mode=True refuses NaN and infinity.",
    ),
    Operation(
        name="restoration.rolling_ball",
        family=families.DENOISING,
        kind=Kind.NEIGHBOURHOOD,
        specs={
            "radius": Number(minimum=0, length=True, usual=(1, 30)),
            "kernel": Footprint(optional=True, sequences=False, advanced=True),
            "nansafe": Flag(advanced=True),
        },
        neighbourhood=Neighbourhood(halo=_ball_halo, padding=_ball_padding),
        adapter=Adapter(
            fixed={"workers": 1},
            modernize=without("workers", "num_threads"),
            kernels=("skimage.restoration.rolling_ball",),
        ),
        cost=Cost(
            trial=Trial(volume_length=3),
            memory=7.0,
            at_once=AtOnce(function=SLOW, kernel=2**14, passes=SLOW),
        ),
    ),
    Operation(
        name="restoration.unwrap_phase",
        family=families.DENOISING,
        # pixels are merged in the order of their reliability over the whole image
        **WHOLE,
        specs={
            "wrap_around": Either(options=(Flag(), Flags(samples=((True, False),)))),
            # scikit-image's kernel takes no numpy.random.Generator, contrary to its docstring
            "rng": Number(
                integer=True,
                minimum=0,
                optional=True,
                usual=(0, 99),
                advanced=True,
                reproducible=False,
            ),
        },
        result=ResultSpec(dtype=lambda call: np.float64),
        # a phase is a finite number
        limits=Limits(check=_check_phase, ndim=(1, 3), finite=True),
        cost=Cost(memory=20.0),
        constraints=(Constraint(names=("wrap_around",), satisfy=_open_where_single),),
        note="Needs the whole image: regions are merged in the order of all pixels' "
        "reliabilities. Does not take masked arrays. With rng= the result differs at every "
        "call, as in scikit-image. Refuses NaN, infinity, and wrap_around along an axis of one "
        "pixel.",
    ),
)
