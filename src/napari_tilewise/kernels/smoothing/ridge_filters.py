"""Second derivatives of Gaussians, their eigenvalues, and the ridge filters made of them."""

from __future__ import annotations

import math
from functools import partial
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import linalg

from napari_tilewise.kernels.arrays import MODES, contiguous, type_code
from napari_tilewise.kernels.footprint_windows import is_moderate
from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.library import call, rounds_alike
from napari_tilewise.kernels.smoothing.ndimage_gaussians import FLOATS, LONGEST, gaussian_filter
from napari_tilewise.kernels.smoothing.separable import (
    as_floats,
    float_dtype,
    is_number,
)
from napari_tilewise.kernels.smoothing.volume_eigenvalues import volume_eigenvalues
from napari_tilewise.kernels.threads import in_pieces, run_parts

if TYPE_CHECKING:
    from collections.abc import Iterable


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
        BorderMode mode in ndimage's spelling.
    cval
        Beyond the border, for ``mode="constant"``.
    """
    ndim = image.ndim
    truncate = 8 if sigma > 1 else 100
    scaled = 1 / math.sqrt(2) * sigma
    orders = [tuple(int(axis == d) for axis in range(ndim)) for d in range(ndim)]

    def derived(source: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
        return gaussian_filter(source, scaled, order, None, mode, cval, truncate)

    gradients = run_parts([partial(derived, image, order) for order in orders])
    pairs = combinations_with_replacement(range(ndim), 2)
    return run_parts(
        [partial(derived, gradients[first], orders[second]) for first, second in pairs]
    )


def eigenvalues(elements: list[np.ndarray]) -> np.ndarray:
    """Return the eigenvalues of symmetric matrices, the largest first: one more axis, in front.

    Parameters
    ----------
    elements
        The matrices' upper diagonal: three images of one data type, or six volumes.
    """
    elements = [contiguous(element) for element in elements]
    shape, dtype = elements[0].shape, elements[0].dtype
    if len(elements) == 3:
        result = np.empty((2, *shape), dtype)
        call("eigenvalues", *elements, type_code(dtype), elements[0].size, result)
        return result
    return volume_eigenvalues([element.reshape(-1) for element in elements]).reshape(3, *shape)


# -- ridge filters ---------------------------------------------------------------------------------


def _plain(*numbers: Any) -> bool:
    """Return whether all are Python's numbers: NumPy's own would raise the precision."""
    return all(type(number) in (int, float) for number in numbers)


def _suits(image: np.ndarray, sigma: Any, mode: str, cval: float) -> bool:
    return (
        is_number(image.dtype)
        and image.ndim in (2, 3)
        and image.size > 0
        and mode in MODES
        and abs(cval) < 1e15
        and _plain(sigma)
        and 0 < sigma
        and 100 * sigma < LONGEST
        and rounds_alike()
        and is_moderate(image, 1e15)  # squares are taken
    )


def _exact_for_hessian(image: np.ndarray, sigma: Any, mode: str, cval: float) -> bool:
    return image.dtype in FLOATS and _suits(image, sigma, mode, cval)


def hessian_eigenvalues(image: np.ndarray, sigma: float, mode: str, cval: float) -> np.ndarray:
    """Return the eigenvalues of an image's Hessians, as the operation's function does.

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
    image = as_floats(image, preserve_range=True, unchanged=FLOATS)
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
        if image.ndim == 2:
            call("tubes", *elements, code, image.size, float(sigma**2), best)
        else:
            _widen(best.reshape(-1), eigenvalues(elements).reshape(3, -1), sigma)
    return best


def _widen(best: np.ndarray, values: np.ndarray, sigma: float) -> None:
    """Raise the best response to that of a volume's scale, where that is larger."""

    def raise_piece(piece: slice) -> None:
        tubes = np.prod(np.maximum(values[:-1, piece], 0), 0) ** (1 / 2)
        np.maximum(best[piece], sigma**2 * tubes, out=best[piece])

    in_pieces(raise_piece, best.size)


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
        values = eigenvalues(hessian(image, sigma, mode, cval)).reshape(image.ndim, -1)
        strength = np.empty(image.size, image.dtype)
        in_pieces(partial(_sort_by_magnitude, values, strength), image.size)
        if gamma is None:
            gamma = strength.max() / 2
            if gamma == 0:
                gamma = 1
        widths = alpha, beta, gamma
        in_pieces(partial(_raise_vesselness, best, values, strength, widths), image.size)
    return best.reshape(image.shape)


def _sort_by_magnitude(values: np.ndarray, strength: np.ndarray, piece: slice) -> None:
    """Sort a piece's eigenvalues by magnitude, and store their norm."""
    part = values[:, piece]
    if len(part) == 2:
        swaps = abs(part[1]) < abs(part[0])
        part[:] = np.where(swaps, part[1], part[0]), np.where(swaps, part[0], part[1])
    else:
        part[:] = np.take_along_axis(part, abs(part).argsort(0), 0)
    np.sqrt((part**2).sum(0), out=strength[piece])


