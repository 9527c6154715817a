"""SciPy's correlation along one axis, and the Sobel filter that is two of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_tilewise.kernels.arrays import MODES
from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.library import rounds_alike
from napari_tilewise.kernels.smoothing.separable import BorderMode, correlate_axes

_FLOATS = (np.dtype("f4"), np.dtype("f8"))


def _along(input: np.ndarray, weights: Any, axis: int, mode: str, cval: float) -> np.ndarray:
    per_axis: list[np.ndarray | None] = [None] * input.ndim
    per_axis[axis] = np.asarray(weights, np.float64)
    return correlate_axes(input, per_axis, input.dtype, BorderMode(mode, cval))


def _claimed(input: np.ndarray, axis: int, output: Any, mode: Any, cval: float) -> bool:
    return (
        input.dtype in _FLOATS
        and 1 <= input.ndim <= 5
        and input.size > 0
        and -input.ndim <= axis < input.ndim
        and output is None
        and isinstance(mode, str)
        and mode in MODES
        and bool(np.isreal(cval))
        and rounds_alike()
    )


def _exact_for_correlate1d(
    input: np.ndarray,
    weights: Any,
    axis: int = -1,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    origin: int = 0,
) -> bool:
    weights = np.asarray(weights)
    return (
        weights.ndim == 1
        and len(weights) % 2 == 1
        and weights.dtype.kind in "iuf"
        and origin == 0
        and _claimed(input, axis, output, mode, cval)
    )


def correlate1d(
    input: np.ndarray,
    weights: Any,
    axis: int = -1,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    origin: int = 0,
) -> np.ndarray:
    """Correlate along one axis, as `scipy.ndimage.correlate1d` does.

    Parameters
    ----------
    input, weights, axis, output, mode, cval, origin
        As there.
    """
    return _along(input, weights, axis, mode, cval)


def sobel(
    input: np.ndarray,
    axis: int = -1,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
) -> np.ndarray:
    """Derive along one axis and smooth along the others, as `scipy.ndimage.sobel` does.

    Parameters
    ----------
    input, axis, output, mode, cval
        As there.
    """
    axis %= input.ndim
    result = _along(input, [-1, 0, 1], axis, mode, cval)
    for other in range(input.ndim):
        if other != axis:
            result = _along(result, [1, 2, 1], other, mode, cval)
    return result


def _exact_for_sobel(
    input: np.ndarray,
    axis: int = -1,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
) -> bool:
    return _claimed(input, axis, output, mode, cval)


CORRELATE1D = Kernel("scipy.ndimage.correlate1d", _exact_for_correlate1d, correlate1d)
NDIMAGE_SOBEL = Kernel("scipy.ndimage.sobel", _exact_for_sobel, sobel)
