"""`skimage.filters`, in frequency space: every pixel of the result depends on every input pixel.

A Fourier transform needs the whole image. If the impulse response is short, `correlate_sparse` or
a smoothing filter does the same tile by tile.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np
from scipy import fft

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.operations.shared.common import CHANNEL, as_float
from napari_tilewise.operations.shared.whole import WHOLE
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.keyword_specs import Keywords
from napari_tilewise.operations.spec.operation import (
    Call,
    Constraint,
    Cost,
    Limits,
    Operation,
    ResultSpec,
)
from napari_tilewise.operations.spec.parameters import (
    Array,
    Either,
    Flag,
    FunctionSpec,
    Number,
    Spec,
)

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from napari_tilewise.types import AnyFunction, DType, Parameters


def _blur(rows: np.ndarray, columns: np.ndarray, sigma: float = 1.0) -> np.ndarray:
    """Return a Gaussian impulse response, for property tests."""
    return np.asarray(np.exp(-(rows**2 + columns**2) / (2 * sigma**2)))


def _delta(rows: np.ndarray, columns: np.ndarray, sigma: float = 1.0) -> np.ndarray:
    """Return an impulse response that is always in double precision, for property tests."""
    return np.where((rows == 0) & (columns == 0), sigma, 0.1)


def _check(call: Call) -> None:
    if call["impulse_response"] is None and call["predefined_filter"] is None:
        raise InvalidParameter(
            f"{call.operation.name}: impulse_response and predefined_filter are both missing: "
            "expected a function f(r, c, **filter_params) or a skimage.filters.LPIFilter2D."
        )


def _dtype(call: Call) -> DTypeLike:
    """Return the dtype of the result: double precision if the response or `K` is."""
    real = as_float(call)
    dtypes = [real, _transform_dtype(_response(call, np.zeros(1, real)))]
    spectrum = call.params.get("K")
    if isinstance(spectrum, np.ndarray):
        dtypes.append(spectrum.dtype)
    return np.empty(0, np.result_type(*dtypes)).real.dtype


def _response(call: Call, middle: np.ndarray) -> np.ndarray:
    """Return the impulse response at its middle, or the coordinate if it cannot be evaluated."""
    predefined = call["predefined_filter"]
    function = (
        call["impulse_response"]
        if predefined is None
        else getattr(predefined, "impulse_response", None)
    )
    params = (
        call["filter_params"] if predefined is None else getattr(predefined, "filter_params", None)
    )
    if not callable(function):
        return middle
    try:
        return np.asarray(function(middle, middle, **(params or {})))
    except Exception:  # noqa: BLE001 - the filter raises its own error when it is computed
        return middle


def _transform_dtype(response: np.ndarray) -> DType:
    """Return the dtype of a response's Fourier transform."""
    transformed: np.ndarray = np.asarray(fft.fft(response))
    return transformed.dtype


def _one_response(params: Parameters, image: np.ndarray, solution: int) -> Parameters:
    """Return an impulse response where there is neither one nor a predefined filter."""
    names = ("impulse_response", "predefined_filter")
    return {} if any(params.get(name) for name in names) else {"impulse_response": _blur}


def _padded(call: Call) -> int:
    """Return the pixels of the padded image, per channel: scikit-image pads that axis too."""
    channels = 1 if call.channel_axis is None else call.shape[call.channel_axis]
    pixels = prod(length + 2 * int(call["npad"]) for length in call.shape)
    return -(-pixels // max(1, channels))


FOURIER = "Needs the whole image: in a Fourier transform every pixel depends on every other one."


def _filter(name: str, title: str, working: float, specs: dict[str, Spec]) -> Operation:
    samples: tuple[AnyFunction, ...] = (_blur, _delta)
    return Operation(
        name=f"filters.{name}",
        title=title,
        family=families.SMOOTHING,
        **WHOLE,
        specs={
            "impulse_response": FunctionSpec(optional=True, samples=samples),
            "filter_params": Keywords(samples=({}, {"sigma": 2.0})),
            **specs,
            "predefined_filter": FunctionSpec(optional=True, samples=(None,), advanced=True),
        },
        result=ResultSpec(dtype=_dtype),
        limits=Limits(check=_check, ndim=(2, 2)),
        constraints=(Constraint(names=("impulse_response",), satisfy=_one_response),),
        cost=Cost(memory=working),
        note=FOURIER,
    )


OPERATIONS = (
    Operation(
        name="filters.butterworth",
        family=families.SMOOTHING,
        **WHOLE,
        specs={
            "cutoff_frequency_ratio": Number(minimum=0, maximum=0.5, usual=(0.005, 0.5)),
            "high_pass": Flag(),
            "order": Number(usual=(0.5, 8)),
            "channel_axis": CHANNEL,
            "squared_butterworth": Flag(advanced=True),
            "npad": Number(minimum=0, integer=True, length=True, usual=(0, 16), advanced=True),
        },
        result=ResultSpec(dtype=as_float),
        cost=Cost(memory=8.0, largest_region=_padded),
        note=FOURIER,
    ),
    _filter("filter_forward", "Linear filter", 40.0, {}),
    _filter(
        "filter_inverse",
        "Inverse linear filter",
        60.0,
        {"max_gain": Number(usual=(0.5, 4), advanced=True)},
    ),
    _filter(
        "wiener",
        "Wiener filter",
        60.0,
        {"K": Either(options=(Number(usual=(0.05, 1)), Array(ndim=2)))},
    ),
)
