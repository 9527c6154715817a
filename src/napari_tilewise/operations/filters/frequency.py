"""`skimage.filters`, in frequency space: every pixel of the result depends on every one before.

A Fourier transform takes the whole image. Where an impulse response is known to be short,
`correlate_sparse` or a smoothing filter does the same tile by tile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.operations.common import CHANNEL, as_float
from napari_tilewise.operations.keywords import Keywords
from napari_tilewise.operations.model import Call, Kind, Operation
from napari_tilewise.operations.parameters import Array, Either, Flag, Function, Number, Spec
from napari_tilewise.operations.whole import whole, whole_halo

if TYPE_CHECKING:
    from collections.abc import Callable


def _blur(rows: np.ndarray, columns: np.ndarray, sigma: float = 1.0) -> np.ndarray:
    """Return a Gaussian impulse response, for property tests."""
    return np.asarray(np.exp(-(rows**2 + columns**2) / (2 * sigma**2)))


def _check(call: Call) -> None:
    if call["impulse_response"] is None and call["predefined_filter"] is None:
        raise InvalidParameter(
            f"{call.operation.name}: neither impulse_response nor predefined_filter is given: "
            "expected one of them, a function f(r, c, **filter_params) or a "
            "skimage.filters.LPIFilter2D."
        )


def _filter(name: str, working: float, specs: dict[str, Spec]) -> Operation:
    samples: tuple[Callable[..., Any], ...] = (_blur,)
    return Operation(
        name=f"filters.{name}",
        kind=Kind.WHOLE,
        specs={
            "impulse_response": Function(optional=True, samples=samples),
            "filter_params": Keywords(samples=({}, {"sigma": 2.0})),
            **specs,
            "predefined_filter": Function(optional=True, samples=(None,), advanced=True),
        },
        halo_of=whole_halo,
        dtype_of=as_float,
        plan_of=whole,
        check=_check,
        ndim=(2, 2),
        working=working,
    )


OPERATIONS = (
    Operation(
        name="filters.butterworth",
        kind=Kind.WHOLE,
        specs={
            "cutoff_frequency_ratio": Number(minimum=0, maximum=0.5, usual=(0.005, 0.5)),
            "high_pass": Flag(),
            "order": Number(usual=(0.5, 8)),
            "channel_axis": CHANNEL,
            "squared_butterworth": Flag(advanced=True),
            "npad": Number(minimum=0, integer=True, length=True, usual=(0, 16), advanced=True),
        },
        halo_of=whole_halo,
        dtype_of=as_float,
        plan_of=whole,
        working=8.0,
    ),
    _filter("filter_forward", 40.0, {}),
    _filter("filter_inverse", 60.0, {"max_gain": Number(usual=(0.5, 4), advanced=True)}),
    _filter(
        "wiener",
        60.0,
        {"K": Either(options=(Number(usual=(0.05, 1)), Array(ndim=2)))},
    ),
)
