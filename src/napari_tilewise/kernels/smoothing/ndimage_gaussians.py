"""SciPy's Gaussians and their derivatives, along one axis after another."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_tilewise.kernels.arrays import MODES
from napari_tilewise.kernels.footprint_windows import is_moderate
from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.library import rounds_alike
from napari_tilewise.kernels.smoothing.line_correlations import along_axes, casts_alike
from napari_tilewise.kernels.smoothing.separable import (
    BorderMode,
    gaussian_weights,
)

FLOATS = (np.dtype("f4"), np.dtype("f8"))
LONGEST = 4096
"""Pixels from the centre to the end of a row of weights."""


def _sequence(value: Any, ndim: int) -> list[Any]:
    return [value] * ndim if np.ndim(value) == 0 else list(value)


def _exact_for_gaussian_filter(
    input: np.ndarray,
    sigma: Any,
    order: Any = 0,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    truncate: float = 4.0,
    *,
    radius: Any = None,
) -> bool:
    if not 1 <= input.ndim <= 5 or not input.size or output is not None or radius is not None:
        return False
    if not isinstance(mode, str) or mode not in MODES or not rounds_alike():
        return False
    sigmas, orders = _sequence(sigma, input.ndim), _sequence(order, input.ndim)
    return (
        len(sigmas) == len(orders) == input.ndim
        and (input.dtype in FLOATS or (not any(orders) and casts_alike(input, 2.0, cval)))
        and all(0 <= s and truncate * s < LONGEST for s in sigmas)
        and all(o in range(4) for o in orders)
        and abs(cval) < 1e30
        # Weights that are zero are left out, and infinity times zero is not.
        and is_moderate(input)
    )


def _trimmed(weights: np.ndarray) -> np.ndarray:
    """Return the weights without the zeros at both ends, where distant ones underflowed."""
    present = np.flatnonzero(weights)
    middle = len(weights) // 2
    radius = int(np.abs(present - middle).max(initial=0))
    return weights[middle - radius : middle + radius + 1]


def gaussian_filter(
    input: np.ndarray,
    sigma: Any,
    order: Any = 0,
    output: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    truncate: float = 4.0,
    *,
    radius: Any = None,
) -> np.ndarray:
    """Smooth or derive with a Gaussian, as `scipy.ndimage.gaussian_filter` does.

    Parameters
    ----------
    input, sigma, order, output, mode, cval, truncate, radius
        As there.
    """
    sigmas, orders = _sequence(sigma, input.ndim), _sequence(order, input.ndim)
    weights = [
        _trimmed(gaussian_weights(s, o, truncate)) if s > 1e-15 else None
        for s, o in zip(sigmas, orders, strict=True)
    ]
    if input.dtype not in FLOATS and not any(w is not None for w in weights):
        return input.copy()
    return along_axes(input, weights, BorderMode(mode, cval))


def _along_one(input: np.ndarray, value: Any, axis: int) -> list[Any]:
    """Return a value for one axis, and 0 for the others."""
    values: list[Any] = [0] * input.ndim
    values[axis] = value
    return values


def _exact_for_one_axis(
    input: np.ndarray,
    sigma: float,
    axis: int = -1,
    order: int = 0,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    truncate: float = 4.0,
    *,
    radius: Any = None,
) -> bool:
    # SciPy smooths with any scale above 0 along one axis, and with none below 1e-15 along several.
    return (
        -input.ndim <= axis < input.ndim
        and sigma > 1e-15
        and _exact_for_gaussian_filter(
            input,
            _along_one(input, sigma, axis),
            _along_one(input, order, axis),
            output,
            mode,
            cval,
            truncate,
            radius=radius,
        )
    )


def gaussian_filter1d(
    input: np.ndarray,
    sigma: float,
    axis: int = -1,
    order: int = 0,
    output: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    truncate: float = 4.0,
    *,
    radius: Any = None,
) -> np.ndarray:
    """Smooth or derive along one axis, as `scipy.ndimage.gaussian_filter1d` does.

    Parameters
    ----------
    input, sigma, axis, order, output, mode, cval, truncate, radius
        As there.
    """
    sigmas, orders = _along_one(input, sigma, axis), _along_one(input, order, axis)
    return gaussian_filter(input, sigmas, orders, None, mode, cval, truncate)


def _exact_for_differences(
    input: np.ndarray, sigma: Any, output: Any = None, mode: Any = "reflect", cval: float = 0.0
) -> bool:
    return input.dtype in FLOATS and _exact_for_gaussian_filter(input, sigma, 0, output, mode, cval)


def gaussian_laplace(
    input: np.ndarray, sigma: Any, output: Any = None, mode: str = "reflect", cval: float = 0.0
) -> np.ndarray:
    """Add up the second derivatives of a Gaussian, as `scipy.ndimage.gaussian_laplace` does.

    Parameters
    ----------
    input, sigma, output, mode, cval
        As there.
    """
    first, *others = (
        gaussian_filter(input, sigma, _along_one(input, 2, axis), None, mode, cval)
        for axis in range(input.ndim)
    )
    for other in others:
        first += other
    return first


def gaussian_gradient_magnitude(
    input: np.ndarray, sigma: Any, output: Any = None, mode: str = "reflect", cval: float = 0.0
) -> np.ndarray:
    """Return the magnitude of a Gaussian's first derivatives, as SciPy's function of the name does.

    Parameters
    ----------
    input, sigma, output, mode, cval
        As there.
    """
    total, *others = (
        gaussian_filter(input, sigma, _along_one(input, 1, axis), None, mode, cval)
        for axis in range(input.ndim)
    )
    total *= total
    for other in others:
        other *= other
        total += other
    return np.asarray(np.sqrt(total, out=total))


GAUSSIAN_FILTER = Kernel(
    "scipy.ndimage.gaussian_filter", _exact_for_gaussian_filter, gaussian_filter
)
GAUSSIAN_DIFFERENCES = (
    Kernel("scipy.ndimage.gaussian_filter1d", _exact_for_one_axis, gaussian_filter1d),
    Kernel("scipy.ndimage.gaussian_laplace", _exact_for_differences, gaussian_laplace),
    Kernel(
        "scipy.ndimage.gaussian_gradient_magnitude",
        _exact_for_differences,
        gaussian_gradient_magnitude,
    ),
)
