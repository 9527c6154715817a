"""`skimage.restoration`, functions of functions: self-supervised denoising and cycle spinning.

The reach of the function argument is unknown, unless it is an operation of this catalogue with a
finite halo: then a tile is denoised from its surroundings. Any other gets the whole image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skimage.filters import gaussian, median
from skimage.restoration import denoise_tv_chambolle

from napari_tilewise.errors import TilewiseError, UnknownOperation
from napari_tilewise.operations.shared.common import CHANNEL, as_float
from napari_tilewise.operations.shared.whole import WHOLE, whole, whole_halo
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.deprecated_parameters import renamed
from napari_tilewise.operations.spec.keyword_specs import Items, Keywords
from napari_tilewise.operations.spec.operation import (
    Accuracy,
    Adapter,
    Call,
    Cost,
    HaloLike,
    Kind,
    Neighbourhood,
    Operation,
    Output,
    Plan,
    ResultSpec,
    Trial,
    tiled,
)
from napari_tilewise.operations.spec.parameters import Either, Flag, FunctionSpec, Number, Numbers

if TYPE_CHECKING:
    from napari_tilewise.types import AnyFunction

TOLERANCE = 1e-4
"""Largest tolerance of a function that runs by tiles, which is that of non-local means."""


def _operation(function: AnyFunction) -> Operation | None:
    """Return the operation for a scikit-image function; None if there is none."""
    from napari_tilewise.operations import get_operation

    module = str(getattr(function, "__module__", "")).split(".")
    if module[0] != "skimage" or len(module) < 2:
        return None
    try:
        operation = get_operation(f"{module[1]}.{getattr(function, '__name__', '')}")
    except UnknownOperation:
        return None
    return operation if operation.raw_function is function else None


def _inner(call: Call) -> Call | None:
    """Return the call of the function argument if it can run by tiles; None otherwise.

    It can if it is an operation with a finite halo, on spatial axes only, with a border that does
    not wrap around.
    """
    operation = _operation(call["denoise_function"])
    if operation is None or call["masks"] is not None:
        return None
    if operation.kind is not Kind.NEIGHBOURHOOD or operation.tolerance > TOLERANCE:
        return None
    try:
        inner_call = operation.call(call.shape, as_float(call), call["denoiser_kwargs"] or {})
    except TilewiseError:
        return None  # the function raises its own error for this image
    has_same_axes = (
        inner_call.channel_axis is None
        and not inner_call.wraps
        and operation.result.shape(inner_call) == call.shape
    )
    return inner_call if has_same_axes else None


def _halo(call: Call) -> HaloLike:
    """Return the function's halo plus one pixel for the mean of a pixel's neighbours."""
    inner = _inner(call)
    if inner is None:
        return whole_halo(call)
    halo = inner.halo
    return [(before + 1, after + 1) for before, after in halo]


def _denoise(call: Call) -> Plan:
    """Denoise by tiles if that is known to be exact, otherwise the whole image.

    Pixels are replaced by their neighbours' mean in ``stride ** ndim`` rounds. The order of the
    rounds differs between tiles, but the pixels of a round are those of the whole image's round.
    """
    if _inner(call) is None:
        return (yield from whole(call))
    return tiled(call)


STRIDE = Number(minimum=1, integer=True, usual=(2, 4))
BLUR_KEYWORDS: tuple[dict[str, Any], ...] = ({}, {"sigma": 0.7}, {"mode": "wrap"})

OPERATIONS = (
    Operation(
        name="restoration.denoise_invariant",
        title="J-invariant denoising",
        family=families.DENOISING,
        kind=Kind.NEIGHBOURHOOD,
        # that of the function argument; see TOLERANCE
        accuracy=Accuracy(tolerance=TOLERANCE),
        specs={
            "denoise_function": FunctionSpec(samples=(gaussian, median, denoise_tv_chambolle)),
            "stride": STRIDE,
            "masks": Items(optional=True, samples=(None,), advanced=True),
            "denoiser_kwargs": Keywords(samples=BLUR_KEYWORDS),
        },
        neighbourhood=Neighbourhood(halo=_halo),
        result=ResultSpec(dtype=as_float),
        plan_of=_denoise,
        cost=Cost(trial=Trial(length=24), memory=16.0),
        note="Runs by tiles for scikit-image's filters with a finite halo (gaussian, median, "
        "denoise_nl_means), and is as exact as they are; any other function gets the whole image.",
    ),
    Operation(
        name="restoration.calibrate_denoiser",
        family=families.DENOISING,
        **WHOLE,
        specs={
            "denoise_function": FunctionSpec(samples=(gaussian,)),
            "denoise_parameters": Keywords(optional=False, samples=({"sigma": (0.5, 1.0)},)),
            "stride": STRIDE,
            "approximate_loss": Flag(),
            "extra_output": Flag(),
        },
        result=ResultSpec(output=Output.VALUES, shape=lambda call: None),
        cost=Cost(trial=Trial(length=24), memory=16.0),
        note="Needs the whole image, as the function of Python's that it tries may. Returns a "
        "function; with extra_output also the tested parameters and their losses.",
    ),
    Operation(
        name="restoration.cycle_spin",
        title="Cycle spinning",
        family=families.DENOISING,
        **WHOLE,
        specs={
            "func": FunctionSpec(samples=(gaussian, median, denoise_tv_chambolle)),
            "max_shifts": Either(
                options=(
                    Number(minimum=0, integer=True, usual=(0, 2)),
                    Numbers(item=Number(minimum=0, integer=True, usual=(0, 2))),
                )
            ),
            "shift_steps": Either(
                options=(
                    Number(minimum=1, integer=True, usual=(1, 2)),
                    Numbers(item=Number(minimum=1, integer=True, usual=(1, 2))),
                ),
                advanced=True,
            ),
            "func_kw": Keywords(samples=({}, {"mode": "wrap"})),
            "workers": Number(minimum=1, integer=True, optional=True, usual=(1, 2), advanced=True),
            "channel_axis": CHANNEL,
        },
        result=ResultSpec(dtype=as_float, dtype_varies=True),
        cost=Cost(memory=16.0),
        adapter=Adapter(modernize=renamed("num_workers", "workers")),
        note="Needs the whole image: shifts wrap around its ends, and the function is one of "
        "Python's. The result has the dtype that the function returns; a lazy result is "
        "floating point.",
    ),
)
