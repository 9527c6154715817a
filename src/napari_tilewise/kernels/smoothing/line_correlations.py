"""SciPy's correlation along one axis, and its filters of differences that are made of these.

Images of integers are rounded down to integers after every axis, as SciPy does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.kernels.arrays import GREY, MODES
from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.library import rounds_alike
from napari_tilewise.kernels.smoothing.separable import BorderMode, correlate_axes
from napari_tilewise.kernels.threads import in_pieces

if TYPE_CHECKING:
    from collections.abc import Callable

_FLOATS = (np.dtype("f4"), np.dtype("f8"))
_INTEGERS = tuple(np.dtype(name) for name in ("u1", "u2", "i1", "i2", "i4"))
_LARGEST = 2.0**31
"""Sums of integers below it are cast alike by every compiler."""


def along_axes(
    input: np.ndarray, weights: list[np.ndarray | None], border: BorderMode
) -> np.ndarray:
    """Correlate along each axis in turn, with a result of the image's data type.

    Parameters
    ----------
    input
        Floats, or integers whose sums `casts_alike` holds for.
    weights
        Per axis, or None; see `separable.correlate_axes`.
    border
        What lies beyond the image.
    """
    if input.dtype in _FLOATS:
        return correlate_axes(input, weights, input.dtype, border)
    result = input
    for axis, present in enumerate(weights):
        if present is not None:
            alone = [present if a == axis else None for a in range(input.ndim)]
            grey = result if input.dtype in GREY else result.astype(np.float64)
            result = _cast(correlate_axes(grey, alone, np.float64, border), input.dtype)
    return result


def _cast(sums: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return sums as integers: what does not fit keeps its lowest bits."""
    result = np.empty(sums.shape, dtype)
    flat, target = sums.reshape(-1), result.reshape(-1)

    def cast(piece: slice) -> None:
        np.copyto(target[piece], flat[piece].astype(np.int32), casting="unsafe")

    in_pieces(cast, sums.size)
    return result


def _along(input: np.ndarray, weights: Any, axis: int, mode: str, cval: float) -> np.ndarray:
    per_axis: list[np.ndarray | None] = [None] * input.ndim
    per_axis[axis] = np.asarray(weights, np.float64)
    return along_axes(input, per_axis, BorderMode(mode, cval))


def casts_alike(image: np.ndarray, total: float, cval: float) -> bool:
    """Return whether sums are of a type that they are cast to alike by every compiler.

    Parameters
    ----------
    image
        The result is of its type.
    total
        Sum of the weights' magnitudes.
    cval
        Beyond the border.
    """
    if image.dtype in _FLOATS:
        return True
    if image.dtype not in _INTEGERS:
        return False
    limits = np.iinfo(image.dtype)
    low, high = limits.min, limits.max
    if image.itemsize == 4:
        low, high = int(image.min()), int(image.max())
    return total * max(-low, high, abs(cval)) < _LARGEST


def _claimed(
    input: np.ndarray, axis: int, output: Any, mode: Any, cval: float, total: float = 4.0
) -> bool:
    return (
        1 <= input.ndim <= 5
        and input.size > 0
        and -input.ndim <= axis < input.ndim
        and output is None
        and isinstance(mode, str)
        and mode in MODES
        and bool(np.isreal(cval))
        and casts_alike(input, total, cval)
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
        and _claimed(input, axis, output, mode, cval, float(np.abs(weights.astype(float)).sum()))
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


def convolve1d(
    input: np.ndarray,
    weights: Any,
    axis: int = -1,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    origin: int = 0,
) -> np.ndarray:
    """Convolve along one axis, as `scipy.ndimage.convolve1d` does.

    Parameters
    ----------
    input, weights, axis, output, mode, cval, origin
        As there.
    """
    return _along(input, np.asarray(weights)[::-1], axis, mode, cval)


def _edges_along(smooth: list[int]) -> Callable[..., np.ndarray]:
    def run(
        input: np.ndarray,
        axis: int = -1,
        output: Any = None,
        mode: Any = "reflect",
        cval: float = 0.0,
    ) -> np.ndarray:
        """Derive along one axis and smooth along the others."""
        axis %= input.ndim
        result = _along(input, [-1, 0, 1], axis, mode, cval)
        for other in range(input.ndim):
            if other != axis:
                result = _along(result, smooth, other, mode, cval)
        return result

    return run


def _exact_for_edges(
    input: np.ndarray,
    axis: int = -1,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
) -> bool:
    return _claimed(input, axis, output, mode, cval)


def _exact_for_laplace(
    input: np.ndarray, output: Any = None, mode: Any = "reflect", cval: float = 0.0
) -> bool:
    return _claimed(input, 0, output, mode, cval)


def laplace(
    input: np.ndarray, output: Any = None, mode: Any = "reflect", cval: float = 0.0
) -> np.ndarray:
    """Add up the second differences along the axes, as `scipy.ndimage.laplace` does.

    Parameters
    ----------
    input, output, mode, cval
        As there.
    """
    result = _along(input, [1, -2, 1], 0, mode, cval)
    for axis in range(1, input.ndim):
        result += _along(input, [1, -2, 1], axis, mode, cval)
    return result


CORRELATE1D = Kernel("scipy.ndimage.correlate1d", _exact_for_correlate1d, correlate1d)
CONVOLVE1D = Kernel("scipy.ndimage.convolve1d", _exact_for_correlate1d, convolve1d)
NDIMAGE_SOBEL = Kernel("scipy.ndimage.sobel", _exact_for_edges, _edges_along([1, 2, 1]))
NDIMAGE_PREWITT = Kernel("scipy.ndimage.prewitt", _exact_for_edges, _edges_along([1, 1, 1]))
NDIMAGE_LAPLACE = Kernel("scipy.ndimage.laplace", _exact_for_laplace, laplace)
