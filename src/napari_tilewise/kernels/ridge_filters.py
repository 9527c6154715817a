"""Second derivatives of Gaussians, their eigenvalues, and the ridge filters made of them."""

from __future__ import annotations

import math
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.kernels.arrays import GREY, MODES, contiguous, type_code
from napari_tilewise.kernels.footprint_windows import is_moderate
from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.library import call, rounds_alike
from napari_tilewise.kernels.separable import correlate_axes, float_dtype, gaussian_weights

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_FLOATS = (np.dtype("f4"), np.dtype("f8"))
_PIECE = 2**15
"""Pixels between which NumPy's arithmetic stays in the cache."""
_LONGEST = 4096


# -- ndimage.gaussian_filter -----------------------------------------------------------------------


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
) -> bool:
    if input.dtype not in _FLOATS or not 1 <= input.ndim <= 5 or not input.size:
        return False
    if output is not None or not isinstance(mode, str) or mode not in MODES or not rounds_alike():
        return False
    sigmas, orders = _sequence(sigma, input.ndim), _sequence(order, input.ndim)
    return (
        len(sigmas) == len(orders) == input.ndim
        and all(0 <= s and truncate * s < _LONGEST for s in sigmas)
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
) -> np.ndarray:
    """Smooth or derive with a Gaussian, as `scipy.ndimage.gaussian_filter` does.

    Parameters
    ----------
    input, sigma, order, output, mode, cval, truncate
        As there.
    """
    sigmas, orders = _sequence(sigma, input.ndim), _sequence(order, input.ndim)
    weights = [
        _trimmed(gaussian_weights(s, o, truncate)) if s > 1e-15 else None
        for s, o in zip(sigmas, orders, strict=True)
    ]
    return correlate_axes(input, weights, input.dtype, mode=mode, cval=cval)


# -- Hessian matrices ------------------------------------------------------------------------------


