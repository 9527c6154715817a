"""Splines: the coefficients of an image, and samples between its pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.kernels.arrays import contiguous, delivered, result_array, type_code
from napari_tilewise.kernels.library import available, call, rounds_alike
from napari_tilewise.kernels.smoothing.running_means import along_lines
from napari_tilewise.kernels.threads import in_bands

if TYPE_CHECKING:
    from collections.abc import Sequence

_FLOATS = (np.dtype("f4"), np.dtype("f8"))
_POLES = {
    2: (-0.171572875253809902396622551580603843,),
    3: (-0.267949192431122706472553658494127633,),
    4: (-0.361341225900220177092212841325675255, -0.013725429297339121360331226939128204),
    5: (-0.430575347099973791851434783493520110, -0.043096288203264653822712376822550182),
}
_REPEATED = {"grid-wrap": 1, "reflect": 2, "grid-mirror": 2, "nearest": 2}
_MIRRORED = ("constant", "grid-constant", "mirror")
"""Modes whose recursive filters begin as the one of ``mirror`` does."""


def filters_splines(image: np.ndarray, order: int, mode: str) -> bool:
    """Return whether `spline_coefficients` has the bits of `scipy.ndimage.spline_filter`.

    Parameters
    ----------
    image, order, mode
        As there.
    """
    return (
        available()
        and rounds_alike()
        and order in _POLES
        and (mode in _REPEATED or mode in _MIRRORED)
        and image.dtype in _FLOATS
        and image.size > 0
    )


def spline_coefficients(image: np.ndarray, order: int, mode: str) -> np.ndarray:
    """Return the coefficients of the spline through an image's pixels, in float64.

    Parameters
    ----------
    image
        float32 or float64.
    order
        Of the spline, from 2 to 5.
    mode
        Border mode in ndimage's spelling.
    """
    result = np.array(image, np.float64, order="C")
    poles, code = np.array(_POLES[order]), _REPEATED.get(mode, 3)

    def run(shape: np.ndarray, part: np.ndarray) -> None:
        call("spline_filter", result, shape, poles, len(poles), code, part)

    for axis, length in enumerate(image.shape):
        if length > 1:
            along_lines(run, result, axis)
    return result


def first_pixels(line: np.ndarray, order: int) -> np.ndarray:
    """Return the first of the pixels that each sample along an axis depends on.

    Parameters
    ----------
    line
        Coordinates, in pixels.
    order
        Of the spline.
    """
    middle = np.floor(line if order % 2 else line + 0.5)
    return middle.astype(np.int64) - order // 2


def samples_splines(image: np.ndarray, lines: Sequence[np.ndarray], order: int) -> bool:
    """Return whether `sampled_splines` has the bits of `scipy.ndimage.map_coordinates`.

    Parameters
    ----------
    image
        The spline's coefficients.
    lines
        Coordinates along each axis, in pixels.
    order
        Of the spline.
    """
    if not (available() and rounds_alike() and order in _POLES and image.ndim in (2, 3)):
        return False
    firsts = [first_pixels(line, order) for line in lines]
    return image.dtype == np.float64 and all(
        bool((first >= 0).all() and (first + order < n).all())
        for first, n in zip(firsts, image.shape, strict=True)
    )


def sampled_splines(
    image: np.ndarray, lines: Sequence[np.ndarray], order: int, out: np.ndarray
) -> None:
    """Write samples of a spline at the crossings of lines.

    Parameters
    ----------
    image
        The spline's coefficients, of two or three axes.
    lines
        Coordinates along each axis, in pixels, all with the pixels that they depend on inside.
    order
        Of the spline.
    out
        Where to write, float32 or float64.
    """
    image = contiguous(image)
    target = result_array([len(line) for line in lines], out.dtype, out)
    code = type_code(out.dtype)

    def sample(begin: int, end: int) -> None:
        axes: list[np.ndarray | int | None] = [None, None, 0] if image.ndim == 2 else []
        for line in (lines[0][begin:end], *lines[1:]):
            axes += [first_pixels(line, order), _weights(line, order), len(line)]
        part = target[begin:end]
        call("spline_samples", image, *image.shape[-2:], order, *axes, code, part)

    in_bands(sample, len(target), target.size)
    delivered(target, out)


def _weights(line: np.ndarray, order: int) -> np.ndarray:
    """Return the weights of each sample's pixels, shape (order + 1, samples).

    They are the B-spline's pieces, in SciPy's order of operations; the last is what is left of 1.
    """
    # From the pixel in the middle: below it for odd orders, the nearest one for even orders.
    x = line - np.floor(line if order % 2 else line + 0.5)
    weights = np.empty((order + 1, len(line)))
    weights[:order] = _PIECES[order](x)
    weights[order] = 1.0
    for weight in weights[:order]:
        weights[order] -= weight
    return weights


def _quadratic(x: np.ndarray) -> tuple[np.ndarray, ...]:
    y = 0.5 - x
    return 0.5 * y * y, 0.75 - x * x


def _cubic(x: np.ndarray) -> tuple[np.ndarray, ...]:
    def inner(t: np.ndarray) -> np.ndarray:
        return np.asarray((t * t * (t - 2.0) * 3.0 + 4.0) / 6.0)

    z = 1.0 - x
    return z * z * z / 6.0, inner(x), inner(z)


def _quartic(x: np.ndarray) -> tuple[np.ndarray, ...]:
    def beside(t: np.ndarray) -> np.ndarray:
        return np.asarray(t * (t * (t * (5.0 - t) / 6.0 - 1.25) + 5.0 / 24.0) + 55.0 / 96.0)

    y, square = 0.5 - x, x * x
    middle = square * (square * 0.25 - 0.625) + 115.0 / 192.0
    return (y * y) * (y * y) / 24.0, beside(1.0 + x), middle, beside(1.0 - x)


def _quintic(x: np.ndarray) -> tuple[np.ndarray, ...]:
    def inner(t: np.ndarray) -> np.ndarray:
        square = t * t
        return np.asarray(square * (square * (0.25 - t / 12.0) - 0.5) + 0.55)

    def outer(t: np.ndarray) -> np.ndarray:
        inside = t * (t * (t * (t / 24.0 - 0.375) + 1.25) - 1.75) + 0.625
        return np.asarray(t * inside + 0.425)

    z = 1.0 - x
    square = z * z
    return z * square * square / 120.0, outer(x + 1.0), inner(x), inner(z), outer(z + 1.0)


_PIECES = {2: _quadratic, 3: _cubic, 4: _quartic, 5: _quintic}
