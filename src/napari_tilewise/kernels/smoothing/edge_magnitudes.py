"""Sobel, Scharr, Prewitt and Farid edges in one sweep, and the thin ones of Canny."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.kernels.arrays import MODES, contiguous, integers, type_code
from napari_tilewise.kernels.footprint_windows import (
    filter_bands,
    is_moderate,
    volume_shape,
    volume_sizes,
)
from napari_tilewise.kernels.grey_morphology import MINIMUM_FILTER
from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.library import call, rounds_alike
from napari_tilewise.kernels.smoothing.separable import (
    as_floats,
    float_dtype,
    float_scale,
    is_number,
)
from napari_tilewise.kernels.threads import in_bands

if TYPE_CHECKING:
    from collections.abc import Callable

_EPSILON = np.finfo(np.float64).eps

# From scikit-image's definitions: weights along the edge's axis and along the others.
_FARID_EDGE = (0.109603762960254, 0.276690988455557, 0, -0.276690988455557, -0.109603762960254)
_FARID_SMOOTH = (
    0.0376593171958126,
    0.249153396177344,
    0.426374573253687,
    0.249153396177344,
    0.0376593171958126,
)
_WEIGHTS: dict[str, tuple[Any, Any]] = {
    "sobel": (np.array([1, 0, -1]), np.array([1, 2, 1]) / 4),
    "scharr": (np.array([1, 0, -1]), np.array([3, 10, 3]) / 16),
    "prewitt": (np.array([1, 0, -1]), np.full((3,), 1 / 3)),
    "farid": (np.array(_FARID_EDGE), np.array(_FARID_SMOOTH)),
}


@lru_cache(maxsize=64)
def _taps(name: str, ndim: int, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the offsets (n, 3) and weights (n,) of an axis's kernel, in the order of SciPy's sums.

    SciPy's convolve correlates with the mirrored kernel, in raster order, and leaves out weights
    that are zero.
    """
    edge, smooth = _WEIGHTS[name]

    def along(weights: Any, dim: int) -> np.ndarray:
        shape = [1] * ndim
        shape[dim] = -1
        return np.reshape(weights, shape)

    kernel = along(edge, axis)
    for other in sorted(set(range(ndim)) - {axis}):
        kernel = kernel * along(smooth, other)
    mirrored = kernel[(slice(None, None, -1),) * ndim]
    volume = mirrored.reshape(volume_shape(mirrored.shape))
    present = np.abs(volume) > _EPSILON
    offsets = np.argwhere(present) - [n // 2 for n in volume.shape]
    return np.ascontiguousarray(offsets, np.int64), volume[present].astype(np.float64)


def _axes(axis: Any, ndim: int) -> list[int] | None:
    """Return the axes that edges are looked for along, or None where the function judges them."""
    if axis is None:
        return list(range(ndim))
    axes: list[Any] = [axis] if np.isscalar(axis) else list(axis)
    fine = all(isinstance(a, int | np.integer) and 0 <= a < ndim for a in axes)
    return axes if fine and axes else None


def _exact(
    image: np.ndarray,
    mask: Any = None,
    *,
    axis: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
) -> bool:
    return (
        is_number(image.dtype)
        and 2 <= image.ndim <= 3
        and image.size > 0
        and (mask is None or (mask.dtype == np.bool_ and mask.shape == image.shape))
        and isinstance(mode, str)
        and mode in MODES
        and (mode != "constant" or abs(cval) < 1e18)
        and _axes(axis, image.ndim) is not None
        and rounds_alike()
    )


def clear_outside(edges: np.ndarray, mask: np.ndarray) -> None:
    """Multiply edges by a mask without the pixels that touch what is outside of it.

    Parameters
    ----------
    edges
        C-contiguous; changed.
    mask
        Of the same shape.
    """
    pixels = contiguous(mask).view(np.uint8)
    inside = MINIMUM_FILTER.run(pixels, size=3, mode="constant", cval=0).view(bool)

    def clear(begin: int, end: int) -> None:
        edges[begin:end] *= inside[begin:end]

    in_bands(clear, len(edges), edges.size)


def _magnitude(name: str) -> Callable[..., np.ndarray]:
    def run(
        image: np.ndarray,
        mask: Any = None,
        *,
        axis: Any = None,
        mode: str = "reflect",
        cval: float = 0.0,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return the edges' magnitude, or the edges along one axis."""
        image = as_floats(contiguous(image))
        ndim, dtype = image.ndim, float_dtype(image.dtype)
        axes = _axes(axis, ndim) or []
        taps = [_taps(name, ndim, a) for a in axes]
        radius = len(_WEIGHTS[name][0]) // 2
        reach = integers([0 if n < 3 - ndim else radius for n in range(3) for _ in range(2)])
        divisor = float(np.sqrt(ndim, dtype=dtype)) if len(axes) > 1 else 0.0
        target = np.empty(image.shape, dtype) if out is None else out
        numbers = (
            volume_sizes(image),
            reach,
            float_scale(image.dtype),
            len(axes),
            integers([len(weights) for _, weights in taps]),
            np.concatenate([offsets for offsets, _ in taps]),
            np.concatenate([weights for _, weights in taps]),
            divisor,
            MODES[mode],
            float(cval),
        )

        def edges_of_band(band: np.ndarray) -> None:
            call("edges", image, type_code(image.dtype), target, *numbers, band)

        filter_bands(edges_of_band, image)
        if mask is not None:
            clear_outside(target, mask)
        return target

    return run


def _along(name: str, axis: int) -> Kernel:
    """Return the kernel of the edges along one axis of a plane."""
    edges = _magnitude(name)

    def run(image: np.ndarray, mask: Any = None) -> np.ndarray:
        """Return the edges along the axis."""
        return edges(image, mask, axis=axis)

    def exact(image: np.ndarray, mask: Any = None) -> bool:
        return image.ndim == 2 and _exact(image, mask)

    return Kernel(f"skimage.filters.{name}_{'hv'[axis]}", exact, run)


EDGES = (
    *(Kernel(f"skimage.filters.{name}", _exact, _magnitude(name)) for name in _WEIGHTS),
    *(_along(name, axis) for name in _WEIGHTS for axis in (0, 1)),
)


# -- Canny -----------------------------------------------------------------------------------------

_FLOATS = (np.dtype("f4"), np.dtype("f8"))
_LEAST = 1e-14
"""The magnitude that stands for a threshold of 0, as scikit-image has it."""


def _exact_for_thinning(smooth: np.ndarray, mask: Any, low: float) -> bool:
    return (
        smooth.dtype in _FLOATS
        and smooth.ndim == 2
        and smooth.size > 0
        and 0 <= low < 1e30
        and is_moderate(smooth, 1e15)  # squares are taken
        and rounds_alike()
    )


def thinned_magnitude(smooth: np.ndarray, mask: np.ndarray | None, low: float) -> np.ndarray:
    """Return the gradient's magnitude where it is the largest along the gradient, else 0.

    Parameters
    ----------
    smooth, mask, low
        As in `napari_tilewise.operations.feature.canny.thinned_magnitude`.
    """
    smooth = contiguous(smooth)
    result = np.empty_like(smooth)
    pixels = None if mask is None else contiguous(mask)
    least = np.float32(low) or _LEAST
    call("thinned_edges", smooth, type_code(smooth.dtype), *smooth.shape, pixels, least, result)
    return result


THINNED_MAGNITUDE = Kernel(
    "napari_tilewise.operations.feature.canny.thinned_magnitude",
    _exact_for_thinning,
    thinned_magnitude,
)