def hessian(image: np.ndarray, sigma: float, mode: str, cval: float) -> list[np.ndarray]:
    """Return the upper diagonal of the Hessian by derivatives of Gaussians.

    Parameters
    ----------
    image
        float32 or float64, finite.
    sigma
        In pixels.
    mode
        Border mode in ndimage's spelling.
    cval
        Beyond the border, for ``mode="constant"``.
    """
    ndim = image.ndim
    truncate = 8 if sigma > 1 else 100
    scaled = 1 / math.sqrt(2) * sigma
    orders = [tuple(int(axis == d) for axis in range(ndim)) for d in range(ndim)]

    def derived(source: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
        return gaussian_filter(source, scaled, order, None, mode, cval, truncate)

    gradients = [derived(image, order) for order in orders]
    pairs = combinations_with_replacement(range(ndim), 2)
    return [derived(gradients[first], orders[second]) for first, second in pairs]


def eigenvalues(elements: list[np.ndarray]) -> np.ndarray:
    """Return the eigenvalues of 2 x 2 matrices, the larger first, shape (2, rows, columns).

    Parameters
    ----------
    elements
        The matrices' upper diagonal, three images of one data type.
    """
    first, second, third = map(contiguous, elements)
    result = np.empty((2, *first.shape), first.dtype)
    call("eigenvalues", first, second, third, type_code(first.dtype), first.size, result)
    return result


# -- ridge filters ---------------------------------------------------------------------------------


def _plain(*numbers: Any) -> bool:
    """Return whether all are Python's numbers: NumPy's own would raise the precision."""
    return all(type(number) in (int, float) for number in numbers)


def _suits(image: np.ndarray, sigma: Any, mode: str, cval: float) -> bool:
    return (
        image.dtype in GREY
        and image.ndim == 2
        and image.size > 0
        and mode in MODES
        and abs(cval) < 1e15
        and _plain(sigma)
        and 0 < sigma
        and 100 * sigma < _LONGEST
        and rounds_alike()
        and is_moderate(image, 1e15)  # squares are taken
    )


def _exact_for_hessian(image: np.ndarray, sigma: Any, mode: str, cval: float) -> bool:
    return image.dtype in _FLOATS and _suits(image, sigma, mode, cval)


def hessian_eigenvalues(image: np.ndarray, sigma: float, mode: str, cval: float) -> np.ndarray:
    """Return the eigenvalues of a plane's Hessians, as the operation's function does.

    Parameters
    ----------
    image, sigma, mode, cval
        As in `napari_tilewise.operations.filters.ridges.hessian_eigenvalues`.
    """
    return eigenvalues(hessian(image, sigma, mode, cval))


HESSIAN_EIGENVALUES = Kernel(
    "napari_tilewise.operations.filters.ridges.hessian_eigenvalues",
    _exact_for_hessian,
    hessian_eigenvalues,
)


def _exact_for_sato(
    image: np.ndarray,
    sigmas: Iterable[float] = range(1, 10, 2),
    black_ridges: bool = True,
    mode: str = "reflect",
    cval: float = 0,
) -> bool:
    if not isinstance(sigmas, list | tuple | range) or not sigmas:
        return False
    return all(_suits(image, sigma, mode, cval) for sigma in sigmas)


def _dark_ridges(image: np.ndarray, black_ridges: bool) -> np.ndarray:
    """Return the image in floating point, negated where ridges are bright."""
    image = image.astype(float_dtype(image.dtype), copy=False)
    return contiguous(image if black_ridges else -image)


def sato(
    image: np.ndarray,
    sigmas: Iterable[float] = range(1, 10, 2),
    black_ridges: bool = True,
    mode: str = "reflect",
    cval: float = 0,
) -> np.ndarray:
    """Find ridges, as `skimage.filters.sato` does.

    Parameters
    ----------
    image, sigmas, black_ridges, mode, cval
        As there.
    """
    image = _dark_ridges(image, black_ridges)
    best = np.zeros_like(image)
    code = type_code(image.dtype)
    for sigma in sigmas:
        elements = hessian(image, sigma, mode, cval)
        call("tubes", *elements, code, image.size, float(sigma**2), best)
    return best


def _exact_for_frangi(
    image: np.ndarray,
    sigmas: Iterable[float] = range(1, 10, 2),
    scale_range: Any = None,
    scale_step: Any = None,
    alpha: float = 0.5,
    beta: float = 0.5,
    gamma: float | None = None,
    black_ridges: bool = True,
    mode: str = "reflect",
    cval: float = 0,
) -> bool:
    return (
        scale_range is None
        and scale_step is None
        and (gamma is None or _plain(gamma) or type(gamma) is float_dtype(image.dtype).type)
        and (gamma is None or gamma > 0)
        and _plain(alpha, beta)
        and alpha > 0
        and beta > 0
        and _exact_for_sato(image, sigmas, black_ridges, mode, cval)
    )


def _pieces(size: int) -> Iterator[slice]:
    for begin in range(0, size, _PIECE):
        yield slice(begin, min(begin + _PIECE, size))


def frangi(
    image: np.ndarray,
    sigmas: Iterable[float] = range(1, 10, 2),
    scale_range: Any = None,
    scale_step: Any = None,
    alpha: float = 0.5,
    beta: float = 0.5,
    gamma: Any = None,
    black_ridges: bool = True,
    mode: str = "reflect",
    cval: float = 0,
) -> np.ndarray:
    """Find vessels, as `skimage.filters.frangi` does.

    Parameters
    ----------
    image, sigmas, scale_range, scale_step, alpha, beta, gamma, black_ridges, mode, cval
        As there.
    """
    image = _dark_ridges(image, black_ridges)
    best = np.zeros(image.size, image.dtype)
    for sigma in sigmas:
        pair = eigenvalues(hessian(image, sigma, mode, cval)).reshape(2, -1)
        strength = np.empty(image.size, image.dtype)
        for piece in _pieces(image.size):
            np.sqrt((pair[:, piece] ** 2).sum(0), out=strength[piece])
        if gamma is None:
            gamma = strength.max() / 2
            if gamma == 0:
                gamma = 1
        for piece in _pieces(image.size):
            values = _vesselness(pair[:, piece], strength[piece], beta, gamma)
            np.maximum(best[piece], values, out=best[piece])
    return best.reshape(image.shape)


def _vesselness(pair: np.ndarray, strength: np.ndarray, beta: float, gamma: Any) -> np.ndarray:
    """Return the product of the factors for blobs and structure; an image has no plates."""
    dtype = pair.dtype
    swaps = abs(pair[1]) < abs(pair[0])
    small = np.where(swaps, pair[1], pair[0])
    large = np.maximum(np.where(swaps, pair[0], pair[1]), 1e-10)
    ratio = abs(small) / large
    values: np.ndarray = np.exp(-(ratio**2) / (2 * beta**2), dtype=dtype)
    values *= 1.0 - np.exp(-(strength**2) / (2 * gamma**2), dtype=dtype)
    return values


GAUSSIAN_FILTER = Kernel(
    "scipy.ndimage.gaussian_filter", _exact_for_gaussian_filter, gaussian_filter
)
SATO = Kernel("skimage.filters.sato", _exact_for_sato, sato)
FRANGI = Kernel("skimage.filters.frangi", _exact_for_frangi, frangi)