def _raise_vesselness(
    best: np.ndarray,
    values: np.ndarray,
    strength: np.ndarray,
    widths: tuple[Any, Any, Any],
    piece: slice,
) -> None:
    """Raise the best response of a piece to the product of a scale's factors."""
    alpha, beta, gamma = widths
    dtype = values.dtype
    small, *large = values[:, piece]
    large = [np.maximum(value, 1e-10) for value in large]
    if len(large) == 1:  # an image has no plates
        ratio = abs(small) / large[0]
        product: np.ndarray = np.exp(-(ratio**2) / (2 * beta**2), dtype=dtype)
    else:
        ratio = abs(small) / np.sqrt(large[0] * large[1])
        product = 1.0 - np.exp(-((large[0] / large[1]) ** 2) / (2 * alpha**2), dtype=dtype)
        product *= np.exp(-(ratio**2) / (2 * beta**2), dtype=dtype)
    product *= 1.0 - np.exp(-(strength[piece] ** 2) / (2 * gamma**2), dtype=dtype)
    np.maximum(best[piece], product, out=best[piece])


def _exact_for_hybrid(
    image: np.ndarray,
    sigmas: Iterable[float] = range(1, 10, 2),
    scale_range: Any = None,
    scale_step: Any = None,
    alpha: float = 0.5,
    beta: float = 0.5,
    gamma: Any = 15,
    black_ridges: bool = True,
    mode: str = "reflect",
    cval: float = 0,
) -> bool:
    return _exact_for_frangi(
        image, sigmas, scale_range, scale_step, alpha, beta, gamma, black_ridges, mode, cval
    )


def hybrid_hessian(
    image: np.ndarray,
    sigmas: Iterable[float] = range(1, 10, 2),
    scale_range: Any = None,
    scale_step: Any = None,
    alpha: float = 0.5,
    beta: float = 0.5,
    gamma: Any = 15,
    black_ridges: bool = True,
    mode: str = "reflect",
    cval: float = 0,
) -> np.ndarray:
    """Find vessels, and 1 where there are none, as `skimage.filters.hessian` does.

    Parameters
    ----------
    image, sigmas, scale_range, scale_step, alpha, beta, gamma, black_ridges, mode, cval
        As there.
    """
    result = frangi(
        image,
        sigmas,
        alpha=alpha,
        beta=beta,
        gamma=gamma,
        black_ridges=black_ridges,
        mode=mode,
        cval=cval,
    )
    vesselness = result.reshape(-1)

    def fill(piece: slice) -> None:
        part = vesselness[piece]
        part[part <= 0] = 1

    in_pieces(fill, result.size)
    return result


def _exact_for_meijering(
    image: np.ndarray,
    sigmas: Iterable[float] = range(1, 10, 2),
    alpha: float | None = None,
    black_ridges: bool = True,
    mode: str = "reflect",
    cval: float = 0,
) -> bool:
    return (alpha is None or _plain(alpha)) and _exact_for_sato(
        image, sigmas, black_ridges, mode, cval
    )


def meijering(
    image: np.ndarray,
    sigmas: Iterable[float] = range(1, 10, 2),
    alpha: float | None = None,
    black_ridges: bool = True,
    mode: str = "reflect",
    cval: float = 0,
) -> np.ndarray:
    """Find neurites, as `skimage.filters.meijering` does.

    Parameters
    ----------
    image, sigmas, alpha, black_ridges, mode, cval
        As there.
    """
    image = _dark_ridges(image, black_ridges)
    ndim = image.ndim
    alpha = 1 / (ndim + 1) if alpha is None else alpha
    matrix = linalg.circulant([1, *[alpha] * (ndim - 1)]).astype(image.dtype)
    best = np.zeros(image.size, image.dtype)
    for sigma in sigmas:
        values = eigenvalues(hessian(image, sigma, mode, cval)).reshape(ndim, -1)
        neurites = np.tensordot(matrix, values, 1)
        largest = values[0]
        in_pieces(partial(_choose_largest, neurites, largest), image.size)
        most = largest.max()
        in_pieces(partial(_raise_neuriteness, best, largest, most), image.size)
    return best.reshape(image.shape)


def _choose_largest(values: np.ndarray, largest: np.ndarray, piece: slice) -> None:
    """Store the value of the largest magnitude of each pixel of a piece, 0 where it is below 0."""
    part = values[:, piece]
    chosen = np.take_along_axis(part, abs(part).argmax(0)[None], 0)[0]
    np.maximum(chosen, 0, out=largest[piece])


def _raise_neuriteness(
    best: np.ndarray, values: np.ndarray, most: np.floating, piece: slice
) -> None:
    """Raise the best response of a piece to that of a scale, divided by the scale's largest."""
    part = values[piece]
    if most > 0:
        part /= most
    np.maximum(best[piece], part, out=best[piece])


SATO = Kernel("skimage.filters.sato", _exact_for_sato, sato)
FRANGI = Kernel("skimage.filters.frangi", _exact_for_frangi, frangi)
HYBRID_HESSIAN = Kernel("skimage.filters.hessian", _exact_for_hybrid, hybrid_hessian)
MEIJERING = Kernel("skimage.filters.meijering", _exact_for_meijering, meijering)
